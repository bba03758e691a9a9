"""What figures need to know of trials: their time axis, their groups, averages of them."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int, Num

import nlbprob.plot.style as style
from nlbprob.data.trials import Trials

#: Colors of trials that are shown one by one, where there are no conditions.
SINGLE = [style.CONDITIONS[number] for number in (1, 5, 7)]


def spread(rows: Int[np.ndarray, " row"], most: int) -> Int[np.ndarray, " chosen"]:
    """At most so many of the rows, evenly spaced among them."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))]


@dataclasses.dataclass(frozen=True)
class Group:
    """Trials shown alike: those of a condition, or all.

    Attributes:
        label: of the condition.
        color: of its lines and points.
        rows: of its trials.
        place: among the groups that are shown, by which lines are dashed and points are marked.
    """

    label: str
    color: str
    rows: Int[np.ndarray, " row"]
    place: int = 0

    @property
    def dashes(self) -> tuple[int, tuple[float | int, ...]]:
        """How its lines are dashed, as matplotlib takes it."""
        return style.DASHES[self.place % len(style.DASHES)]

    @property
    def marker(self) -> str:
        """How its points are marked."""
        return style.MARKERS[self.place % len(style.MARKERS)]


def condition_colors(trials: Trials, scored: Bool[np.ndarray, " trial"] | None = None) -> dict[str, str]:
    """A color for each of the conditions with the most trials, scored ones first, at most nine; none below two."""
    index, labels = trials.condition_index, trials.condition_labels
    if len(labels) < 2:
        return {}
    counted = index >= 0
    total = np.bincount(index[counted], minlength=len(labels))
    first = total if scored is None else np.bincount(index[counted & scored], minlength=len(labels))
    chosen = sorted(np.lexsort((-total, first == 0))[: len(style.CONDITIONS)].tolist())
    return {labels[condition]: color for condition, color in zip(chosen, style.CONDITIONS, strict=False)}


def grouped(trials: Trials, colors: dict[str, str] | None = None) -> list[Group]:
    """The trials of each condition that has a color; all trials in one group where there are fewer than two.

    Args:
        trials: to group.
        colors: by condition; by default those of `condition_colors`.
    """
    colors = condition_colors(trials) if colors is None else colors
    index, labels = trials.condition_index, trials.condition_labels
    rows = {label: np.flatnonzero(index == labels.index(label)) for label in colors if label in labels}
    if len(rows) < 2:
        return [Group("all trials", style.MODEL, np.arange(trials.n_trials))]
    return [Group(label, colors[label], rows[label], place) for place, label in enumerate(rows)]


def legend_label(trials: Trials, group: Group) -> str:
    """A condition in words."""
    return f"{', '.join(trials.condition)} {group.label}"


def trial_name(trials: Trials, row: int | np.integer) -> str:
    """A trial in words."""
    words = f"trial {trials.table['id'][row]}"
    labels, index = trials.condition_labels, trials.condition_index[row]
    if len(labels) > 1:
        words += f", {', '.join(trials.condition)} {labels[index] if index >= 0 else 'unknown'}"
    return words


def in_seconds(trials: Trials) -> bool:
    """Whether time is shown in seconds: where a trial is longer than three."""
    return trials.n_bins * trials.bin_ms > 3000


def time_of(trials: Trials) -> Float[np.ndarray, " time"]:
    """The middle of each bin, in the unit of `time_label`."""
    return (trials.time_ms + trials.bin_ms / 2) / (1000 if in_seconds(trials) else 1)


def time_label(trials: Trials) -> str:
    """What time is counted from, with its unit."""
    align = trials.source.get("options", {}).get("align") or "start_time"
    unit = "s" if in_seconds(trials) else "ms"
    return f"time in trial ({unit})" if align == "start_time" else f"time from {align} ({unit})"


def shown_bins(trials: Trials) -> Int[np.ndarray, " trial"]:
    """Bins of each trial that are shown: up to the last in which anything is seen."""
    return np.maximum(trials.lengths, 1)


def average(
    values: Num[np.ndarray, "trial time column"], ends: Int[np.ndarray, " trial"]
) -> Float[np.ndarray, "time column"]:
    """Mean over trials in each bin that at least half of them reach; NaN elsewhere.

    Args:
        values: of each trial; those after its end do not count.
        ends: number of bins of each trial.
    """
    inside = np.arange(values.shape[1]) < ends[:, None]
    enough = inside.sum(0) >= max(1, len(ends) / 2)
    total = np.where(inside[:, :, None], values, 0).sum(0)
    return np.where(enough[:, None], total / np.maximum(inside.sum(0), 1)[:, None], np.nan)
