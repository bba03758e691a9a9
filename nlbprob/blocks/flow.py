"""Nonlinear dynamics: a flow that is any smooth function of the state."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from nlbprob.arguments import checked_keywords
from nlbprob.blocks.base import Context
from nlbprob.blocks.drift import Drift, sampled_sites
from nlbprob.blocks.flow_start import coordinates
from nlbprob.blocks.latent import Dynamics, InitialLatents, Latent
from nlbprob.blocks.lds import LDS
from nlbprob.blocks.trajectory_priors.linearized import LinearizedPrior
from nlbprob.errors import InputError
from nlbprob.numerics import cubature, statistics
from nlbprob.numerics.gaussian import Chain, symmetrize

#: The noise of a step by the prior: its variance, and the number of bins that this is worth.
NOISE_VARIANCE, NOISE_BINS = 0.05, 20.0


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Flow(Latent):
    """x_1 ~ N(m0, P0), x_t = x_{t-1} + f(x_{t-1}) + N(0, Q), f any smooth function of the state.

    The posterior of a trajectory is a linear-Gaussian chain times Gaussian sites, about which f is linearised
    statistically; the bound is E_q[log p(y | x)] + E_q[log p(x)] - E_q[log q(x)], its expectations of f by a cubature
    rule (Gauss-Hermite up to four latents, of degree 3 beyond). With a linear f it is that of an `LDS`. See
    `nlbprob.blocks.trajectory_priors.linearized`.

    Args:
        function: f of one state [latent], per bin: what a step adds to the state. Written in `jax.numpy`; what it
            samples with `numpyro.sample` are its parameters, named after the block: "flow.rate". The state is in the
            coordinates of f, which should be of order one: priors on loadings expect latents of unit variance.
        dim: number of latents.
        name: prefix of its sites.
        priors: in place of the priors of noise [latent, latent] (Q) ~ inverse Wishart with mean 0.05 I; initial_mean
            [latent] ~ N(0, 1); initial_covariance [latent, latent] ~ inverse Wishart with mean I. The priors of f's
            parameters stand in f.
        neurons: which neurons read it, by columns of `trials.neurons`, such as {"area": "M1"}; None: all.

    Raises:
        InputError: f is no function, or its value has not the shape of a state.

    Example:
        >>> import jax.numpy as jnp, numpyro, numpyro.distributions as dist, nlbprob as nlb
        >>> def double_well(x):
        ...     rate = numpyro.sample("rate", dist.LogNormal(-2.0, 1.0))
        ...     return rate * (x - x**3)
        >>> nlb.Model(latents=[nlb.Flow(double_well, 1)]).latent_names
        ['flow 1']
    """

    function: Callable[[Array], Array]
    dim: int | None = None
    name: str = "flow"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)
    neurons: Mapping[str, Any] | None = None

    closed_form = ("noise", "initial_mean", "initial_covariance")
    own_coordinates = True

    def __post_init__(self):
        if not callable(self.function) or isinstance(self.function, type):
            raise InputError(f"Flow: {self.function!r} is no function of a state, such as lambda x: 0.1 * (x - x**3).")
        self.check_dim()
        self.check_priors(self.closed_form)

    def prior(self, context: Context) -> Dynamics:
        """Sample the parameters; return the chain without f, and f."""
        dim = self.n_latents
        zero, identity = jnp.zeros(dim), np.eye(dim, dtype=np.float32)
        sites, value = sampled_sites(self.function, self.name, zero)
        if jnp.shape(value) != (dim,):
            raise InputError(
                f"Flow: at a state of shape {(dim,)} the function has a value of shape {jnp.shape(value)}; it is what "
                "a step adds to the state. Return one number for each latent, as jnp.stack([...]) does."
            )
        wishart = dist.InverseWishart(dim + 5.0, scale_matrix=4.0 * NOISE_VARIANCE * identity)
        noise = self.sample("noise", wishart, ("latent", "latent_2"))
        mean = self.sample("initial_mean", dist.Normal(0.0, 1.0).expand([dim]), ("latent",))
        wishart = dist.InverseWishart(dim + 5.0, scale_matrix=4.0 * identity)
        covariance = self.sample("initial_covariance", wishart, ("latent", "latent_2"))
        drift = Drift({name: site["value"] for name, site in sites.items()}, self.function, self.name)
        return Dynamics(Chain(mean, covariance, jnp.eye(dim), zero, noise), drift=drift)

    def warm_start(self) -> LDS:
        return LDS(self.dim, name=self.name, neurons=self.neurons)

    def start(self, initial: InitialLatents, context: Context):
        """The linear map of the given latents, and the parameters of f, at which f best predicts their next bin."""
        start = coordinates(self.function, self.name, initial)
        mean, identity = start.first.mean(0), np.eye(self.n_latents)
        centred = start.first - mean
        values = {
            "noise": start.noise + 0.02 * identity,
            "initial_mean": mean,
            "initial_covariance": centred.T @ centred / len(centred) + 0.1 * identity,
        }
        dtype = jnp.result_type(float)
        values = {self.site(name): jnp.asarray(value, dtype) for name, value in values.items()}
        return values | start.parameters, jnp.asarray(start.basis, dtype)

    def statistics(self, smoothed, prior, condition_shift, bin_weights, auxiliary):
        """Sums of E[(x_t - x_{t-1} - f)(...)'] and of steps; moments of the first bin."""
        assert isinstance(prior, LinearizedPrior)
        residual = jax.vmap(jax.vmap(lambda *step: squared_residual(prior.drift, *step)))
        mean, covariance, cross = smoothed.mean, smoothed.covariance, smoothed.cross_covariance
        squares = residual(mean[:, :-1], covariance[:, :-1], mean[:, 1:], covariance[:, 1:], cross)
        gathered = statistics.gather(mean, covariance, cross, 0.0, condition_shift, bin_weights)
        later = bin_weights[:, 1:]
        return jnp.einsum("bt,btij->ij", later, squares), later.sum(), gathered

    def maximize(self, stats, context: Context, values: dict):
        """The mean square of what f leaves of a step, with the prior's bins; the first bin as in an LDS."""
        squares, steps, gathered = stats
        identity = jnp.eye(self.n_latents, dtype=squares.dtype)
        noise = (symmetrize(squares) + NOISE_BINS * NOISE_VARIANCE * identity) / (steps + NOISE_BINS)
        mean, covariance = statistics.initial(gathered)
        updated = {"noise": noise, "initial_mean": mean, "initial_covariance": covariance}
        return {self.site(name): value for name, value in updated.items()}, identity


def squared_residual(
    drift: Callable[[Array], Array],
    mean: Float[Array, " state"],
    covariance: Float[Array, "state state"],
    after: Float[Array, " state"],
    later: Float[Array, "state state"],
    cross: Float[Array, "state state"],
) -> Float[Array, "state state"]:
    """E[(x' - x - f(x))(x' - x - f(x))'] of neighbours with these means, covariances, and Cov(x', x) = cross."""
    x, conditional, weights, gain = cubature.pair_nodes(mean, covariance, after, cross)
    residual = conditional - x - jax.vmap(drift)(x)
    return (weights[:, None] * residual).T @ residual + later - gain.T @ gain
