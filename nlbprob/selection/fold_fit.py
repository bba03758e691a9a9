"""Fits to all folds but one, shared by candidates that no fit tells apart."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from nlbprob.blocks.base import Block
from nlbprob.blocks.templates import Templates
from nlbprob.model import Model

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior


class FoldFit:
    """The trials of a fold that are predicted, and the last fit to the others.

    Candidates in a row that differ in the temperature of their templates alone, on which no fit depends, share it.
    """

    def __init__(self, held: "Trials"):
        self.held = held
        self.last: tuple[Model, Posterior] | None = None

    def posterior(self, model: Model | Callable, fit: Callable[[Model | Callable], "Posterior"]) -> "Posterior":
        """The fit of a model, made by `fit` where it is not the last one."""
        if not isinstance(model, Model) or model.templates is None:
            return fit(model)
        of_fit = with_temperature(model, 1.0)
        if self.last is None or self.last[0] != of_fit:
            self.last = of_fit, fit(of_fit)
        posterior = self.last[1]
        return dataclasses.replace(posterior, model=with_temperature(posterior.model, model.templates.temperature))


def with_temperature(model: Model, temperature: float) -> Model:
    """The model with templates of another temperature."""

    def tempered(block: Block) -> Block:
        return dataclasses.replace(block, temperature=temperature) if isinstance(block, Templates) else block

    return dataclasses.replace(model, latents=tuple(tempered(block) for block in model.latents))
