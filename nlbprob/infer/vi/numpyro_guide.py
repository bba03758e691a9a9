"""Guides that are written for NumPyro, as a family: its automatic guides, or a function of the user's own."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
from jaxtyping import Array, Float, Key
from numpyro.infer import ELBO, Trace_ELBO, init_to_value
from numpyro.infer.autoguide import AutoGuide

from nlbprob.arguments import checked_keywords, named
from nlbprob.errors import InputError
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories.problem import SiteState
from nlbprob.infer.vi.family import Family
from nlbprob.infer.vi.frames import LocationScale, Widths
from nlbprob.infer.vi.guides import Count, Guide, Index, draws_of, params_of

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.infer.em.steps import EM


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class NumPyroGuide(Family):
    """A guide of NumPyro's, or one that is written for it, started at EM's values where it can be.

    Args:
        guide: a class of `numpyro.infer.autoguide`, or a function from a NumPyro model, whose sites are the parameters,
            to a guide. Model and guide are called with the trials.
    """

    guide: Callable
    known_ahead = False

    def __post_init__(self) -> None:
        if not callable(self.guide):
            example = "a NumPyro guide class or function, such as numpyro.infer.autoguide.AutoNormal"
            raise InputError(f"{named('NumPyroGuide', 'guide', self.guide)}: give {example}.")
        object.__setattr__(self, "name", getattr(self.guide, "__name__", repr(self.guide)))

    def sample(self, frames: dict[str, LocationScale], enough_trials: bool) -> Iterator[tuple[str, Any, Any]]:
        raise AssertionError("It is drawn as NumPyro draws it, see `WrittenGuide`.")

    def guide_for(self, em: "EM", trials: "Trials", values: dict[str, Any] | None) -> Guide:
        build, context = self.guide, em.context
        if isinstance(build, type) and issubclass(build, AutoGuide):
            build = functools.partial(build, init_loc_fn=init_to_value(values=values))

        def prior(trials: "Trials") -> None:
            em.model.parameters(context)

        return WrittenGuide(build(prior), trials, tuple(em.sites))


class WrittenGuide(Guide):
    """A guide written for NumPyro, which is called with the trials, for the sites of one model."""

    def __init__(self, written: Any, trials: "Trials", sites: tuple[str, ...]):
        self.written, self.trials, self.sites = written, trials, sites

    @property
    def loss(self) -> ELBO:
        """NumPyro's own, which checks that the guide has the right sites."""
        return Trace_ELBO()

    def __call__(
        self, index: Index, data: Batch | None, frames: Any, store: SiteState | None, trials: Count = None
    ) -> None:
        self.written(self.trials)

    def init(
        self, values: dict[str, Any], curvature: Float[Array, "neuron width width"], widths: Widths
    ) -> dict[str, Any]:
        return {}

    def initial_params(self, frames: Any) -> dict[str, Any]:
        return params_of(self, frames)

    def draws(self, params: dict[str, Any], frames: Any, keys: Key[Array, " sample"]) -> dict[str, Any]:
        return draws_of(self, self.sites, params, frames, keys)

    def centre(self, params: dict[str, Any], frames: Any, draws: dict[str, Any]) -> dict[str, Any]:
        """The medians, where the guide knows them, else the means of its draws."""
        if hasattr(self.written, "median"):
            return self.written.median(params)
        return jax.tree.map(lambda draw: draw.mean(0), draws)
