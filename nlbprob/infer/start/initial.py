"""Where a fit starts: smoothed log counts, their principal components as latents, a regression for the dynamics."""

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Bool, Float, Int
from scipy.ndimage import gaussian_filter1d

from nlbprob.blocks.base import Context
from nlbprob.blocks.cosines import on_basis
from nlbprob.blocks.latent import InitialLatents, Latent
from nlbprob.blocks.learned_emission import LearnedEmission
from nlbprob.infer.start import sessions
from nlbprob.model import Model
from nlbprob.numerics.gaussian import Chain

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Standard deviation of the smoothing kernel in ms, and the least that it is in bins.
SMOOTHING_MS, SMOOTHING_BINS = 30.0, 0.5


def smoothed_log_counts(
    trials: "Trials",
) -> tuple[Float[np.ndarray, "trial time neuron"], Float[np.ndarray, " neuron"]]:
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


class InitialGuess(NamedTuple):
    """Rough values to start from: the latents of each block, and the loadings of all of them.

    trajectories: what each template adds to its latents, where there are templates; mean and variance: of every
    neuron's counts.
    """

    latents: list[InitialLatents]
    loadings: Float[np.ndarray, "neuron latent"]
    trajectories: Float[np.ndarray, "component time latent"] | None
    mean: Float[np.ndarray, " neuron"]
    variance: Float[np.ndarray, " neuron"]


def initial_guess(model: Model, trials: "Trials", seed: int = 0) -> InitialGuess:
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
    groups = np.zeros(trials.n_trials, int)
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
    start_chains(model, weighted, weight, inside, random, loadings, latents)
    if model.templates is not None and model.templates.on is not None:
        place = model.template_slice
        trajectories = group_means(latents[:, :, place], inside, groups, model.templates.n_components)
        latents[:, :, place] -= trajectories[groups]
    by_block = [initial_latents(latents[:, :, model.slices[block.name]], inside, random) for block in model.chains]
    counts = np.where(trials.seen, trials.counts, np.nan)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        variance = np.nan_to_num(np.nanvar(counts, axis=(0, 1)))
    return InitialGuess(by_block, loadings, trajectories, mean, variance)


def start_chains(
    model: Model,
    weighted: Float[np.ndarray, "trial time neuron"],
    weight: Float[np.ndarray, " neuron"],
    inside: Bool[np.ndarray, "trial time"],
    random: np.random.Generator,
    loadings: Float[np.ndarray, "neuron latent"],
    latents: Float[np.ndarray, "trial time latent"],
) -> None:
    """Fill in the latents and loadings of the chains, from what templates leave of the weighted log counts."""
    readers = {block.name: model.readout.readers(model.slices[block.name], len(weight)) for block in model.chains}

    def principal(block: Latent) -> tuple[Any, Float[np.ndarray, "neuron latent"]]:
        """Start a block alone from what is left in the neurons that read it: which these are, and their directions."""
        place, own = model.slices[block.name], readers[block.name]
        own = slice(None) if own.all() else own
        rows = weighted[..., own]
        directions, scale = components(rows[inside], block.n_latents, random)
        loadings[own, place] = directions * scale / weight[own, None]
        latents[:, :, place] = rows @ directions / scale
        return own, directions * scale

    leading = [block for block in model.chains if isinstance(block, LearnedEmission)]
    for block in leading:  # the others start from what these leave
        own, directions = principal(block)
        weighted = weighted.copy()
        weighted[..., own] -= low_rank(latents[:, :, model.slices[block.name]], block.n_states) @ directions.T
    others = [block for block in model.chains if block not in leading and readers[block.name].all()]
    restricted = [block for block in model.chains if block not in leading and block not in others]
    if others:
        columns = np.concatenate([np.arange(model.dim)[model.slices[block.name]] for block in others])
        directions, scale = components(weighted[inside], len(columns), random)
        if len(others) > 1:  # which block gets which direction is arbitrary: draw it
            order = random.permutation(len(columns))
            directions, scale = directions[:, order], scale[order]
        loadings[:, columns] = directions * scale / weight[:, None]
        latents[:, :, columns] = weighted @ directions / scale
        if restricted:  # what some neurons alone read starts from what these leave
            weighted = weighted - (latents[:, :, columns] * scale) @ directions.T
    for block in restricted:
        principal(block)


def components(
    rows: Float[np.ndarray, "point neuron"], dim: int, random: np.random.Generator
) -> tuple[Float[np.ndarray, "neuron latent"], Float[np.ndarray, " latent"]]:
    """Principal directions [neuron, dim] of rows [point, neuron], jittered, and the deviation of the rows there."""
    _, vectors = np.linalg.eigh(rows.T.astype(np.float64) @ rows)
    vectors = vectors[:, ::-1]
    # Signs and jitter that do not depend on the order of the neurons: permuting neurons permutes the whole fit.
    vectors = vectors * np.where((vectors**3).sum(0) < 0, -1.0, 1.0)
    jitter = 0.02 * random.standard_normal((len(vectors), dim)) / np.sqrt(len(vectors))
    turned, _ = np.linalg.qr(np.eye(len(vectors), dim) + jitter)
    directions = vectors @ turned
    return directions, np.maximum((rows @ directions).std(0), 1e-3)


def low_rank(latents: Float[np.ndarray, "trial time latent"], rank: int) -> Float[np.ndarray, "trial time latent"]:
    """Whole trajectories about their mean, as far as their first principal components make them up."""
    mean = latents.mean(0)
    left, sizes, right = np.linalg.svd((latents - mean).reshape(len(latents), -1), full_matrices=False)
    return mean + ((left[:, :rank] * sizes[:rank]) @ right[:rank]).reshape(latents.shape)


