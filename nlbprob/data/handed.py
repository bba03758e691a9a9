"""What may stand by mistake where `Trials` are expected, and how to make `Trials` of it."""

import os
from collections.abc import Mapping
from typing import Any

from nlbprob.arguments import named
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError


def check_trials(value: Any, caller: str, name: str = "trials") -> None:
    """Raise InputError unless the value is `Trials`; the message names how to make them from the value."""
    if not isinstance(value, Trials):
        raise InputError(f"{named(caller, name, value)}: {remedy(value)}.")


def remedy(value: Any) -> str:
    """How to come to `Trials` from something else."""
    if isinstance(value, str | os.PathLike):
        return "read the file first, trials = nlb.load(path, bin_ms=5)"
    if isinstance(getattr(value, "trials", None), Trials):
        return "hand over its trials, simulated.trials"
    if isinstance(value, Mapping | list | tuple) and value:
        entries = list(value.values() if isinstance(value, Mapping) else value)
        if all(isinstance(entry, Trials) for entry in entries):
            return "make one of several sessions first, nlb.stitch({'day1': trials, ...})"
    if hasattr(value, "data_vars"):
        return "make Trials of it first, nlb.Trials.from_xarray(dataset)"
    if hasattr(value, "shape") or isinstance(value, list | tuple):
        return "make Trials of counts first, nlb.Trials.from_arrays(counts, bin_ms=5)"
    return "hand over Trials, as nlb.load or nlb.Trials.from_arrays return them"
