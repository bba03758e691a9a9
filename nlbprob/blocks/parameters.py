"""The parameters of a model at given values of its sites."""

from typing import Any, NamedTuple

from jaxtyping import Array, Float

from nlbprob.blocks.dynamics import Dynamics
from nlbprob.blocks.templates import Mixture


class Parameters(NamedTuple):
    """All that the posterior of a trajectory depends on, at given values of the sites.

    Attributes:
        dynamics: of each latent block in turn.
        loadings: [neuron, latent].
        baseline: [neuron], predictor at latents of zero.
        observation: the observation's own parameters.
        mixture: of the templates, where there are some.
        effects: the parameters of each effect.
        uncertainty: the covariance of each neuron's (baseline, loadings), over which predictions average; None: zero,
            as at a draw of the parameters.
    """

    dynamics: tuple[Dynamics, ...]
    loadings: Float[Array, "neuron latent"]
    baseline: Float[Array, " neuron"]
    observation: dict[str, Any]
    mixture: Mixture | None = None
    effects: tuple[Any, ...] = ()
    uncertainty: Float[Array, "neuron width width"] | None = None
