"""The checks of one group of a submission: names, shapes, values, sizes and order of its rates."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Num

from nlbprob.data.nlb.facts import FORWARD_MS, facts
from nlbprob.errors import InputError, printable, suggestion
from nlbprob.scoring.groups import BIN_WIDTHS_MS, GROUPS, unknown
from nlbprob.scoring.hdf5 import Tensors, array, entry
from nlbprob.scoring.order import (
    FEWEST,
    LEVEL,
    best_of_all,
    logs,
    neuron_pairs,
    permutation_p_value,
    readout,
    trial_pairs,
)

OK, NOTE, FAILS = "ok", "note", "FAILS"
MASKS = ("heldin", "heldout")
#: What every group must hold; train rates are not needed where nothing is decoded from them.
WINDOW = tuple(f"{part}_rates_{mask}" for part in ("train", "eval") for mask in MASKS)
FORWARD = tuple(f"eval_rates_{mask}_forward" for mask in MASKS)
#: By how much the median neuron's mean rate may differ from its mean count, and any neuron's in training.
MEDIAN_FACTOR, NEURON_FACTOR = 2.0, 3.0
#: Spikes from which on a neuron's mean count is known well enough to judge its mean rate by.
FEWEST_SPIKES = 20
#: About how many train trials held-out rates are learned from as a function of held-in rates; at most half of them.
READOUT_TRIALS = 100


@dataclasses.dataclass(frozen=True)
class Finding:
    """One check of one group.

    Attributes:
        group: its name; empty where the check is of the whole file.
        check: what was checked.
        status: "ok", "note" (nothing wrong, but worth knowing) or "FAILS".
        text: what was found.
    """

    group: str
    check: str
    status: str
    text: str

    def __str__(self) -> str:
        return f"{self.status:<5}  {self.group + ': ' if self.group else ''}{self.check}: {self.text}"


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What rates were predicted from.

    Attributes:
        label: the group that the user names for them; empty where none is named.
        name: what messages call them.
        arrays: spikes by key.
    """

    label: str
    name: str
    arrays: dict[str, np.ndarray]

    @property
    def phase(self) -> str:
        """The benchmark's phase; in the test phase, nobody has the held-out spikes of the evaluated trials."""
        return "val" if "eval_spikes_heldout" in self.arrays else "test"


def check_group(group: str, stored: Tensors, inputs: Inputs | None) -> list[Finding]:
    """All findings about one group; what cannot be checked for an earlier failure is left out."""
    bin_ms = GROUPS[group][1] if group in GROUPS else None
    where = printable(group) + (f", {inputs.phase}" if inputs else "") + (f", {bin_ms} ms bins" if bin_ms else "")
    findings = [Finding(where, *finding) for finding in check_names(group, stored)]
    if inputs is None:
        return [
            *findings,
            Finding(where, "inputs", FAILS, f"none fit; name its folder by {printable(group)}=FOLDER"),
        ]
    finding, problems = usable(stored, [key for key in (*WINDOW, *FORWARD) if key in stored], entry)
    findings += [Finding(where, *problem) for problem in (*problems, *check_shapes(group, finding, inputs))]
    fitting = [key for key, item in finding.items() if fits(item.shape, expected_shape(group, key, inputs))]
    rates, problems = usable(stored, fitting, array)
    findings += [Finding(where, *problem) for problem in (*problems, *check_values(rates))]
    sound = {key: values for key, values in rates.items() if key in WINDOW and comparable(values)}
    spikes = {
        key: inputs.arrays[name] for key in sound if (name := key.replace("_rates_", "_spikes_")) in inputs.arrays
    }
    for finding in (*check_means(sound, spikes, bin_ms), *check_order(sound, spikes)):
        findings.append(Finding(where, *finding))
    return findings


Found = Iterator[tuple[str, str, str]]


def usable(
    stored: Tensors, keys: Sequence[str], read: Callable[[Tensors, str], Any]
) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """The results of `read` of some arrays, and the faults of those that it refuses."""
    read_arrays, problems = {}, []
    for key in keys:
        try:
            read_arrays[key] = read(stored, key)
        except InputError as error:
            problems.append(("values", FAILS, str(error)))
    return read_arrays, problems


