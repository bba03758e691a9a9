"""The posterior as an `xarray.DataTree` with ArviZ's groups, every dimension named and labelled."""

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from nlbprob.errors import InputError, suggestion
from nlbprob.infer.parameters.sites import parameter_sites
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories.problem import Problem
from nlbprob.model import Model

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

LOG_LIKELIHOODS = ("neuron", "trial", "full")
#: Largest tree that is made without asking, in bytes.
LIMIT_BYTES = 1_000_000_000
#: Dimensions of what is derived of parameters, by the last part of its name.
DERIVED = {
    "loadings": ("neuron", "latent"),
    "baseline": ("neuron",),
    "transition_matrix": ("latent", "latent_2"),
    "noise_covariance": ("latent", "latent_2"),
    "initial_mean": ("latent",),
    "initial_covariance": ("latent", "latent_2"),
    "templates": ("component", "time", "latent"),
}


def to_arviz(
    posterior: "Posterior", trials: "Trials", draws: int = 200, log_likelihood: str = "neuron", seed: int = 0
) -> "xarray.DataTree":
    """Joint draws of parameters and trajectories given what is seen in the trials, in ArviZ's layout.

    Groups, all draws with the dimensions (chain, draw, ...), one chain:
    posterior: parameters in the canonical basis, the blocks' sites, "latents" [trial, time, latent], the template of
    each trial and the regime of each bin where there are some; posterior_predictive: "spikes" [trial, time, neuron],
    drawn from the rates; log_likelihood: "spikes", log p(y | x, theta) summed over the seen entries of each (trial,
    neuron), of each trial ("trial"), or not summed ("full", NaN where unseen); observed_data: "spikes"; constant_data:
    "seen", "bin_ms", "heldout", conditions, behavior; sample_stats: "lp" (log p(y | x, theta) of all that is seen,
    nats) and the ELBO trace of the fit.
    Coordinates: trial and neuron ids, times in ms.

    Raises InputError where the tree would exceed 1 GB, with the option that shrinks it.
    """
    if log_likelihood not in LOG_LIKELIHOODS:
        raise InputError(f"log_likelihood={log_likelihood!r}. {suggestion(log_likelihood, LOG_LIKELIHOODS)}")
    check_size(posterior, trials, draws, log_likelihood)
    drawn = draw_trials(posterior, trials, draws, log_likelihood, seed)
    likelihood = drawn.pop("log_likelihood")
    observed = ("trial", "time", "neuron")
    shapes = {"neuron": ("trial", "neuron"), "trial": ("trial",), "full": observed}
    local: dict[str, tuple] = {"latents": (("trial", "time", "latent"), drawn["latents"])}
    for name in drawn.keys() - {"latents", "spikes", "lp"}:
        local[name] = (observed[: drawn[name].ndim - 1], drawn[name])
    groups = {
        "posterior": parameter_variables(posterior, draws, seed) | local,
        "posterior_predictive": {"spikes": (observed, drawn["spikes"])},
        "log_likelihood": {"spikes": (shapes[log_likelihood], likelihood)},
        "sample_stats": {"lp": ((), drawn["lp"])},
    }
    return assemble(posterior, trials, groups)


def check_size(posterior: "Posterior", trials: "Trials", draws: int, log_likelihood: str) -> None:
    """Raise InputError where the arrays together would be larger than `LIMIT_BYTES`."""
    entries, bins = trials.counts.size, trials.n_trials * trials.n_bins
    widths = {"neuron": 4 * trials.n_trials * trials.n_neurons, "trial": 4 * trials.n_trials, "full": 4 * entries}
    size = draws * (entries * trials.counts.itemsize + 4 * bins * posterior.model.dim + widths[log_likelihood])
    if size > LIMIT_BYTES:
        fewer = max(1, int(draws * LIMIT_BYTES / size))
        other = "log_likelihood='neuron', " if log_likelihood == "full" else ""
        raise InputError(
            f"to_arviz: {draws} draws of {trials.n_trials} trials would take {size / 1e9:.1f} GB, more than "
            f"{LIMIT_BYTES / 1e9:g} GB. Ask for {other}draws={fewer} or fewer, "
            "or select fewer trials, trials.split('val')."
        )


def draw_trials(posterior: "Posterior", trials: "Trials", draws: int, log_likelihood: str, seed: int):
    """Draws of everything that has one value a trial, stacked [draw, trial, ...]; "lp" is summed over trials."""
    observation = posterior.model.observation
    kind = np.dtype(trials.counts.dtype)
    random = np.random.default_rng(seed)
    on_host = observation.draw(random, np.zeros(1)) is not None
    turn = posterior.rotation.astype(np.float32)
    states: dict[str, list[Any]] = {}  # the template of each trial, the regime of each bin
    kept: dict[str, list[Any]] = {"latents": [], "spikes": [], "log_likelihood": [], "lp": []}
    for one in posterior.draw_trials(trials, draws, seed, describe, (log_likelihood, on_host)):
        kept["latents"].append((one["latents"] @ turn).astype(np.float32))
        spikes: Any = observation.draw(random, one["spikes"]) if on_host else one["spikes"]
        whole = np.issubdtype(kind, np.integer) and not np.issubdtype(spikes.dtype, np.floating)
        kept["spikes"].append(
            np.minimum(spikes, np.iinfo(kind).max).astype(kind) if whole else spikes.astype(np.float32)
        )
        kept["log_likelihood"].append(one["log_likelihood"].astype(np.float32))
        kept["lp"].append(one["lp"].sum(dtype=np.float64))
        for name in one.keys() - {"latents", "spikes", "log_likelihood", "lp"}:
            states.setdefault(name, []).append(one[name].astype(np.int16))
    return {name: np.stack(values) for name, values in (kept | states).items()}


