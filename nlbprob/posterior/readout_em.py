"""Variational EM in the parameters of some neurons alone, with all else of a model as it is."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from nlbprob.infer.em import convergence, updates
from nlbprob.infer.em.steps import EM, EStep, bound, e_step, stacked
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.infer.runtime.batch import Batch, chunks, fit_chunk
from nlbprob.infer.runtime.execute import map_chunks
from nlbprob.infer.runtime.precision import precision
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.runtime.progress import Progress
from nlbprob.infer.vi import widths

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

#: Most iterations, natural-gradient steps in the first and in each later one.
MOST_ITERATIONS, FIRST_STEPS, LATER_STEPS = 120, 10, 2
#: Newton steps of the readout in the first iteration, which may start from zero, and in each later one.
FIRST_NEWTON_STEPS, NEWTON_STEPS = 20, 3
#: Seconds after which a progress bar is shown.
DELAY_S = 2.0


class Found(NamedTuple):
    """Values of all sites, the covariance of each neuron's readout, and the bound after every iteration."""

    values: dict[str, np.ndarray]
    covariance: Float[np.ndarray, "neuron width width"]
    bounds: list[float]
    converged: bool


def learned(
    posterior: "Posterior", trials: "Trials", new: Bool[np.ndarray, " neuron"], progress: bool, name: str
) -> Found:
    """Variational EM in the parameters of new neurons alone, then the covariance of their readouts.

    Args:
        posterior: with all neurons, see `widened`.
        trials: to learn from.
        new: the neurons whose parameters are moved.
        progress: whether to show a bar where it takes longer than two seconds.
        name: what the bar says.
    """
    model, context = posterior.model, posterior.context
    size = fit_chunk(model, trials.n_trials, trials.n_bins, trials.n_neurons)
    bar = Progress(MOST_ITERATIONS, progress, first=name, delay_s=DELAY_S)
    try:
        with precision(posterior.config["precision"]):
            dtype = jnp.result_type(float)
            em, free = EM(model, context), jnp.asarray(new)
            values: Any = {name: jnp.asarray(posterior.values[name], dtype) for name in em.sites}
            batches = tuple(batch for _, batch in chunks(model, context, trials, size))
            rows, bounds, settled = em.init(values, batches, trials.n_trials).rows, [], False
            for iteration in range(MOST_ITERATIONS):
                steps = LATER_STEPS if iteration else FIRST_STEPS
                found = expected(em, values, batches, rows, steps, not iteration)
                rows = tuple(chunk.site_state for chunk in found)
                bounds.append(bound(found))
                bar.tick(name, f"ELBO {bounds[-1]:.1f} nats")
                if settled := convergence.flat(bounds):
                    break
                newton = NEWTON_STEPS if iteration else FIRST_NEWTON_STEPS
                values = step(em, newton, values, free, batches, found)
            gathered = [widths.gather(em, (), values, *pair) for pair in zip(batches, found, strict=True)]
            total = jax.tree.map(lambda *parts: sum(parts), *gathered)
            covariance, *_ = widths.widths(em, (), values, total, trials.n_trials)
            if posterior.has_width:
                mean = widths.mean_readout(em, values, covariance, batches, found)
                values = merged(em, values, mean, free)
            return Found(jax.tree.map(np.asarray, values), np.asarray(covariance), bounds, settled)
    finally:
        bar.close()


def expected(em: EM, values: Any, batches: tuple[Batch, ...], rows: Any, steps: int, cold: bool) -> tuple[EStep, ...]:
    """The E-step of every chunk."""

    def expect(pair: tuple[Batch, Any]) -> EStep:
        return e_step(em, values, *pair, steps, cold, cold)

    return tuple(map_chunks(expect, zip(batches, rows, strict=True)))


@program("em", "newton_steps")
def step(
    em: EM,
    newton_steps: int,
    values: dict[str, Any],
    free: Bool[Array, " neuron"],
    batches: tuple[Batch, ...],
    found: tuple[EStep, ...],
) -> dict[str, Any]:
    """The M-step of the readouts, and of the observation's parameters, of the neurons that are free."""
    model, context = em.model, em.context
    theta = parameters_at(model, context, values)
    data, marginals = stacked(batches), stacked([(chunk.moments, chunk.responsibility) for chunk in found])
    penalty = model.penalty(context, theta, values)
    moved, _ = updates.readout(model, theta, data, marginals, penalty, newton_steps)
    proposed = values | model.readout.values(moved.baseline, moved.loadings)
    values = merged(em, values, proposed, free)
    theta = parameters_at(model, context, values)
    observed = updates.observation(model, context, em.supports, values, theta, data, marginals)
    return merged(em, values, values | observed, free)


def merged(em: EM, old: dict[str, Any], new: dict[str, Any], free: Bool[Array, " neuron"]) -> dict[str, Any]:
    """The new values of the neurons that are free, and the old ones of all else."""
    values = dict(old)
    for name, site in em.sites.items():
        if "neuron" in site.dims:
            shape = [1] * len(site.dims)
            shape[site.dims.index("neuron")] = len(free)
            values[name] = jnp.where(free.reshape(shape), new[name], old[name])
    return values
