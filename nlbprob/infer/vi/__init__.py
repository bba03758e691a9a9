"""Variational families of the parameters, and stochastic variational inference: the second stage of a fit."""
