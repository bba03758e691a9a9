"""Fisher scoring for the parameters that have no update in closed form.

The scores of single trials, the gradients of their bounds, add up to the gradient, and their outer products to the
empirical Fisher information
(Berndt, Hall, Hall and Hausman 1974). The scales of latents take part, through their loadings: updates at fixed
trajectories let them creep where counts are few, and timescales with them.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve
from jaxtyping import Array, Float, Int

from nlbprob.blocks.base import Context
from nlbprob.infer.parameters.flat import Entries
from nlbprob.infer.parameters.sites import log_prior, parameters_at
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import bound as bound_of
from nlbprob.infer.trajectories import cvi
from nlbprob.infer.trajectories.problem import Auxiliary, SiteState, combined, trial_problem
from nlbprob.model import Model, Parameters
from nlbprob.numerics.gaussian import Moments, Sites, Smoothed

#: Longest step of an entry, in unconstrained space.
LONGEST_STEP = 0.25
#: Largest fraction of a whole step: updates in closed form move the same way, and together they overshoot.
LARGEST_SIZE = 0.7
#: Most entries whose information matrix is kept whole; of more, its diagonal is.
MOST_JOINT = 1000


class TrialScores(NamedTuple):
    """Sums over trials of d bound / d entry by site, and of its outer products [entry, entry] (or squares [entry]).

    scale: the score in the logs of the scales of latents, which come after the sites in the products; last come shifts
    of the latents, where they take part.
    """

    score: dict[str, Array]
    scale: Float[Array, " group"]
    information: Float[Array, "..."]


class StepSize(NamedTuple):
    """The fraction of the next step to take, and the bound at the last."""

    size: Float[Array, ""]
    bound: Float[Array, ""]


def scale_groups(model: Model) -> Int[np.ndarray, " latent"]:
    """The modes of latents whose scale no update in closed form moves, numbered by latent; -1 for all others."""
    groups = np.full(model.dim, -1)
    for block in model.chains:
        if model.readout.names and not model.closed_form(block):
            groups[model.slices[block.name]] = groups.max() + 1 + block.latent_modes
    return groups


class FisherScoring(NamedTuple):
    """The entries to move, of a model in its context, and the groups of latents whose scale moves with them.

    n_shifts: of how many latents a shift takes part, too: all or none.
    """

    model: Model
    context: Context
    entries: Entries
    groups: Int[np.ndarray, " latent"]
    n_shifts: int = 0

    @property
    def n_scales(self) -> int:
        """How many scales move."""
        return int(self.groups.max()) + 1

    def init(self, trials: int) -> StepSize:
        """The size of the first step: small where the entries outnumber the trials."""
        count = sum(math.prod(shape) for shape in self.entries.shapes) + self.n_scales
        return StepSize(jnp.full((), LARGEST_SIZE * trials / (trials + count)), jnp.full((), -jnp.inf))

    def factors(self, scales: Float[Array, " group"]) -> Float[Array, " latent"]:
        """What each latent's loadings are multiplied with, from the logs of the scales."""
        return jnp.exp(jnp.concatenate([scales, jnp.zeros(1, scales.dtype)]))[self.groups]

    def moved(self, theta: Parameters, scales: Float[Array, " group"], shifts: Float[Array, " shift"]) -> Parameters:
        """The parameters with other scales and shifts of the latents."""
        baseline = theta.baseline + theta.loadings @ shifts if self.n_shifts else theta.baseline
        return theta._replace(loadings=theta.loadings * self.factors(scales), baseline=baseline)

    def scores(
        self,
        values: dict[str, Any],
        batch: Batch,
        site_state: SiteState,
        responsibility: Float[Array, " row"],
        moments: Moments,
    ) -> TrialScores:
        """The scores of a chunk's trials at these values, from the E-step's sites and moments there."""
        model, entries = self.model, self.entries

        def of_trial(
            batch: Batch,
            sites: Sites,
            auxiliary: Auxiliary,
            responsibility: Float[Array, " row"],
            mean: Float[Array, "row time state"],
            covariance: Float[Array, "row time state state"],
        ) -> Float[Array, " entry"]:
            theta = parameters_at(model, self.context, values)
            problem, _ = trial_problem(model, theta, batch)
            bins, size = mean.shape[-2:]
            crosses = jnp.zeros((mean.shape[0], bins - 1, size, size), mean.dtype)
            smoothed = Smoothed(mean, covariance, crosses, jnp.zeros(mean.shape[0], mean.dtype))
            # Of a row's bound only its responsibility within its trial matters here.
            elbo = jnp.log(responsibility)
            elbo = elbo if theta.mixture is None else elbo - theta.mixture.log_weights
            local = cvi.init(problem, sites, None, auxiliary)._replace(smoothed=smoothed, elbo=elbo)

            def bound(
                at: Float[Array, " entry"], scales: Float[Array, " group"], shifts: Float[Array, " shift"]
            ) -> Float[Array, ""]:
                theta = self.moved(parameters_at(model, self.context, entries.into(values, at)), scales, shifts)
                problem, repeated = trial_problem(model, theta, batch)
                return combined(theta, bound_of.bound(problem, model.observation, repeated, local))[0].sum()

            none = (jnp.zeros(number, mean.dtype) for number in (self.n_scales, self.n_shifts))
            return jnp.concatenate(jax.grad(bound, (0, 1, 2))(entries.of(values), *none))

        trials = batch.counts.shape[0]
        by_row = (site_state.sites.untied(), site_state.auxiliary, responsibility, *untied(moments))
        by_trial = jax.tree.map(lambda a: a.reshape(trials, model.n_components, *a.shape[1:]), by_row)
        each = jax.vmap(of_trial)(jax.tree.map(lambda a: a[:, None], batch), *by_trial)
        # Nothing is seen of the trials that pad a chunk.
        each = jnp.where(batch.seen.any((1, 2))[:, None], each, 0.0)
        finite = jnp.nan_to_num(each)
        information = finite.T @ finite if each.shape[1] <= MOST_JOINT else (finite**2).sum(0)
        ends = np.cumsum([each.shape[1] - self.n_scales - self.n_shifts, self.n_scales])
        score, scale, _ = jnp.split(each.sum(0), ends)
        return TrialScores(entries.split(score), scale, information)

    def step(
        self,
        values: dict[str, Any],
        theta: Parameters,
        scores: TrialScores,
        trials: int | Int[Array, ""],
        previous: StepSize,
        bound: Float[Array, ""],
    ) -> tuple[dict[str, Any], Float[Array, " latent"], StepSize]:
        """A step uphill on bound plus log prior; by half as much where the bound has fallen since the last step.

        theta: the parameters at these values. Returns the values, the loadings' factors, and the next step's size.
        """
        here = jnp.concatenate([self.entries.of(values), jnp.zeros_like(scores.scale)])
        parts = [here.size - self.n_scales]

        def prior(at: Float[Array, " entry"]) -> Float[Array, ""]:
            at, scales = jnp.split(at, parts)
            loadings = self.model.readout.values(theta.baseline, theta.loadings * self.factors(scales))
            return log_prior(self.model, self.context, self.entries.into(values, at) | loadings)

        prior_slope, prior_curvature = jax.jvp(jax.grad(prior), (here,), (jnp.ones_like(here),))
        slope = jnp.concatenate([self.entries.join(scores.score), scores.scale]) + prior_slope
        precision = shrunk(scores.information, jnp.maximum(-prior_curvature, 0.0), trials)
        change = slope / precision if precision.ndim == 1 else solve(precision, slope, assume_a="pos")
        change = jnp.where(jnp.isfinite(change).all(), change, 0.0)
        slack = cvi.tolerance(bound.dtype) * jnp.abs(bound)
        size = jnp.where(
            bound < previous.bound - slack, 0.5 * previous.size, jnp.minimum(LARGEST_SIZE, 1.1 * previous.size)
        )
        at = here + size * change * jnp.minimum(1.0, LONGEST_STEP / jnp.abs(change).max())
        at, scales = jnp.split(at, parts)
        return self.entries.into(values, at), self.factors(scales), StepSize(size, bound)


def untied(moments: Moments) -> Moments:
    """Means and covariances with a covariance for each row, also where they share it."""
    mean, covariance = moments
    return mean, jnp.broadcast_to(covariance, (*mean.shape, mean.shape[-1]))


def shrunk(
    information: Float[Array, "entry entry"] | Float[Array, " entry"],
    prior: Float[Array, " entry"],
    trials: int | Int[Array, ""],
) -> Float[Array, "entry entry"] | Float[Array, " entry"]:
    """The precision that so many trials and a prior of independent entries give: [entry, entry], or its diagonal.

    The empirical Fisher information is shrunk towards its diagonal by p / (p + trials) for p entries: fewer trials than
    entries hardly show correlations.
    """
    if information.ndim == 1:
        return information + prior + 1e-6
    diagonal = jnp.diagonal(information)
    fraction = diagonal.size / (diagonal.size + trials)
    return (1 - fraction) * information + jnp.diag(fraction * diagonal + prior + 1e-6)
