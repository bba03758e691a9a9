"""Priors that pull loadings towards zero, one class each; `LinearReadout` takes them."""
