"""Readouts of neurons that a fit has not seen, with all else as it was: of added neurons, and of another session."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from nlbprob.arguments import flag, seed_number
from nlbprob.blocks import readers
from nlbprob.blocks.readout import LinearReadout
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.infer.parameters.sites import count_readout_names, value_sites
from nlbprob.infer.start import sessions
from nlbprob.infer.start.initial import smoothed_log_counts
from nlbprob.model import Model
from nlbprob.posterior.count_readout import with_count_readout
from nlbprob.posterior.embed import check_bins, text
from nlbprob.posterior.readout_em import MOST_ITERATIONS, Found, learned

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

#: Draws of the prior, of as many trials as there are, that show how its latents move.
PRIOR_DRAWS = 4
#: Directions of the loadings with singular values below this fraction of the largest are too weak to follow a draw.
WEAKEST = 0.05

Values = dict[str, np.ndarray]


def add_neurons(posterior: "Posterior", trials: "Trials", seed: int = 0, progress: bool = True) -> "Posterior":
    """The posterior with more neurons, see `Posterior.add_neurons`."""
    seed, progress = checked(posterior, trials, seed, progress, "add_neurons")
    ids, known = text(trials.neurons["id"]), text(posterior.neuron_ids)
    absent = np.setdiff1d(known, ids)
    if len(absent):
        raise InputError(
            f"add_neurons: {len(absent)} of the {len(known)} neurons of the fit are not in the trials, such as "
            f"{absent[0]!r}; load them with the new ones. For trials of other neurons alone use posterior.transfer."
        )
    new = ~np.isin(ids, known)
    if not new.any():
        raise InputError("add_neurons: the trials have no neuron that the fit does not have; nothing is to be added.")
    places = np.array([np.flatnonzero(known == identity)[0] for identity in ids[~new]])
    extended = widened(posterior, trials, new, places, np.zeros((int(new.sum()), posterior.model.dim)))
    found = learned(extended, trials, new, progress, "new neurons")
    old = posterior.centre.loadings[places]
    lead = found.values[posterior.model.readout.names[1]][new] @ np.linalg.pinv(old, WEAKEST)
    result = with_draws(extended, found, new, lead, seed)
    config = result.config | {"added_neurons": ids[new].tolist()}
    return with_counts(dataclasses.replace(result, config=config), trials, new)


def transfer(posterior: "Posterior", trials: "Trials", seed: int = 0, progress: bool = True) -> "Posterior":
    """The posterior of another session, see `Posterior.transfer`."""
    seed, progress = checked(posterior, trials, seed, progress, "transfer")
    posterior.model.check(trials)
    new = np.ones(trials.n_neurons, bool)
    loadings = aligned_loadings(posterior, trials, seed)
    extended = widened(posterior, trials, new, np.zeros(0, int), loadings)
    found = learned(extended, trials, new, progress, "transfer")
    result = with_draws(extended, found, new, np.zeros((trials.n_neurons, 0)), seed)
    count = len(found.bounds)
    history = {"stage": np.full(count, "em"), "iteration": np.arange(1, count + 1), "elbo": np.array(found.bounds)}
    history["seconds"] = np.zeros(count)
    dropped = ("occupancy", "replication", "seeds", "heldout_bits", "em_moved", "sessions", "added_neurons")
    config = {name: value for name, value in result.config.items() if name not in dropped}
    config |= {"em_iterations": MOST_ITERATIONS, "em_settled": found.converged, "em_elbo": found.bounds[-1]}
    config |= {"svi_steps": 0, "train_trials": trials.n_trials, "transferred": True}
    return with_counts(dataclasses.replace(result, config=config, history=history), trials, new)


def checked(posterior: "Posterior", trials: Any, seed: Any, progress: Any, caller: str) -> tuple[int, bool]:
    """Seed and progress as Python's. Raises InputError where trials or model are of no use here."""
    check_trials(trials, caller)
    check_bins(posterior, trials)
    model = posterior.model
    if not isinstance(model.readout, LinearReadout):
        raise InputError(f"{caller}: the model is a NumPyro function, whose readout is its own; fit it to the trials.")
    if model.effects:
        names = ", ".join(type(effect).__name__ for effect in model.effects)
        raise InputError(
            f"{caller}: the model has effects on each neuron ({names}), which it does not learn; fit the model to the "
            "trials."
        )
    if caller == "add_neurons" and posterior.config.get("sessions"):
        raise InputError(
            "add_neurons: the fit is of stitched sessions; stitch the new neurons' session, and fit again."
        )
    if not trials.counts.any(where=trials.seen):
        raise InputError(f"{caller}: no spike is seen in these trials; check the split, the window and the units.")
    return seed_number(seed, caller), flag(progress, caller, "progress")


