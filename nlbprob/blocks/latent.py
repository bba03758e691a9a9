"""Latents: priors over a trajectory x[time, latent] for each trial."""

import abc
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array, Bool, Float, Int

from nlbprob.arguments import whole_number
from nlbprob.blocks import calls
from nlbprob.blocks.base import Block, Context
from nlbprob.blocks.inputs import Input, designs
from nlbprob.blocks.markov import LinearGaussianMarkov
from nlbprob.blocks.nonlinear_markov import NonlinearMarkov
from nlbprob.blocks.trajectory_priors.base import ChainPrior, TrajectoryPrior
from nlbprob.blocks.trajectory_priors.linearized import LinearizedPrior
from nlbprob.data.stitch import neurons_of_a_session
from nlbprob.errors import InputError
from nlbprob.numerics import matrices, statistics
from nlbprob.numerics.gaussian import Chain, Smoothed, apply, until

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


#: The most latents that a block takes by itself, where it is not told how many.
MOST_LATENTS = 24


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
        starts: [condition, state], what each condition adds to the initial mean; None where they share it.
        regimes: the Markov chain that chooses among dynamics, if any.
        drift: f, a pytree, called with one state [state]; every step adds f(x_{t-1}). None where steps are linear.
    """

    chain: Chain
    emission: Float[Array, "*time latent state"] | None = None
    drive: Float[Array, "state input"] | None = None
    starts: Float[Array, "condition state"] | None = None
    regimes: Regimes | None = None
    drift: Callable[[Array], Array] | None = None

    def change_basis(self, basis: Float[Array, "state state"]) -> "Dynamics":
        """The dynamics of z, where state = basis z; of a chain without regimes and emission."""
        inverse = jnp.linalg.inv(basis)
        return self._replace(
            chain=matrices.change_basis(self.chain, basis),
            drive=None if self.drive is None else inverse @ self.drive,
            starts=None if self.starts is None else self.starts @ inverse.T,
        )


class Begin(NamedTuple):
    """What a fit begins with for a block: its latents, roughly, and the chain that a regression finds in them.

    Attributes:
        chain: of the latents, by a regression of each bin on the one before.
        latents: [trial, time, latent], of unit second moment.
        inside: [trial, time], the bins of each trial up to the last in which anything is seen.
        random: the source of random numbers for what a block draws.
    """

    chain: Chain
    latents: np.ndarray
    inside: np.ndarray
    random: np.random.Generator


def conditioned(dynamics: Dynamics, inputs, condition) -> Chain:
    """The chain of each trial: its inputs [trial, time, input] and its condition [trial] taken into account."""
    chain = dynamics.chain
    if dynamics.drive is not None:
        pushed = inputs[:, 1:] @ dynamics.drive.T
        chain = chain._replace(offset=chain.offset + pushed)
    if dynamics.starts is not None:
        known = (condition >= 0)[:, None]
        own = jnp.where(known, dynamics.starts[jnp.maximum(condition, 0)], 0.0)
        chain = chain._replace(initial_mean=chain.initial_mean + own)
    return chain


class Latent(Block, abc.ABC):
    """A prior over trajectories that is a linear-Gaussian chain given its parameters (and its discrete states).

    A subclass states `prior(context)` and `start(begin, context)`. Calling a block inside a NumPyro function samples
    the trajectories of all trials as one site named after the block.

    Attributes:
        dim: number of latents; None until the block meets a recording, see `resolve`.
    """

    dim: int | None
    #: Known covariates that push the state.
    inputs: Sequence[Input] = ()
    #: Whether the prior and the readout do not change when the latents are rotated among themselves.
    rotatable = False
    #: The parameters that `maximize` finds in closed form; all others follow the gradient of the bound.
    settled: tuple[str, ...] = ()
    #: Whether its latents stay as they are throughout a trial: then its dynamics tell nothing.
    constant = False
    #: Whether its latents are coordinates that its dynamics are written in: then their signs are kept.
    own_coordinates = False
    #: How many discrete states choose among its dynamics; 0 where it has none.
    n_regimes = 0

    def resolve(self, trials: "Trials") -> "Latent":
        """The same block with its number of latents settled for these trials.

        Args:
            trials: to be learned from.

        Returns:
            The block with a `dim`: by default the square root of the number of neurons of a session, at most 24.
        """
        if self.dim is not None:
            return self
        block: Any = self  # every block is a dataclass
        dim = max(1, round(math.sqrt(neurons_of_a_session(trials))))
        return dataclasses.replace(block, dim=min(MOST_LATENTS, dim))

    @property
    def n_latents(self) -> int:
        """The number of latents, once it is settled."""
        if self.dim is None:
            kind = type(self).__name__
            raise InputError(f"The number of latents is not settled before the model meets a recording: {kind}(dim).")
        return self.dim

    @property
    def n_states(self) -> int:
        """The length of the state, which may be larger than the number of latents."""
        return self.n_latents

    @property
    def latent_modes(self) -> Int[np.ndarray, " latent"]:
        """Which mode each latent belongs to: those of one may be rotated among themselves, modes may be exchanged."""
        return np.zeros(self.n_latents, int) if self.rotatable else np.arange(self.n_latents)

    @property
    def latent_names(self) -> list[str]:
        """What its latents are called in labels."""
        return [f"{self.name}[{number}]" for number in range(self.n_latents)]

    def check_dim(self) -> None:
        """Raise InputError unless `dim` is None or a positive whole number, which may be one of NumPy's."""
        if self.dim is not None:
            self.settle(dim=whole_number(self.dim, type(self).__name__, "dim", 1))

    def check(self, trials: "Trials") -> None:
        """See that the block can be fitted to these trials; by default it can.

        Args:
            trials: to be learned from.

        Raises:
            InputError: it cannot; the message says what is missing.
        """

    def covariates(self, trials: "Trials", context: Context) -> dict[str, Any]:
        """What the block has to know of each trial; by default its inputs.

        Args:
            trials: to be learned from, or predicted.
            context: facts of the training data.

        Returns:
            Arrays [trial, ...] by name.
        """
        return designs(self.inputs, trials)

    def starting_condition(self, covariates: dict[str, Any]):
        """The condition of each trial, for blocks whose initial state depends on it."""
        return covariates.get("condition")

    @abc.abstractmethod
    def prior(self, context: Context) -> Dynamics:
        """Sample the block's parameters.

        Args:
            context: facts of the training data.

        Returns:
            The prior of its trajectories at these parameters, scaled so that the second moment of x averaged over the
            bins of a trial is the identity (so that priors on loadings mean something).
        """

    @abc.abstractmethod
    def start(self, begin: Begin, context: Context) -> tuple[dict[str, Array], Float[Array, "latent latent"]]:
        """Where a fit begins: parameters at which the block's latents z are near given ones, x, where x = basis z.

        Args:
            begin: rough latents x, and the chain that a regression finds in them.
            context: facts of the training data.

        Returns:
            Values of the block's sites by their full names, and the basis [latent, latent].
        """

    def pilot(self) -> "Latent | None":
        """A simpler block whose fit this one starts from; None: it starts from smoothed counts."""
        return None

    def trajectory_prior(self, dynamics: Dynamics, chain: Chain, inside: Bool[Array, "row time"]) -> TrajectoryPrior:
        """The prior of its state as inference knows it: the chain itself, linearised where there is a drift.

        Args:
            dynamics: at given parameters.
            chain: of each row, inputs and conditions taken into account.
            inside: the bins of each row up to the last in which anything is seen.
        """
        return ChainPrior(chain) if dynamics.drift is None else LinearizedPrior(chain, dynamics.drift, inside)

    def statistics(self, smoothed: Smoothed, prior: TrajectoryPrior, apart, within, auxiliary) -> Any:
        """What `maximize` needs of some rows: sums, so that those of all chunks can be added up.

        Args:
            smoothed: moments of the block's state.
            prior: of the state; its chain's offset has what inputs add to the steps.
            apart: what conditions add to the initial mean.
            within: the weight of each bin [row, time].
            auxiliary: the block's auxiliary posterior, see `TrajectoryPrior`.
        """
        offset = prior.chain.offset
        return statistics.gather(smoothed.mean, smoothed.covariance, smoothed.cross_covariance, offset, apart, within)

    def maximize(self, stats: Any, context: Context, values: dict[str, Array]) -> tuple[dict[str, Array], Any]:
        """New values of the sites that are `settled`, up to a basis, and that basis; from `statistics` of all rows."""
        raise AssertionError(f"{type(self).__name__} says that sites are settled, and has no update for them.")

    def for_trials(self, dynamics: Dynamics, covariates: dict[str, Any]) -> Chain:
        """The chain of each trial."""
        inputs = [covariates[one.name] for one in self.inputs]
        return conditioned(
            dynamics, jnp.concatenate(inputs, -1) if inputs else None, self.starting_condition(covariates)
        )

    def trajectories(self, dynamics: Dynamics, trials: "Trials"):
        """Sample x [trial, time, latent] of all trials at given parameters."""
        covariates = {name: jnp.asarray(value) for name, value in self.covariates(trials, Context.of(trials)).items()}
        chain = self.for_trials(dynamics, covariates)
        with numpyro.plate("trial", trials.n_trials, dim=-1):
            prior: Any = LinearGaussianMarkov.from_chain(chain, trials.n_bins)
            if dynamics.drift is not None:
                prior = NonlinearMarkov(chain, dynamics.drift, trials.n_bins)
            label = f"{self.name}_latent" if dynamics.emission is None else f"{self.name}_state"
            state: Any = numpyro.sample(self.name, prior, infer={"event_dims": ["time", label]})
        if dynamics.emission is None:
            return state
        emission = dynamics.emission
        return apply(emission if emission.ndim == 2 else until(emission, trials.n_bins, axis=0), state)

    def __call__(self, trials: "Trials"):
        """Sample the block's parameters and its trajectories: x [trial, time, latent]."""
        return calls.latents(self, trials)
