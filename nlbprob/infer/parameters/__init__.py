"""The parameters of a model as values of its sites."""
