"""A fit one step at a time: `steps`, the iterator that `fit` drives and that a user may drive too."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import optax

from nlbprob.arguments import checked_keywords
from nlbprob.blocks import spec
from nlbprob.blocks.base import Context
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.fit_config import FitConfig
from nlbprob.functions.model import resolve_model
from nlbprob.infer.fit import checkpoint as checkpoints
from nlbprob.infer.fit import em_stage
from nlbprob.infer.fit.setup import Setup
from nlbprob.infer.fit.state import EM_STAGES, FitInfo, FitState
from nlbprob.infer.fit.svi_stage import SVIStage
from nlbprob.infer.parameters.sites import count_readout_names, parameter_sites
from nlbprob.infer.runtime import programs
from nlbprob.infer.runtime.precision import precision
from nlbprob.infer.start import warm_start
from nlbprob.infer.vi.numpyro_guide import NumPyroGuide
from nlbprob.model import Model
from nlbprob.posterior.count_readout import with_count_readout
from nlbprob.posterior.embed import sessions_of
from nlbprob.posterior.posterior import Posterior

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


class Steps:
    """The steps of a fit: an iterator of (state, info), see `steps`.

    Attributes:
        state: after the last step.
        setup: what stays the same throughout.
    """

    def __init__(self, setup: Setup, folder: str | os.PathLike | None = None):
        self.setup = setup
        programs.make_room()
        with self.precision():
            setup.compile_em(setup.tied)
            resumed = None if folder is None else checkpoints.read(folder, setup)
            self.state: FitState = em_stage.init(setup) if resumed is None else resumed
        self.svi: SVIStage | None = None
        self.started_at = time.perf_counter()

    def __iter__(self) -> Iterator[tuple[FitState, FitInfo]]:
        return self

    def __next__(self) -> tuple[FitState, FitInfo]:
        while self.state.stage != "done":
            with self.precision():
                self.state, info = self.step(self.state)
            if info is not None:
                return self.state, info
        raise StopIteration

    def step(self, state: FitState) -> tuple[FitState, FitInfo | None]:
        """One step from a state; no info where no iteration was done."""
        if state.stage == "warm start":
            return em_stage.warm_step(self.setup, state, self.make_info)
        if state.stage in EM_STAGES:
            return em_stage.em_step(self.setup, state, self.make_info)
        if self.svi is None:
            self.svi = SVIStage(self.setup, state)
        return self.svi.step(state, self.make_info)

    def make_info(
        self, stage: str, iteration: int, elbos: tuple[float, ...], heldout_bits: float | None = None
    ) -> FitInfo:
        """The info of a step that has just ended."""
        before = self.state.log[-1].seconds if self.state.log else 0.0
        now = time.perf_counter()
        seconds, self.started_at = before + now - self.started_at, now
        seed = self.setup.config.seeds[self.state.seed_index]
        return FitInfo(stage, iteration, seed, elbos[-1], elbos, seconds, heldout_bits)

    def precision(self) -> AbstractContextManager:
        """The width of numbers that the fit is asked for, for the time of a step."""
        return precision(self.setup.config.precision)

    @property
    def remaining(self) -> int:
        """How many iterations are to come at most, for a progress bar."""
        state, setup = self.state, self.setup
        if state.stage == "done":
            return 0
        if state.stage == "svi":
            return setup.svi_steps - sum(len(info.elbos) for info in state.log if info.stage == "svi")
        warm = warm_start.ITERATIONS if setup.warm is not None and setup.init_values is None else 0
        later = (len(setup.config.seeds) - state.seed_index - 1) * (warm + setup.em_iterations)
        done = len(state.of_em(setup.config.seeds[state.seed_index]))
        this = setup.em_iterations - done + (warm - state.iteration if state.stage == "warm start" else 0)
        return this + later + setup.svi_steps

    def posterior(self) -> Posterior | None:
        """The posterior at the present state: EM's estimate before the second stage has ended.

        Returns:
            None before the first iteration of EM.
        """
        state, setup = self.state, self.setup
        result = state.result
        if result is None and not state.iteration:
            return None
        if state.stage == "warm start":
            return None
        em = state.em if result is None else result.em
        values = em.values if state.values is None else state.values
        values = {name: np.asarray(value) for name, value in values.items()}
        draws = {name: value[None] for name, value in values.items()}
        if state.draws is not None:
            draws = {name: np.asarray(value) for name, value in state.draws.items()}
        ids = np.asarray(setup.trials.neurons["id"])
        config, sessions = facts(setup, state), sessions_of(setup.trials)
        config |= {"sessions": sessions} if sessions else {}
        found = Posterior(setup.model, setup.context, values, draws, ids, history(state), config)
        return with_count_readout(found, setup.trials)


def history(state: FitState) -> dict[str, np.ndarray]:
    """The bound after every iteration that led to a state, as columns: of several seeds those of the best."""
    log = state.log
    if state.result is not None:
        log = (*state.result.log, *(info for info in log if info.stage == "svi"))
    rows = [
        ("em" if info.stage in EM_STAGES else info.stage, elbo, info.seconds) for info in log for elbo in info.elbos
    ]
    columns: list[Any] = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    names = ("stage", "elbo", "seconds")
    arrays = {name: np.asarray(column) for name, column in zip(names, columns, strict=True)}
    return arrays | {"iteration": np.arange(1, len(rows) + 1)}


def facts(setup: Setup, state: FitState) -> dict[str, Any]:
    """What is kept of a fit beside its numbers: its settings, and how it ended."""
    config, result, family = setup.config, state.result, setup.family
    kept: dict[str, Any] = {
        "model": spec.to_json(setup.model),
        "posterior": family.name,
        "posterior_words": family.words or family.name,
        "em_iterations": setup.em_iterations,
        "svi_steps": setup.svi_steps,
        "early_stopping": config.early_stopping,
        "precision": config.precision,
        "train_trials": setup.n_trials,
        "seed": config.seeds[state.seed_index] if result is None else result.seed,
    }
    if result is not None:
        kept |= {"em_settled": result.converged, "em_elbo": result.elbo, "occupancy": result.occupancy}
        moved = result.log[-1].moved if result.log else None
        kept |= {"em_moved": list(moved)} if moved else {}
        bits = [info.heldout_bits for info in result.log if info.heldout_bits is not None]
        kept |= {"heldout_bits": bits} if bits else {}
    if len(config.seeds) > 1:
        kept["seeds"] = [{"seed": seed, "elbo": elbo} for seed, elbo in state.seeds]
    return kept


@checked_keywords
def steps(
    model: Model | Callable,
    trials: "Trials",
    config: FitConfig | None = None,
    *,
    init: Posterior | None = None,
    guide: Callable | None = None,
    optimizer: optax.GradientTransformation | None = None,
    checkpoint: str | os.PathLike | None = None,
    context: Context | None = None,
    room: int = 0,
) -> Steps:
    """The steps of a fit, to be driven by the caller.

    >>> for state, info in nlb.steps(model, trials, nlb.FitConfig(seed=1)):  # doctest: +SKIP
    ...     print(info.stage, info.iteration, info.elbo)

    `fit` is this loop with a progress bar. The iterator's `state` is a pytree that holds all that the fit goes on from,
    and its method `posterior()` what has been found so far.

    Args:
        model: or a NumPyro function of trials.
        trials: to learn from.
        config: how to fit.
        init: a posterior of the same model and neurons to start from.
        guide: for the parameters, short for FitConfig(posterior=nlb.NumPyroGuide(guide)).
        optimizer: of the second stage.
        checkpoint: a folder that may hold a checkpoint of this fit, to go on from; see `Checkpoints`.
        context: the facts of the data that give parameters their meaning; by default of these trials, or of `init`.
        room: how many trials the arrays have room for at least: fits to about as many share their compiled programs.

    Returns:
        An iterator of (state, info), one pair for each iteration of EM and for every few steps of SVI.

    Raises:
        InputError: model and trials do not fit together, or the checkpoint is of another fit.
    """
    check_trials(trials, "steps")
    config, model = config or FitConfig(), resolve_model(model, trials)
    if guide is not None:
        config = dataclasses.replace(config, posterior=NumPyroGuide(guide))
    if not np.any(trials.counts, where=trials.seen):
        raise InputError(
            "fit: no spike is seen in these trials; check the split, the window and which units are selected."
        )
    if init is not None:
        with precision(config.precision):
            init.check(trials)
            check_init(init, model)
        context = init.context
    context = context or Context.of(trials)
    values = None if init is None else site_values(init)
    return Steps(Setup(model, context, trials, config, values, optimizer, room), checkpoint)


def site_values(init: Posterior) -> dict[str, np.ndarray]:
    """The values of the model's sites: all but the count readout, which the fit makes anew."""
    return {name: value for name, value in init.values.items() if name not in count_readout_names(init.model)}


def check_init(init: Posterior, model: Model) -> None:
    """Raise InputError unless this model can start from the values of `init`: the same sites, of the same shapes."""
    needed = {name: site.shape.shape for name, site in parameter_sites(model, init.context).items()}
    present = {name: np.shape(value) for name, value in site_values(init).items()}
    for name in sorted(needed.keys() | present.keys()):
        if needed.get(name) != present.get(name):
            shapes = (present.get(name), needed.get(name))
            found, expected = ("absent" if shape is None else f"of shape {shape}" for shape in shapes)
            raise InputError(
                f"fit: init is a fit of another model: its site {name!r} is {found}, that of this model is {expected}. "
                "Start from a fit of the same blocks and dimensions, or leave init out."
            )
