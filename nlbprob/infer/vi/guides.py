"""A variational family for one model: a NumPyro guide over all its parameters, started where variational EM ended.

The parameters are z = centre + root e in unconstrained space, group by group, and the family is a distribution of e.
One unit of e is one posterior standard deviation of EM's curvature, so that one learning rate fits all parameters.
"""

import abc
import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int, Key
from numpyro.distributions import biject_to
from numpyro.distributions.constraints import Constraint
from numpyro.infer import ELBO

from nlbprob.infer.em.fisher import MOST_JOINT
from nlbprob.infer.em.steps import EM, START_SCALE
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories.problem import SiteState
from nlbprob.infer.vi.elbo import OneDraw
from nlbprob.infer.vi.frames import LocationScale, RootOfRest, Shared, Widths

if TYPE_CHECKING:
    from nlbprob.infer.vi.family import Family

#: Draws of the parameters kept with a posterior.
KEPT_DRAWS = 400


#: Of the arguments that SVI calls model and guide with: which trials a step takes, and how many there are.
Index = Int[Array, " draw"] | None
Count = int | Int[Array, ""] | None


class Part(NamedTuple):
    """One site's place in a group: which rows and columns, and its shape in unconstrained space."""

    support: Constraint
    rows: slice
    columns: slice
    shape: tuple[int, ...]


class Guide(abc.ABC):
    """A family for one model, as the second stage of a fit needs it.

    Calling it, with (index, data, frames, store, trials) as SVI calls the model, samples every parameter site.
    """

    @property
    def loss(self) -> ELBO:
        """The bound that SVI raises."""
        return OneDraw()

    @abc.abstractmethod
    def __call__(
        self, index: Index, data: Batch | None, frames: Any, store: SiteState | None, trials: Count = None
    ) -> None:
        """Sample all parameter sites."""

    @abc.abstractmethod
    def init(self, values: dict[str, Any], curvature: Float[Array, "neuron width width"], widths: Widths) -> Any:
        """The frames: where the guide starts.

        Args:
            values: of all sites, where EM ended.
            curvature: of each neuron's expected log likelihood and prior.
            widths: covariance of each neuron's readout, a root of that of the rest, and what all readouts share; None
                where the curvature has to do.
        """

    @abc.abstractmethod
    def initial_params(self, frames: Any) -> dict[str, Any]:
        """The variational parameters before any step."""

    @abc.abstractmethod
    def draws(self, params: dict[str, Any], frames: Any, keys: Key[Array, " sample"]) -> dict[str, Any]:
        """A draw of every site from the fitted guide for each of the keys [sample, ...]."""

    @abc.abstractmethod
    def centre(self, params: dict[str, Any], frames: Any, draws: dict[str, Any]) -> dict[str, Any]:
        """The value of every site at the centre of the fitted guide, of which these are draws."""

    def named(self, params: dict[str, Any], frames: Any) -> dict[str, Any]:
        """What a message on numbers that are not finite may name: the variational parameters."""
        return params


class ParameterGuide(Guide):
    """A family's guide for the parameter sites of a model.

    family: how the rows of all groups are drawn. shapes: a value (or its shape) of every site; supports: NumPyro
    constraints by site; neuron_sites: names of the readout's sites, the baseline first, which are the columns of the
    group "neuron" (there may be none). The entries of all others are the columns of the one row of "rest", or its rows
    where the family is not joint or they are more than `MOST_JOINT`. enough_trials: whether there are more trials than
    entries of the rest.
    """

    def __init__(
        self,
        family: "Family",
        shapes: dict[str, Any],
        supports: dict[str, Constraint],
        neuron_sites: tuple[str, ...],
        enough_trials: bool,
    ):
        self.family, self.enough_trials = family, enough_trials
        neuron: dict[str, Part] = {}
        others: dict[str, Part] = {}
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
                others[name] = Part(supports[name], slice(None), slice(start, start + math.prod(shape)), shape)
                start += math.prod(shape)
        self.joint = family.joint and start <= MOST_JOINT
        if not self.joint:
            others = {name: part._replace(rows=part.columns, columns=slice(None)) for name, part in others.items()}
        self.groups = {name: parts for name, parts in (("neuron", neuron), ("rest", others)) if parts}

    def init(
        self, values: dict[str, Any], curvature: Float[Array, "neuron width width"], widths: Widths
    ) -> dict[str, LocationScale]:
        return initial_frames(self, values, curvature, widths)

    def initial_params(self, frames: dict[str, LocationScale]) -> dict[str, Array]:
        return initial_params(self, frames)

    def draws(
        self, params: dict[str, Any], frames: dict[str, LocationScale], keys: Key[Array, " sample"]
    ) -> dict[str, Array]:
        return sample_sites(self, params, frames, keys)

    def centre(
        self, params: dict[str, Any], frames: dict[str, LocationScale], draws: dict[str, Any]
    ) -> dict[str, Array]:
        return centre_sites(self, params, frames)

    def named(self, params: dict[str, Any], frames: dict[str, LocationScale]) -> dict[str, Any]:
        return self.locations(params, frames)

    def frames(
        self,
        values: dict[str, Any],
        covariance: Float[Array, "neuron width width"],
        root_of_rest: RootOfRest = None,
        shared: Shared = None,
    ) -> dict[str, LocationScale]:
        """The start at given values of all sites.

        covariance: of each neuron's row; root_of_rest: a root of the covariance of the other entries, or its diagonal,
        if known; shared: directions of all rows.
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
                root = root if self.family.joint else conditional_scale(root)
                frames[group] = LocationScale(centre, root, shared if self.family.shares else None)
            else:
                entries = jnp.concatenate([raw[name].reshape(-1) for name in parts])
                scale = jnp.full(entries.shape, START_SCALE) if root_of_rest is None else root_of_rest
                if self.joint:
                    centre, root = entries[None], (scale if scale.ndim == 2 else jnp.diag(scale))[None]
                else:
                    scale = scale if scale.ndim == 1 else jnp.diagonal(conditional_scale(scale[None])[0])
                    centre, root = entries[:, None], scale[:, None, None]
                frames[group] = LocationScale(centre, root)
        return frames

    def __call__(
        self,
        index: Index,
        data: Batch | None,
        frames: dict[str, LocationScale],
        store: SiteState | None,
        trials: Count = None,
    ) -> None:
        for group, rows, log_volume in self.family.sample(frames, self.enough_trials):
            frame, z = frames[group], unconstrained(frames[group], rows)
            if frame.shared is not None:
                # Not counted in the density: that of the rows given these is, so that the bound is one, if less tight.
                standard = dist.Normal(jnp.zeros(frame.shared.shape[-1], z.dtype), 1.0).to_event(1).mask(False)
                z = z + frame.shared @ self.family.auxiliary(f"{group}.shared", standard)
            log_volume = log_volume + jnp.log(jnp.diagonal(frame.root, axis1=-2, axis2=-1)).sum()
            for name, part in self.groups[group].items():
                raw, value = constrained(z, part)
                log_volume = log_volume + biject_to(part.support).log_abs_det_jacobian(raw, value).sum()
                # A point estimate maximises the density of the parameters themselves, whatever their transform.
                density = -log_volume if self.family.has_width else 0.0
                numpyro.sample(name, dist.Delta(value, log_density=density, event_dim=value.ndim))
                log_volume = 0.0

    def locations(self, params: dict[str, Any], frames: dict[str, LocationScale]) -> dict[str, Array]:
        """The value of every site at the centre of the fitted guide."""
        values = {}
        for group, rows in self.family.mean(params, frames).items():
            z = unconstrained(frames[group], rows)
            values |= {name: constrained(z, part)[1] for name, part in self.groups[group].items()}
        return values


@functools.lru_cache(maxsize=64)
def parameter_guide(em: EM, family: "Family", enough_trials: bool) -> ParameterGuide:
    """The guide of a model in its context: one object for all that are equal, so that it is compiled for once."""
    shapes = {name: site.shape for name, site in em.sites.items()}
    return ParameterGuide(family, shapes, em.supports, em.model.readout.names, enough_trials)


@program("guide")
def initial_params(guide: ParameterGuide, frames: dict[str, LocationScale]) -> dict[str, Array]:
    """The guide's parameters before any step: the posterior that the widths of its start suggest."""
    return params_of(guide, frames)


