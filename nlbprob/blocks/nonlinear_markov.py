"""A whole trajectory of a nonlinear chain with Gaussian noise as one NumPyro distribution."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import lax, random
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from nlbprob.numerics.gaussian import Chain, apply, cholesky


class NonlinearMarkov(dist.Distribution):
    """x_1 ~ N(m0, P0), x_t = A x_{t-1} + b + f(x_{t-1}) + N(0, Q); an event is x, of shape [time, state].

    Args:
        chain: m0, P0, A, b and Q, the same for all steps and trials.
        drift: f of one state [state], a pytree.
        num_steps: bins of a trajectory.
    """

    support = constraints.real_matrix  # pyright: ignore[reportAssignmentType]
    pytree_data_fields = ("chain", "drift")
    pytree_aux_fields = ("num_steps",)

    def __init__(self, chain: Chain, drift: Callable, num_steps: int, *, validate_args: bool | None = None):
        self.chain, self.drift, self.num_steps = chain, drift, num_steps
        super().__init__((), (num_steps, chain.initial_mean.shape[-1]), validate_args=validate_args)

    def moved(self, x: Float[Array, "*batch state"]) -> Float[Array, "*batch state"]:
        """A x + b + f(x) of states [..., state]."""
        flat = x.reshape(-1, x.shape[-1])
        return apply(self.chain.transition, x) + self.chain.offset + jax.vmap(self.drift)(flat).reshape(x.shape)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Float[Array, "*sample time state"]:
        chain = self.chain
        normal = random.normal(key, (self.num_steps, *sample_shape, self.event_shape[-1]), chain.initial_mean.dtype)
        first = chain.initial_mean + apply(cholesky(chain.initial_covariance), normal[0])
        root = cholesky(chain.noise)

        def advance(
            state: Float[Array, "*sample state"], shock: Float[Array, "*sample state"]
        ) -> tuple[Float[Array, "*sample state"], Float[Array, "*sample state"]]:
            state = self.moved(state) + apply(root, shock)
            return state, state

        _, later = lax.scan(advance, first, normal[1:])
        return jnp.moveaxis(jnp.concatenate([first[None], later]), 0, -2)

    def log_prob(self, value: Float[Array, "*batch time state"]) -> Float[Array, "*batch"]:
        chain = self.chain
        first = dist.MultivariateNormal(chain.initial_mean, scale_tril=cholesky(chain.initial_covariance))
        steps = dist.MultivariateNormal(self.moved(value[..., :-1, :]), scale_tril=cholesky(chain.noise))
        return first.log_prob(value[..., 0, :]) + steps.log_prob(value[..., 1:, :]).sum(-1)
