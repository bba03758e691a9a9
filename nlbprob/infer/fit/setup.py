"""What stays the same throughout a fit: the model, the data on the device, and what is compiled for them."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key

from nlbprob.blocks.base import Context
from nlbprob.fit_config import FitConfig
from nlbprob.infer.em.early_stopping import Hidden
from nlbprob.infer.em.m_step import m_step
from nlbprob.infer.em.steps import EM, EMState, EStep, e_step, flat
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.infer.runtime.batch import Batch, chunks, fit_chunk, prediction_chunk
from nlbprob.infer.runtime.execute import map_chunks
from nlbprob.infer.runtime.programs import Program
from nlbprob.infer.start.warm_start import simpler_model
from nlbprob.infer.trajectories.marginals import smoothed_marginals
from nlbprob.infer.trajectories.problem import trial_problem
from nlbprob.infer.vi import guides, svi
from nlbprob.infer.vi import widths as information
from nlbprob.infer.vi.families import family_of
from nlbprob.infer.vi.family import Family
from nlbprob.model import Model

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Natural-gradient steps in the first EM iteration, from the prior, and in each later one.
FIRST_STEPS, LATER_STEPS = 8, 1
#: Least number of trials in a minibatch by default.
LEAST_BATCH = 32
#: Most EM iterations by default: where it goes on until no parameter moves; else where all parameters have updates in
#: closed form, and where some have none.
MOST_ITERATIONS, CLOSED_ITERATIONS, GRADUAL_ITERATIONS = 100, 30, 100
#: SVI steps by default, where EM's estimate does not stand still.
SVI_STEPS = 40
#: EM starts with tied sites where trials x components x bins x states^2 exceed this: where programs for them are
#: compiled in less time than they save.
TIED_WORK = 1_000_000


@dataclasses.dataclass(frozen=True, eq=False)
class Setup:
    """A fit, but for its state.

    Attributes:
        model: with its number of latents known.
        context: of these trials, or of a fit that this one goes on from.
        trials: to learn from.
        config: the settings of the fit.
        init_values: values of all sites to start EM from; None estimates them from the trials.
        optimizer: the user's own, or None.
        room: how many trials the arrays have room for at least, so that fits to a few trials less share their programs.
        hidden_by_seed: what early stopping hides, by the seeds that were asked for.
    """

    model: Model
    context: Context
    trials: "Trials"
    config: FitConfig
    init_values: dict[str, Any] | None = None
    optimizer: optax.GradientTransformation | None = None
    room: int = 0
    hidden_by_seed: dict[int, Hidden] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def batches(self) -> tuple[Batch, ...]:
        """The trials on the device, in chunks."""
        trials, most = self.trials, max(self.trials.n_trials, self.room)
        size = fit_chunk(self.model, most, trials.n_bins, trials.n_neurons)
        return tuple(batch for _, batch in chunks(self.model, self.context, trials, size, most))

    @functools.cached_property
    def em(self) -> EM:
        """The first stage."""
        return EM(self.model, self.context)

    @functools.cached_property
    def warm(self) -> EM | None:
        """The first stage of the simpler model that EM starts from, if any."""
        simple = simpler_model(self.model)
        return None if simple is None else EM(simple, self.context)

    @functools.cached_property
    def em_iterations(self) -> int:
        """The most iterations of EM."""
        if self.config.em_iterations is not None:
            return self.config.em_iterations
        if self.until_still:
            return MOST_ITERATIONS
        closed = all(self.model.closed_form(block) for block in self.model.chains) and not self.model.effects
        return CLOSED_ITERATIONS if closed else GRADUAL_ITERATIONS

    @property
    def svi_steps(self) -> int:
        """The steps of the second stage."""
        if self.config.svi_steps is not None:
            return self.config.svi_steps
        return 0 if self.until_still and self.family.needs_no_steps else SVI_STEPS

    @property
    def until_still(self) -> bool:
        """Whether EM goes on until no parameter moves; else until its bound is level."""
        return self.em.pace == "closed" and not self.config.early_stopping

    @functools.cached_property
    def tied(self) -> bool:
        """Whether EM starts with tied sites: where its iterations take long, and trials are alike in what is seen."""
        if self.config.early_stopping or not self.em_iterations:
            return False
        trials = self.trials
        work = trials.n_trials * self.model.n_components * trials.n_bins * self.model.n_states**2
        if work < TIED_WORK or not np.array_equal(trials.seen, np.broadcast_to(trials.seen[:1], trials.seen.shape)):
            return False

        def priors(values: dict[str, Any], batch: Batch) -> Any:
            return trial_problem(self.model, parameters_at(self.model, self.context, values), batch)[0].priors

        shapes = jax.eval_shape(priors, {name: site.shape for name, site in self.em.sites.items()}, self.batches[0])
        return all(prior.tied for prior in shapes)

    @property
    def stays_tied(self) -> bool:
        """Whether sites stay tied to the end: each trial has too many components to go through them one by one."""
        return self.tied and self.model.templates is not None

    @property
    def n_trials(self) -> int:
        """How many trials there are."""
        return self.trials.n_trials

    def hidden(self, seed: int) -> Hidden | None:
        """What early stopping hides from EM."""
        if not (self.config.early_stopping and self.em_iterations):
            return None
        if seed not in self.hidden_by_seed:
            hidden = Hidden(self.model, self.context, self.batches, self.config.early_stopping, seed)
            self.hidden_by_seed[seed] = hidden
        return self.hidden_by_seed[seed]

    @functools.cached_property
    def family(self) -> Family:
        """The family of the parameters' posterior."""
        return family_of(self.config.posterior)

    @property
    def uses_trial_widths(self) -> bool:
        """Whether the second stage starts with the widths that single trials imply."""
        return self.family.known_ahead and self.family.has_width

    @functools.cached_property
    def other_sites(self) -> tuple[str, ...]:
        """The sites that are not the readout's."""
        return tuple(name for name in self.em.sites if name not in self.model.readout.names)

    def loop(self, values: dict[str, Any] | None = None) -> svi.SVIProgram:
        """The second stage.

        Args:
            values: of all sites, where EM ended; None where it has not, see `Family.known_ahead`.
        """
        guide, steps = self.family.guide_for(self.em, self.trials, values), self.svi_steps
        return svi.svi_program(self.model, self.context, guide, self.optimizer, steps)

    def minibatches(self, seed: int) -> np.ndarray:
        """Which trials each SVI step sees [call, step, draw]."""
        size = self.config.batch_size
        size = min(self.n_trials, max(LEAST_BATCH, -(-self.n_trials // 4)) if size is None else size)
        return svi.minibatches(self.n_trials, size, max(self.svi_steps, 1), seed)

    @property
    def first_index(self) -> Any:
        """Which trials the steps of the first call see, with any seed: for its shape."""
        return jnp.asarray(self.minibatches(0)[0])

    def keys(self, seed: int) -> Key[Array, " sample"]:
        """Of the draws that are kept."""
        return jax.random.split(jax.random.key(seed), guides.KEPT_DRAWS)

    def shapes(self, tied: bool | None = None) -> EMState:
        """The shapes of the state before the first iteration; tied: None for as sites are in the end."""
        tied, batches = self.stays_tied if tied is None else tied, self.batches

        def init(values: dict[str, Any]) -> EMState:
            return self.em.init(values, batches, self.n_trials, tied)

        return jax.eval_shape(init, {name: site.shape for name, site in self.em.sites.items()})

    def widths(self, em: EMState, chunks: Sequence[EStep]) -> information.Widths:
        """The widths of the parameters' posterior at EM's values, from the E-step there."""

        def gather(pair: tuple[Batch, EStep]) -> Any:
            return information.gather(self.em, self.other_sites, em.values, *pair)

        parts = map_chunks(gather, zip(self.batches, chunks, strict=True))
        total = jax.tree.map(lambda *each: sum(each), *parts)
        return information.widths(self.em, self.other_sites, em.values, total, self.n_trials)

    def deviation_shapes(self) -> dict[str, Any]:
        """The shapes of the standard deviations of all entries, by site."""
        return {
            name: jax.ShapeDtypeStruct(shape, jnp.result_type(float))
            for name, shape in zip(self.em.sites, self.em.entries.shapes, strict=True)
        }

    def compile_em(self, tied: bool) -> None:
        """Start to compile the first stage, with or without tied sites."""
        state = self.shapes(tied)
        chunk = e_step.ahead(self.em, state.values, self.batches[0], state.rows[0], FIRST_STEPS, True, True)
        if self.em_iterations:
            m_step(self.em, state, self.batches, (chunk,) * len(self.batches), Program.ahead)

    def compile_svi(self) -> None:
        """Start to compile the second stage, where its guide is known beforehand."""
        if not self.family.known_ahead:
            return
        data, frames, state = self.svi_shapes(Program.ahead)
        if state is not None:
            svi.advance.ahead(self.loop(), state, self.first_index, data, frames, self.n_trials)
        else:
            guide = self.loop().guide
            self.compile_readings(guide, guides.initial_params.ahead(guide, frames), frames, self.keys(0))

    def svi_shapes(self, trace: Callable[..., Any] = Program.shapes) -> tuple[Any, Any, Any]:
        """The shapes of what the second stage works on.

        Args:
            trace: how to find what a program returns: `Program.ahead` starts to compile it, too.

        Returns:
            The data, None where there is no step; the frames, where the guide starts; NumPyro's state before the first
            step, None where there is none.
        """
        state, widths, loop = self.shapes(), (None, None, None), self.loop()
        data, store = trace(flat, self.batches, state.rows) if self.svi_steps else (None, None)
        if self.uses_trial_widths:
            chunk = e_step.shapes(self.em, state.values, self.batches[0], state.rows[0], LATER_STEPS, False, False)
            gathered = trace(information.gather, self.em, self.other_sites, state.values, self.batches[0], chunk)
            widths = trace(information.widths, self.em, self.other_sites, state.values, gathered, self.n_trials)
            if widths[0] is not None:
                every = (chunk,) * len(self.batches)
                trace(information.mean_readout, self.em, state.values, widths[0], self.batches, every)
        frames = trace(guides.initial_frames, loop.guide, state.values, state.curvature, widths)
        if not self.svi_steps:
            return data, frames, None
        key = jax.random.key(0)
        return data, frames, trace(svi.init, loop, key, self.first_index, data, frames, store, self.n_trials)

    def compile_readings(self, guide: guides.Guide, params: Any, frames: Any, keys: Any) -> None:
        """Start to compile what comes after the second stage, whose loop keeps one core busy."""
        guides.sample_sites.ahead(guide, params, frames, keys)
        guides.centre_sites.ahead(guide, params, frames)
        model, trials, sites = self.model, self.trials, self.shapes().values
        theta = jax.eval_shape(functools.partial(parameters_at, model, self.context), sites)
        if self.uses_trial_widths:
            neurons, width = theta.loadings.shape[0], 1 + theta.loadings.shape[1]
            covariance = jax.ShapeDtypeStruct((neurons, width, width), theta.loadings.dtype)
            theta = theta._replace(uncertainty=covariance)
        _, batch = next(chunks(model, self.context, trials, prediction_chunk(model, trials)))
        smoothed_marginals.ahead(model, theta, batch)
