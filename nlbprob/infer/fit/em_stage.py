"""The first stage, variational EM, step by step: a warm start where the model asks for one, then EM from each seed.

Where data are large, EM begins with tied sites (see `Sites`): its iterations take a fraction of the time.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from nlbprob.infer.em import acceleration, convergence
from nlbprob.infer.em.early_stopping import should_stop
from nlbprob.infer.em.m_step import m_step
from nlbprob.infer.em.steps import EM, EMState, EStep, bound, e_step
from nlbprob.infer.fit import errors
from nlbprob.infer.fit.setup import FIRST_STEPS, LATER_STEPS, Setup
from nlbprob.infer.fit.state import BestHeldout, EMResult, FitInfo, FitState
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.execute import map_chunks
from nlbprob.infer.start import warm_start
from nlbprob.infer.start.initial import from_warm_start, initial_guess, site_values
from nlbprob.infer.trajectories.marginals import COLD_STEPS
from nlbprob.infer.trajectories.problem import SiteState
from nlbprob.infer.vi import widths as information

#: Discrete states are looked for anew in one of so many iterations of EM.
ANEW_EVERY = 5

#: Natural-gradient steps that are added for good, one for so many falls of the bound.
MORE_STEPS, FALLS = 2, 2
#: Tied sites may take so much of EM's iterations, and so many natural-gradient steps in each: these cost little. They
#: are untied where several iterations of accelerated EM raise the bound by less than so many nats.
TIED_PART, TIED_STEPS, TIED_RISE = 0.75, 3, 5.0

#: (stage, iteration, elbos, heldout_bits) -> the step's FitInfo.
MakeInfo = Callable[..., FitInfo]


def init(setup: Setup, seed_index: int = 0) -> FitState:
    """The state before the first step from one seed."""
    seed, dtype = setup.config.seeds[seed_index], jnp.result_type(float)
    if setup.init_values is not None:
        values = {name: jnp.asarray(value, dtype) for name, value in setup.init_values.items()}
        return FitState(*begun(setup, values), seed_index=seed_index)
    warm = setup.warm if warm_start.ITERATIONS else None
    model = setup.model if warm is None else warm.model
    values = site_values(model, setup.context, initial_guess(model, setup.trials, seed))
    if warm is None:
        return FitState(*begun(setup, values), seed_index=seed_index)
    return FitState("warm start", warm.init(values, setup.batches, setup.n_trials), seed_index=seed_index)


def begun(setup: Setup, values: dict[str, Any]) -> tuple[str, EMState]:
    """The stage that EM begins with, and its state at some values of all sites."""
    return "tied" if setup.tied else "em", setup.em.init(values, setup.batches, setup.n_trials, setup.tied)


def iterate(
    setup: Setup,
    em: EM,
    state: EMState,
    batches: Sequence[Batch],
    *,
    steps: int,
    cold: bool,
    iteration: int,
    **options: Any,
) -> tuple[EMState, tuple[EStep, ...]]:
    """An E-step of all chunks and, where EM has iterations at all, the M-step."""

    def update(pair: tuple[Batch, SiteState]) -> EStep:
        batch, site_state = pair
        return e_step(em, state.values, batch, site_state, steps, cold, iteration % ANEW_EVERY == 0)

    chunks = tuple(map_chunks(update, zip(batches, state.rows, strict=True), **options))
    if state.memory is None or not state.memory.extrapolated:  # else the M-step goes back to where it was finite
        errors.check_expectation(state.values, chunks, setup.trials, iteration)
    if setup.em_iterations or em is setup.warm:
        return m_step(em, state, batches, chunks), chunks
    return state._replace(rows=tuple(chunk.site_state for chunk in chunks)), chunks


def warm_step(setup: Setup, state: FitState, make_info: MakeInfo) -> tuple[FitState, FitInfo]:
    """One iteration of the simpler model; after the last one EM starts from its values and latents."""
    assert setup.warm is not None
    cold, number, seed = state.iteration == 0, state.iteration + 1, setup.config.seeds[state.seed_index]
    steps = FIRST_STEPS if cold else LATER_STEPS
    em, chunks = iterate(setup, setup.warm, state.em, setup.batches, steps=steps, cold=cold, iteration=state.iteration)
    info = make_info("warm start", number, (bound(chunks),))
    state = state.replace(log=(*state.log, info))
    if number < warm_start.ITERATIONS:
        return state.replace(em=em, iteration=number), info
    before = state.em.values
    latents = warm_start.latent_means(setup.warm, before, chunks, setup.n_trials)
    dynamics = parameters_at(setup.warm.model, setup.context, before).dynamics
    chains = {block.name: given.chain for block, given in zip(setup.warm.model.chains, dynamics, strict=True)}
    values = from_warm_start(setup.model, setup.context, setup.trials, before, latents, chains, seed)
    stage, em = begun(setup, values)
    return state.replace(stage=stage, iteration=0, em=em), info


def em_step(setup: Setup, state: FitState, make_info: MakeInfo) -> tuple[FitState, FitInfo]:
    """One iteration of EM; after the last one sites are untied, the next seed starts, or the second stage.

    Args:
        setup: the fit, but for its state.
        state: in one of `EM_STAGES`.
        make_info: makes the `FitInfo` of a step.
    """
    seed, stage, number = setup.config.seeds[state.seed_index], state.stage, state.iteration + 1
    history, count, before = state.of_em(seed), setup.em_iterations, state.em
    cold, hidden = not history, setup.hidden(seed)
    steps = (FIRST_STEPS if cold else later_steps(setup, state, seed)) if count else COLD_STEPS
    batches = setup.batches if hidden is None else hidden.batches
    if cold:
        compile_later(setup)
    em, chunks = iterate(
        setup, setup.em, before, batches, steps=steps, cold=cold, iteration=state.iteration, compiled=True
    )
    bits, heldout = None, state.heldout
    if hidden is not None:
        bits = hidden.score(before.values, chunks)
        if bits >= max(bits_of(state, seed), default=bits):
            heldout = BestHeldout(before.values, tuple(chunk.site_state for chunk in chunks))
    elbo = bound(chunks)
    deviations, moved = state.deviations, None
    level = convergence.level([*(info.elbo for info in history), elbo], setup.em.pace)
    if deviations is None and level and setup.until_still and stage != "tied":
        deviations = information.deviations(setup.em, setup.other_sites, setup.widths(before, chunks))
    if deviations is not None:
        found = convergence.movement(setup.em, before.values, em.values, deviations)
        moved = max(((name, float(value)) for name, value in found.items()), key=lambda pair: pair[1])
    info = dataclasses.replace(make_info(stage, number, (elbo,), bits), moved=moved)
    log = (*state.log, info) if count else state.log
    state = state.replace(em=em, iteration=number, heldout=heldout, log=log, deviations=deviations)
    converged = has_converged(setup, state, level)
    if stage == "tied" and not setup.stays_tied:
        return (untied(setup, state) if converged or number >= TIED_PART * count else state), info
    if converged or len(history) + 1 >= count:
        return ended(setup, state, chunks, bool(converged)), info
    return state, info


def has_converged(setup: Setup, state: FitState, level: bool) -> bool:
    """Whether EM has, from the present seed, by early stopping too. EM that goes on until no parameter moves does so
    without tied sites. level: whether the last iteration hardly raised the bound.
    """
    seed, early = setup.config.seeds[state.seed_index], setup.config.early_stopping
    if early and should_stop(bits_of(state, seed)):
        return True
    if not setup.until_still:
        return level
    bounds, tied = [info.elbo for info in state.of_em(seed)], state.stage == "tied"
    if setup.em.accelerated and convergence.flat(bounds, TIED_RISE if tied else convergence.LEAST_RISE):
        return True
    if tied:
        return level and not setup.em.accelerated
    return convergence.converged([info.moved and info.moved[1] for info in state.of_stage("em", seed)])


def compile_later(setup: Setup) -> None:
    """Start to compile what comes after the first E-step."""
    if setup.tied and not setup.stays_tied:
        setup.compile_em(tied=False)
    setup.compile_svi()


def untied(setup: Setup, state: FitState) -> FitState:
    """The state after the last iteration with tied sites: at EM's own step, with sites for each trial."""
    em = state.em
    if em.memory is not None:
        em = em._replace(memory=acceleration.unaccelerated(em.memory))
        em, _ = iterate(setup, setup.em, em, setup.batches, steps=LATER_STEPS, cold=False, iteration=0)
        assert em.memory is not None
        em = em._replace(memory=acceleration.of_another(em.memory))
    rows = tuple(row._replace(sites=row.sites.untied()) for row in em.rows)
    return state.replace(stage="em", iteration=0, em=em._replace(rows=rows))


