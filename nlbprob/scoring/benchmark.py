"""Rates for one of the benchmark's data sets, scored against the benchmark's own targets."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlbprob.data.trials import Trials
from nlbprob.scoring.evaluate import evaluate
from nlbprob.scoring.groups import GROUPS
from nlbprob.scoring.hdf5 import Tensors
from nlbprob.scoring.rates import check_rates, rate_array, split_names
from nlbprob.scoring.scores import Scores
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
    if (split_names(fit), split_names(on)) != (("train",), ("val",)):
        return None
    return targets(resample(read(trials.source["file"], dataset), trials.bin_ms), seed=options["seed"])


def benchmark_scores(
    rates: Any, trials: Trials, target: Mapping[str, Tensors], bootstrap: int = 1000, seed: int = 0
) -> Scores:
    """What the benchmark's evaluation gives of rates that are submitted, with intervals and co-bps by neuron.

    rates, bootstrap, seed: as `score` takes them; target: of `benchmark_target`.
    Raises InputError where rates are NaN, zero, negative or in Hz, or do not fit the trials. Pei et al. (2021), arXiv
    2109.04463.
    """
    array = rate_array(rates, trials).astype(np.float32)
    check_rates(array, trials.counts, trials.bin_ms, trials.seen)
    (group,) = target
    submission = {group: submission_tensors(array, trials, "train", "val")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of silent neurons and rates that do not move: they are among the reasons
        (found,) = evaluate(submission, target, by_neuron=True, bootstrap=bootstrap, seed=seed).groups
    decoded = "tp corr" if "tp corr" in found.values else "vel R2"
    names = ("co-bps", decoded, "psth R2", "fp-bps")
    values = {name: value for name in names if np.isfinite(value := found.values.get(name, np.nan))}
    absent = {name: "spikes or rates do not vary" for name in names if name in found.values}
    reasons = {"psth R2": "the data set has no conditions"} | absent
    return Scores(
        values={name: values.get(name) for name in names},
        intervals={name: found.intervals.get(name) for name in names},
        by_neuron=np.array(found.by_neuron),
        neuron_ids=trials.neurons["id"][trials.heldout],
        bin_ms=trials.bin_ms,
        split=found.split,
        reasons={name: reasons[name] for name in names if name not in values},
        notes={name: remark for name, remark in found.remarks.items() if name in values},
    )
