"""Principal angles between subspaces: of blocks, areas, sessions, conditions, or fits."""

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg

from nlbprob.arguments import checked_keywords, instance_of, seed_number, whole_number
from nlbprob.errors import InputError, suggestion
from nlbprob.posterior.embed import embedded, text
from nlbprob.posterior.fitted import FittedModel

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

#: Pairs of random subspaces that show what is expected by chance.
CHANCE_PAIRS = 200
#: Dimensions of subspaces of areas and conditions by default.
DIM = 2


class Subspace(NamedTuple):
    """A basis [ambient, direction] at the centre of the parameters, and of each draw [sample, ambient, direction]."""

    centre: Float[np.ndarray, "ambient direction"]
    draws: Float[np.ndarray, "sample ambient direction"]


@checked_keywords
def subspace_angles(
    posteriors: "Mapping[str, Posterior]", dim: int | None = None, draws: int = 100, seed: int = 0
) -> "xarray.Dataset":
    """Principal angles between the subspaces of several fits to the same neurons, such as to halves of the trials.

    The subspace of a fit is the span of its loadings' leading directions in the space of neurons. For subspaces within
    a fit see `Posterior.subspace_angles`.

    Args:
        posteriors: two fits or more, by name.
        dim: of each subspace; by default the smallest number of latents of any fit.
        draws: number of draws of the parameters for the intervals.
        seed: of the draws.

    Returns:
        "angle_deg" [subspace, subspace_2, angle], from the smallest angle to the largest, NaN where subspaces have
        fewer; the 5% and 95% quantiles of draws "low_deg" and "high_deg", in which noise of its own opens the angles;
        "chance_deg", the median of random subspaces of the same dimensions. Degrees.

    Raises:
        InputError: these are not fits to the same neurons, or `dim` is too large.
    """
    example = "fits by name, such as {'first half': one, 'second half': other}"
    instance_of(posteriors, Mapping, "subspace_angles", "posteriors", example)
    draws, seed = whole_number(draws, "subspace_angles", "draws", 1), seed_number(seed, "subspace_angles")
    for name, each in posteriors.items():
        instance_of(each, FittedModel, "subspace_angles", f"posteriors[{name!r}]", "a fit, what nlb.fit returned")
    fits = list(posteriors.values())
    if any(not np.array_equal(text(each.neuron_ids), text(fits[0].neuron_ids)) for each in fits[1:]):
        raise InputError(
            "subspace_angles: the fits are of different neurons, or of another order of them; fit the same."
        )
    size = checked_dim(dim, min((each.model.dim for each in fits), default=0), len(fits[0].neuron_ids) if fits else 0)
    drawn = {name: each.parameter_draws(draws, seed)["loadings"] for name, each in posteriors.items()}
    spaces = {
        str(name): spanned(np.asarray(each.parameter_mean["loadings"]), drawn[name], size)
        for name, each in posteriors.items()
    }
    return dataset(spaces, seed)


def of_posterior(
    posterior: "Posterior", trials: "Trials | None", between: str, dim: int | None, draws: int, seed: int
) -> "xarray.Dataset":
    """Principal angles within a fit, see `Posterior.subspace_angles`."""
    draws, seed = whole_number(draws, "subspace_angles", "draws", 1), seed_number(seed, "subspace_angles")
    instance_of(between, str, "subspace_angles", "between", "'block', 'condition' or the name of a neurons column")
    if between == "block":
        return dataset(of_blocks(posterior, dim, draws, seed), seed)
    if trials is None:
        raise InputError(f"subspace_angles(between={between!r}): it is read from the trials; give trials=... too.")
    trials = embedded(posterior, trials).trials
    latents = posterior.model.dim
    if between == "condition":
        return dataset(
            of_conditions(posterior, trials, checked_dim(dim, min(DIM, latents), latents), draws, seed), seed
        )
    if between not in trials.neurons:
        known = ["block", "condition", *(name for name in trials.neurons if name not in ("id", "heldout"))]
        raise InputError(f"subspace_angles(between={between!r}): no such neurons column. {suggestion(between, known)}")
    column = text(trials.neurons[between])
    groups = {name: np.flatnonzero(column == name) for name in dict.fromkeys(column.tolist()) if name}
    fewest = min(map(len, groups.values()), default=0)
    size = checked_dim(dim, min(DIM, latents), min(latents, fewest))
    mean, drawn = np.asarray(posterior.parameter_mean["loadings"]), posterior.parameter_draws(draws, seed)["loadings"]
    spaces = {name: spanned(mean[rows].T, np.swapaxes(drawn[:, rows], 1, 2), size) for name, rows in groups.items()}
    return dataset(spaces, seed)


