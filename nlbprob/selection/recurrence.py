"""Which modes and timescales of a fit are found again by other fits, and how far their subspaces lie apart."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from nlbprob.posterior.angles import principal_angles
from nlbprob.posterior.mode_draws import chains_with_modes, mode_planes
from nlbprob.posterior.posterior import Posterior
from nlbprob.posterior.timescales import site_draws

if TYPE_CHECKING:
    import xarray

#: Quantities of a mode.
QUANTITIES = ("frequency_hz", "decay_ms")
#: Bounds of the intervals that have to overlap.
INTERVAL = (0.05, 0.95)
#: The least overlap of what two modes move: the mean squared cosine between their planes.
LEAST_OVERLAP = 0.5


def subspace_angles(reference: Posterior, other: Posterior) -> Float[np.ndarray, " latent"]:
    """The principal angles between the spans of the loadings of two fits, in degrees, smallest first."""
    mine, theirs = (posterior.parameter_mean["loadings"] for posterior in (reference, other))
    return principal_angles(mine, theirs)


def overlaps(
    mine: Sequence[Float[np.ndarray, "neuron _"]], theirs: Sequence[Float[np.ndarray, "neuron _"]]
) -> Float[np.ndarray, "mine theirs"]:
    """How far modes move the same: sum of squared cosines of the angles between planes, over the larger dimension."""
    return np.array([[((a.T @ b) ** 2).sum() / max(a.shape[1], b.shape[1]) for b in theirs] for a in mine])


def intervals(modes: "xarray.Dataset", longest_ms: float) -> dict[str, Float[np.ndarray, "end mode"]]:
    """The 90% interval of each mode's frequency and decay; trials do not show how far a decay outlasts the longest."""
    bounds = {name: np.quantile(modes[name].values, INTERVAL, axis=0) for name in QUANTITIES}
    return bounds | {"decay_ms": np.minimum(bounds["decay_ms"], longest_ms)}


def overlap(mine: Float[np.ndarray, "end row"], theirs: Float[np.ndarray, "end row"]) -> Bool[np.ndarray, " row"]:
    """Whether intervals have a value in common."""
    return np.maximum(mine[0], theirs[0]) <= np.minimum(mine[1], theirs[1])


def recurrence(reference: Posterior, others: Mapping[str, Posterior], draws: int, seed: int) -> "xarray.Dataset | None":
    """How each mode of a fit comes again in others; None where the model has no modes.

    Modes are assigned by what they move: so that the overlaps of their planes in the space of the predictors have the
    largest sum. A mode recurs where that overlap is at least a half, and the 90% intervals of its frequency and of its
    decay time, up to the length of the longest trial, have a value in common.

    Args:
        reference: the fit whose modes are looked for.
        others: fits by name, of the same neurons, whose blocks have the same names.
        draws: of the parameters of each fit.
        seed: of the draws.

    Returns:
        "frequency_hz" and "decay_ms" [mode], their "..._within_sd" (of the posterior) and "..._between_sd" (of the
        centres of all fits in which the mode moves the same), those of each fit, "fit_..." [fit, mode], "overlap" and
        "recurs" [fit, mode], "recurs_in" [mode], in how many of the fits, and "replicated" [mode]: whether in all.
    """
    import xarray

    if not chains_with_modes(reference):
        return None
    own = reference.dynamics(draws, seed)
    shape = (len(others), own.sizes["mode"])
    centres = {name: np.full(shape, np.nan) for name in QUANTITIES}
    shared, recurs = np.zeros(shape), np.zeros(shape, bool)
    longest = reference.context.n_bins * reference.context.bin_ms
    planes, bounds = mode_planes(reference), intervals(own, longest)
    for row, other in enumerate(others.values()):
        found, common = other.dynamics(draws, seed), overlaps(planes, mode_planes(other))
        if "block" in own:
            common *= own["block"].values[:, None] == found["block"].values
        mine, theirs = linear_sum_assignment(common, maximize=True)
        shared[row, mine] = common[mine, theirs]
        recurs[row, mine] = shared[row, mine] >= LEAST_OVERLAP
        found_bounds = intervals(found, longest)
        for name in QUANTITIES:
            centres[name][row, mine] = found[f"mean_{name}"].values[theirs]
            recurs[row, mine] &= overlap(bounds[name][:, mine], found_bounds[name][:, theirs])
    table = {"overlap": (("fit", "mode"), shared), "recurs": (("fit", "mode"), recurs)}
    table |= {"recurs_in": ("mode", recurs.sum(0)), "replicated": ("mode", recurs.all(0))}
    for name in QUANTITIES:
        mean = own[f"mean_{name}"].values
        alike = np.where(shared >= LEAST_OVERLAP, centres[name], np.nan)
        table[name], table[f"fit_{name}"] = ("mode", mean), (("fit", "mode"), centres[name])
        table[f"{name}_within_sd"] = ("mode", own[name].values.std(0))
        table[f"{name}_between_sd"] = ("mode", np.nanstd(np.concatenate([mean[None], alike]), 0))
    coords = {"mode": own["mode"].values, "fit": list(others)}
    coords |= {"block": ("mode", own["block"].values)} if "block" in own else {}
    return xarray.Dataset(table, coords)


def timescales(reference: Posterior, others: Mapping[str, Posterior], draws: int, seed: int) -> "xarray.Dataset":
    """The same of the timescales of blocks without modes, such as a GP's lengthscales, of fits that are aligned.

    Args:
        reference: the fit whose timescales are looked for.
        others: fits by name, in the labels of the reference; see `nlbprob.align`.
        draws: of the parameters of each fit.
        seed: of the draws.

    Returns:
        "value", "within_sd", "between_sd", "recurs_in", "replicated" [timescale] and "fit_value", "recurs" [fit,
        timescale]; a timescale is called by its site and its latent, "gp.lengthscale_ms[gp 1]".
    """
    import xarray

    labels, own = site_draws(reference, draws, seed)
    bounds = np.quantile(own, INTERVAL, axis=0)
    values, recurs = [own.mean(0)], np.zeros((len(others), len(labels)), bool)
    for row, other in enumerate(others.values()):
        _, found = site_draws(other, draws, seed)
        values.append(found.mean(0))
        recurs[row] = overlap(bounds, np.quantile(found, INTERVAL, axis=0))
    table = {
        "value": ("timescale", values[0]),
        "within_sd": ("timescale", own.std(0)),
        "between_sd": ("timescale", np.std(values, 0)),
        "recurs_in": ("timescale", recurs.sum(0)),
        "replicated": ("timescale", recurs.all(0)),
        "fit_value": (("fit", "timescale"), np.array(values[1:]).reshape(recurs.shape)),
        "recurs": (("fit", "timescale"), recurs),
    }
    return xarray.Dataset(table, {"timescale": labels, "fit": list(others)})
