"""Loadings of which some are zero by the model."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Bool

#: Standard deviation of a loading that stands for zero: a site has every loading, and a normal some width. With the
#: slope of a likelihood of 100,000 spikes it moves by a tenth of it, which no other loading feels.
ZERO = 1e-6
#: Of each group of latents that some neurons alone read: the first, the end, and the positions of these neurons.
Reads = tuple[tuple[int, int, tuple[int, ...]], ...]


def pattern(reads: Reads, neurons: int, dim: int) -> Bool[np.ndarray, "neuron latent"] | None:
    """Which neuron reads which latent; None: all read all."""
    if not reads:
        return None
    found = np.ones((neurons, dim), bool)
    for first, end, readers in reads:
        found[:, first:end] = np.isin(np.arange(neurons), readers)[:, None]
    return found


class RestrictedLoadings(dist.Distribution):
    """Loadings c[neuron, latent] ~ base where `reads` holds, and N(0, ZERO^2), which stands for zero, elsewhere."""

    support = dist.constraints.real  # pyright: ignore[reportAssignmentType]
    pytree_data_fields = ("base", "reads")

    def __init__(self, base: dist.Distribution, reads: Any):
        self.base, self.reads = base, jnp.asarray(reads)
        super().__init__(batch_shape=base.batch_shape)

    def sample(self, key: Any, sample_shape=()):
        first, second = jax.random.split(key)
        drawn: Any = self.base.sample(first, sample_shape)
        return jnp.where(self.reads, drawn, ZERO * jax.random.normal(second, drawn.shape, drawn.dtype))

    def log_prob(self, value):
        inside = jnp.where(self.reads, value, 0.5)
        return jnp.where(self.reads, self.base.log_prob(inside), dist.Normal(0.0, ZERO).log_prob(value))
