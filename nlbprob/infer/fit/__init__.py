"""From a model and trials to a posterior: the stages of a fit, one step at a time."""