def later_steps(setup: Setup, state: FitState, seed: int) -> int:
    """Natural-gradient steps in an iteration: one more where a step of accelerated EM went too far, or often did.

    Sites are then behind the parameters, and a bound with them is too low to tell a good step from a bad one.
    """
    least = TIED_STEPS if state.stage == "tied" else LATER_STEPS
    if not setup.em.accelerated:
        return least
    bounds = [info.elbo for info in state.of_stage(state.stage, seed)]
    return least + convergence.fallen(bounds) + min(MORE_STEPS, convergence.falls(bounds) // FALLS)


def bits_of(state: FitState, seed: int) -> list[float]:
    """How well EM has predicted what is hidden from it, iteration by iteration."""
    return [info.heldout_bits for info in state.of_stage("em", seed) if info.heldout_bits is not None]


def ended(setup: Setup, state: FitState, chunks: tuple[EStep, ...], converged: bool) -> FitState:
    """The state after the last iteration from a seed.

    Args:
        setup: the fit, but for its state.
        state: after that iteration.
        chunks: its E-step.
        converged: whether EM ended because its bound has converged, or by early stopping.
    """
    seed, em = setup.config.seeds[state.seed_index], state.em
    if state.heldout is not None:  # one iteration from the best values, with all that is seen
        memory = None if em.memory is None else acceleration.forgotten(em.memory)
        em = em._replace(values=state.heldout.values, rows=state.heldout.rows, memory=memory)
        em, chunks = iterate(setup, setup.em, em, setup.batches, steps=LATER_STEPS, cold=False, iteration=0)
    elif em.memory is not None and setup.em_iterations:  # the last step is EM's own, or back to the highest bound
        em = em._replace(memory=acceleration.unaccelerated(em.memory))
        em, chunks = iterate(setup, setup.em, em, setup.batches, steps=LATER_STEPS + 1, cold=False, iteration=0)
    elbo = bound(chunks) if em.memory is None else max(bound(chunks), float(em.memory.bound))
    errors.check_values(em.values, f"in the last of {state.iteration} EM iterations")
    occupancy = convergence.occupancy(setup.model, setup.batches, chunks)
    result = EMResult(em, seed, elbo, converged, occupancy, tuple(info for info in state.log if info.seed == seed))
    seeds = (*state.seeds, (seed, result.elbo))
    if state.result is not None and state.result.elbo >= result.elbo:
        result = state.result
    state = state.replace(result=result, seeds=seeds, heldout=None, deviations=None)
    if state.seed_index + 1 == len(setup.config.seeds):
        return state.replace(stage="svi", iteration=0, em=result.em)
    return init(setup, state.seed_index + 1).replace(result=result, seeds=seeds, log=state.log)
