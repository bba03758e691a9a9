"""The benchmark's evaluation: a submission file against a target file, and what it leaves out."""

import dataclasses
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nlbprob.arguments import seed_number, whole_number
from nlbprob.errors import InputError, printable
from nlbprob.scoring.bootstrap import interval, resamples
from nlbprob.scoring.groups import GROUPS, other_width, parse_group, unknown
from nlbprob.scoring.hdf5 import Tensors, about, array, keys, name_of, opened, require
from nlbprob.scoring.measures import Averages, Decoding, Likelihood, Timing
from nlbprob.scoring.stored import Unusable
from nlbprob.scoring.targets import MASKS, Targets, read_targets

#: The prefix of the scores of a data set that shares its entry in the results with the other two.
PREFIXES = {"mc_maze_large": "[500] ", "mc_maze_medium": "[250] ", "mc_maze_small": "[100] "}


@dataclasses.dataclass(frozen=True)
class GroupScores:
    """The scores of one group: a data set in bins of one width.

    values: by the benchmark's names, without prefix; intervals: 90% bootstrap intervals over trials, None without one.
    by_neuron: co-bps of each held-out neuron in its order, NaN for one without spikes; None where not asked for.
    by_condition: of each condition its number in the targets, trials, spikes and "co-bps"; None likewise.
    remarks: what has to be known of a score, by its name.
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


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What the benchmark's `evaluate` returns (results), the same and more (groups), and what was left out (notes)."""

    results: list[dict[str, dict[str, float]]]
    groups: list[GroupScores]
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What to give beside the benchmark's values."""

    by_neuron: bool = False
    by_condition: bool = False
    bootstrap: int = 0
    seed: int = 0


def evaluate(
    submission: str | os.PathLike | Tensors,
    target: str | os.PathLike | Tensors,
    *,
    split: str = "val",
    by_neuron: bool = False,
    by_condition: bool = False,
    bootstrap: int = 0,
    seed: int = 0,
) -> Evaluation:
    """Score every group that both files hold as `nlb_tools.evaluation.evaluate` (0.0.4) does.

    submission, target: HDF5 files, or {group: {key: array}}. split: what the targets are of; files do not say.
    bootstrap: resamples of the evaluated trials for intervals, drawn by `seed`; decoder and PSTH target as they are.
    A rate of exactly zero counts as 1e-9, with a warning, infinite behavior as missing, with a note. Groups of only one
    file are left out, and named in `notes`. Of a file nothing is read whose type or shape is wrong, and no other file.
    Raises FileNotFoundError or InputError where a file is missing or damaged, no group is in both, an array is missing
    or of the wrong kind or shape, or a scored rate is negative or not finite. Pei et al. (2021), arXiv 2109.04463.
    """
    bootstrap, seed = whole_number(bootstrap, "evaluate", "bootstrap"), seed_number(seed, "evaluate")
    wanted, notes = Wanted(by_neuron, by_condition, bootstrap, seed), []
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
    """The groups to score, in the benchmark's order; says in `notes` what else there is."""
    predicted = {group for group in rates if "eval_rates_heldout" in keys(rates[group])}
    known = {group for group in truth if "eval_spikes_heldout" in keys(truth[group])}
    common = [group for group in GROUPS if group in predicted & known]
    missing = [missing_from(group, rates[group], known) for group in sorted(set(rates) - set(common))]
    missing += [f"{printable(group)}: not in the submission" for group in sorted(known - set(rates))]
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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        measures = measure_group(dataset, rates, truth, adder(notes, group))
    for warning in caught:
        notes.append(f"{group}: {warning.message}")
        warnings.warn(f"{group}: {warning.message}", warning.category, stacklevel=3)
    likelihood = measures["co-bps"]
    n_trials = len(likelihood.sums.spikes)
    values = {name: measure.value for name, measure in measures.items()}
    if not all(np.isfinite(value) for value in values.values()):
        bad = ", ".join(name for name, value in values.items() if not np.isfinite(value))
        notes.append(f"{group}: no finite {bad}, for lack of spikes or of rates that vary.")
    remarks = {name: measure.remark for name, measure in measures.items() if getattr(measure, "remark", "")}
    notes += [f"{group}: {name} {remark}." for name, remark in remarks.items()]
    weights = resamples(n_trials, wanted.bootstrap, wanted.seed)
    intervals = {name: bounds(values[name], measure.draws(weights)) for name, measure in measures.items()}
    conditions = None
    if wanted.by_condition and truth.members is not None:
        conditions = by_condition(likelihood, truth.members)
    elif wanted.by_condition:
        notes.append(f"{group}: has no conditions.")
    each = likelihood.by_neuron().tolist() if wanted.by_neuron else None
    return GroupScores(group, dataset, bin_ms, split, values, intervals, each, conditions, remarks)


