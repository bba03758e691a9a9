"""Posterior predictions for any trials, from any subset of seen entries, in chunks that bound memory."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from nlbprob.blocks.markov import LinearGaussianMarkov
from nlbprob.errors import InputError
from nlbprob.infer import local as local_inference
from nlbprob.infer.ahead import concurrently
from nlbprob.infer.em import parameters_at
from nlbprob.infer.local import Batch
from nlbprob.numerics import gaussian

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.infer.posterior import Posterior

#: Natural-gradient steps for a trial that starts from its prior; each stops by itself, most after about ten.
COLD_STEPS = 50
#: Numbers in the largest array of a chunk of trials, and trials in a chunk of predictions: one shape, one compilation.
CHUNK_NUMBERS, CHUNK_TRIALS = 16_000_000, 32


def precision(name: str):
    """A context in which JAX computes in "float32" or "float64"; nothing global changes."""
    if name not in ("float32", "float64"):
        raise InputError(f"precision={name!r}: choose 'float32' or 'float64'.")
    return jax.enable_x64(name == "float64")


def most_trials(bins: int, neurons: int, state: int) -> int:
    """How many trials fit in a chunk none of whose arrays has more than `CHUNK_NUMBERS` numbers."""
    return max(1, CHUNK_NUMBERS // (bins * max(neurons, state * state)))


def chunks(trials: "Trials", size: int) -> Iterator[tuple[slice, Batch]]:
    """The trials in chunks of `size`; the last is filled up with trials of which nothing is seen."""
    for start in range(0, trials.n_trials, size):
        rows = slice(start, min(start + size, trials.n_trials))
        fill = ((0, size - (rows.stop - rows.start)), (0, 0), (0, 0))
        yield rows, Batch(jnp.asarray(np.pad(trials.counts[rows], fill)), jnp.asarray(np.pad(trials.seen[rows], fill)))


def extend(trials: "Trials", beyond_ms: float | int) -> "Trials":
    """The trials with unseen bins added after the last, `beyond_ms` in all."""
    bins = round(beyond_ms / trials.bin_ms)
    if bins < 0 or abs(bins * trials.bin_ms - beyond_ms) > 1e-6:
        raise InputError(f"beyond_ms={beyond_ms:g} is not a whole number of bins of {trials.bin_ms:g} ms.")
    if not bins:
        return trials

    def after(array: Any, fill: Any) -> Any:
        return np.concatenate([array, np.full((len(array), bins, *array.shape[2:]), fill, array.dtype)], 1)

    times = trials.time_ms[-1] + trials.bin_ms * np.arange(1, bins + 1)
    return dataclasses.replace(
        trials,
        counts=after(trials.counts, 0),
        seen=after(trials.seen, False),
        time_ms=np.concatenate([trials.time_ms, times]),
        forward_bins=trials.forward_bins + bins,
        behavior=None if trials.behavior is None else after(trials.behavior, np.nan),
        inputs={name: after(value, np.nan) for name, value in trials.inputs.items()},
    )


def infer(theta, observation, batch: Batch):
    """Moments of the trajectories given everything seen: (mean, covariance, converged local posterior)."""
    trials, bins = batch.counts.shape[:2]
    state, dtype = theta.loadings.shape[1], theta.loadings.dtype
    local = local_inference.begin(local_inference.empty_sites(trials, bins, state, dtype))
    return local_inference.iterate(theta, observation, batch, local, COLD_STEPS)


def infer_causal(theta, observation, batch: Batch):
    """Moments of each bin given what is seen up to it: (mean, covariance). Each bin is fitted once, then carried
    forward.
    """
    trials = batch.counts.shape[0]
    state, chain = theta.loadings.shape[1], theta.chain
    first = (
        jnp.broadcast_to(chain.initial_mean, (trials, state)),
        jnp.broadcast_to(chain.initial_covariance, (trials, state, state)),
    )

    def advance(predicted, bin_batch):
        now = theta._replace(chain=chain._replace(initial_mean=predicted[0], initial_covariance=predicted[1]))
        found = infer(now, observation, jax.tree.map(lambda a: a[:, None], bin_batch)).smoothed
        mean, covariance = found.mean[:, 0], found.covariance[:, 0]
        return gaussian.predict(mean, covariance, chain.transition, chain.offset, chain.noise), (mean, covariance)

    leading = jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), batch)
    _, moments = jax.lax.scan(advance, first, leading)
    return tuple(jnp.moveaxis(a, 0, 1) for a in moments)


def compile_moments(observation, causal: bool):
    """The compiled posterior moments (theta, batch) -> (mean, covariance)."""

    def moments(theta, batch):
        if causal:
            return infer_causal(theta, observation, batch)
        smoothed = infer(theta, observation, batch).smoothed
        return smoothed.mean, smoothed.covariance

    return jax.jit(moments)


def by_chunk(posterior: "Posterior", trials: "Trials", causal: bool) -> Iterator[tuple[slice, Any, Batch, tuple]]:
    """Chunk by chunk: which trials, the parameters' centre, the data, and the moments of the trajectories."""
    moments = posterior.causal_moments if causal else posterior.moments
    theta = jax.tree.map(jnp.asarray, posterior.centre)
    power = 1 << (trials.n_trials - 1).bit_length()
    size = min(CHUNK_TRIALS, power, most_trials(trials.n_bins, trials.n_neurons, posterior.model.dim))

    def find(chunk):
        rows, batch = chunk
        return rows, theta, batch, moments(theta, batch)

    yield from concurrently(find, chunks(trials, size))


