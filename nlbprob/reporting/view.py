"""What the figures look at: one fit on one recording, with everything derived that more than one of them needs."""

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from nlbprob.data.trials import Trials
from nlbprob.plot.trials import Group, condition_colors, grouped, legend_label, shown_bins, spread, time_of, trial_name
from nlbprob.posterior.posterior import Posterior
from nlbprob.reporting.numbers import Estimate
from nlbprob.reporting.parts import Key
from nlbprob.selection.average import Committee

#: Trials of one condition, and in all where there are no conditions, whose latents are shown.
TRIALS_A_CONDITION, TRIALS_ALONE = 8, 40
#: Trials shown one by one.
EXAMPLES = 3
#: Draws of the paths of regimes.
PATHS = 64


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

    @cached_property
    def time(self) -> Float[np.ndarray, " time"]:
        """The middle of each bin, in s or ms."""
        return time_of(self.trials)

    @cached_property
    def lengths(self) -> Int[np.ndarray, " trial"]:
        """Bins of each trial that are shown: up to the last one seen, forward window included."""
        return shown_bins(self.trials)

    @cached_property
    def colors(self) -> dict[str, str]:
        """The conditions that are shown, and their colors."""
        return condition_colors(self.trials, self.scored)

    @cached_property
    def groups(self) -> list[Group]:
        """The conditions with the most trials, scored ones first, at most nine; all trials where there is none."""
        return grouped(self.trials, self.colors)

    @property
    def has_conditions(self) -> bool:
        """Whether the trials are grouped by condition."""
        return len(self.groups) > 1

    @property
    def condition_key(self) -> list[Key]:
        """Lines of the conditions, for a figure's key."""
        if not self.has_conditions:
            return []
        return [Key(group.color, legend_label(self.trials, group), place=group.place) for group in self.groups]

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
        return trial_name(self.trials, row)

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
    def latent_moments(self):
        """`Posterior.latents` of the trials `latent_rows`."""
        if self.given_latents is not None:
            return self.given_latents.isel(trial=self.latent_rows)
        return self.posterior.latents(self.visible.select(trials=self.latent_rows))

    @cached_property
    def parameter_draws(self) -> dict[str, np.ndarray]:
        """Draws [sample, ...] of the parameters in the canonical basis."""
        return self.posterior.parameter_draws()

    @property
    def has_intervals(self) -> bool:
        """Whether the parameters have a posterior and are not point estimates."""
        return bool(np.ptp(self.parameter_draws["loadings"], axis=0).any())

    @property
    def predictor(self) -> str:
        """What loadings and latents act on, in words."""
        observation = getattr(self.posterior.model, "observation", None)
        return "log-rate" if getattr(observation, "link", "") == "exp" else "predictor"

    def differences(self, score: str) -> dict[str, Estimate]:
        """The model's score less that of each baseline over the same trials, where that is known."""
        spans = self.metrics.get("difference_intervals", {})
        return {
            name: Estimate.of(values[score], spans.get(name, {}).get(score))
            for name, values in self.metrics.get("differences", {}).items()
            if values.get(score) is not None
        }

    @property
    def link(self) -> str:
        """The same in a sentence."""
        return self.predictor.replace("-", " ")

    @property
    def longest_ms(self) -> float:
        """The length of a trial's window with what is forecast after it."""
        return self.trials.n_bins * self.trials.bin_ms

    @cached_property
    def regimes(self) -> Any:
        """`Posterior.regimes` of the trials `latent_rows`; None where no block switches."""
        if not any(block.n_regimes for block in self.posterior.model.chains):
            return None
        return self.posterior.regimes(self.visible.select(trials=self.latent_rows))

    @cached_property
    def switching(self) -> dict[str, Any]:
        """`Posterior.switching` of the trials `latent_rows`, by block; empty where none switches."""
        names = [block.name for block in self.posterior.model.chains if block.n_regimes]
        shown = self.visible.select(trials=self.latent_rows)
        return {name: self.posterior.switching(shown, block=name, draws=PATHS) for name in names}

    @cached_property
    def contributions(self) -> Any:
        """`Posterior.contributions` to the score of the scored trials; None where they have no such score."""
        if self.metrics[self.split].get("co-bps") is None:
            return None
        return self.posterior.contributions(self.trials, self.split.split("+"), progress=False)

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
