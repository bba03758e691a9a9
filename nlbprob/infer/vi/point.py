"""Point estimates: no uncertainty of the parameters."""

import dataclasses

from nlbprob.arguments import checked_keywords
from nlbprob.infer.vi.family import Family


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Point(Family, name="map"):
    """A point estimate of each parameter: the mode of its posterior, trajectories integrated out."""

    words = "point estimates"
    has_width = False

    def sample(self, frames, enough_trials):
        for group, frame in frames.items():
            yield group, self.shift(group, frame), 0.0