def checked_dim(dim: Any, default: int, most: int) -> int:
    """The number of directions. Raises InputError where there are not so many."""
    return whole_number(default if dim is None else dim, "subspace_angles", "dim", 1, most)


def of_blocks(posterior: "Posterior", dim: int | None, draws: int, seed: int) -> dict[str, Subspace]:
    """The span of the loadings of each block in the space of neurons."""
    mean, drawn = np.asarray(posterior.parameter_mean["loadings"]), posterior.parameter_draws(draws, seed)["loadings"]
    slices = {name: place for name, place in posterior.model.slices.items() if place.stop > place.start}
    sizes = {
        name: checked_dim(dim, place.stop - place.start, place.stop - place.start) for name, place in slices.items()
    }
    return {name: spanned(mean[:, place], drawn[..., place], sizes[name]) for name, place in slices.items()}


def of_conditions(posterior: "Posterior", trials: "Trials", dim: int, draws: int, seed: int) -> dict[str, Subspace]:
    """The leading directions of the average latents of each condition about their mean over time."""
    inside = np.arange(trials.n_bins) < trials.lengths[:, None]
    drawn = np.asarray(posterior.sample_latents(trials, draws, seed), float)
    mean = posterior.latents(trials)["mean"].values.astype(float)
    index, spaces = trials.condition_index, {}
    for number, name in enumerate(trials.condition_labels):
        rows = index == number
        weight = inside[rows].astype(float)
        bins = np.flatnonzero(weight.any(0))

        def course(latents: Float[np.ndarray, "*sample trial time latent"], weight=weight, bins=bins, rows=rows) -> Any:
            average = np.einsum("...ktl,kt->...tl", latents[..., rows, :, :], weight)[..., bins, :]
            average = average / weight.sum(0)[bins, None]
            return np.swapaxes(average - average.mean(-2, keepdims=True), -1, -2)

        spaces[name] = spanned(course(mean), course(drawn), dim)
    return spaces


def spanned(
    mean: Float[np.ndarray, "ambient point"], draws: Float[np.ndarray, "sample ambient point"], dim: int
) -> Subspace:
    """The leading directions of points in a space."""

    def leading(points: np.ndarray) -> np.ndarray:
        return np.linalg.svd(points.astype(float), full_matrices=False)[0][..., :dim]

    return Subspace(leading(mean), leading(draws))


def dataset(spaces: dict[str, Subspace], seed: int) -> "xarray.Dataset":
    """The angles of every pair, see `subspace_angles`. Raises InputError where there are fewer than two subspaces."""
    import xarray

    if len(spaces) < 2:
        named = ", ".join(map(repr, spaces)) or "none"
        raise InputError(f"subspace_angles: it takes two subspaces or more, and there are {len(spaces)} ({named}).")
    names, widest = list(spaces), max(space.centre.shape[1] for space in spaces.values())
    random = np.random.default_rng(seed)
    table = np.full((4, len(names), len(names), widest), np.nan)
    for one, other in itertools.combinations(range(len(names)), 2):
        first, second = spaces[names[one]], spaces[names[other]]
        drawn = np.array([principal_angles(*pair) for pair in zip(first.draws, second.draws, strict=True)])
        low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
        found = np.stack([principal_angles(first.centre, second.centre), low, high, chance(first, second, random)])
        table[:, one, other, : found.shape[1]] = table[:, other, one, : found.shape[1]] = found
    for place, space in enumerate(spaces.values()):
        table[:, place, place, : space.centre.shape[1]] = 0.0
    dims = ("subspace", "subspace_2", "angle")
    keys = ("angle_deg", "low_deg", "high_deg", "chance_deg")
    variables = {key: (dims, values, {"units": "degrees"}) for key, values in zip(keys, table, strict=True)}
    coords = {"subspace": names, "subspace_2": names, "angle": np.arange(widest)}
    return xarray.Dataset(variables, coords)


def principal_angles(
    one: Float[np.ndarray, "ambient direction"], other: Float[np.ndarray, "ambient other"]
) -> Float[np.ndarray, " angle"]:
    """The principal angles between the spans of two matrices, in degrees, smallest first.

    There are as many as columns of the narrower one. Bjorck & Golub (1973), Math. Comput. 27, 579.
    """
    return np.degrees(linalg.subspace_angles(one, other))[::-1]


def chance(one: Subspace, other: Subspace, random: np.random.Generator) -> Float[np.ndarray, " angle"]:
    """The median angles of random subspaces of these dimensions."""
    draw: Callable[[np.ndarray], np.ndarray] = lambda basis: random.standard_normal(basis.shape)  # noqa: E731
    return np.median([principal_angles(draw(one.centre), draw(other.centre)) for _ in range(CHANCE_PAIRS)], axis=0)