def gathered(parts: list, rows: list[slice]):
    """Trees of arrays [trial of the chunk, ...] as one tree of NumPy arrays [trial, ...], without what filled up
    chunks.
    """
    kept = [
        jax.tree.map(lambda a, n=r.stop - r.start: np.asarray(a)[:n], part) for part, r in zip(parts, rows, strict=True)
    ]
    return jax.tree.map(lambda *pieces: np.concatenate(pieces), *kept)


def rates(posterior: "Posterior", trials: "Trials", causal: bool) -> np.ndarray:
    """Expected counts [trial, time, neuron] given what is seen."""
    observation = posterior.model.observation

    @jax.jit
    def expected(theta, mean, covariance):
        return observation.expected_count(*local_inference.predictor(theta, mean, covariance), theta.observation)

    with precision(posterior.config["precision"]):
        found = [(rows, expected(theta, *moments)) for rows, theta, _, moments in by_chunk(posterior, trials, causal)]
        return gathered([part for _, part in found], [rows for rows, _ in found])


def latents(posterior: "Posterior", trials: "Trials", causal: bool):
    """Posterior moments of the latents in the canonical basis."""
    import xarray

    rotation = posterior.rotation
    with precision(posterior.config["precision"]):
        found = [(rows, moments) for rows, _, _, moments in by_chunk(posterior, trials, causal)]
        mean, covariance = gathered([part for _, part in found], [rows for rows, _ in found])
    coords = {"trial": trials.table["id"], "time": trials.time_ms, "latent": np.arange(rotation.shape[1])}
    dims = ("trial", "time", "latent")
    return xarray.Dataset(
        {"mean": (dims, mean @ rotation), "covariance": ((*dims, "latent_2"), rotation.T @ covariance @ rotation)},
        coords | {"latent_2": coords["latent"]},
    )


def draws(posterior: "Posterior", values, trials: "Trials", seed: int, function) -> Iterator[dict[str, np.ndarray]]:
    """For each draw of the parameters, a draw of every trajectory, handed to `function(key, theta, batch, x, bound)`.

    Inference converges at the centre of the parameters; at each draw one full natural-gradient step from there
    adapts the sites, which is what an exact posterior does to first order. Yields function's dictionary of arrays
    [trial, ...].
    """
    model, context, observation = posterior.model, posterior.context, posterior.model.observation
    with precision(posterior.config["precision"]):

        @jax.jit
        def draw(key, values, batch, moments):
            theta = parameters_at(model, context, values)
            _, sites = local_inference.expected_log_likelihood(theta, observation, batch, *moments)
            smoothed, bound, _ = local_inference.evaluate(theta, observation, batch, sites)
            first, second = jax.random.split(key)
            return function(second, theta, batch, LinearGaussianMarkov.from_smoothed(smoothed).sample(first), bound)

        pieces = [(rows, batch, moments) for rows, _, batch, moments in by_chunk(posterior, trials, causal=False)]

        def joint(number):
            one = {name: jnp.asarray(value[number]) for name, value in values.items()}
            key = jax.random.fold_in(jax.random.key(seed), number)
            parts = [draw(jax.random.fold_in(key, rows.start), one, batch, moments) for rows, batch, moments in pieces]
            return gathered(parts, [rows for rows, _, _ in pieces])

        yield from concurrently(joint, range(len(next(iter(values.values())))))


def labeled(rates: np.ndarray, trials: "Trials") -> "xarray.DataArray":
    """Rates with named dimensions, trial and neuron ids and times in ms."""
    import xarray

    coords = {"trial": trials.table["id"], "time": trials.time_ms, "neuron": trials.neurons["id"]}
    attributes = {"units": "spikes/bin", "bin_ms": trials.bin_ms}
    return xarray.DataArray(rates, coords, ("trial", "time", "neuron"), "rates", attributes)
