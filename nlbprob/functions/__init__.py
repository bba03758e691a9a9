"""Plain NumPyro functions that call blocks, as models that inference takes."""
