"""Variational families over the parameters, each started where variational EM ended.

Every family is z = centre + root (shift + spread e), e ~ N(0, I), in unconstrained space, with shift 0 and spread I
at the start: one unit of `shift` is one posterior standard deviation of EM's curvature, so that one learning rate
fits all parameters. "lowrank" ties the entries of all groups: e ~ N(0, I + F F') with F [entry, rank].
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import biject_to
from numpyro.infer import init_to_value
from numpyro.infer.autoguide import AutoGuide

from nlbprob.infer.em.fisher import MOST_JOINT
from nlbprob.infer.em.steps import EM, START_SCALE
from nlbprob.infer.parameters.flat import Entries
from nlbprob.infer.runtime.programs import program

#: Draws of the parameters kept with a posterior.
KEPT_DRAWS = 400
#: Most directions that "lowrank" adds, and the standard deviation along them at the start (at zero they would stay).
RANK, START_FACTOR = 10, 0.1


class Frame(NamedTuple):
    """Where a group of parameters starts: `centre` [row, width] and a lower-triangular `root` [row, width, width]."""

    centre: Float[Array, "row width"]
    root: Float[Array, "row width width"]


class Part(NamedTuple):
    """One site's place in a group: which rows and columns, and its shape in unconstrained space."""

    support: Any
    rows: slice
    columns: slice
    shape: tuple[int, ...]


