"""Posterior predictions for any trials, from any subset of seen entries, in chunks that bound memory."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nlbprob.arguments import real_number
from nlbprob.blocks.base import Context
from nlbprob.errors import InputError
from nlbprob.infer import local as local_inference
from nlbprob.infer.ahead import concurrently, jit
from nlbprob.infer.parameters import parameters_at
from nlbprob.infer.problem import Batch, Problem, combined, latent_moments, problem
from nlbprob.model import Model, Parameters

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.infer.posterior import Posterior

#: Natural-gradient steps for a trial that starts from its prior; each stops by itself, most after about ten.
COLD_STEPS = 50
PRECISIONS = ("float32", "float64")
#: Numbers in the largest array of a chunk of trials, and trials in a chunk of predictions: one shape, one compilation.
CHUNK_NUMBERS, CHUNK_TRIALS = 16_000_000, 32


def precision(name: str):
    """A context in which JAX computes in "float32" or "float64"; nothing global changes."""
    if name not in PRECISIONS:
        raise InputError(f"precision={name!r}: choose 'float32' or 'float64'.")
    return jax.enable_x64(name == "float64")


def most_trials(model: "Model", bins: int, neurons: int) -> int:
    """How many trials fit in a chunk none of whose arrays has more than `CHUNK_NUMBERS` numbers."""
    own = bins * max(neurons, model.n_states**2) * model.n_components
    return max(1, CHUNK_NUMBERS // own)


def chunk_size(model: "Model", trials: "Trials") -> int:
    """How many trials a chunk of predictions has: a power of two, so that few shapes are compiled."""
    power = 1 << (trials.n_trials - 1).bit_length()
    return min(CHUNK_TRIALS, power, most_trials(model, trials.n_bins, trials.n_neurons))


def chunks(model: "Model", context: Context, trials: "Trials", size: int) -> Iterator[tuple[slice, Batch]]:
    """The trials in chunks of `size`; the last is filled up with trials of which nothing is seen."""
    arrays: Any = Batch._make((trials.counts, trials.seen, model.covariates(trials, context)))
    for start in range(0, trials.n_trials, size):
        rows = slice(start, min(start + size, trials.n_trials))
        fill = size - (rows.stop - rows.start)

        def cut(a, rows=rows, fill=fill):
            return jnp.asarray(np.pad(a[rows], ((0, fill), *[(0, 0)] * (a.ndim - 1))))

        yield rows, jax.tree.map(cut, arrays)


def extend(trials: "Trials", beyond_ms: float | int) -> "Trials":
    """The trials with unseen bins added after the last, `beyond_ms` in all."""
    beyond_ms = real_number(beyond_ms, "rates", "beyond_ms")
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


class Moments(NamedTuple):
    """Moments of the latents of each trial-component pair, templates included, and the share of each in its trial.

    share [trial, component], or [trial, time, component] from a filter; paths: of the blocks that switch.
    """

    mean: Float[Array, "row time latent"]
    covariance: Float[Array, "row time latent latent"]
    share: Float[Array, "trial *time component"]
    paths: tuple[Any, ...] = ()


def infer(model: "Model", theta: Parameters, batch: Batch):
    """The local posterior given everything seen: (problem, rows of the batch, converged posterior)."""
    given, repeated = problem(model, theta, batch)
    rows, bins = repeated.counts.shape[:2]
    sites = local_inference.empty_sites(rows, bins, theta.loadings.shape[1], theta.loadings.dtype)
    local = local_inference.begin(given, sites)
    return given, repeated, local_inference.iterate(given, model.observation, repeated, local, COLD_STEPS)


def smoothed_moments(model: "Model", theta: Parameters, batch: Batch) -> Moments:
    """Moments of the latents given everything seen."""
    given, _, local = infer(model, theta, batch)
    _, share = combined(theta, local.elbo)
    moments = latent_moments(given, local.smoothed.mean, local.smoothed.covariance)
    return Moments(*moments, share, local.paths)


def compile_moments(model: "Model", causal: bool):
    """The compiled posterior moments of the latents, (theta, batch) -> Moments."""
    from nlbprob.infer.causal import filtered_moments

    found = filtered_moments if causal else smoothed_moments
    return jit(lambda theta, batch: found(model, theta, batch))


def shapes(model: "Model", context: Context, trials: "Trials", values, uncertain: bool):
    """The shapes of (parameters, batch) in predictions of trials like these, from those of all site values."""
    theta = jax.eval_shape(lambda values: parameters_at(model, context, values), values)
    if uncertain:
        neurons, latents = theta.loadings.shape
        covariance = jax.ShapeDtypeStruct((neurons, 1 + latents, 1 + latents), theta.loadings.dtype)
        theta = theta._replace(uncertainty=covariance)
    _, batch = next(chunks(model, context, trials, chunk_size(model, trials)))
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), (theta, batch))


def by_chunk(posterior: "Posterior", trials: "Trials", causal: bool) -> Iterator[tuple[slice, Any, Batch, Moments]]:
    """Chunk by chunk: which trials, the parameters' centre, the data, and the moments of the latents."""
    moments = posterior.causal_moments if causal else posterior.moments
    theta, model = jax.tree.map(jnp.asarray, posterior.centre), posterior.model
    size = chunk_size(model, trials)

    def find(chunk):
        rows, batch = chunk
        return rows, theta, batch, moments(theta, batch)

    yield from concurrently(find, chunks(model, posterior.context, trials, size))


