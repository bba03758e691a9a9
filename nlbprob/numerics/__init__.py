"""Pure JAX algorithms, no NumPyro: Kalman filters and smoothers, quadrature, matrix functions."""
