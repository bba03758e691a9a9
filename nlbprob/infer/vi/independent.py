"""Independent normals: the family for very many latents."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp

from nlbprob.arguments import checked_keywords
from nlbprob.infer.vi.family import Family
from nlbprob.infer.vi.frames import LocationScale


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Independent(Family, name="normal"):
    """A normal for each parameter, independent of all others."""

    words = "independent normals"

    def sample(self, frames: dict[str, LocationScale], enough_trials: bool) -> Iterator[tuple[str, Any, Any]]:
        for group, frame in frames.items():
            shift, log_scale = self.shift(group, frame), self.log_scale(group, frame)
            offset = jnp.exp(log_scale) * self.standard_normal(group, frame)
            yield group, shift + offset, log_scale.sum()
