"""Variational EM: the first stage of a fit."""