def describe(model: Model, options: tuple[str, bool], key, given: Problem, batch: Batch, x) -> dict[str, Any]:
    """Counts drawn at a draw of everything else, and the log likelihood of those that were recorded.

    options: over what the log likelihood is summed, and whether counts are drawn on the host, from their means.
    """
    (log_likelihood, on_host), observation = options, model.observation
    predictor = x @ given.loadings.T + given.offset
    likelihood = observation.distribution(predictor, given.observation)
    spikes = likelihood.mean if on_host else likelihood.sample(key)
    known = jnp.zeros_like(predictor)
    pointwise = observation.expected_log_prob(predictor, known, batch.counts, given.observation)[0]
    total = jnp.where(batch.seen, pointwise, 0.0).sum((1, 2))
    pointwise = jnp.where(batch.seen, pointwise, jnp.nan if log_likelihood == "full" else 0.0)
    if log_likelihood != "full":
        pointwise = pointwise.sum({"neuron": 1, "trial": (1, 2)}[log_likelihood])
    return {"latents": x, "spikes": spikes, "log_likelihood": pointwise, "lp": total}


def parameter_variables(posterior: "Posterior", draws: int, seed: int) -> dict[str, tuple]:
    """Draws of all parameters with their dimensions: those that the model's sites name.

    An axis over the latents (or the regimes) of one block among several is named after the block.
    """
    model, found = posterior.model, {}
    sites = parameter_sites(model, posterior.context)
    for name, value in posterior.parameters(draws, seed).items():
        block, _, own = name.rpartition(".")
        dims = DERIVED.get(own or name) or (sites[name].dims if name in sites else ())
        axes = value.shape[1:]
        if len(dims) == len(axes) - 1:  # one for each regime
            dims = ("regime", *dims)
        if len(dims) != len(axes):
            dims = tuple(f"{name}_dim_{axis}" for axis in range(len(axes)))
        whole = {"latent": model.dim, "latent_2": model.dim, "time": posterior.context.n_bins}
        whole |= {"neuron": posterior.context.n_neurons}
        dims = (f"{block or 'own'}_{d}" if whole.get(d, n) != n else d for d, n in zip(dims, axes, strict=True))
        found[name] = (tuple(dims), value)
    return found


def assemble(posterior: "Posterior", trials: "Trials", groups: dict[str, dict[str, tuple]]) -> "xarray.DataTree":
    """Label the groups of draws, add the data, the trace of the fit and the settings."""
    import xarray

    latent = posterior.model.latent_names
    coords = {
        "trial": trials.table["id"],
        "time": ("time", trials.time_ms, {"units": "ms"}),
        "neuron": trials.neurons["id"],
        "latent": latent,
        "latent_2": latent,
    }

    def dataset(variables, sample_dims=()):
        dims = {dim for names, _ in variables.values() for dim in names}
        data = {
            name: ((*sample_dims, *names), value[None] if sample_dims else value)
            for name, (names, value) in variables.items()
        }
        labels = {name: value for name, value in coords.items() if name in dims}
        if sample_dims:
            draws = next(iter(data.values()))[1].shape[1]
            labels |= {"chain": [0], "draw": np.arange(draws)}
        return xarray.Dataset(data, labels)

    tree = {name: dataset(variables, ("chain", "draw")) for name, variables in groups.items()}
    trace = (("iteration",), posterior.elbo)
    tree["sample_stats"] = (
        tree["sample_stats"].assign(elbo=trace).assign_coords(iteration=np.arange(1, len(posterior.elbo) + 1))
    )
    tree["observed_data"] = dataset({"spikes": (("trial", "time", "neuron"), trials.counts)})
    constant = {"seen": (("trial", "time", "neuron"), trials.seen), "heldout": (("neuron",), trials.heldout)}
    constant |= {
        "split": (("trial",), trials.table["split"].astype(str)),
        "bin_ms": ((), np.asarray(float(trials.bin_ms))),
    }
    constant |= {name: (("trial",), trials.table[name]) for name in trials.condition}
    if trials.behavior is not None:
        constant["behavior"] = (("trial", "time", "channel"), trials.behavior)
        coords["channel"] = np.asarray(trials.behavior_channels)
    tree["constant_data"] = dataset(constant)
    settings = {
        "posterior": posterior.config["posterior"],
        "seed": posterior.config["seed"],
        "inference_library": "nlbprob",
    }
    return xarray.DataTree.from_dict({f"/{name}": group.assign_attrs(settings) for name, group in tree.items()})
