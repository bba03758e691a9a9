"""Fitting a model to trials: the posterior over trajectories and parameters, and what can be read from it."""
