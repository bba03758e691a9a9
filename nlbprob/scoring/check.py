"""Validation of a submission against the inputs it was predicted from, before anything is scored."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nlbprob.data.nlb.facts import facts
from nlbprob.errors import InputError, printable
from nlbprob.scoring.check_group import FAILS, NOTE, Finding, Inputs, check_group
from nlbprob.scoring.groups import GROUPS, unknown
from nlbprob.scoring.hdf5 import CHOICES, Tensors, about, array, keys, name_of, opened
from nlbprob.scoring.stored import Unusable

#: The files of `nlbprob tensors` (and of nlb_tools) in a folder.
FILES = ("train_input.h5", "eval_input.h5")
#: The arrays that are read of them; the last is not known in the test phase.
SPIKES = ("train_spikes_heldin", "train_spikes_heldout", "eval_spikes_heldin", "eval_spikes_heldout")


def check_submission(
    submission: str | os.PathLike | Tensors, *places: str | os.PathLike | Mapping[str, Any]
) -> list[Finding]:
    """What is right and what is wrong with a submission; it passes where no finding's status is "FAILS".

    Args:
        submission: an HDF5 file, or {group: {key: array}}.
        *places: the inputs: folders with train_input.h5 and eval_input.h5, such files, or {key: array}. With several
            groups they are told apart by their shapes; "GROUP=FOLDER" names the group.

    Returns:
        What was found, check by check.

    Raises:
        FileNotFoundError: a file is missing.
        InputError: a file is damaged, or holds no inputs.
    """
    inputs = list(read_inputs(places))
    findings = []
    with opened(submission, "submission") as groups:
        if not len(groups):
            raise InputError(f"{name_of(submission, 'the submission')}: holds no group; write rates to it first.")
        assigned = assign(groups, inputs)
        for group in groups:
            group_rates = groups[group]
            if isinstance(group_rates, Unusable):
                findings.append(Finding(printable(group), "group", FAILS, group_rates.reason))
            elif not keys(group_rates):
                findings.append(Finding(printable(group), "group", FAILS, "is no group of arrays; " + unknown(group)))
            else:
                findings += check_group(group, group_rates, assigned.get(group))
    unused = [
        group_inputs.name for group_inputs in inputs if not any(group_inputs is other for other in assigned.values())
    ]
    return findings + [
        Finding("", "inputs", NOTE, f"{printable(name)} belongs to no group of the submission") for name in unused
    ]


def passes(findings: Sequence[Finding]) -> bool:
    """Whether nothing was found to be wrong."""
    return not any(finding.status == FAILS for finding in findings)


def read_inputs(places: Sequence[str | os.PathLike | Mapping[str, Any]]) -> Iterator[Inputs]:
    """The inputs in folders, files and memory; a train file goes with the next eval file."""
    if not places:
        raise InputError("There are no inputs to check against: name the folder that `nlbprob tensors` wrote.")
    pending: dict[str, Any] = {}
    origin: list[str] = []
    for place in places:
        if isinstance(place, Mapping):
            yield as_inputs("", "the inputs", place)
            continue
        label, equals, path = os.fspath(place).partition("=")
        if not equals or label not in GROUPS:
            label, path = "", os.fspath(place)
        if os.path.isdir(path):
            both = [read_arrays(os.path.join(path, file)) for file in FILES]
            yield as_inputs(label, path, both[0] | both[1])
            continue
        pending |= read_arrays(path)
        origin.append(path)
        if "train_spikes_heldin" in pending and "eval_spikes_heldin" in pending:
            yield as_inputs(label, " and ".join(origin), pending)
            pending, origin = {}, []
    if pending:
        missing = "eval_input.h5" if "train_spikes_heldin" in pending else "train_input.h5"
        raise InputError(f"{' and '.join(origin)}: give the {missing} that belongs to it too, or the folder with both.")


def read_arrays(path: str) -> dict[str, Any]:
    """The spikes in an input file. Raises InputError where there are none."""
    with opened(path, "input file") as file, about(printable(path)):
        arrays = {key: array(file, key, (None, None, None), CHOICES) for key in SPIKES if key in file}
    if not arrays:
        raise InputError(
            f"{printable(path)}: holds no input spikes; name train_input.h5 and eval_input.h5, or their folder."
        )
    return arrays


def as_inputs(label: str, name: str, arrays: Mapping[str, Any]) -> Inputs:
    """Inputs with all arrays that every phase has. Raises InputError where one is missing, empty or of another size."""
    for key in SPIKES[:3]:
        if key not in arrays:
            raise InputError(f"{name}: has no {key}; write the inputs again with `nlbprob tensors`.")
    with about(name):
        arrays_by_key = {key: array(arrays, key, (None, None, None), CHOICES) for key in SPIKES if key in arrays}
    for key, values in arrays_by_key.items():
        part, _, mask = key.split("_")
        other = arrays_by_key[f"{part}_spikes_heldin"].shape[:2], arrays_by_key[f"train_spikes_{mask}"].shape[2]
        if not values.size or (values.shape[:2], values.shape[2]) != other:
            problem = f"has the shape {values.shape}, which is empty or does not fit the others"
        elif ((values < 0) | np.isinf(values)).any():
            problem = "holds counts that are negative or infinite"
        else:
            continue
        raise InputError(f"{name}: {key} {problem}; write the inputs again with `nlbprob tensors`.")
    return Inputs(label, name, arrays_by_key)


def assign(groups: Tensors, inputs: list[Inputs]) -> dict[str, Inputs]:
    """The inputs of each group: those labeled so, the only ones, or the only ones of its size."""
    assigned = {group_inputs.label: group_inputs for group_inputs in inputs if group_inputs.label}
    free = [group_inputs for group_inputs in inputs if not group_inputs.label]
    open_groups = [group for group in groups if group not in assigned and keys(groups[group])]
    if len(open_groups) == 1 and len(free) == 1:
        return assigned | {open_groups[0]: free[0]}
    for group in open_groups:
        fitting = [group_inputs for group_inputs in free if fits(group, groups[group], group_inputs)]
        if len(fitting) == 1:
            assigned[group] = fitting[0]
    return assigned


def fits(group: str, rates: Tensors, inputs: Inputs) -> bool:
    """Whether bins and neurons of the inputs are those that the group should have."""
    if group not in GROUPS or "eval_rates_heldin" not in rates:
        return False
    dataset, bin_ms = GROUPS[group]
    first, last = facts(dataset).window_ms
    bins, neurons = inputs.arrays["eval_spikes_heldin"].shape[1:]
    shape = getattr(rates["eval_rates_heldin"], "shape", ())
    return bins == (last - first) // bin_ms and tuple(shape[2:]) == (neurons,)
