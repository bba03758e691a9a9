"""What a NumPyro function is made of, found out by running it: blocks, observation, sites, and how eta depends on x."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.handlers
from numpyro.distributions import constraints

from nlbprob.blocks.base import Context
from nlbprob.blocks.calls import HANDLERS
from nlbprob.blocks.latent import Latent
from nlbprob.blocks.observation import Observation
from nlbprob.blocks.templates import Templates
from nlbprob.errors import InputError
from nlbprob.functions.program import Answer, linear, own_sites, predictor, zeros
from nlbprob.functions.view import View, blank, made_up

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Bins of the small views that a function is run on, and its trials.
BINS, TRIALS = 4, 3
#: How far a predictor may be from the affine one, as a share of its size.
TOLERANCE = 1e-3


class Parts(NamedTuple):
    """What a run of a function shows.

    Attributes:
        blocks: in the order of their calls.
        sites: the shape and support of the function's own sample sites.
    """

    blocks: tuple[Latent | Templates, ...]
    observation: Observation | Callable
    sites: dict[str, tuple[tuple[int, ...], Any]]


class Form(NamedTuple):
    """How the predictor depends on its parameters.

    Attributes:
        readout: the sites of the baselines and of the loadings, empty where these are no sites.
        varies: whether the offset differs between trials or bins.
    """

    readout: tuple[str, ...]
    varies: bool


def parts(function: Callable, seen: View, trials: "Trials | View") -> Parts:
    """The parts of a function, its blocks settled for `trials`. Raises InputError where it cannot be fitted."""
    blocks: list[Latent | Templates] = []
    observations: list[Observation | Callable] = []

    def latent(block: Latent | Templates, _):
        if block.name in [other.name for other in blocks]:
            raise InputError(
                f"fit: the function calls two blocks named {block.name!r}; give each its own name, LDS(8, name='slow')."
            )
        resolved: Any = block
        blocks.append(resolved.resolve(trials))
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
    found = jax.eval_shape(shapes, jax.random.key(0))
    if not blocks:
        raise InputError("fit: the function calls no block. Give it latents, such as x = nlb.LDS(8)(trials).")
    if len(observations) != 1:
        kind = "observes no counts" if not observations else "calls nlb.observe more than once"
        raise InputError(
            f"fit: the function {kind}. End it with one nlb.observe(nlb.Poisson(), x @ loadings.T + baseline, trials)."
        )
    sites = {name: (tuple(found[name].shape), site["fn"].support) for name, site in kept.items()}
    return Parts(tuple(blocks), observations[0], sites)


def check_site(site: dict[str, Any]) -> None:
    """Raise InputError where a site is none that a fit can handle."""
    if site["type"] == "param":
        raise InputError(f"fit: {site['name']!r} is a numpyro.param. Give it a prior: numpyro.sample.")
    if site["type"] != "sample":
        return
    if site["is_observed"]:
        raise InputError(
            f"fit: the function observes {site['name']!r} by numpyro.sample or numpyro.factor. Use nlb.observe with an "
            "observation, nlb.Poisson(), or with a likelihood of your own that factors over bins, "
            "nlb.observe(lambda eta: dist.Poisson(jnp.exp(eta)), eta, trials): it gives the trajectories' posterior."
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


def form(function: Callable, found: Parts, context: Context, bins: int) -> Form:
    """How the function's predictor depends on latents and sites, from two draws from its priors.

    Raises:
        InputError: it is not eta[trial, time] = C x[trial, time] + offset.
    """
    dims = {block.name: block.n_latents for block in found.blocks}
    seen = made_up(context, TRIALS, bins)
    vectors = [n for n, (shape, support) in found.sites.items() if shape == (context.n_neurons,) and unbounded(support)]
    run = jax.jit(lambda key, seen: evidence(function, key, seen, dims, vectors))
    draws = [jax.tree.map(np.asarray, run(key, seen)) for key in jax.random.split(jax.random.key(0), 2)]
    for draw in draws:
        check_affine(draw)
    return Form(readout_sites(draws, found, dims, context.n_neurons), bool(any(draw["varies"] for draw in draws)))


def evidence(function: Callable, key, seen: View, dims: dict[str, int], candidates: list[str]) -> dict[str, Any]:
    """What one draw from the priors shows of the predictor.

    at: its values at random latents; tangent: what the derivative there at zero foretells; affine: what slope and
    offset do; shifts: how much more than a candidate for the baselines the offset moves, as that is moved.
    """
    first, second, third = jax.random.split(key, 3)
    none, values = zeros(dims, seen), own_sites(numpyro.handlers.seed(function, first), seen, dims)
    offset, slope = linear(function, values, seen, dims)

    def at(parts):
        return predictor(function, values, seen, parts)

    keys = dict(zip(none, jax.random.split(second, len(none)), strict=True))
    x = {name: jax.random.normal(keys[name], value.shape) for name, value in none.items()}
    moved = jax.random.normal(third, (seen.n_neurons,))
    shifts = {
        name: predictor(function, values | {name: values[name] + moved}, seen, none) - offset - moved
        for name in candidates
    }
    return {
        "values": values,
        "slope": slope,
        "at": at(x),
        "tangent": offset + jax.jvp(at, (none,), (x,))[1],
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


def readout_sites(draws: list[dict[str, Any]], found: Parts, dims: dict[str, int], neurons: int) -> tuple[str, ...]:
    """The sites of the baselines and of the loadings, of all blocks or of each; none where one of these is no site."""
    baseline = [
        name for name in draws[0]["shifts"] if all(draw["shifts"][name] <= TOLERANCE * size(draw) for draw in draws)
    ]

    def loadings(start: int, stop: int) -> list[str]:
        same = [
            name
            for name, (shape, support) in found.sites.items()
            if shape == (neurons, stop - start)
            and unbounded(support)
            and all(np.allclose(draw["slope"][:, start:stop], draw["values"][name], 1e-5, 1e-6) for draw in draws)
        ]
        return same[:1]

    ends = [0, *np.cumsum(list(dims.values())).tolist()]
    if baseline and (whole := loadings(0, ends[-1])):
        return baseline[0], whole[0]
    chosen = [*baseline[:1], *(name for columns in itertools.pairwise(ends) for name in loadings(*columns))]
    # Blocks that share their loadings, (x + z) @ loadings.T, have no loadings of their own.
    return tuple(chosen) if len(set(chosen)) == 1 + len(dims) else ()


def unbounded(support: Any) -> bool:
    """Whether a site may have any real values."""
    return getattr(support, "base_constraint", support) is constraints.real


def size(draw: dict[str, Any]) -> float:
    """The size of the predictor's offset."""
    return max(1.0, float(np.abs(draw["offset"]).max()))
