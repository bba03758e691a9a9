"""Checks that blocks can be put together to one model."""

from collections.abc import Sequence
from typing import Any

from nlbprob.arguments import instance_of, sequence_of
from nlbprob.blocks import readers
from nlbprob.blocks.effects import Effect
from nlbprob.blocks.latent import Latent
from nlbprob.blocks.observation_base import Observation
from nlbprob.blocks.readout import SHRINKAGE, Readout
from nlbprob.blocks.shrinkage.shrinkage import Shrinkage
from nlbprob.blocks.templates import Templates
from nlbprob.errors import InputError

#: Names of sites and plates of the model itself, which no block may have.
TAKEN = ("", "baseline", "latents", "loadings", "neuron", "rates", "spikes", "time", "trial")
#: The public blocks for each part of a model, which messages name.
LATENTS = ("LDS", "GP", "SwitchingLDS", "Flow", "Gain", "Templates", "TrialFactors")
OBSERVATIONS = ("Poisson", "NegativeBinomial", "ZeroInflatedPoisson", "Bernoulli", "Gaussian", "SqrtGaussian")
EFFECTS = ("InputEffect", "History")


def checked_parts(
    latents: Any, effects: Any, observation: Any, readout: Any
) -> tuple[tuple[Latent | Templates, ...], tuple[Effect, ...]]:
    """The latents and effects of a model as tuples. Raises InputError unless every part is a block of its kind."""
    for index, block in enumerate(latents if isinstance(latents, list | tuple) else ()):
        if isinstance(block, Effect):
            kind = type(block).__name__
            raise InputError(f"Model: latents[{index}] is an effect; give it as effects=[nlb.{kind}(...)].")
    latents = sequence_of(latents, Latent | Templates, "Model", "latents", "", LATENTS)
    for block in latents:
        readers.check(block)
    effects = sequence_of(effects, Effect, "Model", "effects", "", EFFECTS)
    instance_of(observation, Observation, "Model", "observation", "", OBSERVATIONS)
    remedy = "nlb.LinearReadout()"
    if isinstance(readout, str) and readout in SHRINKAGE:
        remedy = f"nlb.LinearReadout(shrinkage={readout!r})"
    if isinstance(readout, Shrinkage):
        remedy = f"nlb.LinearReadout(nlb.{type(readout).__name__}(...))"
    instance_of(readout, Readout, "Model", "readout", remedy, ("LinearReadout",))
    return latents, effects


def check_names(latents: Sequence[Latent | Templates], effects: Sequence[Effect]) -> None:
    """Raise InputError unless there is a chain, at most one block of templates, and a name for each block."""
    chains = [block for block in latents if isinstance(block, Latent)]
    if not chains:
        raise InputError("Model(latents=[...]): a model needs at least one latent block, such as LDS(12).")
    names = [block.name for block in (*latents, *effects)]
    for name in names:
        if name in TAKEN:
            raise InputError(f"Model: a block is named {name!r}, a name of the model's own; give it another one.")
        if names.count(name) > 1:
            raise InputError(f"Model: two blocks are named {name!r}; give each its own name, LDS(8, name='slow').")
    if len(latents) - len(chains) > 1:
        raise InputError("Model: two blocks of templates; a trial belongs to one template. Keep one block.")


def check_inputs(blocks: Sequence[Latent | Templates | Effect]) -> None:
    """Raise InputError where two blocks have different inputs of one name."""
    inputs: dict[str, Any] = {}
    for block in blocks:
        for item in getattr(block, "inputs", ()):
            if inputs.setdefault(item.name, item) != item:
                raise InputError(
                    f"Model: two inputs are named {item.name!r} and differ; give one of them another name."
                )
            if item.name == "condition" and getattr(block, "initial", "") == "condition":
                raise InputError("Model: an input is named 'condition', as the trials' conditions are; rename it.")
