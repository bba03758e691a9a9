"""Priors of a block's trajectories, in the form that inference works with."""