def widened(
    posterior: "Posterior",
    trials: "Trials",
    new: Bool[np.ndarray, " neuron"],
    places: Int[np.ndarray, " known"],
    loadings: Float[np.ndarray, "new latent"],
) -> "Posterior":
    """The posterior with the neurons of the trials, the new ones with given loadings.

    Args:
        posterior: of a fit.
        trials: of all neurons.
        new: which of them the fit does not have.
        places: where the fit has the others.
        loadings: of the new ones, in the model's own basis.
    """
    model = posterior.model
    model = dataclasses.replace(model, readout=readers.restricted(model.readout, model.latents, trials))
    context = dataclasses.replace(posterior.context, n_neurons=trials.n_neurons)
    started = started_at(model, trials.select(neurons=np.flatnonzero(new)), loadings)
    values, draws = {}, {}
    for name, site in value_sites(model, context).items():
        if name not in posterior.values:
            continue
        value, drawn = posterior.values[name], posterior.draws[name]
        if "neuron" in site.dims:
            axis = site.dims.index("neuron")
            value = spread(value, axis, new, places, started.get(name))
            drawn = spread(drawn, axis + 1, new, places, started.get(name))
        values[name], draws[name] = value, drawn
    ids = np.asarray(trials.neurons["id"])
    return dataclasses.replace(
        posterior, model=model, context=context, values=values, draws=draws, neuron_ids=ids, basis=posterior.rotation
    )


def started_at(model: Model, trials: "Trials", loadings: Float[np.ndarray, "new latent"]) -> Values:
    """Where the parameters of new neurons start: mean counts as they were seen, and these loadings."""
    seen = np.maximum(trials.seen.sum((0, 1)), 1)
    mean = np.maximum(trials.counts.sum((0, 1), where=trials.seen), 0.5) / seen
    square = (trials.counts.astype(float) ** 2).sum((0, 1), where=trials.seen) / seen
    start = model.observation.start(jnp.asarray(mean), jnp.asarray(np.maximum(square - mean**2, 1e-6)))
    values = {model.observation.site(name): np.asarray(value) for name, value in start.items()}
    baseline = np.asarray(model.observation.predictor_of_mean(jnp.asarray(mean)))
    return values | model.readout.values(baseline, loadings)


def spread(
    old: np.ndarray,
    axis: int,
    new: Bool[np.ndarray, " neuron"],
    places: Int[np.ndarray, " known"],
    started: np.ndarray | None,
) -> np.ndarray:
    """Values of all neurons along an axis: those of the fit at their places, the others as started, or on average."""
    moved = np.moveaxis(old, axis, -1)
    wide = np.empty((*moved.shape[:-1], len(new)), old.dtype)
    wide[..., ~new] = moved[..., places]
    average = moved.mean(-1, keepdims=True)
    wide[..., new] = average if started is None else np.moveaxis(started, axis - old.ndim + started.ndim, -1)
    return np.moveaxis(wide, -1, axis)