def check_names(group: str, stored: Tensors) -> Found:
    """Whether the benchmark knows the group and its arrays, and all that it needs are there."""
    if group not in GROUPS:
        yield "group", FAILS, unknown(group)
    unneeded = WINDOW[:2] if group.startswith("dmfc_rsg") else ()
    missing = [key for key in WINDOW if key not in stored]
    if needed := [key for key in missing if key not in unneeded]:
        yield "arrays", FAILS, f"{', '.join(needed)} missing; predict train and evaluated trials, both kinds of neurons"
    else:
        yield "arrays", OK, "all that are scored are there" + (", though no train rates" if missing else "")
    for key in sorted(map(str, set(stored) - {*WINDOW, *FORWARD})):
        yield "arrays", NOTE, f"{key!r} is not read by the benchmark. {suggestion(key, (*WINDOW, *FORWARD))}"
    present = [key for key in FORWARD if key in stored]
    if len(present) == 1:
        yield "forward bins", FAILS, f"{present[0]} alone; give held-in and held-out neurons, or neither"
    elif not present:
        yield "forward bins", NOTE, "there are none, so there will be no fp-bps"


def expected_shape(group: str, key: str, inputs: Inputs) -> tuple[int, int | None, int]:
    """Trials, bins and neurons that an array should have; None: any number of forward bins of an unknown data set."""
    part, _, mask = key.removesuffix("_forward").split("_")
    trials, bins, _ = inputs.arrays[f"{part}_spikes_heldin"].shape
    ahead = FORWARD_MS // GROUPS[group][1] if group in GROUPS else None
    return trials, ahead if key in FORWARD else bins, inputs.arrays[f"train_spikes_{mask}"].shape[2]


def fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    """Whether a shape is the expected one; None: any length."""
    return len(shape) == len(expected) and all(want in (None, have) for want, have in zip(expected, shape, strict=True))


def check_shapes(group: str, rates: Mapping[str, Any], inputs: Inputs) -> Found:
    """Whether trials, bins and neurons of every array are as many as the inputs and the data set have."""
    bins = inputs.arrays["eval_spikes_heldin"].shape[1]
    if group in GROUPS:
        dataset, bin_ms = GROUPS[group]
        first, last = facts(dataset).window_ms
        if bins * bin_ms != last - first:
            fitting = [width for width in BIN_WIDTHS_MS if bins * width == last - first]
            hint = f"they are in bins of {fitting[0]} ms" if fitting else "they are of another data set"
            wanted = f"{dataset} has {(last - first) // bin_ms} of {bin_ms} ms"
            yield "bin width", FAILS, f"{inputs.name} has {bins} bins a trial, {wanted}; {hint}"
    good = True
    for key, values in rates.items():
        if values.ndim != 3:
            good = False
            yield "shapes", FAILS, f"{key} has {values.ndim} axes; it needs three: trial, bin, neuron"
            continue
        expected = expected_shape(group, key, inputs)
        for axis, want, have in zip(("trials", "bins", "neurons"), expected, values.shape, strict=True):
            if want is not None and want != have:
                good = False
                part = key.partition("_")[0]
                yield "shapes", FAILS, f"{key} has {have} {axis}, {want} are needed" + phase_hint(part, axis, inputs)
    if good:
        yield "shapes", OK, "trials, bins and neurons are as many as in the inputs"


def phase_hint(part: str, axis: str, inputs: Inputs) -> str:
    """What a wrong number of trials may come from."""
    if axis != "trials":
        return ""
    learned = {"val": "train", "test": "train and val"}[inputs.phase]
    return f" ({learned if part == 'train' else inputs.phase} trials in the {inputs.phase} phase)"


def check_values(rates: dict[str, np.ndarray]) -> Found:
    """Whether all rates are finite and positive."""
    good = True
    for key, values in rates.items():
        for bad, problem in (
            (~np.isfinite(values), "NaN or infinite; predict every trial, bin and neuron"),
            (values < 0, "negative; rates are wanted, not log-rates"),
            (values == 0, "exactly zero, which makes a spike impossible; add a small floor, such as 1e-6"),
        ):
            if bad.any():
                good = False
                yield "values", FAILS, f"{key}: {int(bad.sum())} of {bad.size} rates are {problem}"
    if good:
        yield "values", OK, "all rates are finite and positive"


def comparable(values: np.ndarray) -> bool:
    """Whether rates of the right shape can be compared with spikes entry by entry."""
    return bool((np.isfinite(values) & (values >= 0)).all())


