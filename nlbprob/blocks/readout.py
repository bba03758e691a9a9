"""The linear readout: from latents to each neuron's predictor, eta_n = c_n'x + d_n."""

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords, one_of, real_number
from nlbprob.blocks.base import Block, Context
from nlbprob.blocks.horseshoe import Horseshoe, local_precision

#: Smallest size of a loading in the quadratic that bounds a sparse prior, in units of its scale.
LEAST_LOADING = 0.05
#: Smallest scale that "ard" gives a latent, in units of loading_scale: at zero its precision would be infinite.
LEAST_SCALE = 0.001
#: The priors of loadings, and the site of the scale that each learns.
SHRINKAGE = {"ridge": None, "ard": "latent_scale", "laplace": None, "horseshoe": "global_scale"}


class Readout(Block, abc.ABC):
    """What inference asks of a readout: which sites hold the baselines and loadings, and how to set them."""

    @property
    @abc.abstractmethod
    def names(self) -> tuple[str, ...]:
        """The site of the baselines [neuron], then those of the loadings [neuron, latent], block by block.

        There are none where the predictor depends on its parameters in another way.
        """

    @property
    def settled(self) -> tuple[str, ...]:
        """The sites that EM updates in closed form or by Newton steps."""
        return self.names

    def loadings(self, values: Mapping[str, Any]) -> Any:
        """All loadings [neuron, latent] at given values of the sites."""
        parts = [values[name] for name in self.names[1:]]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, 1)

    @abc.abstractmethod
    def values(self, baseline, loadings) -> dict[str, Any]:
        """The values of the sites at given baselines and loadings."""

    def parameters(self, context: Context, dim: int, baseline_location) -> Any:
        """Sample the loadings and baselines of `context.n_neurons` neurons on `dim` latents."""
        raise AssertionError(f"{type(self).__name__} does not sample by itself.")

    def penalty(self, loadings, values: dict[str, Any], baseline_location) -> Any:
        """Location and precision [neuron, 1 + latent] of the normal that stands for the prior in a Newton step."""
        raise AssertionError(f"{type(self).__name__} has no prior of its own.")

    def start(self, dim: int) -> dict[str, Any]:
        """Where the sites of the prior start."""
        return {}

    def maximize(self, loadings, curvature, values: dict[str, Any]) -> dict[str, Any]:
        """The prior's own sites given the loadings and their precision."""
        return {}


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class LinearReadout(Readout):
    """eta_n = c_n'x + d_n, with a prior that shrinks the loadings c_nk; d_n ~ N(d0, baseline_scale^2).

    d0 is the predictor of a typical rate. Latents have unit second moment, so that loading_scale is the size of one
    latent's effect on a predictor (on the log rate of an exp link).
    shrinkage="ridge": c_nk ~ N(0, loading_scale^2). The default 0.5 lets one latent carry a twofold change of rate
    either way at two standard deviations, which shrinks neurons with few spikes and leaves neurons with many to their
    data. "ard": c_nk ~ N(0, s_k^2), s_k ~ HalfCauchy(loading_scale): latents that are not needed are pruned, where each
    has an identity (those of GPs, of diagonal and modal dynamics; those of a dense LDS mix, and none can go alone).
    "laplace": c_nk ~ Laplace(0, loading_scale / sqrt 2), for sparse loadings. "horseshoe": c_nk ~ N(0, (tau
    lambda_nk)^2), lambda_nk ~ HalfCauchy(1) integrated out, tau ~ HalfCauchy(loading_scale), for a few large loadings
    among many that are nought (Carvalho, Polson and Scott 2010): it shrinks small ones more than "laplace" does, and
    large ones hardly. baseline_scale 2 covers 0.1 to 270 Hz at 95%.

    Sites: "loadings" [neuron, latent], "baseline" [neuron]; "ard": "latent_scale" [latent]; "horseshoe":
    "global_scale", tau.
    """

    shrinkage: str = "ridge"
    loading_scale: float = 0.5
    baseline_scale: float = 2.0
    name: str = ""
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        one_of(self.shrinkage, SHRINKAGE, "LinearReadout", "shrinkage")
        for field in ("loading_scale", "baseline_scale"):
            self.settle(**{field: real_number(getattr(self, field), "LinearReadout", field, above=0)})
        self.check_priors(("loadings", "baseline", *((self.learned,) if self.learned else ())))

    @property
    def learned(self) -> str | None:
        """The parameter of the prior's scale, where it has one."""
        return SHRINKAGE[self.shrinkage]

    @property
    def names(self) -> tuple[str, ...]:
        return self.site("baseline"), self.site("loadings")

    @property
    def settled(self) -> tuple[str, ...]:
        return (*self.names, *([self.site(self.learned)] if self.learned else []))

    def values(self, baseline, loadings):
        return dict(zip(self.names, (baseline, loadings), strict=True))

    def parameters(self, context: Context, dim: int, baseline_location):
        """Sample the loadings and baselines of `context.n_neurons` neurons on `dim` latents."""
        shape = [context.n_neurons, dim]
        if self.shrinkage == "laplace":
            prior = dist.Laplace(0.0, self.loading_scale / math.sqrt(2)).expand(shape)
        elif self.shrinkage == "ard":
            scale = self.sample("latent_scale", dist.HalfCauchy(self.loading_scale).expand([dim]), ("latent",))
            prior = dist.Normal(0.0, jnp.broadcast_to(scale, shape))
        elif self.shrinkage == "horseshoe":
            scale = self.sample("global_scale", dist.HalfCauchy(self.loading_scale), ())
            prior = Horseshoe(jnp.broadcast_to(scale, shape))
        else:
            prior = dist.Normal(0.0, self.loading_scale).expand(shape)
        loadings = self.sample("loadings", prior, ("neuron", "latent"))
        level = dist.Normal(baseline_location, self.baseline_scale).expand([context.n_neurons])
        return loadings, self.sample("baseline", level, ("neuron",))

    def start(self, dim: int) -> dict[str, Any]:
        """Where the sites of the prior start."""
        shape = (dim,) if self.shrinkage == "ard" else ()
        return {self.site(self.learned): jnp.full(shape, self.loading_scale)} if self.learned else {}

    def penalty(self, loadings, values: dict[str, Any], baseline_location):
        """Location [width] and precision [neuron, width] of the normal that stands for the prior in a Newton step.

        For priors that are not normal it is the tangent quadratic, which for the Laplace prior has precision
        sqrt 2 / (loading_scale |c|), for the horseshoe E[(tau lambda)^-2 | c].
        """
        neurons, dim = loadings.shape
        if self.shrinkage == "laplace":
            own = math.sqrt(2) / (self.loading_scale * self.size(loadings))
        elif self.shrinkage == "horseshoe":
            scale = values[self.site("global_scale")]
            own = local_precision(self.size(loadings), scale) / scale**2
        elif self.shrinkage == "ard":
            own = jnp.broadcast_to(values[self.site("latent_scale")] ** -2, (neurons, dim))
        else:
            own = jnp.full((neurons, dim), self.loading_scale**-2, loadings.dtype)
        location = jnp.zeros(1 + dim, loadings.dtype).at[0].set(baseline_location)
        first = jnp.full((neurons, 1), self.baseline_scale**-2, loadings.dtype)
        return location, jnp.concatenate([first, own], 1)

    def size(self, loadings):
        """|c|, and no less than what a tangent quadratic can be taken at."""
        return jnp.maximum(jnp.abs(loadings), LEAST_LOADING * self.loading_scale)

    def maximize(self, loadings, curvature, values: dict[str, Any]) -> dict[str, Any]:
        """The prior's own sites given the loadings and their precision: s^2 maximises E_q[log p(c | s)] + log p(s).

        With V = sum_n E[c_nk^2] and N neurons, -N log s - V / 2 s^2 - log(1 + s^2 / b^2) is stationary where u = s^2
        solves (N + 2) u^2 + (N b^2 - V) u - V b^2 = 0. For tau of the horseshoe the sum is over all loadings, each
        weighted by E[lambda^-2 | c], and N is their number. For "ard" V is split into the means' squares and the
        spreads, of which the latter are u (N - gamma), gamma = sum_n 1 - Var[c_nk] / u the number of loadings that the
        data determine (MacKay 1992): gamma and the squares alone stand for N and V. That has the same solution, and
        reaches s = 0 at a geometric rate, where the first form takes forever.
        """
        if self.learned is None:
            return {}
        spread, unit = jnp.diagonal(jnp.linalg.inv(curvature), axis1=1, axis2=2)[:, 1:], self.loading_scale**2
        if self.shrinkage == "horseshoe":
            size = self.size(jnp.sqrt(loadings**2 + spread))
            weight = local_precision(size, values[self.site("global_scale")])
            second, count = (weight * size**2).sum(), loadings.size
        else:
            second = (loadings**2).sum(0)
            count = jnp.clip(1 - spread / values[self.site("latent_scale")] ** 2, 0.0, 1.0).sum(0)
        linear = count * unit - second
        root = jnp.sqrt(linear**2 + 4 * (count + 2) * second * unit)
        scale = jnp.sqrt((root - linear) / (2 * (count + 2)))
        return {self.site(self.learned): jnp.maximum(scale, LEAST_SCALE * self.loading_scale)}
