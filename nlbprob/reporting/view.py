"""What the figures look at: one fit on one recording, with everything derived that more than one of them needs."""

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from nlbprob.data.trials import Trials
from nlbprob.posterior.posterior import Posterior
from nlbprob.reporting import style
from nlbprob.scoring.smoothing import smooth
from nlbprob.selection.average import Committee

#: Trials of one condition, and in all where there are no conditions, whose latents are shown.
TRIALS_A_CONDITION, TRIALS_ALONE = 8, 40
#: Trials shown one by one.
EXAMPLES = 3
#: Standard deviation of the Gaussian that smooths recorded averages: in ms, but never below so many bins.
SMOOTHING_MS, SMOOTHING_BINS = 50.0, 1.5


def spread(rows: Int[np.ndarray, " row"], most: int) -> Int[np.ndarray, " chosen"]:
    """At most so many of the rows, evenly spaced among them."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))]


@dataclasses.dataclass(frozen=True)
class Group:
    """Trials shown in one color: those of a condition, or all."""

    label: str
    color: str
    rows: Int[np.ndarray, " row"]


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """A fit and its scores.

    Attributes:
        fit: the posterior, or a committee of several.
        trials: of the fitted and the scored splits, held-out counts seen.
        rates: [trial, time, neuron], spikes/bin, predicted from `visible`.
        metrics: the content of a run's metrics.json.
        config: the content of a run's config.json.
        given_latents: what `Posterior.latents` gives for `visible`, where it is known already.
        tested: the content of a run's test.json.
    """

    fit: Posterior | Committee
    trials: Trials
    rates: Float[np.ndarray, "trial time neuron"]
    metrics: dict[str, Any]
    config: dict[str, Any]
    given_latents: Any = None
    tested: dict[str, Any] | None = None

    @property
    def posterior(self) -> Posterior:
        """The posterior, of a fit that is no committee."""
        assert isinstance(self.fit, Posterior)
        return self.fit

    @property
    def committee(self) -> Committee | None:
        """The committee; None of a single fit."""
        return self.fit if isinstance(self.fit, Committee) else None

    @property
    def split(self) -> str:
        """The scored split, or several joined by "+"."""
        return self.metrics["split"]

    @cached_property
    def scored(self) -> Bool[np.ndarray, " trial"]:
        """Which trials are scored."""
        return np.isin(self.trials.table["split"], self.split.split("+"))

    @cached_property
    def visible(self) -> Trials:
        """What the predictions were made from."""
        return self.trials.hide_heldout(*self.split.split("+"))

    @property
    def per_second(self) -> float:
        """Bins a second: from spikes/bin to Hz."""
        return 1000 / self.trials.bin_ms

    @property
    def in_seconds(self) -> bool:
        """Whether time is shown in seconds: where a trial is longer than three."""
        return self.trials.n_bins * self.trials.bin_ms > 3000

    @cached_property
    def time(self) -> Float[np.ndarray, " time"]:
        """The middle of each bin, in the unit of `time_label`."""
        return (self.trials.time_ms + self.trials.bin_ms / 2) / (1000 if self.in_seconds else 1)

    @property
    def time_label(self) -> str:
        """What time is counted from, with its unit."""
        align = self.trials.source.get("options", {}).get("align") or "start_time"
        unit = "s" if self.in_seconds else "ms"
        return f"time in trial ({unit})" if align == "start_time" else f"time from {align} ({unit})"

    @cached_property
    def lengths(self) -> Int[np.ndarray, " trial"]:
        """Bins of each trial that are shown: up to the last one seen, forward window included."""
        return np.maximum(self.trials.lengths, 1)

    @cached_property
    def groups(self) -> list[Group]:
        """The conditions with the most trials, scored ones first, at most nine; all trials where there is none."""
        index, labels = self.trials.condition_index, self.trials.condition_labels
        if len(labels) < 2:
            return [Group("all trials", style.MODEL, np.arange(self.trials.n_trials))]
        has_condition = index >= 0
        trials, scored = (
            np.bincount(index[rows], minlength=len(labels)) for rows in (has_condition, has_condition & self.scored)
        )
        chosen = sorted(np.lexsort((-trials, scored == 0))[: len(style.CONDITIONS)].tolist())
        return [
            Group(labels[condition], color, np.flatnonzero(index == condition))
            for condition, color in zip(chosen, style.CONDITIONS, strict=False)
        ]

    @property
    def has_conditions(self) -> bool:
        """Whether the trials are grouped by condition."""
        return len(self.groups) > 1

    @property
    def condition_key(self) -> list[tuple[str, str]]:
        """Colors of the conditions, for a figure's key."""
        if not self.has_conditions:
            return []
        name = ", ".join(self.trials.condition)
        return [(group.color, f"{name} {group.label}") for group in self.groups]

    @property
    def conditions_left_out(self) -> str:
        """A sentence where there are more conditions than colors, else nothing."""
        total = len(self.trials.condition_labels)
        left = total - len(self.groups) if self.has_conditions else 0
        return f" Shown are the {len(self.groups)} of {total} conditions with the most trials." if left else ""

    @cached_property
    def examples(self) -> list[int]:
        """A few scored trials: of different conditions where there are enough, else spread over the recording."""
        firsts = [group.rows[self.scored[group.rows]][:1] for group in self.groups]
        rows = np.concatenate(firsts)
        return spread(rows if len(rows) >= EXAMPLES else np.flatnonzero(self.scored), EXAMPLES).tolist()

    def name_of(self, row: int) -> str:
        """A trial in words."""
        words = f"trial {self.trials.table['id'][row]}"
        if self.has_conditions:
            index = self.trials.condition_index[row]
            label = self.trials.condition_labels[index] if index >= 0 else "unknown"
            words += f", {', '.join(self.trials.condition)} {label}"
        return words

    @cached_property
    def latent_rows(self) -> Int[np.ndarray, " row"]:
        """The trials whose latents are shown: of each group scored ones first, up to a number."""
        most = TRIALS_A_CONDITION if self.has_conditions else TRIALS_ALONE
        chosen = [np.array(self.examples)]
        for group in self.groups:
            scored = spread(group.rows[self.scored[group.rows]], most)
            chosen += [scored, spread(group.rows[~self.scored[group.rows]], most - len(scored))]
        return np.unique(np.concatenate(chosen))

    @cached_property
    def latents(self) -> Float[np.ndarray, "row time latent"]:
        """Posterior means of the canonical latents of `latent_rows`, NaN after a trial's end."""
        return self._ended(self.latent_moments["mean"].values)

    @cached_property
    def latent_sd(self) -> Float[np.ndarray, "row time latent"]:
        """Posterior standard deviations of the same."""
        covariance = self.latent_moments["covariance"].values
        return self._ended(np.sqrt(np.maximum(np.diagonal(covariance, axis1=2, axis2=3), 0)))

    @cached_property
    def latent_moments(self):
        """`Posterior.latents` of the trials `latent_rows`."""
        if self.given_latents is not None:
            return self.given_latents.isel(trial=self.latent_rows)
        return self.posterior.latents(self.visible.select(trials=self.latent_rows))

    def _ended(self, values: np.ndarray) -> np.ndarray:
        inside = np.arange(self.trials.n_bins) < self.lengths[self.latent_rows, None]
        return np.where(inside[:, :, None], values, np.nan)

    @cached_property
    def variance_fractions(self) -> Float[np.ndarray, " latent"]:
        """Fraction of the predictors' variance in each latent: squared loadings, as latents have unit variance."""
        squares = (np.asarray(self.parameter_draws["loadings"], float).mean(0) ** 2).sum(0)
        return squares / max(squares.sum(), 1e-30)

    @cached_property
    def parameter_draws(self) -> dict[str, np.ndarray]:
        """Draws [sample, ...] of the parameters in the canonical basis."""
        return self.posterior.parameters()

    @property
    def has_intervals(self) -> bool:
        """Whether the parameters have a posterior and are not point estimates."""
        return bool(np.ptp(self.parameter_draws["loadings"], axis=0).any())

    @property
    def predictor(self) -> str:
        """What loadings and latents act on, in words."""
        observation = getattr(self.posterior.model, "observation", None)
        return "log-rate" if getattr(observation, "link", "") == "exp" else "predictor"

    @property
    def areas(self) -> np.ndarray | None:
        """The area of each neuron, None where it is not known or is the same for all."""
        column = self.trials.neurons.get("area")
        return None if column is None or len(np.unique(column)) < 2 else column.astype(str)

    @cached_property
    def bits(self) -> dict[str, float]:
        """Bits per spike of held-out neurons with scored spikes, by id."""
        return {str(one["id"]): one["co-bps"] for one in self.metrics["by_neuron"] if one["co-bps"] is not None}

    def spikes(self, neurons: np.ndarray | slice = slice(None)) -> Float[np.ndarray, " neuron"]:
        """Spikes of each neuron in the window of the scored trials."""
        window = slice(0, self.trials.window_bins)
        counts = self.trials.counts[self.scored, window][..., neurons]
        return counts.sum(axis=(0, 1), where=self.trials.seen[self.scored, window][..., neurons], dtype=float)

    def average(
        self, values: Num[np.ndarray, "trial time column"], rows: Int[np.ndarray, " row"]
    ) -> Float[np.ndarray, "time column"]:
        """Mean over the trials `rows` in each bin that at least half of them reach; NaN elsewhere."""
        inside = np.arange(self.trials.n_bins) < self.lengths[rows, None]
        enough = inside.sum(0) >= max(1, len(rows) / 2)
        total = np.where(inside[:, :, None], values[rows], 0).sum(0)
        return np.where(enough[:, None], total / np.maximum(inside.sum(0), 1)[:, None], np.nan)

    def smoothed(
        self, values: Num[np.ndarray, "trial time neuron"], neurons: Int[np.ndarray, " shown"]
    ) -> Float[np.ndarray, "trial time shown"]:
        """Counts or rates of these neurons where they were recorded, smoothed in time, in Hz."""
        width = max(SMOOTHING_MS / self.trials.bin_ms, SMOOTHING_BINS)
        return np.nan_to_num(smooth(values[..., neurons], self.trials.seen[..., neurons], width)) * self.per_second
