"""The trajectory of a switching linear-Gaussian chain as one NumPyro distribution, its regimes summed over."""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import lax, random
from numpyro.distributions import constraints

from nlbprob.blocks.latent import Dynamics
from nlbprob.numerics import hmm
from nlbprob.numerics.gaussian import apply, cholesky


class SwitchingLinearGaussian(dist.Distribution):
    """p(x) = sum over s of p(x_1) p(s_1) prod_t p(s_t | s_{t-1}, x_{t-1}) N(x_t; A_s x_{t-1} + b_s, Q_s).

    An event is x, of shape [time, state]; log p(x) is computed by the forward algorithm over the regimes.
    """

    support = constraints.real_matrix  # pyright: ignore[reportAssignmentType]
    pytree_data_fields = ("dynamics",)
    pytree_aux_fields = ("num_steps",)

    def __init__(self, dynamics: Dynamics, num_steps: int, *, validate_args=None):
        assert dynamics.regimes is not None
        self.dynamics, self.num_steps = dynamics, num_steps
        size = dynamics.chain.initial_mean.shape[-1]
        super().__init__(batch_shape=(), event_shape=(num_steps, size), validate_args=validate_args)

    def log_transitions(self, x):
        """log p(s_{t+1} = k | s_t = j, x_t).

        Args:
            x: states [..., step, state].

        Returns:
            [..., step, regime j, regime k]; without the leading axes where transitions do not depend on the state.
        """
        regimes: Any = self.dynamics.regimes
        if regimes.recurrence is None:
            return jax.nn.log_softmax(regimes.transition, -1)
        return jax.nn.log_softmax(regimes.transition + (x @ regimes.recurrence.T)[..., None, :], -1)

    def sample(self, key: Any, sample_shape=()):
        return self.sample_with_regimes(key, sample_shape)[0]

    def sample_with_regimes(self, key, sample_shape=()):
        """Draw trajectories, and the regime of each bin.

        Args:
            key: of JAX's random numbers.
            sample_shape: leading axes of the draws.

        Returns:
            x [..., time, state] and s [..., time].
        """
        chain, regimes = self.dynamics.chain, self.dynamics.regimes
        assert regimes is not None
        first, start, steps_key = random.split(key, 3)
        normal = random.normal(first, (self.num_steps, *sample_shape, self.event_shape[-1]))
        state = chain.initial_mean + apply(cholesky(chain.initial_covariance), normal[0])
        regime = random.categorical(start, regimes.initial, shape=sample_shape)
        roots = cholesky(chain.noise)

        def advance(carry, inputs):
            state, regime = carry
            shock, key = inputs
            logits = jnp.broadcast_to(self.log_transitions(state), (*sample_shape, *regimes.transition.shape))
            row = jnp.take_along_axis(logits, regime[..., None, None], -2)[..., 0, :]
            regime = random.categorical(key, row)
            state = apply(chain.transition[regime], state) + chain.offset[regime] + apply(roots[regime], shock)
            return (state, regime), (state, regime)

        keys = random.split(steps_key, self.num_steps - 1)
        _, (states, path) = lax.scan(advance, (state, regime), (normal[1:], keys))
        states = jnp.moveaxis(jnp.concatenate([state[None], states]), 0, -2)
        return states, jnp.moveaxis(jnp.concatenate([regime[None], path]), 0, -1)

    def log_evidence(self, value):
        """log p(x_t | x_{t-1}, s_t), zero at the first bin.

        Args:
            value: trajectories [..., time, state].

        Returns:
            [..., time, regime].
        """
        chain = self.dynamics.chain
        predicted = jnp.einsum("sij,...tj->...tsi", chain.transition, value[..., :-1, :]) + chain.offset
        steps = dist.MultivariateNormal(predicted, scale_tril=cholesky(chain.noise)).log_prob(value[..., 1:, None, :])
        return jnp.concatenate([jnp.zeros_like(steps[..., :1, :]), steps], -2)

    def regimes(self, key, value):
        """Draw the regime of each bin given trajectories, by forward filtering and backward sampling.

        Args:
            key: of JAX's random numbers.
            value: trajectories [..., time, state].

        Returns:
            s [..., time]; with trajectories drawn from p(x), a draw of p(x, s).
        """
        transitions = self.log_transitions(value[..., :-1, :])
        regimes: Any = self.dynamics.regimes
        return hmm.draw(key, regimes.initial, transitions, self.log_evidence(value))

    def log_prob(self, value):
        chain, regimes = self.dynamics.chain, self.dynamics.regimes
        assert regimes is not None
        first = dist.MultivariateNormal(chain.initial_mean, scale_tril=cholesky(chain.initial_covariance))
        transitions = self.log_transitions(value[..., :-1, :])
        return first.log_prob(value[..., 0, :]) + hmm.forward(regimes.initial, transitions, self.log_evidence(value))[1]
