"""What a variational family over the parameters is."""

import abc
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from nlbprob.blocks.identity import Identified
from nlbprob.infer.em.fisher import MOST_JOINT
from nlbprob.infer.parameters.flat import Entries
from nlbprob.infer.vi.frames import LocationScale
from nlbprob.infer.vi.guides import Guide, parameter_guide

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.infer.em.steps import EM


class Family(Identified, abc.ABC):
    """A family of distributions over all parameters of a model, from which the second stage of a fit takes the best.

    A subclass states `sample`: how the parameters are drawn, in units of the standard deviations at which they start
    (one unit is what single trials tell of a parameter). The rest follows: the transform of each parameter to its
    support, the density, minibatches, checkpoints. With fields it is a frozen dataclass.

        class Skewed(nlb.Family, name="skewed"): ...

    Attributes:
        name: what the settings of a fit call the family; by default the name of the class.
        words: what it is, for the report.
        joint: whether the start keeps the correlations of each group of parameters. Else each parameter starts as wide
            as it is where the others are known.
        shares: whether all neurons' readouts move together, too, in the directions that a shift or a scale of the
            latents undoes.
        has_width: whether it is more than a point.
        needs_no_steps: whether its start is a posterior that needs no steps of stochastic variational inference, where
            EM's estimate stands still.
        known_ahead: whether its guide is known before EM has ended, so that programs are compiled ahead and a fit may
            be resumed between any two steps.
    """

    name: str
    words: ClassVar[str] = ""
    joint: ClassVar[bool] = False
    shares: ClassVar[bool] = False
    has_width: ClassVar[bool] = True
    known_ahead: ClassVar[bool] = True
    needs_no_steps: ClassVar[bool] = False

    def __init_subclass__(cls, *, name: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.name = name or cls.__name__

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @abc.abstractmethod
    def sample(self, frames: dict[str, LocationScale], enough_trials: bool) -> Iterator[tuple[str, Any, Any]]:
        """Draw the parameters inside a NumPyro guide, group by group, in units of the frames.

        Args:
            frames: where each group of parameters starts: "neuron" has a row for the baseline and loadings of each
                neuron, "rest" holds all other parameters, in one row, or one row each where they are not joint.
            enough_trials: whether there are more trials than entries of the rest, so that the start is to be trusted.

        Yields:
            For each group, in the order of `frames`, its name, its draw e [row, width] in units of the root of its
            frame, and log |d e / d what was sampled|.
        """

    def mean(self, params: dict[str, Array], frames: dict[str, LocationScale]) -> dict[str, Any]:
        """The centre of the fitted family; by default what `shift` has made.

        Args:
            params: values of the variational parameters by name.
            frames: where each group of parameters starts.

        Returns:
            [row, width] by group, in units of the root of its frame, from its centre.
        """
        return {group: params[f"{group}.shift"] for group in frames}

    def guide_for(self, em: "EM", trials: "Trials", values: dict[str, Any] | None) -> Guide:
        """The family for one model.

        Args:
            em: the first stage, which knows the model's parameters.
            trials: to be learned from.
            values: of all sites, where EM ended; None where it has not, see `known_ahead`.
        """
        return parameter_guide(em, self, few_entries(em, trials.n_trials))

    def shift(self, group: str, frame: LocationScale) -> Float[Array, "row width"]:
        """The variational parameter that moves the centre of a group; it starts at zero.

        Args:
            group: name of the group.
            frame: where the group starts.
        """
        shift: Any = numpyro.param(f"{group}.shift", jnp.zeros_like(frame.centre))
        return shift

    def log_scale(self, group: str, frame: LocationScale) -> Float[Array, "row width"]:
        """The variational parameter that stretches each entry of a group; it starts at zero.

        Args:
            group: name of the group.
            frame: where the group starts.
        """
        log_scale: Any = numpyro.param(f"{group}.log_scale", jnp.zeros_like(frame.centre))
        return log_scale

    def auxiliary(self, group: str, distribution: dist.Distribution) -> Any:
        """A draw of what the parameters are made of, which is no parameter of the model itself.

        Args:
            group: name of the group.
            distribution: to draw from.
        """
        return numpyro.sample(f"_{group}", distribution, infer={"is_auxiliary": True})

    def standard_normal(self, group: str, frame: LocationScale) -> Float[Array, "row width"]:
        """A draw of a standard normal for each entry of a group.

        Args:
            group: name of the group.
            frame: where the group starts.
        """
        return self.auxiliary(group, dist.Normal(jnp.zeros_like(frame.centre), 1.0).to_event(2))


def few_entries(em: "EM", trials: int) -> bool:
    """Whether the parameters besides the readout have fewer entries than there are trials."""
    sites = em.sites
    others = Entries({name: site for name, site in sites.items() if name not in em.model.readout.names})
    return sum(map(math.prod, others.shapes)) < min(trials, MOST_JOINT)
