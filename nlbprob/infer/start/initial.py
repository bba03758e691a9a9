"""Where a fit starts: smoothed log counts, their principal components as latents, a regression for the dynamics."""

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from nlbprob.blocks.base import Context
from nlbprob.blocks.latent import InitialLatents, Latent
from nlbprob.infer.start import sessions
from nlbprob.model import Model
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
    """Where the parameters begin: for each latent block its latents, and what the readout makes of all of them.

    trajectories: what each template adds to its latents, where there are templates; mean and variance: of every
    neuron's counts.
    """

    begins: list[InitialLatents]
    loadings: Float[np.ndarray, "neuron latent"]
    trajectories: Float[np.ndarray, "component time latent"] | None
    mean: Float[np.ndarray, " neuron"]
    variance: Float[np.ndarray, " neuron"]


def start_from(model: Model, trials: "Trials", seed: int = 0) -> Start:
    """Where to start variational EM.

    Rate-weighted principal components of the smoothed log counts, scaled to unit second moment, are the latents; their
    dynamics are a ridge regression of each bin on the one before. Templates start as the mean trajectories of the
    conditions where their number fits, else of clusters of trials; the other latents then describe what is left.
    `seed` jitters the components slightly, and deals them out where there are several blocks, so that several starts
    differ. Of stitched sessions the neurons that a trial does not see are filled in first; see
    `nlbprob.infer.start.sessions`.
    """
    logs, mean = smoothed_log_counts(trials)
    inside = np.arange(trials.n_bins) < trials.lengths[:, None]
    logs -= logs[inside].mean(0)
    weight = np.sqrt(mean)
    random = np.random.default_rng(seed)
    weighted = logs * weight
    if "sessions" in trials.source:
        weighted = sessions.filled(weighted, trials, inside, model.dim, random)
    groups = None
    if model.templates is not None:
        groups = template_groups(model.templates.n_components, trials, weighted, inside, random)
    loadings = np.zeros((trials.n_neurons, model.dim))
    latents = np.zeros((*logs.shape[:2], model.dim))
    trajectories = None
    if model.templates is not None and model.templates.on is None:
        place = model.template_slice
        average = group_means(weighted, inside, groups, model.templates.n_components)
        directions, scale = components(average.reshape(-1, average.shape[2]), place.stop - place.start, random)
        loadings[:, place] = directions * scale / weight[:, None]
        trajectories = average @ directions / scale
        weighted = weighted - (trajectories[groups] * scale) @ directions.T
    rest = np.concatenate([np.arange(model.dim)[model.slices[block.name]] for block in model.chains])
    directions, scale = components(weighted[inside], len(rest), random)
    if len(model.chains) > 1:  # which block begins with which direction is anybody's guess
        order = random.permutation(len(rest))
        directions, scale = directions[:, order], scale[order]
    loadings[:, rest] = directions * scale / weight[:, None]
    latents[:, :, rest] = weighted @ directions / scale
    if model.templates is not None and model.templates.on is not None:
        place = model.template_slice
        trajectories = group_means(latents[:, :, place], inside, groups, model.templates.n_components)
        latents[:, :, place] -= trajectories[groups]
    begins = [begin(latents[:, :, model.slices[block.name]], inside, random) for block in model.chains]
    counts = np.where(trials.seen, trials.counts, np.nan)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        spread = np.nan_to_num(np.nanvar(counts, axis=(0, 1)))
    return Start(begins, loadings, trajectories, mean, spread)


def components(rows: np.ndarray, dim: int, random: np.random.Generator):
    """Principal directions [neuron, dim] of rows [point, neuron], jittered, and the deviation of the rows there."""
    _, vectors = np.linalg.eigh(rows.T.astype(np.float64) @ rows)
    vectors = vectors[:, ::-1]
    # Signs and jitter that do not depend on the order of the neurons: permuting neurons permutes the whole fit.
    vectors = vectors * np.where((vectors**3).sum(0) < 0, -1.0, 1.0)
    jitter = 0.02 * random.standard_normal((len(vectors), dim)) / np.sqrt(len(vectors))
    turned, _ = np.linalg.qr(np.eye(len(vectors), dim) + jitter)
    directions = vectors @ turned
    return directions, np.maximum((rows @ directions).std(0), 1e-3)


def template_groups(components: int, trials: "Trials", weighted, inside, random) -> np.ndarray:
    """Which template each trial starts with: its condition, or a cluster of trials where these do not match."""
    index = trials.condition_index if trials.condition else np.full(trials.n_trials, -1)
    if trials.condition and len(trials.condition_labels) == components:
        return np.where(index >= 0, index, random.integers(components, size=trials.n_trials))
    from scipy.cluster.vq import kmeans2

    rows = np.where(inside[..., None], weighted, 0.0).reshape(trials.n_trials, -1)
    left, scale, _ = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    most = min(2 * components, left.shape[1])
    features = left[:, :most] * scale[:most]
    # One clustering a seed: several seeds are to begin from different ones.
    with warnings.catch_warnings(action="ignore"):
        return kmeans2(features, components, minit="++", rng=random)[1]


