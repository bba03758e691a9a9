"""The state of a fit, and the info of a step."""

import dataclasses
from typing import Any, NamedTuple

import jax

from nlbprob.infer.em.steps import EMState
from nlbprob.infer.trajectories.problem import SiteState

#: The stages of a fit in their order. A warm start is taken where the model asks for one; "tied" is EM with one
#: precision for the sites of all trials, where the data are large.
STAGES = ("warm start", "tied", "em", "svi", "done")
EM_STAGES = STAGES[1:3]
#: Metadata of a field that is no array: part of a pytree's structure; checkpoints hold it as JSON.
STATIC = {"static": True}


@dataclasses.dataclass(frozen=True)
class FitInfo:
    """One step of a fit, for looking at.

    Attributes:
        stage: one of `STAGES`, or "full", the iteration with everything that ends an early stop.
        iteration: number of the step in its stage, from 1.
        seed: the seed that the step belongs to.
        elbo: the bound after the step, nats, all training trials; in the stage "svi" a noisy estimate from one draw.
        elbos: the bound of each of the steps that were taken at once (several in the stage "svi"), nats.
        seconds: since the fit started, earlier parts of a resumed fit included.
        heldout_bits: bits per spike of what early stopping hides; None without early stopping.
        moved: the site of the parameter that an iteration of EM moved most, and how far, in standard deviations of its
            posterior; None before the bound is level, and in other stages.
    """

    stage: str
    iteration: int
    seed: int
    elbo: float
    elbos: tuple[float, ...]
    seconds: float
    heldout_bits: float | None = None
    moved: tuple[str, float] | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EMResult:
    """The result of EM from one seed.

    Attributes:
        em: values of all parameter sites and the trials' posteriors.
        seed: the seed that EM started from.
        elbo: its last bound, nats.
        converged: whether it ended before its last iteration.
        occupancy: by block, the expected number of trials that follow each template, or the fraction of seen bins in
            each regime.
        log: of the steps from this seed.
    """

    em: EMState
    seed: int = dataclasses.field(metadata=STATIC)
    elbo: float = dataclasses.field(metadata=STATIC)
    converged: bool = dataclasses.field(metadata=STATIC)
    occupancy: dict[str, list[float]] = dataclasses.field(metadata=STATIC)
    log: tuple[FitInfo, ...] = dataclasses.field(metadata=STATIC)


class BestHeldout(NamedTuple):
    """Where early stopping goes back to: the values and rows that predicted best what is hidden."""

    values: dict[str, Any]
    rows: tuple[SiteState, ...]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FitState:
    """Everything that a fit goes on from; a pytree.

    Attributes:
        stage: the stage of the next step, one of `STAGES`.
        em: values of all parameter sites and the trials' posteriors; of the simpler model in a warm start.
        iteration: how many steps of the stage are done.
        seed_index: position of the current seed among the seeds.
        deviations: standard deviation of every entry of each site, in unconstrained space, where the bound of EM became
            level; None before that.
        heldout: where early stopping goes back to; None before its first score, or without it.
        result: what EM found from the best seed so far; None before the first seed is done.
        svi: NumPyro's state of the second stage; None before it.
        frames: where the guide of the second stage starts; None before it.
        values: of all sites at the centre of their posterior, once the second stage is done.
        draws: of all sites [sample, ...], once the second stage is done.
        seeds: (seed, bound in nats) of each seed that is done.
        log: of all steps so far.
    """

    stage: str = dataclasses.field(metadata=STATIC)
    em: EMState
    iteration: int = dataclasses.field(default=0, metadata=STATIC)
    seed_index: int = dataclasses.field(default=0, metadata=STATIC)
    deviations: dict[str, Any] | None = None
    heldout: BestHeldout | None = None
    result: EMResult | None = None
    svi: Any = None
    frames: Any = None
    values: dict[str, Any] | None = None
    draws: dict[str, Any] | None = None
    seeds: tuple[tuple[int, float], ...] = dataclasses.field(default=(), metadata=STATIC)
    log: tuple[FitInfo, ...] = dataclasses.field(default=(), metadata=STATIC)

    def replace(self, **changes: Any) -> "FitState":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def of_stage(self, stage: str, seed: int) -> list[FitInfo]:
        """The log of one stage from one seed."""
        return [info for info in self.log if info.stage == stage and info.seed == seed]

    def of_em(self, seed: int) -> list[FitInfo]:
        """The log of EM from one seed, with tied sites and without."""
        return [info for info in self.log if info.stage in EM_STAGES and info.seed == seed]
