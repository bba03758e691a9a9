"""Latents, a readout and an observation make a generative model: a NumPyro callable with named dimensions."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpyro
from jaxtyping import Array, Float

from nlbprob.blocks.base import Context
from nlbprob.blocks.latent import Latent
from nlbprob.blocks.observations import Observation, Poisson
from nlbprob.blocks.readout import LinearReadout
from nlbprob.errors import InputError
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


class Parameters(NamedTuple):
    """Everything the posterior of a trajectory depends on.

    `uncertainty` is the covariance of each neuron's (baseline, loadings) where predictions take it into account;
    None where the parameters are known, as at a draw.
    """

    chain: Chain
    loadings: Float[Array, "neuron state"]
    baseline: Float[Array, " neuron"]
    observation: dict[str, Any]
    uncertainty: Float[Array, "neuron width width"] | None = None


@dataclasses.dataclass(frozen=True)
class Model:
    """y[trial, time, neuron] ~ observation(c_n'x + d_n), x the concatenated latents of the trial.

    Calling it on `Trials` is a NumPyro model: sites of the blocks' parameters, one site of trajectories a latent
    block, the deterministic "rates" in spikes per bin, and the observed counts "spikes" in the plates trial, time,
    neuron.

    >>> import nlbprob as nlb
    >>> nlb.Model(latents=[nlb.LDS(12)], observation=nlb.Poisson()).dim
    12
    """

    latents: Sequence[Latent]
    observation: Observation = dataclasses.field(default_factory=Poisson)
    readout: LinearReadout = dataclasses.field(default_factory=LinearReadout)

    def __post_init__(self):
        names = [latent.name for latent in self.latents]
        if not names:
            raise InputError("Model(latents=[]): a model needs at least one latent block, such as LDS(12).")
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"Model: two latents are named {name!r}; give each its own name, LDS(8, name='slow').")

    @property
    def dim(self) -> int:
        """The number of latents of all blocks together."""
        return sum(latent.n_latents for latent in self.latents)

    def resolve(self, trials: "Trials") -> "Model":
        """The same model with the number of latents settled for these trials.

        Raises InputError where there would be more latents than neurons.
        """
        model = dataclasses.replace(self, latents=[latent.resolve(trials.n_neurons) for latent in self.latents])
        model.check(trials)
        return model

    def check(self, trials: "Trials") -> None:
        """Raise InputError where the model cannot be fitted to these trials."""
        if self.dim > trials.n_neurons:
            raise InputError(
                f"The model has {self.dim} latents, the recording {trials.n_neurons} neurons: "
                "more latents than neurons cannot be told apart. Lower dim, or select more units."
            )

    def _parameters(self, context: Context) -> tuple[list[Chain], Any, Any, dict[str, Any]]:
        chains = [latent.chain(context) for latent in self.latents]
        location = self.observation.baseline_location(context)
        loadings, baseline = self.readout.parameters(context, self.dim, location)
        return chains, loadings, baseline, self.observation.parameters(context)

    def parameters(self, context: Context) -> Parameters:
        """Sample the parameters of all blocks, inside a NumPyro model or under a handler that supplies them."""
        chains, loadings, baseline, observation = self._parameters(context)
        return Parameters(matrices.block_diagonal(chains), loadings, baseline, observation)

    def __call__(self, trials: "Trials", observed: bool = True):
        """The generative model of all trials. observed=False draws the counts too (for NumPyro's Predictive)."""
        model = self.resolve(trials)
        chains, loadings, baseline, parameters = model._parameters(Context.of(trials))
        parts = [latent.trajectories(chain, trials) for latent, chain in zip(model.latents, chains, strict=True)]
        predictor = jnp.concatenate(parts, -1) @ loadings.T + baseline
        likelihood = self.observation.distribution(predictor, parameters)
        numpyro.deterministic("rates", likelihood.mean)
        counts = jnp.asarray(trials.counts, predictor.dtype) if observed else None
        with (
            numpyro.plate("trial", trials.n_trials, dim=-3),
            numpyro.plate("time", trials.n_bins, dim=-2),
            numpyro.plate("neuron", trials.n_neurons, dim=-1),
        ):
            return numpyro.sample("spikes", likelihood.mask(jnp.asarray(trials.seen)), obs=counts)
