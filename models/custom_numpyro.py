"""A model written as a plain NumPyro function: latent dynamics, and neurons whose rates are drawn from one population.

Mean firing rates in cortex and hippocampus are close to log-normally distributed (Buzsaki and Mizuseki 2014, "The
log-dynamic brain"). So the baselines, which are log rates, are drawn from a normal distribution whose mean and width
are learned with everything else: neurons with few spikes lean on what the others are like.

Copy this file, and change what you like: whatever NumPyro can sample may enter the loadings and what adds to them.
"""

import math

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

import nlbprob as nlb


def model(
    *,
    dim: int | None = None,  # number of latents; None: sqrt(neurons x minutes), at most 32
    loading_scale: float = 0.5,  # prior standard deviation of a latent's effect on a log rate
    typical_rate_hz: float = 5.0,  # prior median of the rate of a typical neuron
):
    """Poisson counts driven by a linear dynamical system, with a hierarchical prior on baselines."""

    def neurons_of_one_population(trials):
        """y_n(t) ~ Poisson(exp(c_n'x(t) + d_n)), d_n ~ N(mu, sigma^2), x a linear dynamical system."""
        x = nlb.LDS(dim)(trials)  # [trial, time, latent]
        typical = math.log(typical_rate_hz * trials.bin_ms / 1000)  # of the rates in spikes per bin
        center = numpyro.sample("baseline_mean", dist.Normal(typical, 1.0))
        width = numpyro.sample("baseline_width", dist.HalfNormal(1.5))
        with numpyro.plate("neuron", trials.n_neurons):
            baseline = numpyro.sample("baseline", dist.Normal(center, width))
            prior = dist.Normal(0.0, loading_scale * jnp.ones(x.shape[-1])).to_event(1)
            loadings = numpyro.sample("loadings", prior)  # [neuron, latent]
        nlb.observe(nlb.Poisson(), x @ jnp.transpose(loadings) + baseline, trials)

    return neurons_of_one_population
