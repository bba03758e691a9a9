"""Where a fit starts: smoothed log counts, their principal components as latents, a regression for the dynamics."""

import warnings
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.ndimage import gaussian_filter1d

from nlbprob.blocks.base import Context
from nlbprob.model import Model
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Standard deviation of the smoothing kernel in ms, and the least that it is in bins.
SMOOTHING_MS, SMOOTHING_BINS = 30.0, 0.5


def smoothed_log_counts(trials: "Trials"):
    """Log of the smoothed counts relative to their mean [trial, time, neuron], and the mean count of each neuron.

    Where a neuron is not seen nearby, it stands at its mean. A quarter of the mean is added before the logarithm.
    """
    seen = trials.seen.astype(np.float32)
    counts = trials.counts * seen
    mean = counts.sum((0, 1), dtype=np.float64) / np.maximum(seen.sum((0, 1), dtype=np.float64), 1.0)
    mean = np.maximum(mean, 0.5 / max(1.0, float(seen[..., 0].size))).astype(np.float32)
    width = max(SMOOTHING_MS / trials.bin_ms, SMOOTHING_BINS)
    total = gaussian_filter1d(counts, width, axis=1, mode="constant")
    weight = gaussian_filter1d(seen, width, axis=1, mode="constant")
    rate = np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), mean)
    return np.log((rate + 0.25 * mean) / (1.25 * mean)), mean


class Start(NamedTuple):
    """A chain for each latent block, loadings [neuron, latent], and the mean and variance of each neuron's counts."""

    chains: list[Chain]
    loadings: Float[Array, "neuron latent"]
    mean: Float[Array, " neuron"]
    variance: Float[Array, " neuron"]


def start_from(model: Model, trials: "Trials", seed: int = 0) -> Start:
    """Where to start variational EM.

    Rate-weighted principal components of the smoothed log counts, scaled to unit second moment, are the latents; their
    dynamics are a ridge regression of each bin on the one before. `seed` jitters the components slightly, so that
    several starts differ.
    """
    logs, mean = smoothed_log_counts(trials)
    inside = np.arange(trials.n_bins) < trials.lengths[:, None]
    logs -= logs[inside].mean(0)
    weight = np.sqrt(mean)
    rows = logs[inside] * weight
    _, vectors = np.linalg.eigh(rows.T.astype(np.float64) @ rows)
    jitter = 0.02 * np.random.default_rng(seed).standard_normal((trials.n_neurons, model.dim))
    directions = np.linalg.qr(vectors[:, ::-1][:, : model.dim] + jitter / np.sqrt(trials.n_neurons))[0]
    latents = (logs * weight) @ directions
    scale = np.maximum(latents[inside].std(0), 1e-3)
    latents = latents / scale
    loadings = directions * scale / weight[:, None]

    pairs = inside[:, 1:]
    chains, start = [], 0
    for latent in model.latents:
        part = slice(start, start + latent.n_latents)
        chains.append(regression(latents[:, :-1, part][pairs], latents[:, 1:, part][pairs]))
        start += latent.n_latents
    counts = np.where(trials.seen, trials.counts, np.nan)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        spread = np.nan_to_num(np.nanvar(counts, axis=(0, 1)))
    return Start(chains, *(jnp.asarray(a, jnp.result_type(float)) for a in (loadings, mean, spread)))


def site_values(model: Model, context: Context, start: Start) -> dict[str, jnp.ndarray]:
    """The values of all sites at which the model is where the start says."""
    values, bases = {}, []
    for latent, chain in zip(model.latents, start.chains, strict=True):
        found, basis = latent.estimate(chain, context)
        values |= found
        bases.append(basis)
    values[model.readout.site("loadings")] = start.loadings @ matrices.diagonal_blocks(bases)
    values[model.readout.site("baseline")] = model.observation.predictor_of_mean(start.mean)
    for name, value in model.observation.start(start.mean, start.variance).items():
        values[model.observation.site(name)] = value
    return values


def regression(before: np.ndarray, after: np.ndarray) -> Chain:
    """Dynamics from pairs of neighbouring latents [pair, latent]: ridge towards 0.98 I, noise from the residuals."""
    dim, ridge = before.shape[1], 100.0
    gram = before.T @ before + ridge * np.eye(dim)
    transition = np.linalg.solve(gram, before.T @ after + 0.98 * ridge * np.eye(dim)).T
    residual = after - before @ transition.T
    noise = residual.T @ residual / max(len(before), 1) + 0.02 * np.eye(dim)
    dtype = jnp.result_type(float)
    identity = jnp.eye(dim, dtype=dtype)
    return Chain(
        jnp.zeros(dim, dtype),
        identity,
        jnp.asarray(transition, dtype),
        jnp.zeros(dim, dtype),
        jnp.asarray(noise, dtype),
    )
