"""The start of a fit from that of a simpler model, which some blocks ask for."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlbprob.blocks.latent import Latent
from nlbprob.infer.em.steps import EM, Chunk
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.model import Model

#: EM iterations of the simpler model.
ITERATIONS = 12


def simpler_model(model: Model) -> Model | None:
    """The simpler model whose fit a model starts from, where one of its blocks asks for it."""
    pilots = [block.warm_start() if isinstance(block, Latent) else None for block in model.latents]
    if not any(pilots) or not model.readout.names:
        return None
    latents = [pilot or block for pilot, block in zip(pilots, model.latents, strict=True)]
    return dataclasses.replace(model, latents=latents)


def latent_means(em: EM, values: dict[str, Any], chunks: Sequence[Chunk], trials: int) -> np.ndarray:
    """Means of the simpler model's latents [trial, time, latent], templates left out, from an E-step at `values`."""
    components = em.model.n_components
    mean = np.concatenate([np.asarray(chunk.moments[0]) for chunk in chunks])[: trials * components]
    share = np.concatenate([np.asarray(chunk.share) for chunk in chunks])[: trials * components]
    state = (mean * share[:, None, None]).reshape(trials, components, *mean.shape[1:]).sum(1)
    emission = em.model.emission(parameters_at(em.model, em.context, values).dynamics)
    return state if emission is None else state @ np.asarray(emission).T
