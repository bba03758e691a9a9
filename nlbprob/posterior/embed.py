"""Trials of one session among the neurons of a fit to several: those of the other sessions are unseen."""

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int

from nlbprob.data.handed import check_trials
from nlbprob.data.stitch import OF, members
from nlbprob.errors import InputError

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior


class Embedded(NamedTuple):
    """Trials with every neuron of the fit.

    Attributes:
        trials: with every neuron of the fit.
        neurons: the positions of the given neurons among them.
    """

    trials: "Trials"
    neurons: Int[np.ndarray, " neuron"]


def sessions_of(trials: "Trials") -> dict[str, list[int]]:
    """The positions of each session's neurons, as a fit keeps them; empty where nothing was stitched."""
    return {name: np.flatnonzero(units).tolist() for name, (_, units) in members(trials).items() if name}


def embedded(posterior: "Posterior", trials: "Trials") -> Embedded:
    """The trials with every neuron of the fit; those that the trials lack are unseen.

    Args:
        posterior: the fit.
        trials: of the neurons of the fit, or of all neurons of one of its sessions: with the ids that they have in the
            stitched trials, or with those that they have in the session.

    Raises:
        InputError: the trials are of other neurons, of another bin width, or of neurons that two sessions share.
    """
    check_trials(trials, "Posterior")
    ids, fit_ids = text(trials.neurons["id"]), text(posterior.neuron_ids)
    if np.array_equal(ids, fit_ids) or not posterior.config.get("sessions"):
        check(posterior, trials)
        return Embedded(trials, np.arange(len(fit_ids)))
    check_bins(posterior, trials)
    positions = session_positions(posterior, ids, fit_ids)
    shape = (trials.n_trials, trials.n_bins, len(fit_ids))
    counts, seen = np.zeros(shape, trials.counts.dtype), np.zeros(shape, bool)
    counts[..., positions], seen[..., positions] = trials.counts, trials.seen
    heldout = np.zeros(len(fit_ids), bool)
    heldout[positions] = trials.heldout
    neurons = {"id": posterior.neuron_ids, "heldout": heldout}
    return Embedded(dataclasses.replace(trials, counts=counts, seen=seen, neurons=neurons), positions)


def check_bins(posterior: "Posterior", trials: "Trials") -> None:
    """Raise InputError unless these are trials, with the fit's bin width."""
    check_trials(trials, "Posterior")
    if trials.bin_ms != posterior.context.bin_ms:
        raise InputError(
            f"The trials have bins of {trials.bin_ms:g} ms, the fit of {posterior.context.bin_ms:g} ms; "
            "load them alike."
        )


def check(posterior: "Posterior", trials: "Trials") -> None:
    """Raise InputError unless the trials are of the recording's neurons and bin width."""
    check_bins(posterior, trials)
    if not np.array_equal(text(trials.neurons["id"]), text(posterior.neuron_ids)):
        raise InputError(
            "The trials' neuron ids are not those of the fit, in that order; load the same units, "
            "and hide neurons with `hide_heldout` or `seen` instead of dropping them."
        )


def session_positions(posterior: "Posterior", ids: np.ndarray, fit_ids: np.ndarray) -> Int[np.ndarray, " neuron"]:
    """The positions, among the neurons of the fit, of those of the session that has these ids."""
    sessions = {name: np.asarray(positions) for name, positions in posterior.config["sessions"].items()}
    matches: dict[tuple[int, ...], str] = {}
    for name, positions in sessions.items():
        inside = np.array([each.removeprefix(f"{name}{OF}") for each in fit_ids[positions]])
        if np.array_equal(ids, fit_ids[positions]) or np.array_equal(ids, inside):
            matches.setdefault(tuple(positions), name)
    names = list(matches.values())
    if not names:
        raise InputError(
            f"The trials' neuron ids are neither those of the fit nor all those of one of its sessions, "
            f"{', '.join(map(repr, sessions))}, in their order; load the same units, and hide neurons with "
            "`hide_heldout` or `seen` instead of dropping them."
        )
    if len(names) > 1:
        raise InputError(
            f"The neuron ids are those of the sessions {', '.join(map(repr, names))} alike: name the session by "
            f"nlb.stitch({{{names[0]!r}: trials}})."
        )
    return np.array(next(iter(matches)))


def text(ids: np.ndarray) -> np.ndarray:
    """Ids as text, to compare those of files of different kinds."""
    return np.asarray(ids).astype(str)
