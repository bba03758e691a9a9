"""The benchmark's evaluation: a submission file against a target file, and what it leaves out."""

import dataclasses
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from nlbprob.arguments import seed_number, whole_number
from nlbprob.errors import InputError, printable
from nlbprob.scoring.bootstrap import interval
from nlbprob.scoring.from_targets import RatesOfGroup
from nlbprob.scoring.groups import GROUPS, other_width, parse_group, unknown
from nlbprob.scoring.hdf5 import Tensors, about, keys, name_of, opened
from nlbprob.scoring.metrics.base import Metric, Statistic
from nlbprob.scoring.metrics.catalogue import INTERVAL_SCORES, SCORES, chosen
from nlbprob.scoring.metrics.co_bps import CO_BPS, heldout_likelihood
from nlbprob.scoring.metrics.likelihood import Likelihood
from nlbprob.scoring.metrics.psth_r2 import PSTH_R2
from nlbprob.scoring.metrics.scored import DoesNotApply
from nlbprob.scoring.stored import Unusable
from nlbprob.scoring.targets import Targets, read_targets

#: The prefix of the scores of a data set that shares its entry in the results with the other two.
PREFIXES = {"mc_maze_large": "[500] ", "mc_maze_medium": "[250] ", "mc_maze_small": "[100] "}


@dataclasses.dataclass(frozen=True)
class GroupScores:
    """The scores of one group: a data set in bins of one width.

    Attributes:
        group: its name in the file.
        dataset: the benchmark's name of the data set.
        bin_ms: width of a bin in ms.
        split: what the targets are of.
        values: by the benchmark's names, without prefix.
        intervals: 90% bootstrap intervals over trials, by the same names; None without one.
        by_neuron: co-bps of each held-out neuron in its order, NaN for one without spikes; None where not asked for.
        by_condition: of each condition its number in the targets, trials, spikes and "co-bps"; None where not asked
            for.
        remarks: what has to be known of a score, by its name.
        reasons: why a score that was asked for is not there, by its name.
    """

    group: str
    dataset: str
    bin_ms: int
    split: str
    values: dict[str, float]
    intervals: dict[str, tuple[float, float] | None]
    by_neuron: list[float] | None
    by_condition: list[dict[str, Any]] | None
    remarks: dict[str, str] = dataclasses.field(default_factory=dict)
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What `evaluate` returns.

    Attributes:
        results: what the benchmark's own `evaluate` returns.
        groups: the same and more, group by group.
        notes: what was left out, in words.
    """

    results: list[dict[str, dict[str, float]]]
    groups: list[GroupScores]
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What to give beside the benchmark's values, or in their place.

    Attributes:
        by_neuron: whether to give co-bps of each held-out neuron.
        by_condition: whether to give co-bps of each condition.
        bootstrap: number of resamples of the trials for intervals; 0 for none.
        seed: of the resamples.
        metrics: empty for the benchmark's own.
    """

    by_neuron: bool = False
    by_condition: bool = False
    bootstrap: int = 0
    seed: int = 0
    metrics: tuple[Metric, ...] = ()


def evaluate(
    submission: str | os.PathLike | Tensors,
    target: str | os.PathLike | Tensors,
    *,
    split: str = "val",
    by_neuron: bool = False,
    by_condition: bool = False,
    bootstrap: int = 0,
    seed: int = 0,
    metrics: Sequence[Metric | str] | None = None,
) -> Evaluation:
    """Score every group that both files hold as `nlb_tools.evaluation.evaluate` (0.0.4) does.

    A rate of exactly zero counts as 1e-9, with a warning, infinite behavior as missing, with a note. Groups of only one
    file are left out, and named in `notes`. Of a file nothing is read whose type or shape is wrong, and no other file.
    Pei et al. (2021), arXiv 2109.04463.

    Args:
        submission: an HDF5 file, or {group: {key: array}}.
        target: likewise.
        split: of the targets; files do not name it.
        by_neuron: whether to give co-bps of each held-out neuron.
        by_condition: whether to give co-bps of each condition.
        bootstrap: number of resamples of the evaluated trials for intervals (decoder and PSTH target as they are); 0
            for none.
        seed: of the resamples.
        metrics: those to give, by name or as `Metric`; None for those that the benchmark gives of each data set.

    Returns:
        The scores in the form of the benchmark and group by group, and what was left out.

    Raises:
        FileNotFoundError: a file is missing.
        InputError: a file is damaged, no group is in both, an array is missing or of the wrong kind or shape, or a
            scored rate is negative or not finite.
    """
    bootstrap, seed = whole_number(bootstrap, "evaluate", "bootstrap"), seed_number(seed, "evaluate")
    listed = () if metrics is None else chosen(metrics, "evaluate")
    wanted, notes = Wanted(by_neuron, by_condition, bootstrap, seed, listed), []
    names = name_of(submission, "the submission"), name_of(target, "the targets")
    with opened(submission, "submission") as rates, opened(target, "target file") as truth:
        common = common_groups(rates, truth, names, notes)
        groups = []
        for group in common:
            with about(f"{names[1]}: {group}"):
                targets = read_targets(GROUPS[group][0], truth[group], adder(notes, group))
            with about(f"{names[0]}: {group}"):
                groups.append(evaluate_group(group, rates[group], targets, split, wanted, notes))
    return Evaluation(as_results(groups), groups, notes)


def adder(notes: list[str], group: str) -> Callable[[str], None]:
    """A function that adds a note on a group."""
    return lambda text: notes.append(f"{group}: {text}")


