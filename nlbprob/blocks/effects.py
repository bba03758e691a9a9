"""Effects: terms of a neuron's predictor besides the latents and its baseline."""

import abc
import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords, flag, real_number, whole_number
from nlbprob.blocks.base import Block, Context
from nlbprob.blocks.inputs import Input, checked_inputs, designs, total_width
from nlbprob.errors import InputError

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


class Effect(Block, abc.ABC):
    """A term of the predictor, eta = c'x + d + effect, a function of its parameters and of covariates or counts."""

    def covariates(self, trials: "Trials", context: Context) -> dict[str, Any]:
        """The covariates of each trial that it needs besides the counts.

        Args:
            trials: to be fitted or predicted.
            context: facts of the training data.

        Returns:
            Arrays [trial, ...] by name; none by default.
        """
        return {}

    @abc.abstractmethod
    def parameters(self, context: Context) -> Any:
        """Sample its parameters.

        Args:
            context: facts of the training data.

        Returns:
            The parameters, as `offset` takes them.
        """

    @abc.abstractmethod
    def offset(self, parameters: Any, covariates: dict[str, Any], counts, seen):
        """Its value in each predictor.

        Args:
            parameters: as `parameters` returned them.
            covariates: arrays [trial, ...] by name.
            counts: [trial, time, neuron], spikes/bin.
            seen: [trial, time, neuron], which of the counts may be used.

        Returns:
            [trial, time, neuron], in units of the predictor; an axis may have length one where the value is constant.
        """

    @abc.abstractmethod
    def start(self, context: Context) -> dict[str, Any]:
        """Site values at which it adds nothing, where a fit starts.

        Args:
            context: facts of the training data.

        Returns:
            Arrays by the names of the sites.
        """


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class InputEffect(Effect):
    """w_n'u_t: known covariates act on each neuron's predictor.

    Args:
        inputs: such as [Covariate("stimulus"), TrialTime()].
        scale: of the prior of the weights.
        name: prefix of its site.
        priors: another prior for "weights".

    Sites:
        - weights [neuron, input] ~ N(0, scale^2)
    """

    inputs: Sequence[Input]
    scale: float = 0.3
    name: str = "inputs"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.set_fields(inputs=checked_inputs(self.inputs, "InputEffect"))
        if not self.inputs:
            raise InputError("InputEffect(inputs=[]): give at least one input, such as nlb.Covariate('stimulus').")
        self.set_fields(scale=real_number(self.scale, "InputEffect", "scale", above=0))
        self.check_priors(("weights",))

    def covariates(self, trials, context):
        return designs(self.inputs, trials)

    def parameters(self, context):
        shape = [context.n_neurons, total_width(self.inputs, context)]
        return self.sample("weights", dist.Normal(0.0, self.scale).expand(shape), ("neuron", f"{self.name}_input"))

    def offset(self, parameters, covariates, counts, seen):
        values = jnp.concatenate([covariates[item.name] for item in self.inputs], -1)
        return values @ parameters.T

    def start(self, context):
        return {self.site("weights"): np.zeros((context.n_neurons, total_width(self.inputs, context)))}


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class History(Effect):
    """sum_j h_nj (b_j * y_n)(t) + sum_m W_nm (b * y_m)(t): a neuron's own past spikes, and those of others.

    Spikes are counted relative to the neuron's mean over the seen bins of the trial; unseen ones count as the mean, so
    that held-out neurons can be predicted. The filters b_j are exponentials with time constants spaced evenly in
    logarithm from one bin to `longest_ms`, scaled to sum to one; that of coupling is the middle one.

    Args:
        longest_ms: longest time constant in ms.
        filters: number of filters of a neuron's own spikes.
        coupling: also the spikes of all other neurons.
        scale: of the priors, in predictor units per spike.
        name: prefix of its sites.
        priors: other priors for "own" and "coupling".

    Sites:
        - own [neuron, filter]
        - coupling [neuron, neuron_2], its diagonal unused
    """

    longest_ms: float = 100.0
    filters: int = 3
    coupling: bool = False
    scale: float = 0.3
    name: str = "history"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.check_priors(("own", "coupling"))
        self.set_fields(
            filters=whole_number(self.filters, "History", "filters", 1),
            longest_ms=real_number(self.longest_ms, "History", "longest_ms", above=0),
            coupling=flag(self.coupling, "History", "coupling"),
            scale=real_number(self.scale, "History", "scale", above=0),
        )

    def parameters(self, context):
        neurons = context.n_neurons
        prior = dist.Normal(0.0, self.scale).expand([neurons, self.filters])
        filter_weights = self.sample("own", prior, ("neuron", f"{self.name}_filter"))
        result: dict[str, Any] = {"own": filter_weights, "keep": self.keep(context)}
        if self.coupling:
            # The sum over other neurons has the scale that one filter has.
            prior = dist.Normal(0.0, self.scale / math.sqrt(neurons)).expand([neurons, neurons])
            weights = self.sample("coupling", prior, ("neuron", "neuron_2"))
            result["coupling"] = weights * (1 - jnp.eye(neurons, dtype=weights.dtype))
        return result

    def keep(self, context: Context):
        """The factor by which each filter decays in a bin."""
        longest = max(self.longest_ms, context.bin_ms)
        constants = np.geomspace(context.bin_ms, longest, self.filters) if self.filters > 1 else np.array([longest])
        return jnp.asarray(np.exp(-context.bin_ms / constants), jnp.result_type(float))

    def offset(self, parameters, covariates, counts, seen):
        from jax import lax

        y = jnp.where(seen, counts, 0).astype(parameters["own"].dtype)
        number = jnp.maximum(seen.sum(1, keepdims=True), 1)
        y = jnp.where(seen, y - y.sum(1, keepdims=True) / number, 0.0)
        keep = parameters["keep"]

        def advance(trace, now):
            return keep[:, None, None] * trace + (1 - keep)[:, None, None] * now, trace

        first = jnp.zeros((self.filters, y.shape[0], y.shape[2]), y.dtype)
        _, traces = lax.scan(advance, first, jnp.moveaxis(y, 1, 0))
        total = jnp.einsum("tjbn,nj->btn", traces, parameters["own"])
        if self.coupling:
            total = total + jnp.moveaxis(traces[:, self.filters // 2], 0, 1) @ parameters["coupling"].T
        return total

    def start(self, context):
        neurons = context.n_neurons
        result = {self.site("own"): np.zeros((neurons, self.filters))}
        return result | ({self.site("coupling"): np.zeros((neurons, neurons))} if self.coupling else {})
