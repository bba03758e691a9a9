"""The default family: the parameters of one neuron depend on each other."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpyro

from nlbprob.arguments import checked_keywords
from nlbprob.infer.vi.family import Family
from nlbprob.infer.vi.frames import LocationScale


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Neuron(Family, name="neuron"):
    """A multivariate normal for each neuron's baseline and loadings, and one for all other parameters.

    All baselines and loadings move together, too, as a shift or a new scale of the latents would have it: the counts
    tell these little, see `nlbprob.infer.vi.widths.shared_directions`. The rest keeps the covariance that its
    information gives, where there are enough trials: beside the readout's normals the bound would have it too narrow,
    and a few SVI steps cannot improve so many correlations.
    """

    words = "a normal for each neuron's baseline and loadings, one for what all neurons share, one for the rest"
    joint = True
    shares = True
    needs_no_steps = True

    def sample(self, frames: dict[str, LocationScale], enough_trials: bool) -> Iterator[tuple[str, Any, Any]]:
        for group, frame in frames.items():
            shift, log_scale = self.shift(group, frame), jnp.zeros_like(frame.centre)
            if group == "neuron" or not enough_trials:
                log_scale = self.log_scale(group, frame)
            draw = self.standard_normal(group, frame)
            offset = jnp.exp(log_scale) * draw
            if group == "neuron" and frame.centre.shape[1] > 1:
                lower: Any = numpyro.param(f"{group}.lower", jnp.zeros_like(frame.root))
                offset = offset + jnp.einsum("rij,rj->ri", jnp.tril(lower, -1), draw)
            yield group, shift + offset, log_scale.sum()
