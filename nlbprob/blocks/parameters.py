"""The parameters of a model at given values of its sites."""

from typing import Any, NamedTuple

from jaxtyping import Array, Float

from nlbprob.blocks.dynamics import Dynamics
from nlbprob.blocks.templates import Mixture


class CountReadout(NamedTuple):
    """The baselines and loadings by which counts are predicted, where the observation is not one of counts."""

    baseline: Float[Array, " neuron"]
    loadings: Float[Array, "neuron latent"]


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
        count_readout: by which counts are predicted; None where the readout above does.
    """

    dynamics: tuple[Dynamics, ...]
    loadings: Float[Array, "neuron latent"]
    baseline: Float[Array, " neuron"]
    observation: dict[str, Any]
    mixture: Mixture | None = None
    effects: tuple[Any, ...] = ()
    uncertainty: Float[Array, "neuron width width"] | None = None
    count_readout: CountReadout | None = None