class ParameterGuide:
    """A NumPyro guide over all parameter sites of a model, called with (index, data, frames, store, trials), as it is.

    family "neuron": a multivariate normal for each neuron's baseline and loadings, and one for all of the rest, whose
    covariance stays that of the start where `fixed_covariance`, and whose correlations do otherwise (beyond
    `MOST_JOINT` entries they are independent normals);
    "normal": independent normals throughout; "lowrank": one normal over all parameters, its covariance that of EM's
    curvature, neuron by neuron, rescaled, and a few directions in which any of them move together; "map": point
    estimates.
    shapes: a value (or its shape) of every site; supports: NumPyro constraints by site; neuron_sites: names of the
    readout's sites, the baseline first, which are the columns of the group "neuron" (there may be none); the entries
    of all others are the columns of the one row of "rest", or its rows where they are independent.
    """

    def __init__(self, family: str, shapes, supports, neuron_sites: tuple[str, ...], fixed_covariance: bool):
        self.family = family
        neuron: dict[str, Part] = {}
        rest: dict[str, Part] = {}
        start = 0
        for name in neuron_sites:
            shape = shapes[name].shape
            width = math.prod(shape[1:])
            neuron[name] = Part(supports[name], slice(None), slice(start, start + width), shape)
            start += width
        start = 0
        for name in shapes:
            if name not in neuron_sites:
                shape = biject_to(supports[name]).inverse_shape(shapes[name].shape)
                rest[name] = Part(supports[name], slice(None), slice(start, start + math.prod(shape)), shape)
                start += math.prod(shape)
        self.joint = family in ("neuron", "lowrank") and start <= MOST_JOINT
        self.fixed_covariance = fixed_covariance and self.joint and family == "neuron"
        if not self.joint:
            rest = {name: part._replace(rows=part.columns, columns=slice(None)) for name, part in rest.items()}
        self.groups = {name: parts for name, parts in (("neuron", neuron), ("rest", rest)) if parts}

    @property
    def rest(self) -> list[str]:
        """The sites that are not the readout's."""
        return list(self.groups.get("rest", {}))

    def frames(self, values, covariance, rest=None) -> dict[str, Frame]:
        """The start at given values of all sites.

        covariance [neuron, width, width]: of each neuron's row; rest: what `information.root` says of the other
        entries, where it is known.
        """
        raw = {
            name: biject_to(part.support).inv(values[name])
            for parts in self.groups.values()
            for name, part in parts.items()
        }
        frames = {}
        for group, parts in self.groups.items():
            if group == "neuron":
                centre = jnp.concatenate([raw[name].reshape(covariance.shape[0], -1) for name in parts], 1)
                root = jnp.linalg.cholesky(covariance)
                root = root if self.family in ("neuron", "lowrank") else conditional_scale(root)
            else:
                entries = jnp.concatenate([raw[name].reshape(-1) for name in parts])
                known = jnp.full(entries.shape, START_SCALE) if rest is None else rest
                if self.joint:
                    centre, root = entries[None], (known if known.ndim == 2 else jnp.diag(known))[None]
                else:
                    known = known if known.ndim == 1 else jnp.diagonal(conditional_scale(known[None])[0])
                    centre, root = entries[:, None], known[:, None, None]
            frames[group] = Frame(centre, root)
        return frames

    def __call__(self, index, data, frames, store, trials=None):
        together = self.together(frames) if self.family == "lowrank" else {}
        for group, parts in self.groups.items():
            z, log_volume = self.unconstrained(group, frames[group], together.get(group))
            for name, part in parts.items():
                raw, value = constrained(z, part)
                # A point estimate maximises the density of the parameters themselves, whatever their transform.
                if self.family != "map":
                    log_volume = log_volume + biject_to(part.support).log_abs_det_jacobian(raw, value).sum()
                numpyro.sample(name, dist.Delta(value, log_density=-log_volume, event_dim=value.ndim))
                log_volume = 0.0

    def together(self, frames: dict[str, Frame]) -> dict[str, Array]:
        """Draw the rows of all groups from N(shift, D^2 + F F'), in units of their roots."""
        shifts: Any = [numpyro.param(f"{name}.shift", jnp.zeros_like(frame.centre)) for name, frame in frames.items()]
        location = jnp.concatenate([shift.reshape(-1) for shift in shifts])
        rank = min(RANK, location.size)
        # Any directions will do to start from, so long as no two are the same.
        directions = np.random.default_rng(0).standard_normal((location.size, rank))
        factor: Any = numpyro.param("factor", jnp.asarray(START_FACTOR / math.sqrt(rank) * directions, location.dtype))
        log_scale: Any = numpyro.param("log_scale", jnp.zeros_like(location))
        normal = dist.LowRankMultivariateNormal(location, factor, jnp.exp(2 * log_scale))
        drawn = jnp.asarray(numpyro.sample("_all", normal, infer={"is_auxiliary": True}))
        parts = jnp.split(drawn, np.cumsum([shift.size for shift in shifts])[:-1])
        return {name: part.reshape(frames[name].centre.shape) for name, part in zip(frames, parts, strict=True)}

    def unconstrained(self, group: str, frame: Frame, drawn: Array | None = None):
        """Draw the rows of a group: their values, and the log volume that a standard normal was stretched by.

        drawn: in units of the root, where they come from one draw of all groups `together`.
        """
        width = frame.centre.shape[1]
        volume = jnp.log(jnp.diagonal(frame.root, axis1=-2, axis2=-1)).sum()
        if drawn is not None:
            return frame.centre + jnp.einsum("rij,rj->ri", frame.root, drawn), volume
        shift: Any = numpyro.param(f"{group}.shift", jnp.zeros_like(frame.centre))
        if self.family == "map":
            return frame.centre + jnp.einsum("rij,rj->ri", frame.root, shift), 0.0
        log_scale: Any = jnp.zeros_like(frame.centre)
        # The rest keeps the covariance that its information gives: beside the readout's normals the bound would have it
        # too narrow, and a few noisy steps would not better so many correlations.
        if group == "neuron" or not self.fixed_covariance:
            log_scale = numpyro.param(f"{group}.log_scale", log_scale)
        draw: Any = numpyro.sample(
            f"_{group}", dist.Normal(jnp.zeros_like(shift), 1.0).to_event(2), infer={"is_auxiliary": True}
        )
        spread = jnp.exp(log_scale) * draw
        if self.family == "neuron" and group == "neuron" and width > 1:
            slant: Any = numpyro.param(f"{group}.slant", jnp.zeros_like(frame.root))
            spread = spread + jnp.einsum("rij,rj->ri", jnp.tril(slant, -1), draw)
        return frame.centre + jnp.einsum("rij,rj->ri", frame.root, shift + spread), log_scale.sum() + volume

    def locations(self, params, frames) -> dict[str, Array]:
        """The value of every site at the centre of the fitted guide."""
        values = {}
        for group, parts in self.groups.items():
            z = frames[group].centre + jnp.einsum("rij,rj->ri", frames[group].root, params[f"{group}.shift"])
            values |= {name: constrained(z, part)[1] for name, part in parts.items()}
        return values

    def draws(self, params, frames, keys) -> dict[str, Array]:
        """A draw of every site from the fitted guide for each of the keys [sample, ...]."""
        names = [name for parts in self.groups.values() for name in parts]
        program = numpyro.handlers.substitute(self, data=params)

        def one(key):
            sites = numpyro.handlers.trace(numpyro.handlers.seed(program, key)).get_trace(None, None, frames, None)
            return {name: sites[name]["value"] for name in names}

        return jax.lax.map(one, keys)


