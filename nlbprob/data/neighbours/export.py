"""What was inferred of trials, back on the recording's clock: a `TsdFrame` of pynapple."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from nlbprob.arguments import checked_keywords
from nlbprob.errors import InputError

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

# pynapple has no two intervals of which one starts where the other ends: a microsecond is left between them.
APART_S = 1e-6
TOUCHING_S = 1e-9


@checked_keywords
def to_pynapple(trials: "Trials", values: Any = None, start_s: Any = None) -> Any:
    """What was inferred of trials as a `TsdFrame` of pynapple, on the recording's clock.

    The value of trial i in bin k stands at align_i + time_ms[k] + bin_ms / 2, the center of the bin, in s.

    Args:
        trials: of one recording.
        values: [trial, time, column], such as `posterior.rates(trials)` (spikes/bin), `posterior.latents(trials)` or
            another xarray or array of these trials. Default: the counts, NaN where they were not seen.
        start_s: left edge of each trial's first bin, in s, for trials without times, as `from_arrays` gives them.

    Returns:
        The frame in order of time; its time support is the trials' windows, without what pads short trials. Columns
        are neuron ids, with the columns of `neurons` as metadata, or the names of the latents.

    Raises:
        InputError: where pynapple is not installed, the values are of other trials, trials have no place on one clock,
            or one reaches into the next.
    """
    frame, intervals = classes()
    array, columns, metadata = content(trials, values)
    first = first_edges(trials) if start_s is None else given_edges(trials, start_s)
    lengths = bins_kept(trials)
    order = np.argsort(first, kind="stable")
    order = order[lengths[order] > 0]
    start, stop = spans(trials, first[order], lengths[order])
    centers = (np.arange(trials.n_bins) + 0.5) * (trials.bin_ms / 1000)
    times = np.concatenate([first[trial] + centers[: lengths[trial]] for trial in order])
    rows = np.concatenate([array[trial, : lengths[trial]] for trial in order])
    with warnings.catch_warnings():
        # Names of columns that are attributes of its classes, too, are told: they are found by get_info all the same.
        warnings.filterwarnings("ignore", message="Metadata name", category=UserWarning)
        support = intervals(start, stop)
        return frame(t=times, d=rows, columns=columns, time_support=support, metadata=metadata)


def classes() -> tuple[Any, Any]:
    """TsdFrame and IntervalSet. Raises InputError where pynapple is not installed."""
    try:
        import pynapple
    except ImportError as error:
        raise InputError("to_pynapple: needs pynapple; install it (pip install pynapple).") from error
    return pynapple.TsdFrame, pynapple.IntervalSet


def content(trials: "Trials", values: Any) -> tuple[np.ndarray, list[Any], dict[str, np.ndarray] | None]:
    """The values [trial, time, column], the columns' names, and what is known of each: the columns of neurons.

    Raises:
        InputError: the values are not of these trials.
    """
    if values is None:
        values = np.where(trials.seen, trials.counts, np.nan)
    if hasattr(values, "data_vars"):
        values = values[only_variable(values)]
    dims = getattr(values, "dims", None)
    if dims is not None and tuple(dims[:2]) != ("trial", "time"):
        raise InputError(f"to_pynapple: values of ({', '.join(dims)}); take one array of (trial, time, column).")
    array = np.asarray(values)
    if array.ndim != 3 or array.shape[:2] != trials.counts.shape[:2]:
        wanted = f"({trials.n_trials}, {trials.n_bins}, columns)"
        raise InputError(f"to_pynapple: values of shape {array.shape}, expected {wanted} of the trials handed over.")
    if dims is not None and "trial" in values.coords and not same(values.coords["trial"].values, trials.table["id"]):
        raise InputError("to_pynapple: the values are of other trials; hand over the trials they were predicted for.")
    if (dims is None or dims[2] == "neuron") and array.shape[2] == trials.n_neurons:
        names = trials.neurons["id"].tolist()
        columns = {name: column for name, column in trials.neurons.items() if name != "id" and name not in names}
        return array, names, columns
    if dims is None or dims[2] not in values.coords:
        return array, list(range(array.shape[2])), None
    return array, values.coords[dims[2]].values.tolist(), None


def only_variable(dataset: Any) -> str:
    """The name of what goes into a frame: the mean of latents, or the only variable. Raises InputError otherwise."""
    names = [str(name) for name in dataset.data_vars]
    if "mean" in names or len(names) == 1:
        return "mean" if "mean" in names else names[0]
    raise InputError(f"to_pynapple: the dataset holds {', '.join(names)}; take one of them.")


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two columns of ids are equal."""
    return np.array_equal(one.astype(str), other.astype(str))


def first_edges(trials: "Trials") -> Float[np.ndarray, " trial"]:
    """The left edge of each trial's first bin on the recording's clock, in s: align event + first bin edge.

    Raises:
        InputError: the trials have no place on one clock.
    """
    options = trials.source.get("options", {})
    align = options.get("align", "start_time")
    if "sessions" in trials.source:
        raise InputError(
            "to_pynapple: the trials are of several recordings, each with a clock of its own; unstitch them."
        )
    if align not in trials.table or options.get("dataset") is not None:
        raise InputError(
            "to_pynapple: the trials have no place on a clock; give start_s, when each first bin opens (s)."
        )
    return trials.table[align].astype(np.float64) + trials.time_ms[0] / 1000


def given_edges(trials: "Trials", start_s: Any) -> Float[np.ndarray, " trial"]:
    """Starts that are handed over. Raises InputError where there is not one finite number a trial."""
    first = np.asarray(start_s, dtype=np.float64)
    if first.shape != (trials.n_trials,) or not np.isfinite(first).all():
        raise InputError(f"start_s: expected a time (s) for each of {trials.n_trials} trials, got shape {first.shape}.")
    return first


def bins_kept(trials: "Trials") -> Int[np.ndarray, " trial"]:
    """How many bins of each trial are its own: up to the last that is seen; all, where a forward window follows."""
    return np.full(trials.n_trials, trials.n_bins) if trials.forward_bins else trials.lengths


def spans(
    trials: "Trials", first: Float[np.ndarray, " trial"], lengths: Int[np.ndarray, " trial"]
) -> tuple[Float[np.ndarray, " trial"], Float[np.ndarray, " trial"]]:
    """Start and stop of the trials' windows, in s, in order. Raises InputError where one reaches into the next."""
    stop = first + lengths * (trials.bin_ms / 1000)
    into = stop[:-1] - first[1:] > TOUCHING_S
    if into.any():
        raise InputError(
            f"to_pynapple: {into.sum()} trials reach into the next one, so that times would come twice; select trials "
            "that do not, or load with a shorter window_ms."
        )
    close = first[1:] - stop[:-1] < APART_S
    return first, np.append(np.where(close, first[1:] - APART_S, stop[:-1]), stop[-1:])