def bounds(value: float, draws: Float[np.ndarray, " draw"]) -> tuple[float, float] | None:
    """The interval of `bootstrap.interval`; None where it misses the value.

    That is so where R2 of a few trials is at times divided by next to nothing: the mean over resamples says nothing.
    """
    found = interval(value, draws)
    return found if found and found[0] <= value <= found[1] else None


def measure_group(dataset: str, rates: Tensors, truth: Targets, note: Callable[[str], None]) -> dict[str, Any]:
    """The metrics that the benchmark gives for the data set, by its names and in its order."""
    counts = truth.counts
    heldout = array(rates, "eval_rates_heldout", counts.shape)
    heldin = finite_rates(rates, "eval_rates_heldin", (*counts.shape[:2], heldin_neurons(truth)))
    measures: dict[str, Any] = {"co-bps": Likelihood.of(finite(heldout, ~np.isnan(counts)), counts)}
    # An infinite rate where no count is scored is as good as none: NaN is refused where it is used.
    evaluated = np.concatenate([heldin, np.where(np.isinf(heldout), np.nan, heldout)], axis=2)
    if dataset == "dmfc_rsg":
        measures["tp corr"] = timing = Timing.of(evaluated, counts, truth.behavior)
        if alone := int((~np.isnan(truth.behavior).any(axis=1)).sum()) - len(timing.trial):
            note(f"{alone} trials alone in their group are left out of tp corr; the benchmark stops.")
    else:
        measures["vel R2"] = decoding_of(rates, truth, evaluated, note)
    if truth.psth is not None and truth.members is not None:
        require(evaluated, "eval_rates", (None, *truth.psth.shape[1:]))
        measures["psth R2"] = Averages.of(evaluated, truth.psth, truth.members, truth.jitter)
    if "eval_rates_heldin_forward" not in rates:
        note("no fp-bps: the submission has no forward rates.")
    elif truth.forward is None:
        note("no fp-bps: the targets have no forward spikes.")
    else:
        forecast = [
            array(rates, f"eval_rates_{mask}_forward", spikes.shape)
            for mask, spikes in zip(MASKS, truth.forward, strict=True)
        ]
        both = np.concatenate(truth.forward, axis=2)
        measures["fp-bps"] = Likelihood.of(finite(np.concatenate(forecast, axis=2), ~np.isnan(both)), both)
    return measures


def heldin_neurons(truth: Targets) -> int | None:
    """How many neurons are held in, where the targets tell."""
    if truth.psth is not None:
        return truth.psth.shape[2] - truth.counts.shape[2]
    return None if truth.forward is None else truth.forward[0].shape[2]


def decoding_of(rates: Tensors, truth: Targets, evaluated: np.ndarray, note: Callable[[str], None]) -> Decoding:
    """The decoders of velocity. Raises InputError where the train rates do not fit the train behavior."""
    assert truth.train_behavior is not None  # only dmfc_rsg has none
    assert truth.decoders is not None
    trials_and_bins = truth.train_behavior.shape[:2]
    train = [finite_rates(rates, f"train_rates_{mask}", (*trials_and_bins, None)) for mask in MASKS]
    require(evaluated, "eval_rates", (*truth.behavior.shape[:2], sum(part.shape[2] for part in train)))
    learned, scored = truth.decoders
    used = learned.any(axis=0) & scored.any(axis=0)
    if not used.any():
        raise InputError("train_decode_mask, eval_decode_mask: no decoder has trials of both; take other targets.")
    if not used.all():
        note(f"{(~used).sum()} of {len(used)} decoders have no trials and are left out; the benchmark stops.")
    return Decoding.of(
        np.concatenate(train, axis=2),
        truth.train_behavior,
        learned[:, used],
        evaluated,
        truth.behavior,
        scored[:, used],
    )


def by_condition(likelihood: Likelihood, members: list[Int[np.ndarray, "_"]]) -> list[dict[str, Any]]:
    """The co-bps of each condition's trials; conditions without an evaluated trial are left out."""
    return [
        {
            "condition": condition,
            "trials": len(own),
            "spikes": int(likelihood.sums.spikes[own].sum()),
            "co-bps": likelihood.of_trials(own),
        }
        for condition, own in enumerate(members)
        if len(own)
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


def finite_rates(rates: Tensors, key: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """An array of rates without an infinite one. Raises InputError where there is one, or as `array` does."""
    values = array(rates, key, shape)
    if infinite := int(np.isinf(values).sum()):
        raise InputError(f"{key}: {infinite} rates are infinite; a rate is a positive number of spikes per bin.")
    return values


def finite(rates: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """The rates. Raises InputError where a scored one is infinite; NaN is refused with the score."""
    if np.isinf(rates[scored]).any():
        raise InputError("a scored rate is infinite; a rate is a positive number of spikes per bin.")
    return rates
