"""Posterior predictions for any trials, from any subset of seen entries, in chunks that bound memory."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from nlbprob.arguments import flag, real_number
from nlbprob.errors import InputError
from nlbprob.infer.runtime.batch import Batch, chunks, prediction_chunk
from nlbprob.infer.runtime.execute import map_chunks
from nlbprob.infer.runtime.precision import precision
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories.filtering import filtered_marginals
from nlbprob.infer.trajectories.marginals import Marginals, expected_counts, mixed, smoothed_marginals
from nlbprob.infer.trajectories.problem import trial_problem
from nlbprob.model import Model, Parameters
from nlbprob.posterior.units import numbered, with_units
from nlbprob.scoring.rates import label_rates

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior


#: No forecast reaches further (ms): about a day.
LONGEST_MS = 1e8
#: Chunks that are computed together before their results are yielded.
AT_ONCE = 8


def extend(trials: "Trials", beyond_ms: float | int) -> "Trials":
    """The trials with unseen bins added after the last, `beyond_ms` in all."""
    beyond_ms = real_number(beyond_ms, "rates", "beyond_ms", below=LONGEST_MS)
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


def by_chunk(
    posterior: "Posterior", trials: "Trials", causal: bool, find_moments: Callable[..., Any] | None = None
) -> Iterator[tuple[slice, Any, Batch, Any]]:
    """Chunk by chunk: which trials, the parameters' centre, the data, and the moments of the latents, or others."""
    marginals = filtered_marginals if flag(causal, "Posterior", "causal") else find_moments or smoothed_marginals
    with precision(posterior.config["precision"]):
        theta, model = jax.tree.map(jnp.asarray, posterior.centre), posterior.model
    of_latents = theta._replace(count_readout=None)
    size = prediction_chunk(model, trials)

    def find(chunk):
        rows, batch = chunk
        return rows, theta, batch, marginals(model, of_latents, batch)

    width = posterior.config["precision"]
    waiting = chunks(model, posterior.context, trials, size)
    while True:
        with precision(width):  # closed before anything is yielded
            results = list(map_chunks(find, itertools.islice(waiting, AT_ONCE)))
        if not results:
            return
        yield from results


@program("model")
def expected_rates(model: Model, theta: Parameters, batch: Batch, marginals: Marginals):
    """Expected counts of each trial."""
    problem, _ = trial_problem(model, theta, batch)
    return expected_counts(model, problem, marginals)


@program()
def overall(marginals: Marginals):
    """Mean and covariance of each trial's latents over its components."""
    mean = mixed(marginals.mean, marginals.responsibility)
    if marginals.responsibility.shape[-1] == 1:
        return mean, marginals.covariance
    second = marginals.covariance + marginals.mean[..., :, None] * marginals.mean[..., None, :]
    return mean, mixed(second, marginals.responsibility) - mean[..., :, None] * mean[..., None, :]


@program("model")
def regime_marginals(model: Model, marginals: Marginals):
    """p(regime | what is seen) of each bin, over each trial's components, by block."""
    paths = zip(model.chains, marginals.auxiliary, strict=True)
    return {block.name: mixed(path.marginal, marginals.responsibility) for block, path in paths if block.n_regimes}


def gathered(parts: list, rows: list[slice]):
    """Trees of arrays [trial of the chunk, ...] as one tree of NumPy arrays [trial, ...], without the padding of
    chunks.
    """
    kept = [
        jax.tree.map(lambda a, n=r.stop - r.start: np.asarray(a)[:n], part) for part, r in zip(parts, rows, strict=True)
    ]
    return jax.tree.map(lambda *pieces: np.concatenate(pieces), *kept)


def rates(posterior: "Posterior", trials: "Trials", causal: bool, parts=None) -> np.ndarray:
    """Expected counts [trial, time, neuron] given what is seen.

    Args:
        posterior: of a fit.
        trials: to predict.
        causal: each bin given what is seen up to and including it, for online use; else given all that is seen.
        found: the result of `by_chunk`, if it was computed before.
    """
    with precision(posterior.config["precision"]):
        parts = by_chunk(posterior, trials, causal) if parts is None else parts
        parts = [(rows, expected_rates(posterior.model, *chunk)) for rows, *chunk in parts]
        return gathered([part for _, part in parts], [rows for rows, _ in parts])


def latents(posterior: "Posterior", trials: "Trials", causal: bool, parts=None):
    """Posterior moments of the latents in the canonical basis; over all components where there are templates.

    Args:
        posterior: of a fit.
        trials: whose latents are wanted.
        causal: as for `rates`.
        found: the result of `by_chunk`, if it was computed before.
    """
    import xarray

    rotation = posterior.rotation

    with precision(posterior.config["precision"]):
        parts = by_chunk(posterior, trials, causal) if parts is None else parts
        parts = [(rows, overall(moments)) for rows, _, _, moments in parts]
        mean, covariance = gathered([part for _, part in parts], [rows for rows, _ in parts])
    coords = {"trial": trials.table["id"], "time": trials.time_ms, "latent": posterior.model.latent_names}
    dims = ("trial", "time", "latent")
    dataset = xarray.Dataset(
        {"mean": (dims, mean @ rotation), "covariance": ((*dims, "latent_2"), rotation.T @ covariance @ rotation)},
        coords | {"latent_2": coords["latent"]},
    )
    return with_units(dataset)


def components(posterior: "Posterior", trials: "Trials"):
    """p(component | what is seen) of each trial, for a model with templates."""
    import xarray

    with precision(posterior.config["precision"]):
        parts = [(rows, moments.responsibility) for rows, _, _, moments in by_chunk(posterior, trials, causal=False)]
        responsibility = gathered([part for _, part in parts], [rows for rows, _ in parts])
    coords = {"trial": trials.table["id"], "component": numbered(responsibility.shape[1])}
    return xarray.DataArray(responsibility, coords, ("trial", "component"), "components")


def regimes(posterior: "Posterior", trials: "Trials"):
    """p(regime | what is seen) of each bin, by block, over all components where there are templates."""
    import xarray

    with precision(posterior.config["precision"]):
        parts = [
            (rows, regime_marginals(posterior.model, parts))
            for rows, _, _, parts in by_chunk(posterior, trials, causal=False)
        ]
        probabilities = gathered([part for _, part in parts], [rows for rows, _ in parts])
    coords = {"trial": trials.table["id"], "time": trials.time_ms}
    coords |= {f"{name}_regime": numbered(found.shape[2]) for name, found in probabilities.items()}
    variables = {
        name: (("trial", "time", f"{name}_regime"), probability) for name, probability in probabilities.items()
    }
    return with_units(xarray.Dataset(variables, coords))


def labeled(rates: np.ndarray, trials: "Trials") -> "xarray.DataArray":
    """`label_rates`, and of each trial what its rates were predicted from."""
    window = np.arange(trials.n_bins) < trials.window_bins
    return label_rates(rates, trials).assign_coords(
        saw_heldout=("trial", trials.seen[:, window][..., trials.heldout].any((1, 2))),
        saw_forward=("trial", trials.seen[:, ~window].any((1, 2))),
    )
