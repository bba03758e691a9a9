"""Joint draws of parameters and trajectories from the posterior."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

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


def draws(posterior: "Posterior", values, trials: "Trials", seed: int, function) -> Iterator[dict[str, np.ndarray]]:
    """For each draw of the parameters, a draw of every trajectory, handed to `function(key, given, batch, x)`.

    Inference converges at the centre of the parameters; at each draw one full natural-gradient step from there
    adapts the sites, which is what an exact posterior does to first order. Yields function's dictionary of arrays
    [trial, ...]. A trial's component is drawn first, then its latents given the component.
    """
    model, context, observation = posterior.model, posterior.context, posterior.model.observation
    with predict.precision(posterior.config["precision"]):

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

        found = predict.by_chunk(posterior, trials, causal=False)
        pieces = [(rows, batch, settled) for rows, _, batch, settled in found]
        size = len(pieces[0][1].counts)
        if len(pieces) == 1:  # nothing is drawn of trials that only fill up the chunk
            pieces, size = [trimmed(*pieces[0], size)], trials.n_trials
        # Several draws at once: loops over time are slow for their many small steps, not for the size of each.
        largest = size * trials.n_bins * trials.n_neurons * model.n_components
        together = max(1, min(DRAWS_TOGETHER, predict.CHUNK_NUMBERS // largest))
        several = jit(jax.vmap(draw, in_axes=(0, 0, None, None)))
        count = len(next(iter(values.values())))

        def joint(start):
            numbers = np.minimum(np.arange(start, start + together), count - 1)
            some = {name: jnp.asarray(value[numbers]) for name, value in values.items()}
            keys = jax.vmap(lambda number: jax.random.fold_in(jax.random.key(seed), number))(jnp.asarray(numbers))
            parts = []
            for rows, batch, settled in pieces:
                own = jax.vmap(lambda key, first=rows.start: jax.random.fold_in(key, first))(keys)
                drawn = jax.tree.map(np.asarray, several(own, some, batch, settled))
                parts.append(jax.tree.map(lambda a: np.moveaxis(a, 0, 1), drawn))
            whole = predict.gathered(parts, [rows for rows, _, _ in pieces])
            return [jax.tree.map(lambda a, i=i: a[:, i], whole) for i in range(min(together, count - start))]

        for block in concurrently(joint, range(0, count, together)):
            yield from block


def trimmed(rows: slice, batch: Batch, settled: predict.Moments, size: int):
    """A chunk of `size` trials without those beyond `rows`; some arrays have several rows a trial."""
    kept = jax.tree.map(lambda a: a[: len(a) // size * (rows.stop - rows.start)], (batch, settled))
    return rows, *kept