def mixed(values, share):
    """The mean over each trial's components of values [row, time, ...], by their share [trial, (time,) component]."""
    if share.shape[-1] == 1:
        return values
    trials, count = share.shape[0], share.shape[-1]
    grouped = values.reshape(trials, count, *values.shape[1:])
    weights = share[:, None] if share.ndim == 2 else share
    weights = jnp.moveaxis(weights, -1, 1).reshape(trials, count, -1, *[1] * (values.ndim - 2))
    return (weights * grouped).sum(1)


def expected_counts(model: "Model", given: Problem, moments: Moments):
    """Expected counts [trial, time, neuron] over the posterior of the latents and their components."""
    location, variance = local_inference.predictor(given, moments.mean, moments.covariance)
    return mixed(model.observation.expected_count(location, variance, given.observation), moments.share)


def gathered(parts: list, rows: list[slice]):
    """Trees of arrays [trial of the chunk, ...] as one tree of NumPy arrays [trial, ...], without what filled up
    chunks.
    """
    kept = [
        jax.tree.map(lambda a, n=r.stop - r.start: np.asarray(a)[:n], part) for part, r in zip(parts, rows, strict=True)
    ]
    return jax.tree.map(lambda *pieces: np.concatenate(pieces), *kept)


def rates(posterior: "Posterior", trials: "Trials", causal: bool, found=None) -> np.ndarray:
    """Expected counts [trial, time, neuron] given what is seen; found: what `by_chunk` gives, where it is known."""
    model = posterior.model

    @jit
    def expected(theta, batch, moments):
        given, _ = problem(model, theta, batch)
        return expected_counts(model, given, moments)

    with precision(posterior.config["precision"]):
        found = by_chunk(posterior, trials, causal) if found is None else found
        found = [(rows, expected(*rest)) for rows, *rest in found]
        return gathered([part for _, part in found], [rows for rows, _ in found])


def over_components(moments: Moments):
    """Mean and covariance of the latents over the components of each trial."""
    mean = mixed(moments.mean, moments.share)
    if moments.share.shape[-1] == 1:
        return mean, moments.covariance
    second = moments.covariance + moments.mean[..., :, None] * moments.mean[..., None, :]
    return mean, mixed(second, moments.share) - mean[..., :, None] * mean[..., None, :]


def latents(posterior: "Posterior", trials: "Trials", causal: bool, found=None):
    """Posterior moments of the latents in the canonical basis; over all components where there are templates.

    found: what `by_chunk` gives, where it is known.
    """
    import xarray

    rotation, overall = posterior.rotation, jit(over_components)
    with precision(posterior.config["precision"]):
        found = by_chunk(posterior, trials, causal) if found is None else found
        found = [(rows, overall(moments)) for rows, _, _, moments in found]
        mean, covariance = gathered([part for _, part in found], [rows for rows, _ in found])
    coords = {"trial": trials.table["id"], "time": trials.time_ms, "latent": posterior.model.latent_names}
    dims = ("trial", "time", "latent")
    return xarray.Dataset(
        {"mean": (dims, mean @ rotation), "covariance": ((*dims, "latent_2"), rotation.T @ covariance @ rotation)},
        coords | {"latent_2": coords["latent"]},
    )


def components(posterior: "Posterior", trials: "Trials"):
    """p(component | what is seen) of each trial, for a model with templates."""
    import xarray

    with precision(posterior.config["precision"]):
        found = [(rows, moments.share) for rows, _, _, moments in by_chunk(posterior, trials, causal=False)]
        share = gathered([part for _, part in found], [rows for rows, _ in found])
    coords = {"trial": trials.table["id"], "component": np.arange(share.shape[1])}
    return xarray.DataArray(share, coords, ("trial", "component"), "components")


def regimes(posterior: "Posterior", trials: "Trials"):
    """p(regime | what is seen) of each bin, by block, over all components where there are templates."""
    import xarray

    names = [block.name for block in posterior.model.chains]

    @jit
    def marginals(moments):
        paths = zip(names, moments.paths, strict=True)
        return {name: mixed(path.marginal, moments.share) for name, path in paths if path is not None}

    with precision(posterior.config["precision"]):
        found = [(rows, marginals(moments)) for rows, _, _, moments in by_chunk(posterior, trials, causal=False)]
        shares = gathered([part for _, part in found], [rows for rows, _ in found])
    coords = {"trial": trials.table["id"], "time": trials.time_ms}
    variables = {name: (("trial", "time", f"{name}_regime"), share) for name, share in shares.items()}
    return xarray.Dataset(variables, coords)


def labeled(rates: np.ndarray, trials: "Trials") -> "xarray.DataArray":
    """Rates with named dimensions, trial and neuron ids and times in ms."""
    import xarray

    coords = {"trial": trials.table["id"], "time": trials.time_ms, "neuron": trials.neurons["id"]}
    attributes = {"units": "spikes/bin", "bin_ms": trials.bin_ms}
    return xarray.DataArray(rates, coords, ("trial", "time", "neuron"), "rates", attributes)
