"""Covariates of a trial, for the dynamics of a latent or for the predictor of a neuron."""

import abc
import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from nlbprob.arguments import checked_keywords, instance_of, sequence_of, whole_number
from nlbprob.blocks.identity import Identified
from nlbprob.errors import InputError, suggestion

if TYPE_CHECKING:
    from nlbprob.blocks.base import Context
    from nlbprob.data.trials import Trials


class Input(Identified, abc.ABC):
    """A covariate u[trial, time, input] under a name of its own."""

    name: str

    @abc.abstractmethod
    def width(self, context: "Context") -> int:
        """The number of inputs of the covariate.

        Args:
            context: facts of the training data.

        Returns:
            The length of the last axis of `design`.

        Raises:
            InputError: the training data have no such covariate.
        """

    @abc.abstractmethod
    def design(self, trials: "Trials") -> Float[np.ndarray, "trial time input"]:
        """The values of the covariate.

        Args:
            trials: to be fitted or predicted.

        Returns:
            [trial, time, input], zero where it is not recorded.

        Raises:
            InputError: the trials have no such covariate.
        """


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Covariate(Input):
    """One of the recording's `inputs`, such as a stimulus, as it is; zero where it is NaN.

    Args:
        name: its key in `Trials.inputs`. Give it a mean near 0 and a variance near 1, which the priors of weights
            expect.
    """

    name: str

    def __post_init__(self):
        instance_of(self.name, str, "Covariate", "name", "the name of one of Trials.inputs, such as 'stimulus'")

    def width(self, context):
        if self.name not in context.covariates:
            raise InputError(
                f"Covariate({self.name!r}): the trials have no input of that name. "
                f"{suggestion(self.name, list(context.covariates))} Add it as Trials.replace(inputs={{...}})."
            )
        return context.covariates[self.name]

    def design(self, trials):
        if self.name not in trials.inputs:
            raise InputError(
                f"Covariate({self.name!r}): the trials have no input of that name. "
                f"{suggestion(self.name, list(trials.inputs))} Add it as Trials.replace(inputs={{...}})."
            )
        return np.nan_to_num(np.asarray(trials.inputs[self.name], np.float32))


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class TrialTime(Input):
    """The time in the trial as raised cosines, u_j(t) = (1 + cos(pi (t - t_j) / width)) / 2 where |t - t_j| < width.

    With it a time-varying input that all trials share is learned.

    Args:
        bumps: how many, evenly spaced over the trial and overlapping by half; after the end of the training trials the
            last one stays as it was at the end.
        name: of the input.
    """

    bumps: int = 10
    name: str = "trial_time"

    def __post_init__(self):
        object.__setattr__(self, "bumps", whole_number(self.bumps, "TrialTime", "bumps", 1))
        instance_of(self.name, str, "TrialTime", "name", "text, such as name='trial_time'")

    def width(self, context):
        return self.bumps

    def design(self, trials):
        last = trials.window_bins - 1
        position = np.minimum(np.arange(trials.n_bins), last) / max(last, 1)
        values = raised_cosines(position, self.bumps)
        return np.broadcast_to(values.astype(np.float32), (trials.n_trials, *values.shape)).copy()


def raised_cosines(position: np.ndarray, bumps: int) -> np.ndarray:
    """Bumps [point, bump] over places from 0 to 1; they sum to one."""
    if bumps == 1:
        return np.ones((len(position), 1))
    distance = np.abs(position[:, None] * (bumps - 1) - np.arange(bumps))
    return np.where(distance < 1, 0.5 * (1 + np.cos(math.pi * np.minimum(distance, 1))), 0.0)


def checked_inputs(inputs: Any, caller: str) -> tuple[Input, ...]:
    """The inputs of a block. Raises InputError where they are no list of inputs, or two have one name."""
    for name in [inputs] if isinstance(inputs, str) else inputs if isinstance(inputs, list | tuple) else []:
        if isinstance(name, str):
            raise InputError(f"{caller}: inputs holds the name {name!r}; give inputs=[nlb.Covariate({name!r})].")
    checked = sequence_of(inputs, Input, caller, "inputs", "nlb.Covariate('stimulus') or nlb.TrialTime()")
    names = [item.name for item in checked]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{caller}: two inputs are named {name!r}; give each once, under a name of its own.")
    return checked


def designs(inputs: Sequence[Input], trials: "Trials") -> dict[str, Any]:
    """The values of all inputs by name."""
    return {item.name: item.design(trials) for item in inputs}


def total_width(inputs: Iterable[Input], context: "Context") -> int:
    """How many inputs there are in all."""
    return sum(item.width(context) for item in inputs)
