"""The second stage, stochastic variational inference of the parameters, some steps at a time."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nlbprob.infer.em.steps import EStep, e_step, flat
from nlbprob.infer.fit import errors
from nlbprob.infer.fit.em_stage import MakeInfo
from nlbprob.infer.fit.setup import LATER_STEPS, Setup
from nlbprob.infer.fit.state import FitInfo, FitState
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.execute import map_chunks
from nlbprob.infer.trajectories.problem import SiteState
from nlbprob.infer.vi import svi
from nlbprob.infer.vi import widths as information


class SVIStage:
    """The second stage of one fit: what it takes from the first stage, and the loop that it runs.

    Steps are functions of the state; what is kept here can be made again from the setup and the state.
    """

    def __init__(self, setup: Setup, state: FitState):
        assert state.result is not None
        self.setup, self.seed = setup, state.result.seed
        self.index = jnp.asarray(setup.minibatches(self.seed))
        self.data, self.store = flat(setup.batches, state.em.rows) if setup.svi_steps else (None, None)
        self.loop = setup.loop(None if setup.family.known_ahead else state.em.values)
        self.guide = self.loop.guide

    def frames(self, state: FitState) -> Any:
        """Where the guide starts: at EM's values, with the widths that single trials imply."""
        setup, em, widths = self.setup, state.em, (None, None, None)
        values = em.values
        if setup.uses_trial_widths:

            def expect(pair: tuple[Batch, SiteState]) -> EStep:
                return e_step(setup.em, em.values, *pair, LATER_STEPS, False, False)

            chunks = tuple(map_chunks(expect, zip(setup.batches, em.rows, strict=True), compiled=True))
            widths = setup.widths(em, chunks)
            if widths[0] is not None:
                values = information.mean_readout(setup.em, values, widths[0], setup.batches, chunks)
        return self.guide.init(values, em.curvature, widths)

    def init(self, frames: Any) -> Any:
        """NumPyro's state before the first step; a guide of NumPyro's is set up with real arrays."""
        start = svi.init if self.setup.family.known_ahead else svi.init.function
        key, trials = jax.random.key(self.seed), self.setup.n_trials
        return start(self.loop, key, self.index[0], self.data, frames, self.store, trials)

    def step(self, state: FitState, make_info: MakeInfo) -> tuple[FitState, FitInfo | None]:
        """The next call of the loop; after the last one the posterior's centre and draws."""
        setup = self.setup
        if state.frames is None:
            state = state.replace(frames=self.frames(state))
        frames = state.frames
        if not setup.svi_steps:
            return self.finish(state, self.guide.initial_params(frames)), None
        if state.svi is None:
            state = state.replace(svi=self.init(frames))
            if setup.family.known_ahead:
                params = jax.eval_shape(self.loop.svi.get_params, state.svi)
                setup.compile_readings(self.guide, params, frames, setup.keys(self.seed))
        index = self.index[state.iteration]
        next_state, losses = svi.advance(self.loop, state.svi, index, self.data, frames, setup.n_trials)
        bounds = -np.asarray(losses, float)
        params = self.loop.svi.get_params(next_state)
        errors.check_steps(-bounds, params, self.guide, frames)
        number = state.iteration + 1
        info = make_info("svi", number * len(bounds), tuple(bounds.tolist()))
        state = state.replace(svi=next_state, iteration=number, log=(*state.log, info))
        return (self.finish(state, params) if number == len(self.index) else state), info

    def finish(self, state: FitState, params: Any) -> FitState:
        """The state with the posterior's centre and draws of all sites."""
        frames, names = state.frames, self.setup.em.sites
        draws = self.guide.draws(params, frames, self.setup.keys(self.seed))
        values = self.guide.centre(params, frames, draws)
        draws = {name: np.asarray(draws[name]) for name in names}
        return state.replace(stage="done", values={name: np.asarray(values[name]) for name in names}, draws=draws)