@functools.lru_cache(maxsize=64)
def parameter_guide(em: EM, family: str, fixed_covariance: bool) -> ParameterGuide:
    """The guide of a model in its context: one object for all that are equal, so that it is compiled for once."""
    shapes = {name: site.shape for name, site in em.sites.items()}
    return ParameterGuide(family, shapes, em.supports, em.model.readout.names, fixed_covariance)


def few_entries(em: EM, trials: int) -> bool:
    """Whether the parameters besides the readout have fewer entries than there are trials to tell them."""
    sites = em.sites
    rest = Entries({name: site for name, site in sites.items() if name not in em.model.readout.names})
    return sum(map(math.prod, rest.shapes)) < min(trials, MOST_JOINT)


@program("guide")
def initial_params(guide: ParameterGuide, frames) -> dict[str, Array]:
    """The guide's parameters before any step: the posterior that the widths of its start suggest."""
    seeded = numpyro.handlers.trace(numpyro.handlers.seed(guide, jax.random.key(0)))
    sites = seeded.get_trace(None, None, frames, None)
    return {name: site["value"] for name, site in sites.items() if site["type"] == "param"}


@program("guide")
def sample_sites(guide: ParameterGuide, params, frames, keys) -> dict[str, Array]:
    """A draw of every site from the fitted guide for each of the keys [sample, ...]."""
    return guide.draws(params, frames, keys)


@program("guide")
def centre_sites(guide: ParameterGuide, params, frames) -> dict[str, Array]:
    """The value of every site at the centre of the fitted guide."""
    return guide.locations(params, frames)


@program("guide")
def start_frames(guide: ParameterGuide, values, curvature, widths) -> dict[str, Frame]:
    """Where the guide starts: the values that EM found, with the uncertainty that the trials tell.

    widths: of the readout and of the rest, see `information.widths`; None where the curvature has to do.
    """
    readout, rest = widths
    return guide.frames(values, jnp.linalg.inv(curvature) if readout is None else readout, rest)


def constrained(z, part: Part):
    """A site's part of a group's rows, in unconstrained space and as the site's value."""
    raw = z[part.rows, part.columns].reshape(part.shape)
    return raw, biject_to(part.support)(raw)


def conditional_scale(root: Float[Array, "row width width"]) -> Float[Array, "row width width"]:
    """The standard deviation of each parameter given the others, on a diagonal: where independent normals start."""
    precision = jnp.linalg.inv(root @ root.mT)
    return jnp.eye(root.shape[-1], dtype=root.dtype) / jnp.sqrt(jnp.diagonal(precision, axis1=-2, axis2=-1))[..., None]


def started(guide: Callable, values: dict[str, Any]) -> Callable:
    """A guide class of NumPyro's that starts at given values; any other function as it is."""
    if isinstance(guide, type) and issubclass(guide, AutoGuide):
        return functools.partial(guide, init_loc_fn=init_to_value(values=values))
    return guide
