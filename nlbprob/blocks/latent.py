"""Latents: priors over a trajectory x[time, latent] for each trial."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array, Bool, Float, Int

from nlbprob.arguments import whole_number
from nlbprob.blocks import calls, sizes
from nlbprob.blocks.base import Block, Context
from nlbprob.blocks.dynamics import Dynamics as Dynamics
from nlbprob.blocks.dynamics import InitialLatents as InitialLatents
from nlbprob.blocks.dynamics import Regimes as Regimes
from nlbprob.blocks.inputs import Input, designs
from nlbprob.blocks.markov import LinearGaussianMarkov
from nlbprob.blocks.nonlinear_markov import NonlinearMarkov
from nlbprob.blocks.trajectory_priors.base import ChainPrior, TrajectoryPrior
from nlbprob.blocks.trajectory_priors.linearized import LinearizedPrior
from nlbprob.errors import InputError
from nlbprob.numerics import statistics
from nlbprob.numerics.gaussian import Chain, Smoothed, apply, until

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


def conditioned(dynamics: Dynamics, inputs, condition) -> Chain:
    """The chain of each trial, given its inputs [trial, time, input] and its condition [trial] (-1: none)."""
    chain = dynamics.chain
    if dynamics.drive is not None:
        driven = inputs[:, 1:] @ dynamics.drive.T
        chain = chain._replace(offset=chain.offset + driven)
    if dynamics.condition_means is not None:
        has_condition = (condition >= 0)[:, None]
        shift = jnp.where(has_condition, dynamics.condition_means[jnp.maximum(condition, 0)], 0.0)
        chain = chain._replace(initial_mean=chain.initial_mean + shift)
    return chain


class Latent(Block, abc.ABC):
    """A prior over trajectories that is a linear-Gaussian chain given its parameters (and its discrete states).

    A subclass states `prior(context)` and `start(begin, context)`. Calling a block inside a NumPyro function samples
    the trajectories of all trials as one site named after the block.

    Attributes:
        dim: number of latents; None: `resolve` sets it from a recording.
    """

    dim: int | None
    #: Covariates that drive the state, x_t = A x_{t-1} + B u_t + noise.
    inputs: Sequence[Input] = ()
    #: Whether the prior and the readout do not change when the latents are rotated among themselves.
    rotatable = False
    #: The parameters that `maximize` updates in closed form; all others follow the gradient of the bound.
    closed_form: tuple[str, ...] = ()
    #: Whether the eigenvalues of its transition matrix, where that is constant, are modes to report.
    has_modes = True
    #: Whether its latents are coordinates that its dynamics are written in: then their signs are kept.
    own_coordinates = False
    #: Which neurons read it, values by columns of `trials.neurons`; None: all.
    neurons: Mapping[str, Any] | None = None
    #: How many discrete states choose among its dynamics; 0 where it has none.
    n_regimes = 0

    def resolve(self, trials: "Trials") -> "Latent":
        """The same block with its number of latents set, by default from these trials.

        Args:
            trials: to be learned from.

        Returns:
            The block with a `dim`: by default that of `default_dim`.
        """
        block: Any = self  # every block is a dataclass
        return self if self.dim is not None else dataclasses.replace(block, dim=self.default_dim(trials))

    def default_dim(self, trials: "Trials") -> int:
        """The number of latents where none is given: see `sizes.of_dynamics`."""
        return sizes.of_dynamics(trials)

    @property
    def n_latents(self) -> int:
        """The number of latents, once it is known."""
        if self.dim is None:
            kind = type(self).__name__
            raise InputError(
                f"The number of latents depends on the recording; to know it before, give it: {kind}(dim)."
            )
        return self.dim

    @property
    def n_states(self) -> int:
        """The length of the state, which may be larger than the number of latents."""
        return self.n_latents

    @property
    def latent_modes(self) -> Int[np.ndarray, " latent"]:
        """The mode of each latent: latents of one mode may be rotated among themselves, and modes may be exchanged."""
        return np.zeros(self.n_latents, int) if self.rotatable else np.arange(self.n_latents)

    @property
    def latent_names(self) -> list[str]:
        """The labels of its latents, which are numbered from 1, as in figures and reports."""
        return [f"{self.name} {number}" for number in range(1, self.n_latents + 1)]

    def check_dim(self) -> None:
        """Raise InputError unless `dim` is None or a positive whole number, which may be one of NumPy's."""
        if self.dim is not None:
            self.set_fields(dim=whole_number(self.dim, type(self).__name__, "dim", 1))

    def check(self, trials: "Trials") -> None:
        """Check that the block can be fitted to these trials; by default it can.

        Args:
            trials: to be learned from.

        Raises:
            InputError: it cannot; the message says what is missing.
        """

    def covariates(self, trials: "Trials", context: Context) -> dict[str, Any]:
        """The covariates of each trial that the block needs; by default its inputs.

        Args:
            trials: to be learned from, or predicted.
            context: facts of the training data.

        Returns:
            Arrays [trial, ...] by name.
        """
        return designs(self.inputs, trials)

    def starting_condition(self, covariates: dict[str, Any]):
        """The condition of each trial, for blocks whose initial state depends on it.

        Args:
            covariates: arrays [trial, ...] by name.

        Returns:
            [trial], -1 where a trial has none; None where the initial state depends on no condition.
        """
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
    def start(
        self, initial: InitialLatents, context: Context
    ) -> tuple[dict[str, Array], Float[Array, "latent latent"]]:
        """Parameters at which a fit starts: at them the block's latents z are near the estimates x = basis z.

        Args:
            initial: estimates x of the latents, and the chain that a regression fits to them.
            context: facts of the training data.

        Returns:
            Values of the block's sites by their full names, and the basis [latent, latent].
        """

    def warm_start(self) -> "Latent | None":
        """A simpler block whose fit this one starts from; None: the fit starts from smoothed counts."""
        return None

    def trajectory_prior(self, dynamics: Dynamics, chain: Chain, inside: Bool[Array, "row time"]) -> TrajectoryPrior:
        """The prior of its state for inference: the chain itself, linearised where there is a drift.

        Args:
            dynamics: at given parameters.
            chain: of each row, inputs and conditions taken into account.
            inside: the bins of each row up to the last in which anything is seen.
        """
        return ChainPrior(chain) if dynamics.drift is None else LinearizedPrior(chain, dynamics.drift, inside)

    def statistics(self, smoothed: Smoothed, prior: TrajectoryPrior, condition_shift, bin_weights, auxiliary) -> Any:
        """The sufficient statistics for `maximize` of some rows: sums, which are added up over all chunks.

        Args:
            smoothed: means and covariances of the block's state.
            prior: of the state; the offset of its chain includes the inputs.
            condition_shift: the row's initial mean less the one that conditions share [row, state].
            bin_weights: [row, time], the weight of each bin: 1 inside the trial times its responsibility, 0 after.
            auxiliary: the block's auxiliary posterior, see `TrajectoryPrior`.

        Returns:
            A pytree of sums over rows.
        """
        return statistics.gather(
            smoothed.mean,
            smoothed.covariance,
            smoothed.cross_covariance,
            prior.chain.offset,
            condition_shift,
            bin_weights,
        )

    @property
    def regresses(self) -> bool:
        """Whether `maximize` is `from_chain` of `regression`: EM then makes each step from several iterations."""
        return False

    def regression(self, stats: Any, context: Context) -> Chain:
        """The linear dynamics that maximise the expected log density, in the present basis.

        Args:
            stats: `statistics`, added up over all trials.
            context: facts of the training data.
        """
        raise AssertionError(f"{type(self).__name__} regresses, and has no method regression.")

    def from_chain(self, chain: Chain, context: Context, values: dict[str, Array]) -> tuple[dict[str, Array], Any]:
        """What `maximize` returns, for given linear dynamics.

        Args:
            chain: the dynamics, in the present basis.
            context: facts of the training data.
            values: of the block's sites before the update, by their full names.
        """
        raise AssertionError(f"{type(self).__name__} regresses, and has no method from_chain.")

    def maximize(self, stats: Any, context: Context, values: dict[str, Array]) -> tuple[dict[str, Array], Any]:
        """New values of the sites in `closed_form`, and the basis in which they are.

        Args:
            stats: `statistics`, added up over all trials.
            context: facts of the training data.
            values: of the block's sites before the update, by their full names.

        Returns:
            The values by full name, and the basis [latent, latent], old latents = basis new latents.
        """
        raise AssertionError(f"{type(self).__name__} names sites in closed_form, and has no method maximize for them.")

    def for_trials(self, dynamics: Dynamics, covariates: dict[str, Any]) -> Chain:
        """The chain of each trial.

        Args:
            dynamics: the prior at given parameters.
            covariates: arrays [trial, ...] by name, as `covariates` returns them.

        Returns:
            The chain, with a leading axis `trial` where a part of it differs between trials.
        """
        inputs = [covariates[item.name] for item in self.inputs]
        return conditioned(
            dynamics, jnp.concatenate(inputs, -1) if inputs else None, self.starting_condition(covariates)
        )

    def trajectories(self, dynamics: Dynamics, trials: "Trials"):
        """Sample the trajectories of all trials at given parameters, as one site.

        Args:
            dynamics: the prior at these parameters.
            trials: whose inputs and conditions the chain takes.

        Returns:
            x [trial, time, latent].
        """
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
        """Sample the block's parameters and its trajectories, inside a NumPyro function.

        Args:
            trials: whose trajectories are sampled.

        Returns:
            x [trial, time, latent].
        """
        return calls.latents(self, trials)
