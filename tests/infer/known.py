"""Posteriors at known parameters: what is read off a fit is tested without fitting."""

import numpy as np

import nlbprob as nlb
from nlbprob.blocks.base import Context


def posterior_at(made: nlb.Simulated, model: nlb.Model, width: float = 0.0, draws: int = 20) -> nlb.Posterior:
    """The posterior whose centre is what a recording was drawn from; draws differ from it by so much.

    Args:
        made: the recording.
        model: that it was drawn from.
        width: standard deviation of the draws of loadings and baselines; 0 for point estimates.
        draws: how many.
    """
    random = np.random.default_rng(0)
    values = {name: np.asarray(value, np.float32) for name, value in made.parameters.items()}
    drawn = {name: np.repeat(value[None], draws, 0) for name, value in values.items()}
    for name in ("loadings", "baseline"):
        drawn[name] = drawn[name] + np.float32(width) * random.standard_normal(drawn[name].shape).astype(np.float32)
    history = {name: np.zeros(0) for name in ("iteration", "elbo", "seconds")} | {"stage": np.zeros(0, "U1")}
    config = {"posterior": "neuron", "precision": "float32", "seed": 0}
    ids, context = np.asarray(made.trials.neurons["id"]), Context.of(made.trials)
    return nlb.Posterior(model.resolve(made.trials), context, values, drawn, ids, history, config)
