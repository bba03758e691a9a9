"""The regression by which counts are predicted from latents that were inferred from something else, such as roots."""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nlbprob.blocks.base import Context
from nlbprob.blocks.parameters import CountReadout
from nlbprob.blocks.readout import LinearReadout
from nlbprob.infer.em import updates
from nlbprob.infer.em.steps import stacked
from nlbprob.infer.parameters.sites import count_readout_names
from nlbprob.infer.runtime.batch import Batch, chunks, prediction_chunk
from nlbprob.infer.runtime.precision import precision
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories.marginals import Marginals
from nlbprob.model import Model, Parameters
from nlbprob.posterior import predict

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

#: Newton steps from constant rates.
NEWTON_STEPS = 30
#: Directions of the loadings with singular values below this fraction of the largest are too weak to follow a draw.
WEAKEST = 0.05


def with_count_readout(posterior: "Posterior", trials: "Trials") -> "Posterior":
    """The posterior with the regression of counts on its latents, where its observation wants one.

    The baseline b and loadings a of each neuron maximise sum_t E_q(x)[log p(y | a'x_t + b)] + log p(a, b), with p(y |
    eta) the `count_observation` and the prior of `LinearReadout`; q(x), mean and covariance, is each trial's posterior
    given its held-in neurons alone: that given all knows the counts of held-out neurons, and promises more than
    held-in neurons can keep. They are point estimates, beside the values of the sites; in a draw of these, which has
    latents of a scale and shift of its own, they follow the loadings.

    Args:
        posterior: of a fit.
        trials: that it learned from.
    """
    names = count_readout_names(posterior.model)
    if not names:
        return posterior
    with precision(posterior.config["precision"]):
        found = jax.tree.map(np.asarray, count_readout(posterior, trials))
    centre, draws = posterior.centre, posterior._derived_draws
    lead = found.loadings @ np.linalg.pinv(centre.loadings, WEAKEST)
    baseline = found.baseline + (draws.baseline - centre.baseline) @ lead.T
    loadings = found.loadings + lead @ (draws.loadings - centre.loadings)
    return dataclasses.replace(
        posterior,
        values=posterior.values | dict(zip(names, found, strict=True)),
        draws=posterior.draws | dict(zip(names, (baseline, loadings), strict=True)),
    )


def count_readout(posterior: "Posterior", trials: "Trials") -> CountReadout:
    """The baselines and loadings of `with_count_readout`."""
    model, context = posterior.model, posterior.context
    visible = trials.replace(seen=trials.seen & ~trials.heldout)
    whole = chunks(model, context, trials, prediction_chunk(model, trials))
    parts = [
        (batch, marginals._replace(auxiliary=()))
        for (_, batch), (*_, marginals) in zip(whole, predict.by_chunk(posterior, visible, causal=False), strict=True)
    ]
    data, latents = (stacked(part) for part in zip(*parts, strict=True))
    seen = np.maximum(trials.seen.sum((0, 1)), 1)
    # A neuron without spikes has its rate between none and one in all that is seen of it.
    mean = np.maximum(trials.counts.sum((0, 1), where=trials.seen), 0.5) / seen
    return regression(model, context, jax.tree.map(jnp.asarray, posterior.centre), data, latents, jnp.asarray(mean))


@program("model", "context")
def regression(
    model: Model, context: Context, theta: Parameters, data: Batch, latents: Marginals, mean: Float[Array, " neuron"]
) -> CountReadout:
    """Newton steps from constant rates, the mean counts.

    Args:
        model: whose latents are given.
        context: facts of the training data.
        theta: its parameters.
        data: the counts [chunk, ...].
        latents: their posterior [chunk, ...].
        mean: of the counts, spikes/bin.
    """
    observation: Any = model.observation.count_observation
    readout = LinearReadout(reads=getattr(model.readout, "reads", ()))
    regressed = dataclasses.replace(model, observation=observation, readout=readout)
    baseline = observation.predictor_of_mean(mean).astype(theta.baseline.dtype)
    start = theta._replace(
        loadings=jnp.zeros_like(theta.loadings), baseline=baseline, observation={}, uncertainty=None, count_readout=None
    )
    responsibility = latents.responsibility.reshape(latents.mean.shape[:2])
    marginals = (latents.mean, latents.covariance), responsibility
    penalty = regressed.penalty(context, start, {})
    found, _ = updates.readout(regressed, start, data, marginals, penalty, NEWTON_STEPS, of_latents=True)
    return CountReadout(found.baseline, readout.only_read(found.loadings))
