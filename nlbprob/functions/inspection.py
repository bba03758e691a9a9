"""The parts of a NumPyro function, found by running it: blocks, observation, sites, and how eta depends on x."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.handlers
from numpyro.distributions import constraints

from nlbprob.blocks import readers
from nlbprob.blocks.base import Context
from nlbprob.blocks.calls import HANDLERS
from nlbprob.blocks.latent import Latent
from nlbprob.blocks.observation_base import Observation
from nlbprob.blocks.templates import Templates
from nlbprob.errors import InputError
from nlbprob.functions.program import Answer, function_sites, linear, predictor, zero_latents
from nlbprob.functions.view import View, blank, random_view

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Bins of the small views that a function is run on, and its trials.
BINS, TRIALS = 4, 3
#: Largest difference of a predictor from the affine one, as a fraction of its size.
TOLERANCE = 1e-3


class Parts(NamedTuple):
    """The parts of a function.

    Attributes:
        blocks: in the order of their calls.
        observation: of `nlb.observe`, or the function that it was given.
        sites: shape and support of the sample sites that are not blocks'.
    """

    blocks: tuple[Latent | Templates, ...]
    observation: Observation | Callable
    sites: dict[str, tuple[tuple[int, ...], Any]]


class Form(NamedTuple):
    """How the predictor depends on its parameters.

    Attributes:
        readout: the sites of the baselines and of the loadings; empty where these are no sites.
        varies: whether the offset differs between trials or bins.
    """

    readout: tuple[str, ...]
    varies: bool


def parts(function: Callable, seen: View, trials: "Trials | View") -> Parts:
    """The parts of a function, its blocks resolved for `trials`. Raises InputError where it cannot be fitted."""
    blocks: list[Latent | Templates] = []
    observations: list[Observation | Callable] = []

    def latent(block: Latent | Templates, _):
        if block.name in [other.name for other in blocks]:
            raise InputError(
                f"fit: the function calls two blocks named {block.name!r}; give each its own name, LDS(8, name='slow')."
            )
        readers.refuse(block)
        unresolved: Any = block
        blocks.append(unresolved.resolve(trials))
        return jnp.zeros((seen.n_trials, seen.n_bins, blocks[-1].n_latents))

    def observe(observation: Observation | Callable, predictor, _):
        observations.append(observation)
        return predictor

    def shapes(key):
        with HANDLERS, numpyro.handlers.block(), Answer(latent, observe), numpyro.handlers.trace() as sites:
            numpyro.handlers.seed(function, key)(seen)
        for site in sites.values():
            check_site(site)
        kept.update({name: site for name, site in sites.items() if site["type"] == "sample"})
        return {name: site["value"] for name, site in kept.items()}

    kept: dict[str, Any] = {}
    values = jax.eval_shape(shapes, jax.random.key(0))
    if not blocks:
        raise InputError("fit: the function calls no block. Give it latents, such as x = nlb.LDS(8)(trials).")
    if len(observations) != 1:
        kind = "observes no counts" if not observations else "calls nlb.observe more than once"
        raise InputError(
            f"fit: the function {kind}. End it with one nlb.observe(nlb.Poisson(), x @ loadings.T + baseline, trials)."
        )
    sites = {name: (tuple(values[name].shape), site["fn"].support) for name, site in kept.items()}
    return Parts(tuple(blocks), observations[0], sites)


def check_site(site: dict[str, Any]) -> None:
    """Raise InputError where a site is of a kind that a fit cannot handle."""
    if site["type"] == "param":
        raise InputError(f"fit: {site['name']!r} is a numpyro.param. Give it a prior: numpyro.sample.")
    if site["type"] != "sample":
        return
    if site["is_observed"]:
        raise InputError(
            f"fit: the function observes {site['name']!r} by numpyro.sample or numpyro.factor. Use nlb.observe with an "
            "observation, nlb.Poisson(), or with a likelihood of your own that factors over bins, "
            "nlb.observe(lambda eta: dist.Poisson(jnp.exp(eta)), eta, trials): the trajectories' posterior needs it."
        )
    if site["fn"].support.is_discrete:
        raise InputError(
            f"fit: the site {site['name']!r} is discrete, {type(site['fn']).__name__}, and no part of a block. Sum it "
            "out, or use a block with discrete states, such as nlb.SwitchingLDS."
        )


def smallest_bins(function: Callable, context: Context, trials: "Trials | View") -> int:
    """How many bins a view needs: few, or all where the function has a site with one value for each bin.

    Raises:
        InputError: a site's shape depends on the number of trials.
    """
    few = min(BINS, context.n_bins)
    shape, more, fewer = (
        {name: shape for name, (shape, _) in parts(function, blank(context, *size), trials).sites.items()}
        for size in ((TRIALS, context.n_bins), (TRIALS + 1, context.n_bins), (TRIALS, few))
    )
    for name in shape:
        if shape[name] != more.get(name):
            raise InputError(
                f"fit: the site {name!r} has one value for each trial. The parameters of a fit belong to all trials; "
                "what differs between trials is for latents, such as a block of slow decay."
            )
    return few if shape == fewer else context.n_bins


def form(function: Callable, parts_of_function: Parts, context: Context, bins: int) -> Form:
    """How the function's predictor depends on latents and sites, from two draws from its priors.

    Raises:
        InputError: it is not eta[trial, time] = C x[trial, time] + offset.
    """
    dims = {block.name: block.n_latents for block in parts_of_function.blocks}
    seen = random_view(context, TRIALS, bins)
    vectors = [
        n
        for n, (shape, support) in parts_of_function.sites.items()
        if shape == (context.n_neurons,) and unbounded(support)
    ]
    run = jax.jit(lambda key, seen: predictor_at_draw(function, key, seen, dims, vectors))
    draws = [jax.tree.map(np.asarray, run(key, seen)) for key in jax.random.split(jax.random.key(0), 2)]
    for draw in draws:
        check_affine(draw)
    return Form(
        readout_sites(draws, parts_of_function, dims, context.n_neurons), bool(any(draw["varies"] for draw in draws))
    )


def predictor_at_draw(
    function: Callable, key, seen: View, dims: dict[str, int], candidates: list[str]
) -> dict[str, Any]:
    """The predictor at one draw from the priors, for the checks of its form.

    at: its values at random latents; tangent: offset + (d eta / dx at x = 0) x there; affine: offset + C x there;
    shifts: for each candidate for the baselines, the largest change of offset - candidate as the candidate changes.
    """
    first, second, third = jax.random.split(key, 3)
    zero, values = zero_latents(dims, seen), function_sites(numpyro.handlers.seed(function, first), seen, dims)
    offset, slope = linear(function, values, seen, dims)

    def at(parts):
        return predictor(function, values, seen, parts)

    keys = dict(zip(zero, jax.random.split(second, len(zero)), strict=True))
    x = {name: jax.random.normal(keys[name], value.shape) for name, value in zero.items()}
    moved = jax.random.normal(third, (seen.n_neurons,))
    shifts = {
        name: predictor(function, values | {name: values[name] + moved}, seen, zero) - offset - moved
        for name in candidates
    }
    return {
        "values": values,
        "slope": slope,
        "at": at(x),
        "tangent": offset + jax.jvp(at, (zero,), (x,))[1],
        "affine": offset + jnp.concatenate(list(x.values()), -1) @ slope.T,
        "offset": offset,
        "varies": jnp.any(offset != offset[:1, :1]),
        "shifts": {name: jnp.abs(shift).max() for name, shift in shifts.items()},
    }


def check_affine(draw: dict[str, Any]) -> None:
    """Raise InputError where the predictor is not affine in the latents of its own bin."""
    at = draw["at"]
    if not np.isfinite(at).all():
        raise InputError("fit: the function's predictor is not finite at a draw from its priors; check its formula.")
    size = TOLERANCE * max(np.abs(at - draw["offset"]).max(), np.abs(draw["affine"] - draw["offset"]).max(), 1e-6)
    if np.abs(at - draw["tangent"]).max() > size:
        raise InputError(
            "fit: the function's predictor is not affine in the latents x. It has to be x @ loadings.T + offset: leave "
            "nonlinearities to the observation's link, nlb.Poisson(link='softplus'), or to an Observation of your own."
        )
    if np.abs(at - draw["affine"]).max() > size:
        raise InputError(
            "fit: the function's predictor mixes bins or trials of the latents x, or weighs them differently from bin "
            "to bin. It has to be x @ loadings.T + offset; put smoothing, delays and the like into the dynamics."
        )


def readout_sites(
    draws: list[dict[str, Any]], parts_of_function: Parts, dims: dict[str, int], neurons: int
) -> tuple[str, ...]:
    """The sites of the baselines and of the loadings, of all blocks or of each; empty where one of these is no site."""
    baseline = [
        name for name in draws[0]["shifts"] if all(draw["shifts"][name] <= TOLERANCE * size(draw) for draw in draws)
    ]

    def loadings(start: int, stop: int) -> list[str]:
        same = [
            name
            for name, (shape, support) in parts_of_function.sites.items()
            if shape == (neurons, stop - start)
            and unbounded(support)
            and all(np.allclose(draw["slope"][:, start:stop], draw["values"][name], 1e-5, 1e-6) for draw in draws)
        ]
        return same[:1]

    ends = [0, *np.cumsum(list(dims.values())).tolist()]
    if baseline and (all_loadings := loadings(0, ends[-1])):
        return baseline[0], all_loadings[0]
    chosen = [*baseline[:1], *(name for columns in itertools.pairwise(ends) for name in loadings(*columns))]
    # Blocks that share loadings, (x + z) @ loadings.T, are not read as two sites.
    return tuple(chosen) if len(set(chosen)) == 1 + len(dims) else ()


def unbounded(support: Any) -> bool:
    """Whether a site may have any real values."""
    return getattr(support, "base_constraint", support) is constraints.real


def size(draw: dict[str, Any]) -> float:
    """The size of the predictor's offset."""
    return max(1.0, float(np.abs(draw["offset"]).max()))