def template_groups(
    components: int,
    trials: "Trials",
    weighted: Float[np.ndarray, "trial time neuron"],
    inside: Bool[np.ndarray, "trial time"],
    random: np.random.Generator,
) -> Int[np.ndarray, " trial"]:
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


def group_means(
    values: Float[np.ndarray, "trial time channel"],
    inside: Bool[np.ndarray, "trial time"],
    groups: Int[np.ndarray, " trial"],
    count: int,
) -> Float[np.ndarray, "group time channel"]:
    """Mean trajectory of each group of trials [group, time, channel]; of all trials where a group has none."""
    weight = inside.astype(float)
    overall = (values * weight[..., None]).sum(0) / np.maximum(weight.sum(0), 1.0)[:, None]
    means = np.zeros((count, *values.shape[1:]))
    for group in range(count):
        weights = weight[groups == group]
        total = (values[groups == group] * weights[..., None]).sum(0) + overall
        means[group] = total / (weights.sum(0) + 1.0)[:, None]
    return means


def site_values(model: Model, context: Context, guess: InitialGuess) -> dict[str, jnp.ndarray]:
    """The values of all sites at the initial guess."""
    dtype = jnp.result_type(float)
    values: dict[str, Any] = {}
    bases: list[Any] = []
    latents = iter(guess.latents)
    for block in model.latents:
        basis = np.eye(block.n_latents)
        if isinstance(block, Latent):
            block_values, basis = block.start(next(latents), context)
            values |= block_values
        bases.append(np.asarray(basis, float))
    whole: Any = scipy.linalg.block_diag(*bases)
    if model.templates is not None:
        place = model.template_slice
        values |= model.templates.start(context, place.stop - place.start)
        if guess.trajectories is not None:
            trajectories = guess.trajectories
            if model.templates.on is not None:
                trajectories = trajectories @ np.linalg.inv(whole[place, place]).T
            values[model.templates.site("coefficients")] = on_basis(model.templates.basis(context), trajectories)
    for effect in model.effects:
        values |= effect.start(context)
    values |= model.readout.start(model.dim)
    mean = jnp.asarray(guess.mean, dtype)
    for name, value in model.observation.start(mean, jnp.asarray(guess.variance, dtype)).items():
        values[model.observation.site(name)] = value
    # The latents are found in log rates: d predictor / d log mean turns their loadings into those of the predictor.
    baseline, gain = jax.jvp(model.observation.predictor_of_mean, (mean,), (mean,))
    values |= model.start_readout(context, values, baseline, np.asarray(gain)[:, None] * guess.loadings @ whole)
    return {name: jnp.asarray(value, dtype) for name, value in values.items()}


def from_warm_start(
    model: Model,
    context: Context,
    trials: "Trials",
    values: dict[str, Any],
    latents: Float[np.ndarray, "trial time latent"],
    chains: dict[str, Chain],
    seed: int,
) -> dict[str, Array]:
    """Site values that continue the fit of a simpler model: its values, and the blocks that it replaced from its
    latents and its chain.

    Args:
        model: whose fit starts.
        context: of its training trials.
        trials: these.
        values: of the simpler model's sites.
        latents: its posterior means, templates left out.
        chains: of its blocks, by their names.
        seed: of the random numbers of blocks.
    """
    inside = np.arange(trials.n_bins) < trials.lengths[:, None]
    random = np.random.default_rng(seed)
    continued, bases = dict(values), []
    for block in model.latents:
        basis = np.eye(block.n_latents)
        if isinstance(block, Latent) and (simple := block.warm_start()) is not None:
            for name in [name for name in continued if name.startswith(f"{simple.name}.")]:
                del continued[name]
            own = latents[:, :, model.slices[block.name]]
            initial = InitialLatents(chains[simple.name], own, inside, random)
            block_values, basis = block.start(initial, context)
            continued |= block_values
        bases.append(np.asarray(basis, float))
    whole: Any = scipy.linalg.block_diag(*bases)
    loadings = np.asarray(model.readout.loadings(values), float) @ whole
    continued |= model.readout.values(values[model.readout.names[0]], loadings)
    if model.templates is not None and model.templates.on is not None:
        place, site = model.template_slice, model.templates.site("coefficients")
        continued[site] = np.asarray(values[site], float) @ np.linalg.inv(whole[place, place]).T
    return {name: jnp.asarray(value, jnp.result_type(float)) for name, value in continued.items()}


def initial_latents(
    latents: Float[np.ndarray, "trial time latent"], inside: Bool[np.ndarray, "trial time"], random: np.random.Generator
) -> InitialLatents:
    """Rough latents of a block, and a regression of each bin on the one before."""
    pairs = inside[:, 1:]
    return InitialLatents(regression(latents[:, :-1][pairs], latents[:, 1:][pairs]), latents, inside, random)


def regression(before: Float[np.ndarray, "pair latent"], after: Float[np.ndarray, "pair latent"]) -> Chain:
    """Dynamics from pairs of neighbouring latents [pair, latent]: ridge towards 0.98 I, noise from the residuals."""
    dim, ridge = before.shape[1], 100.0
    gram = before.T @ before + ridge * np.eye(dim)
    transition = np.linalg.solve(gram, before.T @ after + 0.98 * ridge * np.eye(dim)).T
    residual = after - before @ transition.T
    noise = residual.T @ residual / max(len(before), 1) + 0.02 * np.eye(dim)
    zero, identity = np.zeros(dim), np.eye(dim)
    return Chain(*(jnp.asarray(a, jnp.result_type(float)) for a in (zero, identity, transition, zero, noise)))
