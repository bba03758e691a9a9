"""A common start for stitched sessions: the principal components of each, turned until all move alike.

Principal components over the neurons of all sessions would be components of one session each, since no trial sees the
neurons of two. So every session gets components of its own, which are then turned into those of the others, and what
they predict for the neurons that a trial does not see is filled in. All that follows takes the result for one
recording.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.data.stitch import members

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Steps in time, in bins, over which the movements of sessions are compared.
LAGS = (0, 1, 2, 4, 8, 16)
#: Turns that the search for the best one starts from, and steps of each search.
STARTS, STEPS = 10, 100


class Movement(NamedTuple):
    """How the latents of some sessions move.

    mean: their averages over trials of a condition, with the number of trials of each bin; lagged: covariances
    E[x_{t+lag} x_t'] about these averages; bins: how many they are taken over; loadings: of all neurons, 0 for others.
    """

    mean: Float[np.ndarray, "condition time latent"]
    trials: Float[np.ndarray, "condition time"]
    lagged: Float[np.ndarray, "lag latent latent"]
    bins: float
    loadings: Float[np.ndarray, "neuron latent"]

    def turned(self, turn: Float[np.ndarray, "latent latent"]) -> "Movement":
        """The movement of the latents `turn` x."""
        lagged = turn @ self.lagged @ turn.T
        return self._replace(mean=self.mean @ turn.T, lagged=lagged, loadings=self.loadings @ turn.T)

    def joined(self, other: "Movement") -> "Movement":
        """The movement of the sessions of both, whose latents are the same."""
        trials, bins = self.trials + other.trials, self.bins + other.bins
        total = self.mean * self.trials[..., None] + other.mean * other.trials[..., None]
        lagged = (self.bins * self.lagged + other.bins * other.lagged) / bins
        loadings = np.where(self.loadings.any(1, keepdims=True), self.loadings, other.loadings)
        return Movement(total / np.maximum(trials, 1)[..., None], trials, lagged, bins, loadings)


def filled(
    weighted: Float[np.ndarray, "trial time neuron"],
    trials: "Trials",
    inside: Bool[np.ndarray, "trial time"],
    dim: int,
    random: np.random.Generator,
) -> Float[np.ndarray, "trial time neuron"]:
    """Smoothed log counts of stitched sessions, those of the neurons that a trial does not see filled in.

    The session with the most spikes gives the latents; the others are turned to fit, one by one, in the order of their
    spikes. weighted: of every neuron, about any mean; inside: the bins of each trial.
    """
    complete, aligned = weighted.copy(), None
    latents, groups = np.zeros((*weighted.shape[:2], dim)), conditions(trials)
    sessions = [(np.flatnonzero(rows), np.flatnonzero(units)) for rows, units in members(trials).values()]
    spikes = [int(trials.counts[rows].sum(where=trials.seen[rows])) for rows, _ in sessions]
    sessions = [sessions[index] for index in np.argsort(spikes)[::-1] if spikes[index]]
    for rows, units in sessions:
        block = np.ix_(rows, np.arange(trials.n_bins), units)
        complete[block] -= weighted[block][inside[rows]].mean(0)
        scores, session_loadings = session_components(complete[block], inside[rows], dim)
        loadings = np.zeros((trials.n_neurons, dim))
        loadings[units] = session_loadings
        moved = movement(scores, inside[rows], groups[:, rows], loadings)
        turn = np.eye(dim) if aligned is None else alignment(aligned, moved, random)
        aligned = moved if aligned is None else aligned.joined(moved.turned(turn))
        latents[rows] = scores @ turn.T
    assert aligned is not None  # `fit` demands a spike
    for rows, units in sessions:
        others = np.setdiff1d(np.arange(trials.n_neurons), units)
        complete[np.ix_(rows, np.arange(trials.n_bins), others)] = latents[rows] @ aligned.loadings[others].T
    return complete


def conditions(trials: "Trials") -> Float[np.ndarray, "condition trial"]:
    """1 where a trial is of a condition; all trials are of one where no condition is named."""
    if not trials.condition_labels:
        return np.ones((1, trials.n_trials))
    return (trials.condition_index == np.arange(len(trials.condition_labels))[:, None]).astype(float)


def session_components(
    rows: Float[np.ndarray, "trial time own"], inside: Bool[np.ndarray, "trial time"], dim: int
) -> tuple[Float[np.ndarray, "trial time latent"], Float[np.ndarray, "own latent"]]:
    """Principal components of a session on unit scale, 0 outside its trials, and loadings; `dim` of them, at most that
    many not 0.
    """
    points = rows[inside].astype(np.float64)
    _, vectors = np.linalg.eigh(points.T @ points)
    vectors = vectors[:, ::-1][:, :dim]
    scale = np.maximum((points @ vectors).std(0), 1e-3)
    scores = np.where(inside[..., None], rows @ vectors / scale, 0.0)
    lacking = dim - vectors.shape[1]
    return np.pad(scores, ((0, 0), (0, 0), (0, lacking))), np.pad(vectors * scale, ((0, 0), (0, lacking)))


def movement(
    latents: Float[np.ndarray, "trial time latent"],
    inside: Bool[np.ndarray, "trial time"],
    groups: Float[np.ndarray, "condition trial"],
    loadings: Float[np.ndarray, "neuron latent"],
) -> Movement:
    """How the latents of a session move; they are 0 outside its trials. groups: 1 where a trial is of a condition."""
    trials = groups @ inside
    mean = np.einsum("ck,ktl->ctl", groups, latents) / np.maximum(trials, 1)[..., None]
    deviation = np.where(inside[..., None], latents - np.einsum("ck,ctl->ktl", groups, mean), 0.0)
    bins = deviation.shape[1]
    lagged = [
        np.einsum("kti,ktj->ij", deviation[:, lag:], deviation[:, : bins - lag]) / max(inside[:, lag:].sum(), 1)
        for lag in LAGS
        if lag < bins
    ]
    return Movement(mean, trials, np.stack(lagged), float(inside.sum()), loadings)


def alignment(aligned: Movement, session: Movement, random: np.random.Generator) -> Float[np.ndarray, "latent latent"]:
    """The orthogonal T for which T x of a session moves most like the latents of those that are aligned already.

    It maximises sum_ct w_ct m_ct'T n_ct + tr(T'C'D) dim / |D|^2 + mean over lags of tr(G'T H T'): averages m and n of
    each condition and bin, loadings C and D of the neurons that both have, lagged covariances G and H. Each step goes
    to the nearest orthogonal matrix of the gradient plus a multiple of T that makes the objective convex, so that it
    never falls. The search starts from averages and loadings alone, and from random turns.
    """
    weight = aligned.trials * session.trials / np.maximum(aligned.trials + session.trials, 1)
    averages = np.einsum("ct,cti,ctj->ij", weight, aligned.mean, session.mean) / max(weight.sum(), 1e-9)
    loadings = aligned.loadings.T @ session.loadings * (len(averages) / max((session.loadings**2).sum(), 1e-9))
    linear, first, second = averages + loadings, aligned.lagged, session.lagged
    convex = 2 * np.mean(np.linalg.norm(first, 2, axis=(1, 2)) * np.linalg.norm(second, 2, axis=(1, 2)))

    def pull(turn: Float[np.ndarray, "latent latent"]) -> Float[np.ndarray, "latent latent"]:
        return (first @ turn @ second.mT + first.mT @ turn @ second).mean(0)

    def ascend(turn: Float[np.ndarray, "latent latent"]) -> Float[np.ndarray, "latent latent"]:
        for _ in range(STEPS):
            turn = polar(linear + pull(turn) + convex * turn)
        return turn

    starts = [polar(linear), *(polar(random.standard_normal(linear.shape)) for _ in range(STARTS - 1))]
    return max(map(ascend, starts), key=lambda turn: ((linear + 0.5 * pull(turn)) * turn).sum())


def polar(matrix: Float[np.ndarray, "latent latent"]) -> Float[np.ndarray, "latent latent"]:
    """The nearest orthogonal matrix."""
    left, _, right = np.linalg.svd(matrix)
    return left @ right
