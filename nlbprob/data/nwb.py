"""Any NWB file with sorted units, a data set of the benchmark, or a recording in memory, read into `Trials`."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

from nlbprob.arguments import checked_keywords
from nlbprob.data.assemble import assemble
from nlbprob.data.columns import demand
from nlbprob.data.expressions import names
from nlbprob.data.layout import Table
from nlbprob.data.neighbours import signals
from nlbprob.data.neighbours.load import Given, cut, demand_columns, load_session, with_columns
from nlbprob.data.neighbours.tables import trial_table
from nlbprob.data.nlb.load import load_dataset
from nlbprob.data.opening import name_of, naming, open_nwb
from nlbprob.data.options import of_dataset, resolve
from nlbprob.data.recording import read_table, read_units
from nlbprob.data.series import Series
from nlbprob.data.signals import read_series
from nlbprob.data.trials import Trials
from nlbprob.data.units import Units
from nlbprob.errors import InputError, printable

#: So many letters are kept of what a file says of its recording.
LONGEST_TEXT = 300
#: Arguments of `load` that hold data, or name where options stand.
NO_OPTIONS = ("path", "trials", "neurons", "behavior", "config")


@checked_keywords
def load(
    path: Any,
    *,
    trials: Any = None,
    neurons: Any = None,
    bin_ms: float | int | None = None,
    align: str | None = None,
    window_ms: Sequence[float | int] | None = None,
    forward_ms: float | int | None = None,
    behavior: Any = None,
    lag_ms: float | int | None = None,
    condition: str | Sequence[str] | None = None,
    heldout: str | None = None,
    split: str | None = None,
    units: str | None = None,
    intervals: str | None = None,
    chunk_ms: float | int | None = None,
    join: bool | None = None,
    seed: SupportsIndex | None = None,
    dataset: str | None = None,
    phase: str | None = None,
    config: str | os.PathLike | Mapping[str, Any] | None = None,
) -> Trials:
    """The spikes of an NWB file, or of a recording in memory, in bins of its trials.

    counts[i, k, n] = number of spikes of unit n in [align_i + a + k bin, align_i + a + (k + 1) bin)

    Args:
        path: a file with a units table and an intervals table; its obs_intervals and invalid_times say where bins are
            seen. Or its http(s) address (extra "remote"), an open binary file, `h5py.File`, `NWBHDF5IO` or `NWBFile`.
            Or a recording in memory: {id: spike times in s}, or an object of pynapple, SpikeInterface, neo or
            temporaldata.
        trials: a table with start_time and stop_time in s, or (starts, stops). Default: that of the recording.
        neurons: a table of further columns, a row a unit, matched by "id" or a data frame's index where there is one.
        bin_ms: bin width in ms; there is no default.
        align: trials column with the time (s) of the event at 0 ms. Default "start_time".
        window_ms: (a, b) around it, divided by bin_ms. Default: from it to the end of the trial; shorter trials are
            padded.
        forward_ms: length of the forward window that follows, to be forecast. Default 0.
        behavior: name of a time series in a processing module or in acquisition, or its place
            ("Position/SpatialSeries"); or a signal: (times in s, values [sample, channel]), an object of these
            libraries, {name: one of these}.
        lag_ms: how much later than the spikes the behavior is read. Default 0.
        condition: trials columns whose joint value is a trial's condition. Default: none.
        heldout: units column of booleans, or "none". Default "heldout"; without one a quarter is drawn, by "area" if
            known.
        split: trials column; "none" puts every trial into "train". Trials whose split is "none" are left out. Default
            "split"; without such a column a fifth of the trials is drawn as "val", by condition.
        units: which units to keep, an expression of units columns, `id` and `rate` (Hz), such as '`brain area` ==
            "MOs"'.
        intervals: the intervals table that holds the trials. Default "trials".
        chunk_ms: cut the recording into pieces of this length instead. Default: no.
        join: make pieces that follow without a gap one trial for each split, its other bins unseen. Default: no.
        seed: of what is drawn; drawn columns and their seed are in `source`. Default 0.
        dataset: a data set of NLB'21, such as "mc_maze_small"; `path` is then the folder with its two files. Of the
            other options only bin_ms, phase and seed are free, the benchmark fixes the rest; see `load_dataset`.
        phase: of the benchmark, "val" (the default) or "test".
        config: a TOML file, or a mapping, of options in kebab or snake case, for those that are not given.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is no NWB file, a column or series is missing, bin_ms does not divide a window, or no unit, trial
            or spike is left. The message names file, field and remedy.
    """
    options_in_call = {name: value for name, value in locals().items() if name not in NO_OPTIONS}
    options = resolve(config, behavior=signals.name_of(behavior), **options_in_call)
    read = load_nwb if is_nwb(path) or options["dataset"] is not None else load_session
    return read(path, options, Given(trials, neurons, None if isinstance(behavior, str) else behavior))


def is_nwb(source: Any) -> bool:
    """Whether it is a path, an address, an open file, or what pynwb or pynapple made of one."""
    by_type = isinstance(source, str | os.PathLike) or hasattr(type(source), "swmr_mode")
    return by_type or any(hasattr(source, name) for name in ("read", "acquisition", "nwb"))


def load_nwb(source: Any, options: dict[str, Any], beside: Given) -> Trials:
    """The spikes of a file, or of a data set of the benchmark, with what was handed over beside it."""
    if options["dataset"] is None:
        return load_file(getattr(source, "nwb", source), options, beside)
    if not isinstance(source, str | os.PathLike):
        raise InputError(f"dataset: {options['dataset']} is read from a folder, not from a {type(source).__name__}.")
    with naming(os.fspath(source)):
        left = of_dataset(options)
        if beside.anything:
            raise InputError(f"trials, neurons: the benchmark fixes them for {options['dataset']}; leave them out.")
        return load_dataset(source, **left)


def load_file(source: Any, options: dict[str, Any], beside: Given) -> Trials:
    """The spikes of one file.

    Args:
        source: as `path` of `load`.
        options: as `nlbprob.data.options.resolve` returns them.
        beside: tables and signals given beside the file.

    Raises:
        FileNotFoundError: as `load` does.
        InputError: as `load` does.
    """
    file = name_of(source)
    with naming(file or "the recording"):
        with open_nwb(source) as nwbfile:
            units, columns = read_units(nwbfile)
            by_option = {"heldout": [options["heldout"]], "units": names(options["units"]) if options["units"] else []}
            demand(columns, by_option, "the units")
            units = with_columns(units, beside.neurons)
            table = table_of(nwbfile, units, beside.trials, options)
            series = series_of(nwbfile, beside.behavior, options["behavior"])
            session = session_of(nwbfile)
        trials = assemble(units, table, series, options, file)
        return trials.replace(source=trials.source | {"session": session})


def session_of(nwbfile: Any) -> dict[str, str]:
    """What the file says of the recording in words: what it is, of whom, where."""
    said = {"description": getattr(nwbfile, "session_description", None)}
    subject = getattr(nwbfile, "subject", None)
    said |= {name: getattr(subject, name, None) for name in ("species", "subject_id")}
    said |= {name: getattr(nwbfile, name, None) for name in ("lab", "institution")}
    texts = {name: printable(" ".join(str(text).split())) for name, text in said.items() if text is not None}
    return {name: text[:LONGEST_TEXT] for name, text in texts.items() if text}


def table_of(nwbfile: Any, units: Units, trials: Any, options: dict[str, Any]) -> Table:
    """The trials that are handed over, or those of the file, or pieces of the recording."""
    if options["chunk_ms"] is not None:
        return cut(units, trials, options)
    table = read_table(nwbfile, options["intervals"]) if trials is None else trial_table(trials)
    demand_columns(table, options)
    return dict(table)


def series_of(nwbfile: Any, behavior: Any, name: str | None) -> Series | None:
    """The signal that is handed over, or that of the name in the file."""
    if name is None:
        return None
    return read_series(nwbfile, name) if behavior is None else signals.series_of(behavior, name)