def common_groups(rates: Tensors, truth: Tensors, names: tuple[str, str], notes: list[str]) -> list[str]:
    """The groups to score, in the benchmark's order; `notes` names what else there is."""
    predicted = {group for group in rates if "eval_rates_heldout" in keys(rates[group])}
    target_groups = {group for group in truth if "eval_spikes_heldout" in keys(truth[group])}
    common = [group for group in GROUPS if group in predicted & target_groups]
    missing = [missing_from(group, rates[group], target_groups) for group in sorted(set(rates) - set(common))]
    missing += [f"{printable(group)}: not in the submission" for group in sorted(target_groups - set(rates))]
    missing += [f"{printable(group)}: in the targets, {why}" for group in truth if (why := unusable(truth[group]))]
    if not common:
        listed = "; ".join(missing) or "there is none"
        raise InputError(f"{names[0]} and {names[1]} have no group to score in common: {listed}.")
    notes += [f"Not scored: {text}." for text in missing]
    return common


def unusable(item: Any) -> str:
    """Why an entry of a file cannot be read; empty where it can."""
    return item.reason.rstrip(".") if isinstance(item, Unusable) else ""


def missing_from(group: str, rates: Any, targets: set[str]) -> str:
    """Why a group of the submission is not scored."""
    if group not in GROUPS:
        return unknown(group).rstrip(".")
    if why := unusable(rates):
        return f"{group}: {why}"
    if "eval_rates_heldout" not in keys(rates):
        return f"{group}: the submission has no eval_rates_heldout"
    width = other_width(group, targets)
    return f"{group}: not in the targets" + (f", which are of the other bin width, {width}" if width else "")


def evaluate_group(
    group: str, rates: Tensors, truth: Targets, split: str, wanted: Wanted, notes: list[str]
) -> GroupScores:
    """The scores of one group. Raises InputError as `evaluate` does."""
    dataset, bin_ms = parse_group(group)
    note = adder(notes, group)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scored = RatesOfGroup(rates, truth, float(bin_ms), note)
        likelihood = heldout_likelihood(scored)
        statistics, reasons = measured(wanted.metrics or metrics_of(dataset, truth), scored, likelihood)
    for warning in caught:
        note(str(warning.message))
        warnings.warn(f"{group}: {warning.message}", warning.category, stacklevel=3)
    notes += [f"{group}: no {name}: {reason}." for name, reason in reasons.items()]
    values = {name: statistic.value for name, statistic in statistics.items()}
    if not all(np.isfinite(value) for value in values.values()):
        bad = ", ".join(name for name, value in values.items() if not np.isfinite(value))
        note(f"no finite {bad}, for lack of spikes or of rates that vary.")
    remarks = {name: statistic.note for name, statistic in statistics.items() if statistic.note}
    notes += [f"{group}: {name} {remark}." for name, remark in remarks.items()]
    options = scored.n_trials, wanted.bootstrap, wanted.seed
    intervals = {name: interval(statistic, *options) for name, statistic in statistics.items()}
    conditions = None
    if wanted.by_condition and truth.members is not None:
        conditions = by_condition(likelihood, truth.members)
    elif wanted.by_condition:
        note("has no conditions.")
    each = likelihood.by_neuron().tolist() if wanted.by_neuron else None
    return GroupScores(group, dataset, bin_ms, split, values, intervals, each, conditions, remarks, reasons)


def scores_given(dataset: str) -> tuple[Metric, ...]:
    """The metrics that the benchmark gives for a data set with conditions, in its order."""
    return INTERVAL_SCORES if dataset == "dmfc_rsg" else SCORES


def metrics_of(dataset: str, truth: Targets) -> tuple[Metric, ...]:
    """The metrics that the benchmark gives for these targets: without conditions, as in mc_rtt, no psth R2."""
    has_conditions = truth.psth is not None and truth.members is not None
    return tuple(metric for metric in scores_given(dataset) if has_conditions or metric is not PSTH_R2)


def measured(
    metrics: tuple[Metric, ...], scored: RatesOfGroup, likelihood: Likelihood
) -> tuple[dict[str, Statistic], dict[str, str]]:
    """The statistic of each metric that applies, by its name, and why the others do not.

    Args:
        metrics: those to give.
        scored: the rates of a group beside its targets.
        likelihood: the statistic of co-bps, which is needed in any case.
    """
    statistics: dict[str, Statistic] = {}
    reasons: dict[str, str] = {}
    for metric in metrics:
        try:
            statistics[metric.name] = likelihood if metric is CO_BPS else metric.statistic(scored)
        except DoesNotApply as absent:
            reasons[metric.name] = str(absent)
    return statistics, reasons


def by_condition(likelihood: Likelihood, members: list[Int[np.ndarray, "_"]]) -> list[dict[str, Any]]:
    """The co-bps of each condition's trials; conditions without an evaluated trial are left out."""
    return [
        {
            "condition": condition,
            "trials": len(trials_of_condition),
            "spikes": int(likelihood.sums.spikes[trials_of_condition].sum()),
            "co-bps": likelihood.of_trials(trials_of_condition),
        }
        for condition, trials_of_condition in enumerate(members)
        if len(trials_of_condition)
    ]


def as_results(groups: list[GroupScores]) -> list[dict[str, dict[str, float]]]:
    """The scores in the form of the benchmark: one entry a group, the three scaled data sets together in one."""
    results = [{f"{scores.group}_split": scores.values} for scores in groups if scores.dataset not in PREFIXES]
    for bin_ms, name in ((5, "mc_maze_scaling_split"), (20, "mc_maze_scaling_20_split")):
        shared = [scores for scores in groups if scores.dataset in PREFIXES and scores.bin_ms == bin_ms]
        if shared:
            results.append(
                {name: {PREFIXES[s.dataset] + key: value for s in shared for key, value in s.values.items()}}
            )
    return results