def aligned_loadings(posterior: "Posterior", trials: "Trials", seed: int) -> Float[np.ndarray, "neuron latent"]:
    """Loadings for which the session's principal components move most like the latents of the fit.

    Draws of the prior show how these move, from bin to bin and, by condition, on average; see
    `nlbprob.infer.start.sessions.alignment`.
    """
    model, dim = posterior.model, posterior.model.dim
    inside = np.arange(trials.n_bins) < trials.lengths[:, None]
    groups = sessions.conditions(trials)
    logs, mean = smoothed_log_counts(trials)
    logs -= logs[inside].mean(0)
    weight = np.sqrt(mean)
    scores, loadings = sessions.session_components(logs * weight, inside, dim)
    unread = np.zeros((1, dim))
    moved = sessions.movement(scores, inside, groups, unread)
    ids = posterior.neuron_ids
    shape = (*trials.counts.shape[:2], len(ids))
    empty = dataclasses.replace(
        trials,
        counts=np.zeros(shape, np.uint8),
        seen=np.zeros(shape, bool),
        neurons={"id": ids, "heldout": np.zeros(len(ids), bool)},
        source={},
    )
    drawn = np.asarray(posterior.sample_latents(empty, draws=PRIOR_DRAWS, seed=seed)) @ posterior.rotation.T
    drawn = np.where(inside[..., None], drawn, 0.0).reshape(-1, *drawn.shape[2:])
    known = sessions.movement(drawn, np.tile(inside, (PRIOR_DRAWS, 1)), np.tile(groups, PRIOR_DRAWS), unread)
    turn = sessions.alignment(known, moved, np.random.default_rng(seed))
    slope: Callable[[Any], Any] = model.observation.predictor_of_mean
    _, gain = jax.jvp(slope, (jnp.asarray(mean),), (jnp.asarray(mean),))
    return np.asarray(gain)[:, None] * (loadings / weight[:, None]) @ turn.T


def with_draws(
    posterior: "Posterior",
    found: Found,
    new: Bool[np.ndarray, " neuron"],
    lead: Float[np.ndarray, "new known"],
    seed: int,
) -> "Posterior":
    """The posterior with what was found, and draws of the new neurons' readouts.

    Args:
        posterior: with all neurons, see `widened`.
        found: of the new ones.
        new: which these are.
        lead: how the readouts of the new neurons follow those of the others, whose latents have a shift and scale of
            their own in each draw.
        seed: of the draws.
    """
    values, draws = posterior.values | found.values, dict(posterior.draws)
    for name in (
        name for name, site in value_sites(posterior.model, posterior.context).items() if "neuron" in site.dims
    ):
        if name in found.values:
            draws[name] = np.where(along(new, draws[name].ndim), found.values[name], draws[name])
    if posterior.has_width:
        names = posterior.model.readout.names
        count, random = len(draws[names[0]]), np.random.default_rng(seed)
        root = np.linalg.cholesky(found.covariance[new].astype(float))
        noise = np.einsum("nij,snj->sni", root, random.standard_normal((count, *root.shape[:2])))
        for name, own in zip(names, (noise[..., 0], noise[..., 1:]), strict=True):
            known = draws[name][:, ~new] - values[name][~new]
            shift = own + np.einsum("nk,sk...->sn...", lead, known)
            draws[name][:, new] += shift.astype(draws[name].dtype)
    return dataclasses.replace(posterior, values=values, draws=draws)


def along(new: Bool[np.ndarray, " neuron"], ndim: int) -> np.ndarray:
    """The mask for arrays [sample, neuron, ...] of so many axes."""
    return new.reshape(1, -1, *[1] * (ndim - 2))


def with_counts(posterior: "Posterior", trials: "Trials", new: Bool[np.ndarray, " neuron"]) -> "Posterior":
    """The posterior with the count readout of the new neurons, where its observation wants one."""
    found, kept = with_count_readout(posterior, trials), count_readout_names(posterior.model)
    if new.all():
        return found
    values = {
        name: np.where(along(new, posterior.draws[name].ndim)[0], found.values[name], posterior.values[name])
        for name in kept
        if name in posterior.values
    }
    draws = {
        name: np.where(along(new, posterior.draws[name].ndim), found.draws[name], posterior.draws[name])
        for name in values
    }
    return dataclasses.replace(found, values=found.values | values, draws=found.draws | draws)
