"""Several sessions as one recording, and back: the neurons of all side by side, each seen in its own trials alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from nlbprob.arguments import checked_keywords, flag
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError

#: What joins the names of the sessions that share a neuron, and a session's name to the ids that are its own.
AND, OF = "+", "/"
#: The column, of neurons and of trials, with their session.
COLUMN = "session"


@checked_keywords
def stitch(sessions: Mapping[str, Trials], *, shared: bool = False) -> Trials:
    """One `Trials` of several sessions: a trial's entries y[trial, time, neuron] of other sessions' neurons are unseen.

    A model fitted to it has one set of latents and dynamics for all sessions, and loadings and baselines of their own
    for the neurons of each. What ties the sessions together is the prior of the trajectories: where trials start, how
    they evolve, and the conditions, inputs or templates that this depends on. Trials aligned to one event of a task
    share all latents, as far as their averages or dynamics determine these. Pieces of spontaneous activity share the
    dynamics alone: a latent of one session may have the other sign, or a rotation another phase, as nothing in the data
    can tell. The rates of a session's own neurons do not depend on that, decoders of behavior across sessions do.

    A fit predicts the trials of all sessions, or those of one under its name, `stitch({"day2": later})`. `unstitch` is
    the way back. Pandarinath et al. (2018), Nature Methods 15, 805, stitch sessions with other dynamics.

    Args:
        sessions: `Trials` by name.
        shared: neurons of equal id are one and the same (tracked from day to day) and have one readout; its other
            columns are those of the first session. Default: every session has neurons of its own, with ids such as
            "day1/12".

    Returns:
        Trials with ids such as "day1/3", in the order of the sessions; both tables have a column "session". Shorter
        trials are padded at the end, unseen. A column that one session lacks is missing there, NaN or "". The counts of
        all sessions' neurons take memory in every trial.

    Raises:
        InputError: there is no session, or sessions differ in bin width, time of the first bin, forward window,
            condition columns, behavior (channels, lag) or inputs, or a shared neuron is held out in some of them only.
    """
    parts = checked(sessions)
    neurons, places = neuron_axis(parts, flag(shared, "stitch", "shared"))
    table = joined({name: part.table for name, part in parts.items()})
    owner = np.repeat(list(parts), [part.n_trials for part in parts.values()])
    table = table | {"id": np.char.add(np.char.add(owner, OF), table["id"].astype(str)), COLUMN: owner}
    first, bins = next(iter(parts.values())), max(part.n_bins for part in parts.values())
    shape = (len(owner), bins, len(neurons["id"]))
    counts = np.zeros(shape, np.result_type(*(part.counts for part in parts.values())))
    seen = np.zeros(shape, dtype=bool)
    for name, part in parts.items():
        where = np.ix_(np.flatnonzero(owner == name), np.arange(part.n_bins), places[name])
        counts[where], seen[where] = part.counts, part.seen
    behavior = [padded(part.behavior, bins, np.nan) for part in parts.values() if part.behavior is not None]
    inputs = {name: [padded(part.inputs[name], bins, 0.0) for part in parts.values()] for name in first.inputs}
    return Trials(
        counts,
        seen,
        first.bin_ms,
        neurons,
        table,
        first.time_ms[0] + first.bin_ms * np.arange(bins),
        forward_bins=first.forward_bins,
        condition=first.condition,
        behavior=np.concatenate(behavior) if behavior else None,
        behavior_name=first.behavior_name,
        behavior_channels=first.behavior_channels,
        lag_ms=first.lag_ms,
        inputs={name: np.concatenate(values) for name, values in inputs.items()},
        source={
            "sessions": {name: facts(part) for name, part in parts.items()},
            "notes": [f"{name}: {note}" for name, part in parts.items() for note in part.source.get("notes", [])],
        },
    )


@checked_keywords
def unstitch(trials: Trials, rates: Any = None) -> dict[str, Any]:
    """The sessions of stitched trials, by name, as they were before: the way back from `stitch`.

    Args:
        trials: stitched, or a part of them.
        rates: [trial, time, neuron] of the stitched trials, a DataArray as `Posterior.rates` returns it or an array.

    Returns:
        The `Trials` of each session. Where `rates` is given, the rates of each session's trials and neurons instead, so
        that each session can be scored by itself. Sessions of which no trial or neuron is left are left out.

    Raises:
        InputError: the trials are not stitched, or rates have another shape than they.
    """
    check_trials(trials, "unstitch")
    if "sessions" not in trials.source:
        raise InputError("unstitch: these trials are of one session; hand over what stitch returned.")
    if rates is not None and tuple(rates.shape) != trials.counts.shape:
        raise InputError(f"unstitch: rates of shape {tuple(rates.shape)} are not of trials {trials.counts.shape}.")
    sessions = {}
    for name, (rows, units) in members(trials).items():
        about = trials.source["sessions"][name]
        trials_of_session = session(trials.select(rows, units), name, about)
        if rates is None:
            sessions[name] = trials_of_session
        elif hasattr(rates, "dims"):
            chosen = rates.isel(trial=rows, time=slice(about["bins"]), neuron=units)
            sessions[name] = chosen.assign_coords(
                trial=trials_of_session.table["id"], neuron=trials_of_session.neurons["id"]
            )
        else:
            sessions[name] = np.asarray(rates)[np.ix_(rows, np.arange(about["bins"]), units)]
    return sessions


def members(trials: Trials) -> dict[str, tuple[Bool[np.ndarray, " trial"], Bool[np.ndarray, " neuron"]]]:
    """Which trials and which neurons are of each session, by its name; all are of one, "", where none were stitched."""
    if "sessions" not in trials.source:
        return {"": (np.ones(trials.n_trials, dtype=bool), np.ones(trials.n_neurons, dtype=bool))}
    owners = [names.split(AND) for names in trials.neurons[COLUMN].tolist()]
    by_session = {
        name: (trials.table[COLUMN] == name, np.array([name in names for names in owners]))
        for name in trials.source["sessions"]
    }
    return {name: (rows, units) for name, (rows, units) in by_session.items() if rows.any() and units.any()}


def neurons_of_a_session(trials: Trials) -> int:
    """How many neurons the largest session has."""
    return max(int(units.sum()) for _, units in members(trials).values())


def checked(sessions: Any) -> dict[str, Trials]:
    """The sessions. Raises InputError where there is none, a name is of no use, or they are not of one kind."""
    if not isinstance(sessions, Mapping):
        kind = type(sessions).__name__
        raise InputError(
            f"stitch: expected a mapping of names to trials, got {kind}; give names, {{'day1': first, 'day2': second}}."
        )
    if not sessions:
        raise InputError("stitch: no session; give a mapping of names to trials, {'day1': trials, ...}.")
    parts = {str(name): part for name, part in sessions.items()}
    for name, part in parts.items():
        if not isinstance(part, Trials):
            raise InputError(f"stitch: {name!r} is a {type(part).__name__}; hand over the Trials of each session.")
    (first, first_trials), *others = parts.items()
    for name, part in parts.items():
        if not name or AND in name or OF in name:
            raise InputError(f"stitch: {name!r} is no name of a session; use one without {AND!r} and {OF!r}.")
        if taken := [axis for axis in ("neurons", "table") if COLUMN in getattr(part, axis)]:
            raise InputError(f"stitch: {name} has a column {COLUMN!r} in {taken[0]} already; rename it, or unstitch.")
    for name, part in others:
        for what, one, other in zip(DEMANDS, demands(first_trials), demands(part), strict=True):
            if one != other:
                raise InputError(f"stitch: {what} of {name} is {other}, that of {first} {one}; load them alike.")
    return parts


#: What sessions must have in common, as `demands` returns it.
DEMANDS = ("bin width (ms)", "first bin edge (ms)", "forward window", "condition", "behavior", "inputs")


def demands(part: Trials) -> tuple[Any, ...]:
    """What a session must have in common with the others, in the order of `DEMANDS`."""
    forward = (part.forward_bins, part.n_bins) if part.forward_bins else 0
    columns = [(name, "text" if part.table[name].dtype.kind == "U" else "number") for name in part.condition]
    behavior = None if part.behavior is None else (part.behavior_name, part.behavior_channels, part.lag_ms)
    inputs = {name: values.shape[2] for name, values in part.inputs.items()}
    return part.bin_ms, round(float(part.time_ms[0]), 6), forward, columns, behavior, inputs


def facts(part: Trials) -> dict[str, Any]:
    """What `unstitch` has to know of a session, JSON-able: its bins, the types of its columns, its source."""
    types = {axis: {name: c.dtype.str for name, c in getattr(part, axis).items()} for axis in ("neurons", "table")}
    return {"bins": part.n_bins, **types, "source": part.source}


def neuron_axis(
    parts: dict[str, Trials], shared: bool
) -> tuple[dict[str, np.ndarray], dict[str, Int[np.ndarray, "_"]]]:
    """Columns of the neurons of all sessions, and where those of each are among them."""
    columns = joined({name: part.neurons for name, part in parts.items()})
    owner = np.repeat(list(parts), [part.n_neurons for part in parts.values()])
    if not shared:
        ids = np.char.add(np.char.add(owner, OF), columns["id"].astype(str))
        return columns | {"id": ids, COLUMN: owner}, {name: np.flatnonzero(owner == name) for name in parts}
    _, first, place = np.unique(columns["id"], return_index=True, return_inverse=True)
    order = np.argsort(first)
    first, place = first[order], np.argsort(order)[place]
    split = columns["heldout"] != columns["heldout"][first][place]
    if split.any():
        raise InputError(
            f"stitch: neuron {columns['id'][split][0]} is held out in some of its sessions only; hold out the same "
            "neurons in all, by a column of the files or heldout='none'."
        )
    names = [AND.join(owner[place == unit]) for unit in range(len(first))]
    columns_of_session = {name: column[first] for name, column in columns.items()} | {COLUMN: np.array(names)}
    return columns_of_session, {name: place[owner == name] for name in parts}


def joined(tables: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The columns of all tables end to end; rows of a table that lacks a column are missing: NaN, or ''."""
    columns_by_name = {}
    for name in dict.fromkeys(column for table in tables.values() for column in table):
        columns = [table.get(name) for table in tables.values()]
        text = any(column is not None and column.dtype.kind == "U" for column in columns)
        complete = all(column is not None for column in columns)
        blank = "" if text else np.nan
        filled = [
            np.full(len(table["id"]), blank) if column is None else column.astype(str) if text else column
            for column, table in zip(columns, tables.values(), strict=True)
        ]
        columns_by_name[name] = np.concatenate(filled) if complete or text else np.concatenate(filled).astype(float)
    return columns_by_name


def padded(values: np.ndarray, bins: int, fill: float) -> np.ndarray:
    """Values [trial, time, channel] of so many bins, `fill` in those after their last."""
    return np.pad(values, ((0, 0), (0, bins - values.shape[1]), (0, 0)), constant_values=fill)


def session(trials: Trials, name: str, about: dict[str, Any]) -> Trials:
    """One session as it was, from its trials and neurons in the stitched ones: its bins, ids and columns."""
    bins, tables = about["bins"], {}
    for axis in ("neurons", "table"):
        table, types = dict(getattr(trials, axis)), about[axis]
        table["id"] = np.array([identity.removeprefix(f"{name}{OF}") for identity in table["id"].astype(str)])
        tables[axis] = {column: table[column].astype(kind) for column, kind in types.items() if column in table}
    return trials.replace(
        counts=trials.counts[:, :bins],
        seen=trials.seen[:, :bins],
        time_ms=trials.time_ms[:bins],
        behavior=None if trials.behavior is None else trials.behavior[:, :bins],
        inputs={key: values[:, :bins] for key, values in trials.inputs.items()},
        source=about["source"],
        **tables,
    )