def check_means(rates: dict[str, np.ndarray], spikes: dict[str, np.ndarray], bin_ms: int | None) -> Found:
    """Whether each neuron's mean rate is about its mean count."""
    good = bool(spikes)
    for key, counts in spikes.items():
        finite = ~np.isnan(counts)
        number = np.where(finite, counts, 0).sum(axis=(0, 1), dtype=np.float64)
        fired = np.flatnonzero(number)
        if not len(fired):
            continue
        ratio = rates[key].sum(axis=(0, 1), where=finite, dtype=np.float64)[fired] / number[fired]
        middle = float(np.median(ratio))
        off = (np.abs(np.log(ratio)) > np.log(NEURON_FACTOR)) & (number[fired] >= FEWEST_SPIKES)
        status = FAILS
        if not 1 / MEDIAN_FACTOR <= middle <= MEDIAN_FACTOR:
            text = f"the median neuron's rate is {middle:.3g} times its count; {unit(middle, bin_ms)}"
        elif off.any():
            pairs = zip(fired[off], ratio[off], strict=True)
            text = "far from the mean count in neurons " + ", ".join(f"{n} ({times:.2g} times)" for n, times in pairs)
            status = FAILS if key.startswith("train") else NOTE
        else:
            continue
        good = good and status != FAILS
        yield f"mean rates ({key})", status, text
    if good:
        yield "mean rates", OK, "near the mean counts, so the unit is spikes per bin"


def unit(ratio: float, bin_ms: int | None) -> str:
    """The unit that a ratio of rate and count suggests."""
    if bin_ms and 1 / MEDIAN_FACTOR <= ratio * bin_ms / 1000 <= MEDIAN_FACTOR:
        return f"these are rates in Hz: divide them by {1000 / bin_ms:g} to get spikes per bin of {bin_ms} ms"
    for other in BIN_WIDTHS_MS:
        if bin_ms and other != bin_ms and 1 / MEDIAN_FACTOR < ratio * bin_ms / other < MEDIAN_FACTOR:
            return f"rates in spikes per bin of {other} ms? Here a bin is {bin_ms} ms wide"
    return "rates are expected spikes per bin"


def check_order(rates: dict[str, np.ndarray], spikes: dict[str, np.ndarray]) -> Found:
    """Whether trials and neurons are in the order of the inputs, by how well rates go with spikes.

    Weak predictions of held-out neurons go with their spikes no better than with others'; then, and where their spikes
    are not known, they have to go with the rates of held-in neurons.
    """
    read, others = None, slice(None)
    if all(key in rates for key in WINDOW[:2]):
        number = len(rates[WINDOW[0]])
        some = np.arange(number) % max(2, number // READOUT_TRIALS) == 0
        read, others = readout(rates[WINDOW[0]][some], rates[WINDOW[1]][some]), ~some
    for key, values in rates.items():
        counts, heldin = spikes.get(key), key.replace("heldout", "heldin")
        expected = None
        if key != heldin and heldin in rates and read is not None:
            chosen = others if key.startswith("train") else slice(None)
            expected = read(rates[heldin][chosen]), logs(values[chosen])
        p_value, reference = (
            None if counts is None else permutation_p_value(trial_pairs(values, counts)),
            "their own spikes",
        )
        if expected is not None and (p_value is None or p_value >= LEVEL):
            p_value, reference = permutation_p_value(trial_pairs(*expected)), heldin
        yield f"trial order ({key})", *verdict(p_value, reference)
        if counts is not None and (expected is None or key.startswith("train") or values.shape[2] >= FEWEST):
            yield f"neuron order ({key})", *neuron_verdict(neuron_pairs(values, counts), "their own spikes")
        elif expected is not None:
            pairs = expected[1].transpose(0, 2, 1) @ expected[0]
            yield f"neuron order ({key})", *neuron_verdict(pairs, heldin)


def neuron_verdict(pairs: Num[np.ndarray, "trial neuron neuron"], reference: str) -> tuple[str, str]:
    """Whether neurons are in order; a few of them are compared in all orders."""
    if pairs.shape[1] >= FEWEST:
        return verdict(permutation_p_value(pairs.sum(axis=0)), reference)
    if best_of_all(pairs):
        return OK, f"no other order goes better with {reference}"
    return FAILS, f"another order goes better with {reference}; sort them as in the inputs"


def verdict(p_value: float | None, reference: str) -> tuple[str, str]:
    """The finding of a permutation test."""
    if p_value is None:
        return NOTE, "cannot be tested: too few of them, or the rates are the same for all"
    if p_value < LEVEL:
        return OK, f"they go with {reference} (p = {p_value:.3f})"
    return (
        FAILS,
        f"they go with {reference} no better than in a random order (p = {p_value:.3f}); sort them as in the inputs",
    )
