"""Joint draws of parameters and trajectories from the posterior."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nlbprob.infer import local as local_inference
from nlbprob.infer import predict, switching
from nlbprob.infer.ahead import concurrently, jit
from nlbprob.infer.parameters import parameters_at
from nlbprob.infer.problem import Batch, lift, problem
from nlbprob.numerics import hmm, kalman

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.infer.posterior import Posterior

#: Draws that are made at once.
DRAWS_TOGETHER = 8


class Piece(NamedTuple):
    """Some draws of the trials of a chunk: arrays [draw, trial, ...] by name, and what all draws start from.

    settled: the moments of the latents at the centre of the parameters, of the chunk's rows before they are cut.
    """

    trials: slice
    draws: slice
    arrays: dict[str, np.ndarray]
    settled: predict.Moments


def draws(
    posterior: "Posterior", values: dict[str, np.ndarray], trials: "Trials", seed: int, function: Callable
) -> Iterator[Piece]:
    """For each draw of the parameters, a draw of every trajectory, handed to `function(key, given, batch, x)`.

    Inference converges at the centre of the parameters; at each draw one full natural-gradient step from there
    adapts the sites, which is what an exact posterior does to first order. A trial's component is drawn first, then its
    latents given the component. To be called, and iterated over, with the posterior's precision.

    Args:
        posterior: the fit.
        values: draws of the parameter sites [draw, ...].
        trials: those whose trajectories are drawn.
        seed: of the trajectories.
        function: returns a dictionary of arrays [trial, ...].

    Returns:
        What it returned, and the templates and regimes that were drawn, chunk of trials by chunk, some draws at a time,
        so that no more than that has to be kept.
    """
    size = predict.chunk_size(posterior.model, trials)
    if trials.n_trials <= size:
        size = trials.n_trials  # nothing is drawn of trials that only fill up the chunk
    several = jit(jax.vmap(one_draw(posterior, function), in_axes=(0, 0, None, None)))
    # Several draws at once: loops over time are slow for their many small steps, not for the size of each.
    largest = size * trials.n_bins * trials.n_neurons * posterior.model.n_components
    together = max(1, min(DRAWS_TOGETHER, predict.CHUNK_NUMBERS // largest))
    count = len(next(iter(values.values())))
    for rows, _, batch, settled in predict.by_chunk(posterior, trials, causal=False):
        kept = trimmed(rows, batch, settled, size)

        def joint(start, rows=rows, kept=kept, settled=settled):
            numbers = np.minimum(np.arange(start, start + together), count - 1)
            some = {name: jnp.asarray(value[numbers]) for name, value in values.items()}
            keys = jax.vmap(lambda number: jax.random.fold_in(jax.random.key(seed), number))(jnp.asarray(numbers))
            own = jax.vmap(lambda key: jax.random.fold_in(key, rows.start))(keys)
            drawn = several(own, some, *kept)
            stop, length = min(start + together, count), rows.stop - rows.start
            arrays = jax.tree.map(lambda a: np.asarray(a)[: stop - start, :length], drawn)
            return Piece(rows, slice(start, stop), arrays, settled)

        yield from concurrently(joint, range(0, count, together))


def one_draw(posterior: "Posterior", function: Callable) -> Callable:
    """The function of a key, the parameters' sites, a batch and its moments that draws once."""
    model, context, observation = posterior.model, posterior.context, posterior.model.observation

    def draw(key, values, batch, settled):
        theta = parameters_at(model, context, values)
        given, repeated = problem(model, theta, batch)
        moments = (settled.mean, settled.covariance)
        _, sites = local_inference.expected_log_likelihood(given, observation, repeated, *moments)
        first, second, third, fourth = jax.random.split(key, 4)
        prior = switching.prior(given, settled.paths)
        total = prior.with_extra(lift(sites, given.emission))
        state = kalman.sample(first, prior.chain, kalman.filter(prior.chain, total))
        x = state if given.emission is None else state @ given.emission.T
        x = x if given.shift is None else x + given.shift
        trials, count = settled.share.shape
        chosen = jax.random.categorical(third, jnp.log(settled.share)) + count * jnp.arange(trials)
        offset = given.offset if given.offset.ndim == 1 else given.offset[chosen]
        found = function(second, given._replace(offset=offset), batch, x[chosen])
        extra = {"component": chosen % count} if theta.mixture is not None else {}
        drawn = {
            f"{block.name}.regime": hmm.sample(fourth, jax.tree.map(lambda a: a[chosen], path))
            for block, path in zip(model.chains, settled.paths, strict=True)
            if path is not None
        }
        return found | extra | drawn

    return draw


def trimmed(rows: slice, batch: Batch, settled: predict.Moments, size: int) -> Any:
    """The first `size` trials of a chunk, (batch, moments); some arrays have several rows a trial."""
    most = len(batch.counts)
    return jax.tree.map(lambda a: a[: len(a) // most * size], (batch, settled))
