"""The posterior of each trial's trajectory given the parameters: structured variational inference by natural gradients.

The posterior is q(x) = p(x | theta) prod_t exp(h_t'x_t - 1/2 x_t'J_t x_t) / Z. Conjugate-computation variational
inference (Khan and Lin 2017, arXiv 1703.04265) moves the sites (h, J) towards their fixed point
J_t = sum_n w_n c_n c_n', h_t = sum_n c_n (g_n + w_n c_n'm_t); each trial has its own step size, and a step is taken
only if that trial's bound rises. Unseen entries drop out of the sums, so co-smoothing, missing bins, padding and
forecasts are one code path.

Tied sites share J_t, the mean of what each trial would have: the bound is that of a smaller family, and costs a
fraction. Their trials step together, where the bound of all rises.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree, Shaped

from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import prior as trajectory_prior
from nlbprob.infer.trajectories.likelihood import expected_log_likelihood
from nlbprob.infer.trajectories.problem import Auxiliary, TrialProblem, latent_moments
from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Sites, Smoothed, apply

if TYPE_CHECKING:
    from nlbprob.blocks.observations import Observation

SHRINK, GROW = 0.3, 2.0


class TrajectoryPosterior(NamedTuple):
    """The posterior of some rows: sites, moments, bound (nats, of each), next target and step size.

    nearly_converged: the last gain in the bound was below tolerance; converged: so was the one after it.
    auxiliary: the posterior of each block's discrete states, or the like, where it has one (see `TrajectoryPrior`):
    what it becomes by a full step from `smoothed`; held: what gave `smoothed`.
    """

    sites: Sites
    auxiliary: Auxiliary
    held: Auxiliary
    smoothed: Smoothed
    elbo: Float[Array, " row"]
    target: Sites
    step_size: Float[Array, " row"]
    nearly_converged: Bool[Array, " row"]
    converged: Bool[Array, " row"]


def tolerance(dtype: np.dtype | type) -> float:
    """A trial has converged when two full steps raise its bound by less than this fraction of it: what floats of the
    width can resolve.

    (The second squares the error that the first left. Of a long trial's bound the fraction is large.)
    """
    return 1e-6 if dtype == jnp.float32 else 1e-12


def empty_sites(trials: int, bins: int, state: int, dtype: np.dtype | type = np.float32) -> Sites:
    """The sites of a trial of which nothing has been seen: q is the prior."""
    return Sites(jnp.zeros((trials, bins, state), dtype), jnp.zeros((trials, bins, state, state), dtype))


def first_sites(problem: TrialProblem, observation: "Observation", batch: Batch) -> Sites:
    """Sites to start from where nothing else is known: the precision that targets have at latents that are zero.

    Of a wide prior the expected counts exceed all bounds, and no step from it leads anywhere. The counts pull only from
    the first step on, which is taken where it raises the bound.
    """
    rows, bins = batch.counts.shape[:2]
    sites = empty_sites(rows, bins, problem.loadings.shape[1], problem.loadings.dtype)
    mean = sites.linear if problem.shift is None else sites.linear + problem.shift
    _, target = expected_log_likelihood(problem, observation, batch, mean, sites.precision)
    return sites._replace(precision=target.precision)


def evaluate(
    problem: TrialProblem, observation: "Observation", batch: Batch, sites: Sites, auxiliary: Auxiliary
) -> tuple[Smoothed, Float[Array, " row"], Sites]:
    """Moments, bound and target of given sites. A row's bound is E_q[log p(y | x)] - KL(q || prior)."""
    prior = trajectory_prior.surrogate(problem, auxiliary)
    total = trajectory_prior.all_sites(prior, sites, problem.emission)
    smoothed = kalman.smooth(prior.chain, total, kalman.filter(prior.chain, total))
    mean, covariance = latent_moments(problem, smoothed.mean, smoothed.covariance)
    likelihood, target = expected_log_likelihood(problem, observation, batch, mean, covariance)
    elbo = likelihood - smoothed.divergence + trajectory_prior.gain(problem, auxiliary, prior, smoothed)
    if sites.tied:  # also with trials that pad a chunk, of which nothing is seen
        elbo = jnp.where(batch.seen.any((1, 2)), elbo, 0.0)
    added = trajectory_prior.target(problem, auxiliary, smoothed)
    if added is not None:
        target = Sites(target.linear + added.linear, target.precision + added.precision)
    return smoothed, jnp.where(jnp.isfinite(elbo), elbo, -jnp.inf), target


def init(
    problem: TrialProblem,
    sites: Sites,
    step_size: Float[Array, " row"] | None = None,
    auxiliary: Auxiliary | None = None,
) -> TrajectoryPosterior:
    """The state before anything is known of the sites: the first `step` evaluates them, later ones improve them."""
    *batch, bins, latents = sites.linear.shape
    dtype = sites.linear.dtype
    state = latents if problem.emission is None else problem.emission.shape[-1]
    own = sites.precision.shape[:-3]
    unknown = Smoothed(
        jnp.zeros((*batch, bins, state), dtype),
        jnp.zeros((*own, bins, state, state), dtype),
        jnp.zeros((*own, bins - 1, state, state), dtype),
        jnp.zeros(batch, dtype),
        jnp.zeros((*own, bins - 1, state, state), dtype),
    )
    step_size = jnp.ones(batch, dtype) if step_size is None else step_size
    auxiliary = trajectory_prior.init(problem, batch[0], bins) if auxiliary is None else auxiliary
    elbo, false = jnp.full(batch, -jnp.inf, dtype), jnp.zeros(batch, bool)
    return TrajectoryPosterior(sites, auxiliary, auxiliary, unknown, elbo, sites, step_size, false, false)


def likelihood_sites(problem: TrialProblem, local: TrajectoryPosterior) -> Sites:
    """The sites that a full step leads to, without what blocks add to them: on the latents less their template."""
    target, added = local.target, trajectory_prior.target(problem, local.held, local.smoothed)
    if added is None:
        return target
    return Sites(target.linear - added.linear, target.precision - added.precision)


def latent_slope(problem: TrialProblem, local: TrajectoryPosterior) -> Float[Array, "row time latent"]:
    """d/dx of E_q[log p(y | x)] for a shift x of each bin's latents: C'g, from the sites that a full step leads to."""
    target = likelihood_sites(problem, local)
    # Sites are potentials of the trajectory without its template.
    mean, _ = latent_moments(problem._replace(shift=None), local.smoothed.mean, local.smoothed.covariance)
    return target.linear - apply(target.precision, mean)


def select(condition: Bool[Array, " row"], yes: PyTree[Array], no: PyTree[Array]) -> PyTree[Array]:
    """Row by row, the arrays of one tree or the other; what rows share follows the first."""

    def pick(a: Shaped[Array, "_ ..."], b: Shaped[Array, "_ ..."]) -> Shaped[Array, "_ ..."]:
        return jnp.where(condition[: len(a)].reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, yes, no)


def step(
    problem: TrialProblem, observation: "Observation", batch: Batch, local: TrajectoryPosterior
) -> TrajectoryPosterior:
    """One natural-gradient step of each row not yet converged, kept where that row's bound rises."""

    def move(current: Float[Array, "row ..."], target: Float[Array, "row ..."]) -> Float[Array, "row ..."]:
        size = local.step_size[: len(current)].reshape(-1, *[1] * (current.ndim - 1))
        return current + size * (target - current)

    sites = jax.tree.map(move, local.sites, local.target)
    held = trajectory_prior.move(problem, local.held, local.auxiliary, local.step_size)
    smoothed, elbo, target = evaluate(problem, observation, batch, sites, held)
    before, after = (jnp.full_like(e, e.sum()) if sites.tied else e for e in (local.elbo, elbo))
    slack = jnp.where(jnp.isfinite(before), tolerance(elbo.dtype) * jnp.abs(before), 0.0)
    better = (after >= before - slack) & jnp.isfinite(after)
    size = jnp.where(better, jnp.minimum(1.0, GROW * local.step_size), SHRINK * local.step_size)
    below_tolerance = better & (local.step_size >= 1.0) & (after - before < slack)
    auxiliary = trajectory_prior.update(problem, smoothed, local.auxiliary)
    moved = TrajectoryPosterior(
        sites,
        auxiliary,
        held,
        smoothed,
        elbo,
        target,
        size,
        below_tolerance,
        (below_tolerance & local.nearly_converged) | (size < 1e-6),
    )
    stayed = local._replace(step_size=size, converged=size < 1e-6)
    return select(local.converged, local, select(better, moved, stayed))


def iterate(
    problem: TrialProblem,
    observation: "Observation",
    batch: Batch,
    local: TrajectoryPosterior,
    iterations: int | Int[Array, ""],
) -> TrajectoryPosterior:
    """Evaluate, then step until every row has converged, at most `iterations` times; each row stops by itself."""

    def unfinished(carry: tuple[int | Int[Array, ""], TrajectoryPosterior]) -> Bool[Array, ""]:
        count, local = carry
        return (count <= iterations) & ~jnp.all(local.converged)

    def advance(
        carry: tuple[int | Int[Array, ""], TrajectoryPosterior],
    ) -> tuple[int | Int[Array, ""], TrajectoryPosterior]:
        count, local = carry
        return count + 1, step(problem, observation, batch, local)

    return lax.while_loop(unfinished, advance, (0, local))[1]


def iterate_anew(
    problem: TrialProblem,
    observation: "Observation",
    batch: Batch,
    local: TrajectoryPosterior,
    iterations: int | Int[Array, ""],
    anew: bool | Bool[Array, ""] = True,
) -> TrajectoryPosterior:
    """`iterate`, once more from what blocks propose (see `TrajectoryPrior.proposal`), and the higher bound of each row.

    Coordinate ascent of trajectories and discrete states ends in the optimum that is nearest to its start: here two
    starts are compared, where `anew` says so.
    """
    local = iterate(problem, observation, batch, local, iterations)
    if not any(prior.proposes for prior in problem.priors):
        return local

    def again() -> TrajectoryPosterior:
        sites = likelihood_sites(problem, local)
        auxiliary = trajectory_prior.proposal(problem, sites, local.smoothed, local.held)
        other = iterate(problem, observation, batch, init(problem, local.target, None, auxiliary), iterations)
        return select(other.elbo > local.elbo, other, local)

    return lax.cond(anew, again, lambda: local)
