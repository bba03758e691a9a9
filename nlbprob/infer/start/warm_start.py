"""The start of a fit from the fit of a simpler model, which some blocks have."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nlbprob.blocks.latent import Latent
from nlbprob.infer.em.steps import EM, EStep
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.infer.trajectories.problem import emitted
from nlbprob.model import Model

#: EM iterations of the simpler model.
ITERATIONS = 12


def simpler_model(model: Model) -> Model | None:
    """The simpler model whose fit a model starts from, where one of its blocks has one."""
    simpler = [block.warm_start() if isinstance(block, Latent) else None for block in model.latents]
    if not any(simpler) or not model.readout.names:
        return None
    latents = [simple or block for simple, block in zip(simpler, model.latents, strict=True)]
    return dataclasses.replace(model, latents=latents)


def latent_means(
    em: EM, values: dict[str, Any], chunks: Sequence[EStep], trials: int
) -> Float[np.ndarray, "trial time latent"]:
    """Means of the simpler model's latents, templates left out, from an E-step at `values`."""
    components = em.model.n_components
    mean = np.concatenate([np.asarray(chunk.moments[0]) for chunk in chunks])[: trials * components]
    responsibility = np.concatenate([np.asarray(chunk.responsibility) for chunk in chunks])[: trials * components]
    state = (mean * responsibility[:, None, None]).reshape(trials, components, *mean.shape[1:]).sum(1)
    emission = em.model.emission(parameters_at(em.model, em.context, values).dynamics)
    return np.asarray(emitted(emission, jnp.asarray(state)))
