"""Gaussian-process factor analysis: square-rooted counts are Gaussian given a few smooth latents.

The model of Yu et al. (2009, J Neurophysiol 102:614): sqrt y[trial, time, neuron] ~ N(c_n'x + d_n, sigma_n^2), each
latent x_k a Gaussian process over the trial with a timescale of its own. Theirs has the squared-exponential kernel,
which has no exact state-space form; Matern 5/2, twice differentiable, stands for it. Rates come from a Poisson
regression on the latents' posterior q(x), which the fit makes at its end: E_q[log(1 + exp(a_n'x + b_n))]. It is the
classical baseline: use bins of 20 ms or more, since roots of counts of zero and one are far from Gaussian, and see
poisson_gpfa.py for the same latents under Poisson counts.
"""

import nlbprob as nlb


def model(
    *,
    dim: int | None = None,  # number of latents; by default the square root of the number of neurons, at most 24
):
    """Square-rooted counts driven by independent Gaussian processes."""
    return nlb.Model(latents=[nlb.GP(nlb.Matern52(), dim)], observation=nlb.SqrtGaussian())
