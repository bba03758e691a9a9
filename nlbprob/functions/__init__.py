"""Plain NumPyro functions that call blocks, as models that inference takes."""

# ArviZ leaves a numpyro that is loaded when first used; to import a part of that first would load the part twice.
import numpyro  # noqa: F401
