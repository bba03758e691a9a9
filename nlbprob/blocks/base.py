"""Facts of the data that every block reads, and how a block samples its parameters."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Float, Int

from nlbprob.arguments import instance_of, nearest
from nlbprob.blocks.identity import Identified
from nlbprob.errors import InputError, suggestion

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


@dataclasses.dataclass(frozen=True, eq=False)
class Context(Identified):
    """The facts of the training data that give parameters their meaning; kept with a fit, so that they never change.

    Attributes:
        bin_ms: width of a bin in ms.
        bin_weights: [time], the fraction of each bin among the bins of all trials (sums to 1).
        n_neurons: how many neurons the readout has.
        covariates: how many inputs each of the recording's covariates has, by name.
        conditions: labels of the trials' conditions; empty where there are none.
    """

    bin_ms: float
    bin_weights: Float[np.ndarray, " time"]
    n_neurons: int
    covariates: Mapping[str, int] = dataclasses.field(default_factory=dict)
    conditions: tuple[str, ...] = ()

    @classmethod
    def of(cls, trials: "Trials") -> "Context":
        """The context of these trials.

        Args:
            trials: the training data; a trial's bins count up to the last in which anything is seen.
        """
        inside = (np.arange(trials.n_bins) < trials.lengths[:, None]).sum(0)
        weights = inside if inside.any() else np.ones(trials.n_bins)
        return cls(
            float(trials.bin_ms),
            weights / weights.sum(),
            trials.n_neurons,
            {name: value.shape[2] for name, value in trials.inputs.items()},
            tuple(trials.condition_labels) if trials.condition else (),
        )

    def condition_index(self, trials: "Trials") -> Int[np.ndarray, " trial"]:
        """Position of each trial's condition in `conditions`; -1 where it is missing or was not in the training data.

        (Trials number the conditions that they hold themselves, and a few of them need not hold all.)
        """
        if not trials.condition:
            return np.full(trials.n_trials, -1)
        index_of = {label: index for index, label in enumerate(self.conditions)}
        indices = [index_of.get(label, -1) for label in trials.condition_labels]
        return np.array([*indices, -1])[trials.condition_index]

    @property
    def n_bins(self) -> int:
        """Number of bins of the longest trial."""
        return len(self.bin_weights)

    @property
    def mean_bins(self) -> float:
        """Mean number of bins of a trial."""
        return float(1 / self.bin_weights[0])


class Block(Identified):
    """Common to all blocks: a name that prefixes its sites, and priors that can be overridden by name."""

    name: str
    priors: Mapping[str, dist.Distribution]

    def site(self, parameter: str) -> str:
        """The NumPyro site of one of the block's parameters, such as "lds.decay_ms"."""
        return f"{self.name}.{parameter}" if self.name else parameter

    def sample(self, parameter: str, prior: dist.Distribution, dims: tuple[str, ...]) -> Any:
        """Sample a parameter from its prior, or from the one given for it in `priors`, with its dimensions named."""
        chosen = self.priors.get(parameter, prior)
        shape = prior.batch_shape + prior.event_shape
        chosen_shape = chosen.batch_shape + chosen.event_shape
        if chosen_shape != shape:
            try:
                chosen = chosen.expand(shape[: len(shape) - len(chosen.event_shape)])
            except ValueError as error:
                raise InputError(
                    f"priors[{parameter!r}] of block {self.name!r} has shape {chosen_shape}, "
                    f"which does not fit {shape} {dims}."
                ) from error
        chosen = chosen.to_event(len(chosen.batch_shape))
        return numpyro.sample(self.site(parameter), chosen, infer={"event_dims": list(dims)})

    def set_fields(self, **values: Any) -> None:
        """Set fields of the block, which is frozen, to the checked arguments of `__post_init__`."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def check_priors(self, known: tuple[str, ...]) -> None:
        """Raise InputError where `priors` names something that is not a parameter of this block, or is no prior.

        The block's name is checked besides.
        """
        kind = type(self).__name__
        instance_of(self.name, str, kind, "name", f"text, such as name={kind.lower()!r}")
        instance_of(self.priors, Mapping, kind, "priors", "distributions by name, priors={...}")
        for parameter, prior in self.priors.items():
            if parameter not in known:
                close = suggestion(nearest(str(parameter), known), known)
                raise InputError(f"{kind}(priors=...): no parameter {parameter!r}. {close}")
            example = "a NumPyro distribution, such as dist.LogNormal(0.0, 1.0)"
            instance_of(prior, dist.Distribution, kind, f"priors[{parameter!r}]", example)
