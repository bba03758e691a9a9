"""Fitting a model to trials: the posterior over trajectories and parameters, and what can be read from it."""

# ArviZ leaves a numpyro that is loaded when first used; to import a part of that first would load the part twice.
import numpyro  # noqa: F401