def group_means(values, inside, groups, count: int) -> np.ndarray:
    """Mean trajectory of each group of trials [group, time, channel]; of all trials where a group has none."""
    weight = inside.astype(float)
    overall = (values * weight[..., None]).sum(0) / np.maximum(weight.sum(0), 1.0)[:, None]
    found = np.zeros((count, *values.shape[1:]))
    for group in range(count):
        own = weight[groups == group]
        total = (values[groups == group] * own[..., None]).sum(0) + overall
        found[group] = total / (own.sum(0) + 1.0)[:, None]
    return found


def site_values(model: Model, context: Context, start: Start) -> dict[str, jnp.ndarray]:
    """The values of all sites at which the model is where the start says."""
    dtype = jnp.result_type(float)
    values: dict[str, Any] = {}
    bases: list[Any] = []
    begins = iter(start.begins)
    for block in model.latents:
        basis = np.eye(block.n_latents)
        if isinstance(block, Latent):
            found, basis = block.start(next(begins), context)
            values |= found
        bases.append(np.asarray(basis, float))
    whole: Any = scipy.linalg.block_diag(*bases)
    if model.templates is not None:
        place = model.template_slice
        values |= model.templates.start(context, place.stop - place.start)
        if start.trajectories is not None:
            trajectories = start.trajectories
            if model.templates.on is not None:
                trajectories = trajectories @ np.linalg.inv(whole[place, place]).T
            values[model.templates.site("coefficients")] = on_basis(model.templates.basis(context), trajectories)
    for effect in model.effects:
        values |= effect.start(context)
    values |= model.readout.start(model.dim)
    mean = jnp.asarray(start.mean, dtype)
    for name, value in model.observation.start(mean, jnp.asarray(start.variance, dtype)).items():
        values[model.observation.site(name)] = value
    # The latents are found in log rates: d predictor / d log mean turns their loadings into those of the predictor.
    baseline, gain = jax.jvp(model.observation.predictor_of_mean, (mean,), (mean,))
    values |= model.start_readout(context, values, baseline, np.asarray(gain)[:, None] * start.loadings @ whole)
    return {name: jnp.asarray(value, dtype) for name, value in values.items()}


def on_basis(basis: np.ndarray, trajectories: np.ndarray) -> np.ndarray:
    """Coefficients [component, basis, latent] of trajectories, by ridge regression on a basis [time, basis]."""
    gram = basis.T @ basis + 0.1 * np.eye(basis.shape[1])
    return np.einsum("ij,tj,ktl->kil", np.linalg.inv(gram), basis, trajectories)


def from_pilot(model: Model, context: Context, trials: "Trials", values: dict[str, Any], latents, seed: int):
    """Site values where a fit goes on that a simpler model began: its values, and its latents for the other blocks.

    latents [trial, time, latent]: the pilot's posterior means, templates left out.
    """
    inside = np.arange(trials.n_bins) < trials.lengths[:, None]
    random = np.random.default_rng(seed)
    found, bases = dict(values), []
    for block in model.latents:
        basis = np.eye(block.n_latents)
        if isinstance(block, Latent) and (simple := block.warm_start()) is not None:
            for name in [name for name in found if name.startswith(f"{simple.name}.")]:
                del found[name]
            own, basis = block.start(begin(latents[:, :, model.slices[block.name]], inside, random), context)
            found |= own
        bases.append(np.asarray(basis, float))
    whole: Any = scipy.linalg.block_diag(*bases)
    loadings = np.asarray(model.readout.loadings(values), float) @ whole
    found |= model.readout.values(values[model.readout.names[0]], loadings)
    if model.templates is not None and model.templates.on is not None:
        place, site = model.template_slice, model.templates.site("coefficients")
        found[site] = np.asarray(values[site], float) @ np.linalg.inv(whole[place, place]).T
    return {name: jnp.asarray(value, jnp.result_type(float)) for name, value in found.items()}


def begin(latents: np.ndarray, inside: np.ndarray, random: np.random.Generator) -> InitialLatents:
    """What a block begins with: its latents [trial, time, latent], and a regression of each bin on the one before."""
    pairs = inside[:, 1:]
    return InitialLatents(regression(latents[:, :-1][pairs], latents[:, 1:][pairs]), latents, inside, random)


def regression(before: np.ndarray, after: np.ndarray) -> Chain:
    """Dynamics from pairs of neighbouring latents [pair, latent]: ridge towards 0.98 I, noise from the residuals."""
    dim, ridge = before.shape[1], 100.0
    gram = before.T @ before + ridge * np.eye(dim)
    transition = np.linalg.solve(gram, before.T @ after + 0.98 * ridge * np.eye(dim)).T
    residual = after - before @ transition.T
    noise = residual.T @ residual / max(len(before), 1) + 0.02 * np.eye(dim)
    zero, identity = np.zeros(dim), np.eye(dim)
    return Chain(*(jnp.asarray(a, jnp.result_type(float)) for a in (zero, identity, transition, zero, noise)))
