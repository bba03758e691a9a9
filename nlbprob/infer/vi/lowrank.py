"""One normal over all parameters: that of each neuron and of the rest, and directions that they share."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array

from nlbprob.arguments import checked_keywords, whole_number
from nlbprob.infer.vi.family import Family
from nlbprob.infer.vi.frames import LocationScale

#: The standard deviation along the shared directions at the start (at zero they would stay).
START_FACTOR = 0.1


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class LowRank(Family, name="lowrank"):
    """One normal over all parameters, in which a few directions move any of them together.

    In units of the start, which keeps the correlations of each neuron and of the rest, it is N(shift, D^2 + F F') with
    D diagonal and F [entry, rank].

    Args:
        rank: number of directions.
    """

    rank: int = 10
    words = "one normal over all parameters, with a few directions that they share"
    joint = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "rank", whole_number(self.rank, "LowRank", "rank", 1))

    def sample(self, frames: dict[str, LocationScale], enough_trials: bool) -> Iterator[tuple[str, Any, Any]]:
        parts = self.sample_joint(frames)
        for group in frames:
            yield group, parts[group], 0.0

    def sample_joint(self, frames: dict[str, LocationScale]) -> dict[str, Array]:
        """Draw the rows of all groups together."""
        shifts = [self.shift(group, frame) for group, frame in frames.items()]
        location = jnp.concatenate([shift.reshape(-1) for shift in shifts])
        rank = min(self.rank, location.size)
        # Any directions will do to start from, so long as no two are the same.
        directions = np.random.default_rng(0).standard_normal((location.size, rank))
        factor: Any = numpyro.param("factor", jnp.asarray(START_FACTOR / math.sqrt(rank) * directions, location.dtype))
        log_scale: Any = numpyro.param("log_scale", jnp.zeros_like(location))
        normal = dist.LowRankMultivariateNormal(location, factor, jnp.exp(2 * log_scale))
        drawn = jnp.asarray(self.auxiliary("all", normal))
        parts = jnp.split(drawn, np.cumsum([shift.size for shift in shifts])[:-1])
        return {name: part.reshape(frames[name].centre.shape) for name, part in zip(frames, parts, strict=True)}