@program("guide")
def sample_sites(
    guide: ParameterGuide, params: dict[str, Any], frames: dict[str, LocationScale], keys: Key[Array, " sample"]
) -> dict[str, Array]:
    """A draw of every site from the fitted guide for each of the keys [sample, ...]."""
    names = [name for parts in guide.groups.values() for name in parts]
    return draws_of(guide, names, params, frames, keys)


@program("guide")
def centre_sites(guide: ParameterGuide, params: dict[str, Any], frames: dict[str, LocationScale]) -> dict[str, Array]:
    """The value of every site at the centre of the fitted guide."""
    return guide.locations(params, frames)


@program("guide")
def initial_frames(
    guide: ParameterGuide, values: dict[str, Any], curvature: Float[Array, "neuron width width"], widths: Widths
) -> dict[str, LocationScale]:
    """Where the guide starts: EM's values, with the uncertainty that single trials imply.

    widths: see `widths.widths`; None where the curvature has to do.
    """
    readout, root_of_rest, shared = widths
    covariance = jnp.linalg.inv(curvature) if readout is None else readout
    return guide.frames(values, covariance, root_of_rest, shared)


def params_of(guide: Guide, frames: Any) -> dict[str, Any]:
    """The variational parameters that a guide makes when it is called for the first time."""
    seeded = numpyro.handlers.trace(numpyro.handlers.seed(guide, jax.random.key(0)))
    sites = seeded.get_trace(None, None, frames, None)
    return {name: site["value"] for name, site in sites.items() if site["type"] == "param"}


def draws_of(
    guide: Guide, names: Sequence[str], params: dict[str, Any], frames: Any, keys: Key[Array, " sample"]
) -> dict[str, Any]:
    """A draw of these sites from a guide for each of the keys [sample, ...]."""
    substituted = numpyro.handlers.substitute(guide, data=params)

    def draw(key: Key[Array, ""]) -> dict[str, Any]:
        sites = numpyro.handlers.trace(numpyro.handlers.seed(substituted, key)).get_trace(None, None, frames, None)
        return {name: sites[name]["value"] for name in names}

    return jax.lax.map(draw, keys)


def unconstrained(frame: LocationScale, rows: Float[Array, "row width"]) -> Float[Array, "row width"]:
    """The rows of a group, drawn in units of its frame, in unconstrained space."""
    return frame.centre + jnp.einsum("rij,rj->ri", frame.root, rows)


def constrained(z: Float[Array, "row width"], part: Part) -> tuple[Float[Array, "..."], Any]:
    """A site's part of a group's rows, in unconstrained space and as the site's value."""
    raw = z[part.rows, part.columns].reshape(part.shape)
    return raw, biject_to(part.support)(raw)


def conditional_scale(root: Float[Array, "row width width"]) -> Float[Array, "row width width"]:
    """The standard deviation of each parameter given the others, on a diagonal: where independent normals start."""
    precision = jnp.linalg.inv(root @ root.mT)
    return jnp.eye(root.shape[-1], dtype=root.dtype) / jnp.sqrt(jnp.diagonal(precision, axis1=-2, axis2=-1))[..., None]
