"""The prior of trajectories at given parameters, and the estimates of latents from which a fit starts."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain


class Regimes(NamedTuple):
    """A hidden Markov chain that chooses among dynamics.

    Attributes:
        initial: [regime], log p(s_1 = k).
        transition: [regime, regime], log p(s_t = k | s_{t-1} = j) in row j; unnormalised where there is a recurrence.
        recurrence: R [regime, state]: log p(s_t = k | s_{t-1} = j, x_{t-1}) = transition_jk + R_k'x_{t-1} up to its
            normaliser; None where the transitions do not depend on the state.
    """

    initial: Float[Array, " regime"]
    transition: Float[Array, "regime regime"]
    recurrence: Float[Array, "regime state"] | None = None


class Dynamics(NamedTuple):
    """The prior of a block's trajectories at given parameters.

    Attributes:
        chain: of its state; with `regimes`, transition, offset and noise have a leading axis `regime`.
        emission: H [latent, state], or of each bin [time, latent, state], the last held where trials are longer: the
            latents are x = H state; None where they are the state.
        drive: B [state, input]: adds B u_t to the offset of every step; None without inputs.
        condition_means: [condition, state], shift of the initial mean in each condition; None where there is none.
        regimes: the Markov chain that chooses among dynamics, if any.
        drift: f, a pytree, called with one state [state]; every step adds f(x_{t-1}). None where steps are linear.
    """

    chain: Chain
    emission: Float[Array, "*time latent state"] | None = None
    drive: Float[Array, "state input"] | None = None
    condition_means: Float[Array, "condition state"] | None = None
    regimes: Regimes | None = None
    drift: Callable[[Array], Array] | None = None

    def change_basis(self, basis: Float[Array, "state state"]) -> "Dynamics":
        """The dynamics of z, where state = basis z; of a chain without regimes and emission.

        Args:
            basis: invertible.

        Returns:
            The dynamics of z.
        """
        inverse = jnp.linalg.inv(basis)
        return self._replace(
            chain=matrices.change_basis(self.chain, basis, inverse),
            drive=None if self.drive is None else inverse @ self.drive,
            condition_means=None if self.condition_means is None else self.condition_means @ inverse.T,
        )


class InitialLatents(NamedTuple):
    """First estimates of a block's latents, from which a fit starts, and of their chain.

    Attributes:
        chain: of the latents: that of the simpler model that was fitted, else by a regression of each bin on the one
            before.
        latents: [trial, time, latent], of unit second moment.
        inside: [trial, time], the bins of each trial up to the last in which anything is seen.
        random: the source of random numbers for what a block draws.
    """

    chain: Chain
    latents: np.ndarray
    inside: np.ndarray
    random: np.random.Generator
