"""Point estimates: no uncertainty of the parameters."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from nlbprob.arguments import checked_keywords
from nlbprob.infer.vi.family import Family
from nlbprob.infer.vi.frames import LocationScale


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Point(Family, name="map"):
    """A point estimate of each parameter: the mode of its posterior, trajectories integrated out."""

    words = "point estimates"
    has_width = False
    needs_no_steps = True

    def sample(self, frames: dict[str, LocationScale], enough_trials: bool) -> Iterator[tuple[str, Any, Any]]:
        for group, frame in frames.items():
            yield group, self.shift(group, frame), 0.0
