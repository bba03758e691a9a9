"""Joint draws of parameters and trajectories from the posterior."""

from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from nlbprob.blocks.base import Context
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.infer.runtime.batch import CHUNK_NUMBERS, Batch, prediction_chunk
from nlbprob.infer.runtime.execute import map_chunks
from nlbprob.infer.runtime.precision import precision
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories import likelihood
from nlbprob.infer.trajectories import prior as trajectory_prior
from nlbprob.infer.trajectories.marginals import Marginals
from nlbprob.infer.trajectories.problem import Auxiliary, TrialProblem, emitted, trial_problem
from nlbprob.model import Model
from nlbprob.numerics import kalman, matrices
from nlbprob.numerics.gaussian import Sites
from nlbprob.posterior import predict
from nlbprob.posterior.embed import embedded

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

#: Draws that are made at once.
DRAWS_TOGETHER = 8
#: (model, options, key, problem, batch, x) -> arrays [trial, ...] by name; a function of a module, so that it is
#: compiled once.
Reading = Callable[..., dict[str, Any]]


class Piece(NamedTuple):
    """Some draws of the trials of a chunk: arrays [draw, trial, ...] by name, and what all draws start from.

    Attributes:
        marginals: of the latents at the centre of the parameters, of the chunk's rows before they are cut.
    """

    trials: slice
    draws: slice
    arrays: dict[str, np.ndarray]
    marginals: Marginals


