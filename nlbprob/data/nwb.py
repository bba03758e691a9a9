"""Any NWB file with sorted units, or a data set of the benchmark, read into `Trials`."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

from nlbprob.data import pieces, recording
from nlbprob.data.assemble import assemble
from nlbprob.data.columns import demand
from nlbprob.data.expressions import names
from nlbprob.data.nlb.load import load_dataset
from nlbprob.data.opening import name_of, naming, open_nwb
from nlbprob.data.options import of_dataset, resolve
from nlbprob.data.signals import read_series
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError


def load(
    path: Any,
    *,
    bin_ms: float | int | None = None,
    align: str | None = None,
    window_ms: Sequence[float | int] | None = None,
    forward_ms: float | int | None = None,
    behavior: str | None = None,
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
    """The spikes of an NWB file, in bins of its trials.

    counts[i, k, n] = number of spikes of unit n in [align_i + a + k bin, align_i + a + (k + 1) bin)

    An option that is None is taken from `config`, else has the default named here.

    path: a file with a units table and an intervals table; its obs_intervals and invalid_times say where bins are seen.
        Or an http(s) address (extra "remote"); or an open binary file, `h5py.File`, `NWBHDF5IO` or `NWBFile`.
    bin_ms: bin width in ms; there is no default.
    align: trials column with the time (s) of the event at 0 ms. Default "start_time".
    window_ms: (a, b) around it, divided by bin_ms. Default: from it to the end of the trial; shorter trials are padded.
    forward_ms: length of the forward window that follows, to be forecast. Default 0.
    behavior: name of a time series in a processing module or in acquisition, or its place, such as
        "Position/SpatialSeries", where several have that name. Default: none.
    lag_ms: how much later than the spikes the behavior is read. Default 0.
    condition: trials columns whose joint value is a trial's condition. Default: none.
    heldout: units column of booleans; "none" holds out none. Default "heldout"; without such a column a quarter of the
        units is drawn, by "area" where there is one.
    split: trials column; "none" puts every trial into "train". Trials whose split is "none" are left out. Default
        "split"; without such a column a fifth of the trials is drawn as "val", by condition.
    units: which units to keep, an expression of units columns, `id` and `rate` (Hz), such as '`brain area` == "MOs"'.
    intervals: the intervals table that holds the trials. Default "trials".
    chunk_ms: cut the recording into pieces of this length instead. Default: no.
    join: make pieces that follow without a gap one trial for each split, its other bins unseen. Default: no.
    seed: of what is drawn; drawn columns and their seed are in `source`. Default 0.
    dataset: a data set of NLB'21, such as "mc_maze_small"; `path` is then the folder with its two files, and what is
        not bin_ms, phase ("val", the default, or "test") or seed is as the benchmark has it; see `load_dataset`.
    config: a TOML file, or a mapping, of options in kebab or snake case.

    Raises FileNotFoundError without the file; InputError, which names file, field and remedy, where it is no NWB file,
    a column or series is missing, bin_ms does not divide a window, or no unit, trial or spike is left.
    """
    given = {name: value for name, value in locals().items() if name not in ("path", "config")}
    options = resolve(config, **given)
    if options["dataset"] is not None:
        return load_benchmark(path, options)
    return load_file(path, options)


def load_benchmark(folder: Any, options: dict[str, Any]) -> Trials:
    """A data set of the benchmark. Raises what `load` does."""
    if not isinstance(folder, str | os.PathLike):
        raise InputError(f"dataset: {options['dataset']} is read from a folder, not from a {type(folder).__name__}.")
    with naming(os.fspath(folder)):
        return load_dataset(folder, **of_dataset(options))


def load_file(source: Any, options: dict[str, Any]) -> Trials:
    """The spikes of one file. options: as `nlbprob.data.options.resolve` returns them. Raises what `load` does."""
    file = name_of(source)
    with naming(file or "the recording"):
        with open_nwb(source) as nwbfile:
            units, columns = recording.read_units(nwbfile)
            by_option = {"heldout": [options["heldout"]], "units": names(options["units"]) if options["units"] else []}
            demand(columns, by_option, "the units")
            if options["chunk_ms"] is None:
                table = recording.read_table(nwbfile, options["intervals"])
                by_option = {name: [options[name]] for name in ("align", "split")} | {"condition": options["condition"]}
                demand(table, by_option, "the trials")
            else:
                table = pieces.cut(units, options["chunk_ms"], options["bin_ms"])
            name = options["behavior"]
            series = None if name is None else read_series(nwbfile, name)
        return assemble(units, dict(table), series, options, file)
