"""Values of a signal that no sensor gives."""

import numpy as np
from jaxtyping import Float, Num

#: Values of a signal so many times as far from its median as the given fraction of them are faults of a sensor.
FAR_OUT, NEARLY_ALL_VALUES, MOST_VALUES = 100.0, 0.99, 0.9


def far_out(values: Num[np.ndarray, "trial time channel"], name: str | None) -> list[str]:
    """A note where a few values of a channel lie so far from the others that any R2 follows them alone."""
    found, most = 0, NEARLY_ALL_VALUES
    for channel in np.moveaxis(values, 2, 0):
        kept = channel[np.isfinite(channel)].astype(np.float64) / 4  # sums of any two are finite
        away = np.sort(np.abs(kept - np.median(kept))) if len(kept) else np.zeros(1)
        usual = [np.quantile(away, NEARLY_ALL_VALUES), *below_jump(away)]
        number = max(int((away / FAR_OUT > each).sum()) if each > 0 else 0 for each in usual)
        found, most = found + number, min(most, np.floor(100 * (1 - number / len(away))) / 100)
    if not found:
        return []
    return [
        f"behavior: {found} values of {name!r} lie over {FAR_OUT:g} times as far from the median as "
        f"{most:.0%} do, and scores of decoding follow them; mark them NaN if they are faults"
    ]


def below_jump(away: Float[np.ndarray, " value"]) -> list[float]:
    """The last distance, in order, before one beyond all proportion, as of numbers that stand for no value (-9999)."""
    upper = away[int(MOST_VALUES * len(away)) :]
    jumps = np.flatnonzero(upper[1:] / FAR_OUT > upper[:-1]) if np.median(away) > 0 else np.zeros(0, dtype=int)
    return [float(upper[jumps[0]])] if len(jumps) else []
