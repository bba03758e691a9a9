"""The trajectory of a linear-Gaussian chain as one NumPyro distribution: one sample site, no scan of sites."""

from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jax import lax, random
from numpyro.distributions import constraints

from nlbprob.numerics.gaussian import Chain, Smoothed, cholesky, divide, symmetrize


class LinearGaussianMarkov(dist.Distribution):
    """x_1 ~ N(m0, P0), x_t = A_t x_{t-1} + b_t + N(0, Q_t) for t = 2..T; an event is x, of shape [time, state].

    Arguments: m0 [..., state], P0 [..., state, state]; A, Q [..., T-1, state, state] and b [..., T-1, state], or
    without the time axis where they are constant (then give `num_steps` = T).
    """

    #: Covariances may be singular, or too near to it for a test of their eigenvalues in float32.
    arg_constraints = {
        "initial_mean": constraints.real_vector,
        "initial_covariance": constraints.real_matrix,
        "transition": constraints.real_matrix,
        "offset": constraints.real_vector,
        "noise": constraints.real_matrix,
    }
    support = constraints.real_matrix  # pyright: ignore[reportAssignmentType]
    reparametrized_params = ["initial_mean", "initial_covariance", "transition", "offset", "noise"]
    pytree_aux_fields = ("num_steps",)

    def __init__(
        self, initial_mean, initial_covariance, transition, offset, noise, num_steps=None, *, validate_args=None
    ):
        state = initial_mean.shape[-1]
        if num_steps is None:
            num_steps = transition.shape[-3] + 1
        else:
            transition, noise = (jnp.expand_dims(a, -3) for a in (transition, noise))
            offset = jnp.expand_dims(offset, -2)
        steps = num_steps - 1
        batch: Any = lax.broadcast_shapes(
            initial_mean.shape[:-1],
            initial_covariance.shape[:-2],
            transition.shape[:-3],
            offset.shape[:-2],
            noise.shape[:-3],
        )
        self.num_steps = num_steps
        self.initial_mean = jnp.broadcast_to(initial_mean, (*batch, state))
        self.initial_covariance = jnp.broadcast_to(initial_covariance, (*batch, state, state))
        self.transition = jnp.broadcast_to(transition, (*batch, steps, state, state))
        self.offset = jnp.broadcast_to(offset, (*batch, steps, state))
        self.noise = jnp.broadcast_to(noise, (*batch, steps, state, state))
        super().__init__(batch_shape=batch, event_shape=(num_steps, state), validate_args=validate_args)

    @classmethod
    def from_chain(cls, chain: Chain, num_steps: int) -> "LinearGaussianMarkov":
        """The distribution of the trajectories of a chain.

        Args:
            chain: one for all trials, or with a leading axis `trial`.
            num_steps: the number of bins T.

        Returns:
            A distribution with events [time, state].
        """

        def every_step(array, n_axes):
            return array if array.ndim > n_axes else jnp.broadcast_to(array, (num_steps - 1, *array.shape))

        steps = (every_step(chain.transition, 2), every_step(chain.offset, 1), every_step(chain.noise, 2))
        return cls(chain.initial_mean, chain.initial_covariance, *steps)

    @classmethod
    def from_smoothed(cls, smoothed: Smoothed) -> "LinearGaussianMarkov":
        """The posterior chain of a smoother, run forward in time.

        x_{t+1} | x_t ~ N(m_{t+1} + S P_t^-1 (x_t - m_t), P_{t+1} - S P_t^-1 S'), S = Cov(x_{t+1}, x_t).

        Args:
            smoothed: means [..., time, state], covariances, and S of neighbouring bins.

        Returns:
            A distribution with events [time, state].
        """
        mean, covariance, cross = smoothed.mean, smoothed.covariance, smoothed.cross_covariance
        gain = divide(cross, cholesky(covariance[..., :-1, :, :]))
        offset = mean[..., 1:, :] - jnp.einsum("...ij,...j->...i", gain, mean[..., :-1, :])
        later = covariance[..., 1:, :, :]
        noise = symmetrize(later - gain @ cross.mT)
        # The difference may be far smaller than its terms; adding their rounding error keeps it positive definite.
        rounding = 4 * later.shape[-1] * jnp.finfo(later.dtype).eps * jnp.diagonal(later, axis1=-2, axis2=-1)
        noise = noise + rounding[..., None] * jnp.eye(later.shape[-1], dtype=later.dtype)
        return cls(mean[..., 0, :], covariance[..., 0, :, :], gain, offset, noise)

    def sample(self, key: Any, sample_shape=()):
        shape = (*sample_shape, *self.batch_shape)
        normal = random.normal(key, (self.num_steps, *shape, self.event_shape[-1]), self.initial_mean.dtype)
        first = self.initial_mean + jnp.einsum("...ij,...j->...i", cholesky(self.initial_covariance), normal[0])
        leading = (
            jnp.moveaxis(self.transition, -3, 0),
            jnp.moveaxis(self.offset, -2, 0),
            jnp.moveaxis(cholesky(self.noise), -3, 0),
            normal[1:],
        )

        def advance(state, step):
            transition, offset, root, shock = step
            state = jnp.einsum("...ij,...j->...i", transition, state) + offset
            state = state + jnp.einsum("...ij,...j->...i", root, shock)
            return state, state

        _, states = lax.scan(advance, first, leading)
        return jnp.moveaxis(jnp.concatenate([first[None], states]), 0, -2)

    def log_prob(self, value):
        predicted = jnp.einsum("...tij,...tj->...ti", self.transition, value[..., :-1, :]) + self.offset
        steps = dist.MultivariateNormal(predicted, scale_tril=cholesky(self.noise)).log_prob(value[..., 1:, :])
        first = dist.MultivariateNormal(self.initial_mean, scale_tril=cholesky(self.initial_covariance))
        return first.log_prob(value[..., 0, :]) + steps.sum(-1)
