"""What each study has to show, and the lines of its table."""

from typing import NamedTuple

import numpy as np


class Goal(NamedTuple):
    """At least the share `least`, and at most the share `most`, of the values called `key` lie in [low, high].

    Where no limits are given the values are shares themselves: 1 for an interval that holds the truth, 0 for another.
    """

    words: str
    key: str
    least: float
    low: float | None = None
    high: float | None = None
    most: float = 1.0

    def line(self, study: str, records: list[dict]) -> dict:
        """What was found, as a row of the table."""
        values = np.concatenate([np.asarray(record[self.key], float) for record in records])
        if self.low is None or self.high is None:
            found, spread = float(values.mean()), ""
        else:
            found = float(((self.low <= values) & (values <= self.high)).mean())
            spread = f"{values.min():.3g}, {np.median(values):.3g}, {values.max():.3g}"
        goal = f"at least {self.least:.0%}" if self.most == 1 else f"{self.least:.0%} to {self.most:.0%}"
        return {
            "study": study,
            "quantity": self.words,
            "runs": len(records),
            "values": len(values),
            "found": found,
            "spread": spread,
            "goal": goal,
            "met": self.least <= found <= self.most,
        }


ANY = float("inf")
LABELS = [
    Goal("accuracy at least 95% of that with the true parameters", "ratio", 1.0, 0.95, ANY),
    Goal("data on which the true parameters are right in 85 to 98%", "oracle", 1.0, 0.85, 0.98),
]
INTERVALS = [
    Goal(f"90% intervals of {words}", key, 0.80, most=0.97)
    for words, key in (
        ("rates", "rates"),
        ("frequencies", "frequency_hz"),
        ("decay times", "decay_ms"),
        ("lengthscales", "lengthscale_ms"),
        ("baselines", "baseline"),
        ("a block's share of log-rate variance", "share"),
        ("latents, after a linear map", "latents"),
    )
]
MISFITS = [goal for goal in INTERVALS if goal.key in ("rates", "frequency_hz", "decay_ms", "latents")]
DENSE = [goal._replace(least=0.85, most=0.95) for goal in INTERVALS if goal in MISFITS or goal.key == "baseline"]
SCORES = {
    name: [
        Goal(f"90% intervals of {words}, {number} trials", f"{name} {number}", 0.87, most=0.93)
        for number in (16, 27, 64)
    ]
    for name, words in (
        ("co-bps", "co-bps"),
        ("difference", "a difference of co-bps"),
        ("vel R2", "vel R2"),
        ("psth R2", "psth R2"),
    )
}
BITS = SCORES["co-bps"] + SCORES["difference"]
#: By study.
GOALS = {
    "modal": [
        Goal("at least 1,000 decay times of data", "decay_times_of_data", 1.0, 1000, ANY),
        Goal("frequencies within 10%", "frequency_hz_error", 1.0, 0, 0.10),
        Goal("decay times within 20%", "decay_ms_error", 1.0, 0, 0.20),
        Goal("95% intervals of frequencies", "frequency_hz_covered", 0.90),
        Goal("95% intervals of decay times", "decay_ms_covered", 0.90),
    ],
    "switching": LABELS,
    "templates": LABELS,
    "timescales": [Goal("lengthscales within 20%", "lengthscale_error", 1.0, 0, 0.20)],
    "pruning": [Goal("the true number of latents is left (shown: how many too many)", "too_many", 0.9, 0, 0)],
    "stitching": [Goal("largest principal angle under 10 degrees", "angle_degrees", 1.0, 0, 10)],
    "coverage": INTERVALS,
    "coverage-normal": INTERVALS,
    "coverage-lowrank": INTERVALS,
    "dense": DENSE,
    "dense-softplus": MISFITS,
    "dense-overdispersed": MISFITS,
    "scores": BITS + SCORES["vel R2"] + SCORES["psth R2"],
    "scores-few-spikes": BITS,
    "scores-gains": BITS,
    "scores-strong-gains": BITS,
    "scores-errors": BITS,
}
