"""Trial gains: latents that are one number for the whole trial."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords, instance_of
from nlbprob.blocks.base import Context
from nlbprob.blocks.latent import Dynamics, InitialLatents, Latent
from nlbprob.numerics.gaussian import constant_chain

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Gain(Latent):
    """x_t = g for every bin t of a trial, g ~ N(0, I): excitability that differs from trial to trial.

    With an exp link the rate of neuron n is multiplied by e^(c_n'g), c_n its loadings: one gain of a trial, which
    neurons follow more or less, or against (Goris, Movshon and Simoncelli 2014, "Partitioning neuronal variability"). g
    has unit variance, so that the standard deviation s of a neuron's log gain is the size of its loadings. As a chain
    it has A = I and Q = 0; g is inferred from the spikes that are seen, at test time too.

    Args:
        dim: number of gains of a trial.
        name: of its site [trial, gain], the only one: its prior has no parameters.
        neurons: which neurons read it, by columns of `trials.neurons`, such as {"area": "M1"}; None: all.
    """

    dim: int | None = 1
    name: str = "gain"
    neurons: Mapping[str, Any] | None = None

    rotatable = True
    has_modes = False

    def __post_init__(self):
        self.check_dim()
        instance_of(self.name, str, "Gain", "name", "text, such as name='gain'")

    def prior(self, context: Context) -> Dynamics:
        """The constant chain: A = I, Q = 0."""
        return Dynamics(constant_chain(jnp.zeros(self.n_latents)))

    def start(self, initial: InitialLatents, context: Context):
        """A basis in which the trial means of the latents have covariance I."""
        inside = initial.inside[..., None]
        mean = (initial.latents * inside).sum(1) / np.maximum(inside.sum(1), 1)
        covariance = mean.T @ mean / max(len(mean), 1) + 1e-2 * np.eye(self.n_latents)
        return {}, jnp.asarray(np.linalg.cholesky(covariance), jnp.result_type(float))

    def trajectories(self, dynamics: Dynamics, trials: "Trials"):
        """Sample g of all trials, one site of numbers: a constant trajectory has no density."""
        prior = dist.Normal(0.0, 1.0).expand([self.n_latents]).to_event(1)
        with numpyro.plate("trial", trials.n_trials, dim=-1):
            gain = numpyro.sample(self.name, prior, infer={"event_dims": [f"{self.name}_latent"]})
        shape = (trials.n_trials, trials.n_bins, self.n_latents)
        return jnp.broadcast_to(jnp.asarray(gain)[:, None], shape)
