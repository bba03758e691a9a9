"""Rates for one of the benchmark's data sets, scored against the benchmark's own targets."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.scoring.baselines import chosen_settings
from nlbprob.scoring.comparison import compare
from nlbprob.scoring.evaluate import GroupScores, evaluate, scores_given
from nlbprob.scoring.groups import GROUPS, parse_group
from nlbprob.scoring.hdf5 import Tensors
from nlbprob.scoring.metrics.base import Metric
from nlbprob.scoring.metrics.catalogue import chosen
from nlbprob.scoring.rates import in_splits, rates_to_score, split_names
from nlbprob.scoring.scores import Measure, Scores, score, scores_of
from nlbprob.scoring.submission import submission_tensors


def benchmark_target(trials: Trials, fit: str | Sequence[str], on: str | Sequence[str]) -> Mapping[str, Tensors] | None:
    """The targets of the validation phase, by group, where the trials and both splits are those of it; else None.

    They are made from the data set's files again: the benchmark's PSTHs are smoothed across trials, and its velocity is
    cut at the next trial, which the trials alone do not tell.
    """
    from nlbprob.data.nlb import read, resample, suffix, targets

    options = trials.source.get("options", {})
    dataset = options.get("dataset")
    if dataset is None or options["phase"] != "val" or dataset + suffix(trials.bin_ms) not in GROUPS:
        return None
    if (split_names(fit, "fit"), split_names(on, "on")) != (("train",), ("val",)):
        return None
    return targets(resample(read(trials.source["file"], dataset), trials.bin_ms), seed=options["seed"])


def benchmark_scores(
    rates: Any,
    trials: Trials,
    target: Mapping[str, Tensors],
    bootstrap: int = 1000,
    seed: int = 0,
    metrics: Sequence[Metric | str] | None = None,
) -> Scores:
    """What the benchmark's evaluation gives of rates that are submitted, with intervals and co-bps by neuron.

    Pei et al. (2021), arXiv 2109.04463.

    Args:
        rates: as `score` takes them.
        trials: likewise.
        target: of `benchmark_target`.
        bootstrap: as `score` takes it.
        seed: likewise.
        metrics: likewise; None for those that the benchmark gives of the data set, and psth R2.

    Raises:
        InputError: rates are NaN, zero, negative or in Hz, or do not fit the trials.
    """
    check_trials(trials, "benchmark_scores")
    array = rates_to_score(rates, trials, in_splits(trials, "val", "split"), dtype=np.float32)
    (group,) = target
    dataset, _ = parse_group(group)
    listed = scores_given(dataset) if metrics is None else chosen(metrics, "benchmark_scores")
    submission = {group: submission_tensors(array, trials, "train", "val")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of silent neurons and rates that do not move: they are among the reasons
        evaluation = evaluate(submission, target, by_neuron=True, bootstrap=bootstrap, seed=seed, metrics=listed)
    (group_scores,) = evaluation.groups
    return scores_of(
        [measure_of(metric, group_scores) for metric in listed],
        by_neuron=np.array(group_scores.by_neuron),
        neuron_ids=trials.neurons["id"][trials.heldout],
        bin_ms=trials.bin_ms,
        split=group_scores.split,
    )


def measure_of(metric: Metric, group_scores: GroupScores) -> Measure:
    """One of the scores of a group; not finite is none."""
    name = metric.name
    if name in group_scores.reasons:
        return Measure(metric, reason=group_scores.reasons[name])
    if not np.isfinite(group_scores.values[name]):
        return Measure(metric, reason="spikes or rates do not vary")
    return Measure(
        metric, group_scores.values[name], group_scores.intervals[name], note=group_scores.remarks.get(name, "")
    )


def measured(
    rates: Any,
    trials: Trials,
    fit: Sequence[str],
    on: Sequence[str],
    baselines: Mapping[str, Any],
    target: Mapping[str, Tensors] | None,
) -> dict[str, Any]:
    """The scores of rates and of baselines, as a run keeps them in metrics.json.

    Args:
        rates: as `score` takes them.
        trials: likewise.
        fit: the splits that decoders learn from.
        on: the splits that are scored.
        baselines: rates by name.
        target: of `benchmark_target`; None where the trials are none of the benchmark's.

    Returns:
        Scores under the name of the split, those of the baselines under "baselines", their intervals under
        "baseline_intervals", what was chosen for them under "baseline_settings", co-bps less that of each with its
        interval under "differences" and "difference_intervals", "fit_on", and the other fields of `Scores`.
    """

    def scored(guess: Any) -> Scores:
        return score(guess, trials, fit, on) if target is None else benchmark_scores(guess, trials, target)

    scores, others = scored(rates).to_dict(), {name: scored(guess) for name, guess in baselines.items()}
    comparable = scores["values"].get("co-bps") is not None
    differences = {name: compare(rates, guess, trials, on) for name, guess in baselines.items() if comparable}
    return {
        "+".join(on): scores.pop("values"),
        "baselines": {name: other.values for name, other in others.items()},
        "baseline_intervals": {name: other.intervals for name, other in others.items()},
        "baseline_settings": {name: chosen_settings(guess) for name, guess in baselines.items()},
        "differences": {name: {"co-bps": one.value} for name, one in differences.items()},
        "difference_intervals": {name: {"co-bps": one.interval} for name, one in differences.items()},
        "fit_on": "+".join(fit),
        **scores,
    }
