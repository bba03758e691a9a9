"""The linear readout: from latents to each neuron's predictor, eta_n = c_n'x + d_n."""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Bool

from nlbprob.arguments import checked_keywords, instance_of, named, one_of, real_number
from nlbprob.blocks.base import Block, Context
from nlbprob.blocks.shrinkage.ard import ARD
from nlbprob.blocks.shrinkage.horseshoe import Horseshoe
from nlbprob.blocks.shrinkage.laplace import Laplace
from nlbprob.blocks.shrinkage.restricted import ZERO, Reads, RestrictedLoadings, pattern
from nlbprob.blocks.shrinkage.ridge import Ridge
from nlbprob.blocks.shrinkage.shrinkage import Shrinkage
from nlbprob.errors import InputError
from nlbprob.numerics import matrices

#: The priors of loadings that have a name.
SHRINKAGE: dict[str, Callable[..., Shrinkage]] = {
    "ridge": Ridge,
    "ard": ARD,
    "laplace": Laplace,
    "horseshoe": Horseshoe,
}
#: The scale of a prior that is given by its name, by default.
LOADING_SCALE = 0.5


class Readout(Block, abc.ABC):
    """The interface of a readout: the sites of baselines and loadings, their values and their updates."""

    @property
    @abc.abstractmethod
    def names(self) -> tuple[str, ...]:
        """The site of the baselines [neuron], then those of the loadings [neuron, latent], block by block.

        There are none where the predictor depends on its parameters in another way.
        """

    @property
    def closed_form(self) -> tuple[str, ...]:
        """The sites that EM updates in closed form or by Newton steps."""
        return self.names

    def loadings(self, values: Mapping[str, Any]) -> Any:
        """All loadings at given values of the sites.

        Args:
            values: of the sites, by name.

        Returns:
            [neuron, latent].
        """
        parts = [values[name] for name in self.names[1:]]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, 1)

    @abc.abstractmethod
    def values(self, baseline, loadings) -> dict[str, Any]:
        """The values of the sites at given baselines and loadings.

        Args:
            baseline: [neuron].
            loadings: [neuron, latent].

        Returns:
            Arrays by the names of the sites.
        """

    def parameters(self, context: Context, dim: int, baseline_location) -> Any:
        """Sample the loadings and baselines.

        Args:
            context: facts of the training data, which has `context.n_neurons` neurons.
            dim: number of latents.
            baseline_location: prior mean of the baselines, in units of the predictor.

        Returns:
            Loadings [neuron, latent] and baselines [neuron].
        """
        raise AssertionError(f"{type(self).__name__} does not sample by itself.")

    def penalty(self, loadings, values: dict[str, Any], baseline_location) -> Any:
        """The normal that stands for the prior of (baseline, loadings) in a Newton step.

        Args:
            loadings: [neuron, latent], about which the prior is approximated.
            values: of all sites.
            baseline_location: prior mean of the baselines.

        Returns:
            Location and precision, [1 + latent] or [neuron, 1 + latent].
        """
        raise AssertionError(f"{type(self).__name__} has no prior of its own.")

    def restricted(self, reads: Reads) -> "Readout":
        """The readout in which some latents are read by some neurons alone; () for none.

        Args:
            reads: (first latent, end, positions of the neurons) of each group of such latents.

        Raises:
            InputError: this readout cannot.
        """
        raise InputError(f"{type(self).__name__}: every neuron reads every block here; leave neurons=... out.")

    def readers(self, latents: slice, neurons: int) -> Bool[np.ndarray, " neuron"]:
        """Which of so many neurons read these latents of one block."""
        return np.ones(neurons, bool)

    def start(self, dim: int) -> dict[str, Any]:
        """Values of the sites of the prior at which a fit starts.

        Args:
            dim: number of latents.

        Returns:
            Arrays by the names of the sites.
        """
        return {}

    def maximize(self, loadings, curvature, values: dict[str, Any]) -> dict[str, Any]:
        """New values of the prior's own sites, given the posterior of the loadings.

        Args:
            loadings: posterior means [neuron, latent].
            curvature: posterior precision of (baseline, loadings) [neuron, 1 + latent, 1 + latent].
            values: of all sites before the update.

        Returns:
            The values of the sites that have an update in closed form, by name.
        """
        return {}


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class LinearReadout(Readout):
    """eta_n = c_n'x + d_n, with a prior that shrinks the loadings c_nk; d_n ~ N(d0, baseline_scale^2).

    d0 is the predictor of a typical rate. Latents have unit second moment, so that the scale of the prior is the size
    of one latent's effect on a predictor (on the log rate of an exp link).

    Args:
        shrinkage: the prior of the loadings, such as `nlb.ARD(0.5)`, or its name: "ridge", "ard", "laplace" or
            "horseshoe".
        loading_scale: the scale of a prior that is given by its name. It is None where the prior is an object.
        baseline_scale: standard deviation of a baseline; 2 covers 0.1 to 270 Hz at 95%.
        name: prefix of the sites.
        priors: of parameters, in place of the usual ones, by name.
        reads: which latents are read by some neurons alone; a model sets it from the `neurons` of its blocks.

    Raises:
        InputError: there is no such prior, or `loading_scale` is given with a prior object.

    Sites:
        - loadings [neuron, latent], by the prior
        - baseline [neuron] ~ N(d0, baseline_scale^2)
        - those of the prior, such as latent_scale of `ARD`
    """

    shrinkage: str | Shrinkage = "ridge"
    loading_scale: float | None = LOADING_SCALE
    baseline_scale: float = 2.0
    name: str = ""
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)
    reads: Reads = ()

    def __post_init__(self):
        self.check_shrinkage()
        self.set_fields(baseline_scale=real_number(self.baseline_scale, "LinearReadout", "baseline_scale", above=0))
        self.check_priors(("loadings", "baseline", *self.prior.names))

    def check_shrinkage(self) -> None:
        """Raise InputError unless the prior is known and its scale is given at most once."""
        if isinstance(self.shrinkage, type):
            instance_of(self.shrinkage, Shrinkage, "LinearReadout", "shrinkage", "a prior, such as nlb.Ridge(0.5)")
        if not isinstance(self.shrinkage, Shrinkage):
            one_of(self.shrinkage, SHRINKAGE, "LinearReadout", "shrinkage")
            scale = LOADING_SCALE if self.loading_scale is None else self.loading_scale
            self.set_fields(loading_scale=real_number(scale, "LinearReadout", "loading_scale", above=0))
        elif self.loading_scale in (None, LOADING_SCALE):
            self.set_fields(loading_scale=None)
        else:
            kind = type(self.shrinkage).__name__
            raise InputError(
                f"{named('LinearReadout', 'loading_scale', self.loading_scale)}: the prior has a scale of its own; "
                f"leave loading_scale out, and give it there, shrinkage={kind}({self.loading_scale})."
            )

    @property
    def prior(self) -> Shrinkage:
        """The prior of the loadings, as an object."""
        if isinstance(self.shrinkage, Shrinkage):
            return self.shrinkage
        return SHRINKAGE[self.shrinkage](scale=self.loading_scale)

    @property
    def names(self) -> tuple[str, ...]:
        return self.site("baseline"), self.site("loadings")

    @property
    def closed_form(self) -> tuple[str, ...]:
        return (*self.names, *map(self.site, self.prior.closed_form))

    def values(self, baseline, loadings):
        return dict(zip(self.names, (baseline, loadings), strict=True))

    def parameters(self, context: Context, dim: int, baseline_location):
        """Sample the loadings and baselines of `context.n_neurons` neurons on `dim` latents."""
        prior_values = self.prior.parameters(self, dim)
        prior = self.prior.distribution((context.n_neurons, dim), prior_values)
        reads = pattern(self.reads, context.n_neurons, dim)
        prior = prior if reads is None else RestrictedLoadings(prior, reads)
        loadings = self.only_read(self.sample("loadings", prior, ("neuron", "latent")))
        level = dist.Normal(baseline_location, self.baseline_scale).expand([context.n_neurons])
        return loadings, self.sample("baseline", level, ("neuron",))

    def start(self, dim: int) -> dict[str, Any]:
        """Where the sites of the prior start."""
        return self.to_sites(self.prior.start(dim))

    def penalty(self, loadings, values: dict[str, Any], baseline_location):
        """Location [width] and precision [neuron, width] of the normal that stands for the prior in a Newton step."""
        neurons, dim = loadings.shape
        location = jnp.zeros(1 + dim, loadings.dtype).at[0].set(baseline_location)
        first = jnp.full((neurons, 1), self.baseline_scale**-2, loadings.dtype)
        precision, reads = self.prior.precision(loadings, self.prior_values(values)), pattern(self.reads, neurons, dim)
        precision = precision if reads is None else jnp.where(reads, precision, ZERO**-2)
        return location, jnp.concatenate([first, precision], 1)

    def maximize(self, loadings, curvature, values: dict[str, Any]) -> dict[str, Any]:
        """The sites of the prior that have an update, given the loadings and their precision."""
        if not self.prior.closed_form:
            return {}
        variance = jnp.diagonal(matrices.positive_inverse(curvature), axis1=1, axis2=2)[:, 1:]
        if (reads := pattern(self.reads, *loadings.shape)) is not None:
            variance = jnp.where(reads, variance, jnp.inf)  # of a loading that nothing is known of
        return self.to_sites(self.prior.maximize(loadings, variance, self.prior_values(values)))

    def restricted(self, reads: Reads) -> "LinearReadout":
        if reads and self.prior.closed_form and not isinstance(self.prior, ARD):
            kind = type(self.prior).__name__
            raise InputError(
                f"LinearReadout: {kind} learns one scale of all loadings, which loadings that are zero by neurons=... "
                'would pull down; take "ridge", "ard" or "laplace".'
            )
        if reads and "loadings" in self.priors:
            raise InputError("LinearReadout(priors={'loadings': ...}): no block may name its neurons beside it.")
        return dataclasses.replace(self, reads=reads)

    def readers(self, latents: slice, neurons: int) -> Bool[np.ndarray, " neuron"]:
        reads = pattern(self.reads, neurons, latents.stop)
        return np.ones(neurons, bool) if reads is None else reads[:, latents.start]

    def only_read(self, loadings) -> Any:
        """The loadings [neuron, latent], exactly zero where they are not read."""
        reads = pattern(self.reads, *loadings.shape[-2:])
        return loadings if reads is None else loadings * reads

    def loadings(self, values: Mapping[str, Any]) -> Any:
        return self.only_read(super().loadings(values))

    def prior_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of the prior of loadings.

        Args:
            values: of all sites.

        Returns:
            Arrays by the prior's own names, such as "latent_scale".
        """
        return {name: values[self.site(name)] for name in self.prior.names}

    def to_sites(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters by the names of their sites.

        Args:
            values: by the prior's own names.

        Returns:
            The same by the readout's names of the sites.
        """
        return {self.site(name): value for name, value in values.items()}