def draws(
    posterior: "Posterior",
    values: dict[str, np.ndarray],
    trials: "Trials",
    seed: int,
    reading: Reading,
    options: Hashable = None,
) -> Iterator[Piece]:
    """For each draw of the parameters, `reading` of a draw of every trajectory.

    Inference converges at the centre of the parameters; at each draw one full natural-gradient step from there
    adapts the sites, which is what an exact posterior does to first order. A trial's component is drawn first, then its
    latents given the component.

    Args:
        posterior: the fit.
        values: draws of the parameter sites [draw, ...].
        trials: those whose trajectories are drawn.
        seed: of the trajectories.
        reading: a function of a draw, see `Reading`.
        options: hashable, handed on to it.

    Yields:
        What it returned, and the templates and regimes that were drawn, chunk of trials by chunk, some draws at a time,
        so that no more than that has to be kept.
    """
    width, model, context = posterior.config["precision"], posterior.model, posterior.context
    size = prediction_chunk(model, trials)
    if trials.n_trials <= size:
        size = trials.n_trials  # nothing is drawn of trials that only pad the chunk
    # Several draws at once: loops over time are slow for their many small steps, not for the size of each.
    largest = size * trials.n_bins * trials.n_neurons * model.n_components
    together = max(1, min(DRAWS_TOGETHER, CHUNK_NUMBERS // largest))
    count = len(next(iter(values.values())))
    for rows, _, batch, marginals in predict.by_chunk(posterior, trials, causal=False):
        kept = trimmed(batch, marginals, size)

        def joint(start, rows=rows, kept=kept, marginals=marginals):
            numbers = np.minimum(np.arange(start, start + together), count - 1)
            some = {name: jnp.asarray(value[numbers]) for name, value in values.items()}
            keys = jax.vmap(lambda number: jax.random.fold_in(jax.random.key(seed), number))(jnp.asarray(numbers))
            trial_keys = jax.vmap(lambda key: jax.random.fold_in(key, rows.start))(keys)
            drawn = several(model, context, reading, options, trial_keys, some, *kept)
            stop, length = min(start + together, count), rows.stop - rows.start
            arrays = jax.tree.map(lambda a: np.asarray(a)[: stop - start, :length], drawn)
            return Piece(rows, slice(start, stop), arrays, marginals)

        starts = range(0, count, together)
        for first in range(0, len(starts), DRAWS_TOGETHER):
            with precision(width):  # closed before anything is yielded
                pieces = list(map_chunks(joint, starts[first : first + DRAWS_TOGETHER]))
            yield from pieces


@program("model", "context", "reading", "options")
def several(model: Model, context: Context, reading: Reading, options, keys, values, batch: Batch, marginals):
    """A joint draw for each key and each of the parameters' draws [draw, ...], handed to `reading`."""

    def one(key, values):
        return draw(model, context, reading, options, key, values, batch, marginals)

    return jax.vmap(one)(keys, values)


def draw(model: Model, context: Context, reading: Reading, options, key, values, batch: Batch, marginals: Marginals):
    """One draw of every trajectory at given site values, around the converged marginals."""
    theta = parameters_at(model, context, values)
    problem, repeated = trial_problem(model, theta, batch)
    moments = (marginals.mean, marginals.covariance)
    _, sites = likelihood.expected_log_likelihood(problem, model.observation, repeated, *moments)
    first, second, third, fourth = jax.random.split(key, 4)
    state = states(first, problem, sites, marginals.auxiliary)
    x = emitted(problem.emission, state)
    x = x if problem.shift is None else x + problem.shift
    trials, count = marginals.responsibility.shape
    chosen = jax.random.categorical(third, jnp.log(marginals.responsibility)) + count * jnp.arange(trials)
    offset = problem.offset if problem.offset.ndim == 1 else problem.offset[chosen]
    arrays = reading(model, options, second, problem._replace(offset=offset), batch, x[chosen])
    extra = {"component": chosen % count} if theta.mixture is not None else {}
    drawn = {
        f"{block.name}.{name}": value
        for block, prior, auxiliary in zip(model.chains, problem.priors, marginals.auxiliary, strict=True)
        for name, value in prior.sample(fourth, jax.tree.map(lambda a: a[chosen], auxiliary)).items()
    }
    return arrays | extra | drawn


def states(
    key: Key[Array, ""], problem: TrialProblem, sites: Sites, auxiliary: Auxiliary
) -> Float[Array, "row time state"]:
    """A draw of every row's state from its chain times its sites.

    The sites that stand for a nonlinear prior may have negative precisions, which are fitted to the centre of the
    parameters: at other parameters the product may have no finite integral. There they count as zero.
    """
    prior = trajectory_prior.surrogate(problem, auxiliary)

    def drawn(surrogate: trajectory_prior.JointSurrogate) -> Float[Array, "row time state"]:
        total = trajectory_prior.all_sites(surrogate, sites, problem.emission)
        return kalman.sample(key, surrogate.chain, kalman.filter(surrogate.chain, total))

    state = drawn(prior)
    if prior.sites is None or all(part.proper for part in problem.priors):
        return state
    flat = prior._replace(sites=Sites(prior.sites.linear, matrices.positive_part(prior.sites.precision)))
    finite = jnp.isfinite(state).all((1, 2), keepdims=True)
    return jnp.where(finite, state, drawn(flat))


def trimmed(batch: Batch, marginals: Marginals, size: int) -> Any:
    """The first `size` trials of a chunk, (batch, marginals); some arrays have several rows a trial."""
    most = len(batch.counts)
    return jax.tree.map(lambda a: a[: len(a) // most * size], (batch, marginals))


def trajectories(posterior: "Posterior", trials: "Trials", count: int, seed: int) -> "xarray.DataArray":
    """Trajectories drawn from the posterior, in the canonical basis; see `Posterior.sample_latents`.

    Args:
        posterior: of a fit.
        trials: of the neurons of the fit, or of one of its sessions.
        count: number of draws.
        seed: of the draws.

    Returns:
        [sample, trial, time, latent].
    """
    import xarray

    all_neurons, values = embedded(posterior, trials).trials, posterior.parameter_sites(count, seed)
    dtype = posterior.centre.loadings.dtype
    array = np.empty((count, trials.n_trials, trials.n_bins, posterior.model.dim), dtype)
    for piece in draws(posterior, values, all_neurons, seed, only_latents):
        array[piece.draws, piece.trials] = piece.arrays["latents"]
    coords = {"trial": trials.table["id"], "time": trials.time_ms, "latent": posterior.model.latent_names}
    return xarray.DataArray(array @ posterior.rotation, coords, ("sample", "trial", "time", "latent"), "latents")


def only_latents(model: Model, options, key, problem, batch: Batch, x) -> dict[str, Any]:
    """The trajectories as they are drawn."""
    return {"latents": x}
