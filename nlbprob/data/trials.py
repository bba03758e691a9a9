"""One session of binned spiking activity, as every other part of nlbprob takes it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from nlbprob import display
from nlbprob.arguments import checked_keywords, instance_of, real_number
from nlbprob.data.checks import as_index, as_positions, validated
from nlbprob.data.conditions import joint_values
from nlbprob.errors import InputError, suggestion

if TYPE_CHECKING:
    from nlbprob.data import convert, labeled
    from nlbprob.data.neighbours import export


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False, repr=False, init=False)
class Trials:
    """Spike counts of one session, and `seen`: which of them were recorded and may be conditioned on.

    `seen` is the one idea behind missing bins, padding after a short trial, held-out neurons, the forward window and
    dropped channels: a likelihood term y[trial, time, neuron] counts only where seen[trial, time, neuron].

    Attributes:
        counts: [trial, time, neuron], spikes per bin, 0 where not recorded; uint8, uint16 or uint32 (other whole
            numbers are converted).
        seen: [trial, time, neuron], True where the count was recorded and may be used.
        bin_ms: bin width in ms.
        neurons: columns of length neuron; always "id" (unique) and "heldout" (bool); others, such as "area", ride
            along.
        table: columns of length trial; always "id" (unique) and "split" ("train", "val", "test", ...).
        time_ms: left edge of each bin in ms, relative to the align event.
        forward_bins: the last `forward_bins` of the time axis are the forward window, after the scored window.
        condition: names of the table columns whose joint value is a trial's condition.
        behavior: [trial, time, channel], value in each bin, already shifted by lag_ms; NaN where not recorded; infinite
            values become NaN, with a note. None: no behavior.
        behavior_name: name of the signal.
        behavior_channels: names of its channels.
        lag_ms: how much later than the spikes the behavior was read.
        inputs: known covariates by name, each [trial, time, input].
        source: where it came from, JSON-able: file, options, seeds of what was drawn, notes.

    Raises:
        InputError: shapes disagree, ids repeat, or counts are negative, fractional, NaN or infinite.
    """

    counts: UInt[np.ndarray, "trial time neuron"]
    seen: Bool[np.ndarray, "trial time neuron"]
    bin_ms: float
    neurons: dict[str, np.ndarray]
    table: dict[str, np.ndarray]
    time_ms: Float[np.ndarray, " time"]
    forward_bins: int
    condition: tuple[str, ...]
    behavior: Float[np.ndarray, "trial time channel"] | None
    behavior_name: str | None
    behavior_channels: tuple[str, ...]
    lag_ms: float
    inputs: dict[str, np.ndarray]
    source: dict[str, Any]

    if TYPE_CHECKING:
        # What reads and writes trials stands in modules above this one; `nlbprob.data` puts it here.
        from_arrays = staticmethod(convert.from_arrays)
        from_spike_times = staticmethod(convert.from_spike_times)
        from_xarray = staticmethod(labeled.from_xarray)
        to_dataframe = labeled.to_dataframe
        neurons_dataframe = labeled.neurons_dataframe
        to_xarray = labeled.to_xarray
        to_pynapple = export.to_pynapple

    def __init__(
        self,
        counts: Any,
        seen: Any,
        bin_ms: float | int,
        neurons: Any,
        table: Any,
        time_ms: Any,
        forward_bins: SupportsIndex = 0,
        condition: Sequence[str] = (),
        behavior: Any = None,
        behavior_name: str | None = None,
        behavior_channels: Sequence[str] = (),
        lag_ms: float | int = 0.0,
        inputs: Mapping[str, Any] | None = None,
        source: dict[str, Any] | None = None,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name != "self"}
        for name in ("bin_ms", "lag_ms"):
            real_number(arguments[name], "Trials", name)
        arguments["condition"] = (condition,) if isinstance(condition, str) else condition
        instance_of(arguments["condition"], list | tuple, "Trials", "condition", "names of trials columns, ('side',)")
        instance_of(inputs, Mapping | None, "Trials", "inputs", "arrays by name, inputs={'stimulus': array}")
        instance_of(source, Mapping | None, "Trials", "source", "what is known of the recording, a dict")
        instance_of(behavior_name, str | None, "Trials", "behavior_name", "a name, 'hand_vel'")
        instance_of(behavior_channels, list | tuple, "Trials", "behavior_channels", "names of channels, ('x', 'y')")
        for name, value in validated(arguments).items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        splits = ", ".join(f"{count} {name}" for name, count in self.splits.items())
        parts = [
            f"{self.n_trials} trials ({splits})",
            f"{self.n_bins} bins of {self.bin_ms:g} ms" + f" ({self.forward_bins} forward)" * bool(self.forward_bins),
            f"{self.n_neurons} neurons ({self.heldout.sum()} held out)",
            f"{int(self.counts.sum(where=self.seen, dtype=np.int64))} spikes seen",
        ]
        if self.behavior is not None:
            parts.append(f"{self.behavior_name} ({', '.join(self.behavior_channels)})")
        return f"Trials: {'; '.join(parts)}"

    def _repr_html_(self) -> str:
        window = f"{self.time_ms[0]:g} to {self.time_ms[-1] + self.bin_ms:g} ms"
        forward = f", of which {self.forward_bins} forward" * bool(self.forward_bins)
        rows = [
            ("trials", ", ".join(f"{count} {name}" for name, count in self.splits.items())),
            ("bins", f"{self.n_bins} of {self.bin_ms:g} ms, {window}{forward}"),
            ("neurons", f"{self.n_neurons}, {self.heldout.sum()} held out"),
            ("spikes seen", f"{int(self.counts.sum(where=self.seen, dtype=np.int64))}"),
            ("columns of trials", ", ".join(self.table)),
            ("columns of neurons", ", ".join(self.neurons)),
        ]
        if self.condition:
            rows.append(("condition", f"{', '.join(self.condition)}: {len(self.condition_labels)}"))
        if self.behavior is not None:
            rows.append(("behavior", f"{self.behavior_name} ({', '.join(self.behavior_channels)})"))
        rows += [("inputs", ", ".join(self.inputs))] * bool(self.inputs)
        rows += [("notes", "; ".join(self.source.get("notes", [])))] * bool(self.source.get("notes"))
        return display.table(f"{len(self)} trials", rows)

    def __len__(self) -> int:
        return self.n_trials

    def __iter__(self) -> "Iterator[Trials]":
        return (self[position] for position in range(len(self)))

    def __getitem__(self, chosen: Any) -> "Trials":
        """The trials at a position, in a slice, in a mask or in an array of positions; a single one as `Trials`, too.

        Raises:
            InputError: nothing is left, a position lies outside, or it is no position.
        """
        return self.select(trials=as_positions(chosen, len(self)))

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise InputError("Trials are no array; take trials.counts, or trials.behavior.")

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return self.counts.shape[0]

    @property
    def n_bins(self) -> int:
        """Number of bins, the forward window included."""
        return self.counts.shape[1]

    @property
    def n_neurons(self) -> int:
        """Number of neurons, held out or not."""
        return self.counts.shape[2]

    @property
    def window_bins(self) -> int:
        """Number of bins before the forward window."""
        return self.n_bins - self.forward_bins

    @property
    def heldout(self) -> Bool[np.ndarray, " neuron"]:
        """Which neurons are held out."""
        return self.neurons["heldout"]

    @property
    def heldin(self) -> Bool[np.ndarray, " neuron"]:
        """Which neurons are not held out."""
        return ~self.heldout

    @property
    def splits(self) -> dict[str, int]:
        """Number of trials of each split."""
        names, counts = np.unique(self.table["split"], return_counts=True)
        return {str(name): int(count) for name, count in zip(names, counts, strict=True)}

    @property
    def lengths(self) -> Int[np.ndarray, " trial"]:
        """1 + the last bin of each trial in which anything is seen; 0 where nothing is."""
        some = self.seen.any(axis=2)
        return np.where(some.any(axis=1), self.n_bins - some[:, ::-1].argmax(axis=1), 0)

    @property
    def condition_index(self) -> Int[np.ndarray, " trial"]:
        """Position of each trial's condition in `condition_labels`; -1 where a condition column is missing."""
        return self._conditions()[0]

    @property
    def condition_labels(self) -> list[str]:
        """The conditions of these trials, sorted by the columns in turn; joint values are separated by ", "."""
        return self._conditions()[1]

    def _conditions(self) -> tuple[Int[np.ndarray, " trial"], list[str]]:
        return joint_values([self.table[name] for name in self.condition], self.n_trials)

    def split(self, *names: str) -> "Trials":
        """The trials of the named splits, in table order.

        Args:
            *names: of the splits, such as "train".

        Raises:
            InputError: there is no such split.
        """
        self._check_splits(names, "split", "")
        return self.select(trials=np.isin(self.table["split"], names))

    def _check_splits(self, names: tuple[str, ...], caller: str, what: str) -> None:
        for name in names:
            instance_of(name, str, caller, "split", f"names one by one, {caller}('train', 'val')")
            if name not in self.splits:
                raise InputError(f"{caller}: no trial is in {what}{name!r}. {suggestion(name, self.splits)}")

    def select(self, trials: Any = None, neurons: Any = None) -> "Trials":
        """A part of the trials and neurons.

        Args:
            trials: a mask or an index array; None keeps all.
            neurons: a mask or an index array; None keeps all.

        Raises:
            InputError: nothing is left, or an index lies outside.
        """
        rows = as_index(trials, self.n_trials, "trials")
        units = as_index(neurons, self.n_neurons, "neurons")
        counts, seen = self.counts[rows], self.seen[rows]
        if neurons is not None:
            counts, seen = counts[:, :, units], seen[:, :, units]
        return self.replace(
            counts=counts,
            seen=seen,
            neurons={name: column[units] for name, column in self.neurons.items()},
            table={name: column[rows] for name, column in self.table.items()},
            behavior=None if self.behavior is None else self.behavior[rows],
            inputs={name: values[rows] for name, values in self.inputs.items()},
        )

    def hide_heldout(self, *splits: str) -> "Trials":
        """What a model may see at evaluation: held-in neurons only, in the named splits.

        The forward window becomes unseen in every trial. Counts are kept: score against the original object.

        Args:
            *splits: where held-out neurons become unseen; all splits, where none is named.

        Raises:
            InputError: there is no such split.
        """
        self._check_splits(splits, "hide_heldout", "split ")
        rows = np.isin(self.table["split"], splits) if splits else np.ones(self.n_trials, dtype=bool)
        return self.replace(seen=self.seen & ~(rows[:, None, None] & self.heldout)).hide_forward()

    def hide_forward(self) -> "Trials":
        """The same trials with the forward window unseen, so that it is predicted and never learned from."""
        return self.replace(seen=self.seen & (np.arange(self.n_bins) < self.window_bins)[:, None])

    def replace(self, **changes: Any) -> "Trials":
        """A copy with some fields changed, validated again.

        Args:
            **changes: new values by the name of the field.

        Raises:
            InputError: as `Trials` does.
        """
        return dataclasses.replace(self, **changes)
