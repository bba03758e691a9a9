"""Steps uphill for the parameters that have no update in closed form: Fisher scoring with what single trials say.

The slopes of single trials' bounds give the gradient, and their outer products the empirical Fisher information
(Berndt, Hall, Hall and Hausman 1974). The scales of latents take part, through their loadings: updates at fixed
trajectories let them creep where counts are few, and timescales with them.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nlbprob.blocks.base import Context
from nlbprob.infer.parameters.flat import Entries
from nlbprob.infer.parameters.sites import log_prior, parameters_at
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import bound as bound_of
from nlbprob.infer.trajectories import cvi as local_inference
from nlbprob.infer.trajectories.problem import Rows, combined, problem
from nlbprob.model import Model, Parameters
from nlbprob.numerics.gaussian import Smoothed

#: Longest step of an entry, in unconstrained space.
LONGEST_STEP = 0.25
#: Share of a whole step that is taken at most: updates in closed form move the same way, and together they overshoot.
LARGEST_SIZE = 0.7
#: Most entries whose information matrix is kept whole; of more, its diagonal is.
MOST_JOINT = 1000


class Slopes(NamedTuple):
    """Sums over trials of d bound / d entry by site, and of its outer products [entry, entry] (or squares [entry]).

    scale: the slope in the logs of the scales of latents, which come after the sites.
    """

    slope: dict[str, Array]
    scale: Float[Array, " group"]
    information: Float[Array, "..."]


class Stride(NamedTuple):
    """How far to go along the next step, and the bound at the last."""

    size: Float[Array, ""]
    bound: Float[Array, ""]


def scale_groups(model: Model) -> np.ndarray:
    """The modes of latents whose scale no update in closed form moves, numbered by latent; -1 for all others."""
    groups = np.full(model.dim, -1)
    for block in model.chains:
        if model.readout.names and not model.closed_form(block):
            groups[model.slices[block.name]] = groups.max() + 1 + block.latent_modes
    return groups


class Ascent(NamedTuple):
    """The entries to move, of a model in its context, and the groups of latents whose scale moves with them."""

    model: Model
    context: Context
    entries: Entries
    groups: np.ndarray

    @property
    def n_scales(self) -> int:
        """How many scales move."""
        return int(self.groups.max()) + 1

    def begin(self, trials: int) -> Stride:
        """The stride before the first step: short where the entries outnumber the trials that have to tell of them."""
        count = sum(math.prod(shape) for shape in self.entries.shapes) + self.n_scales
        return Stride(jnp.full((), LARGEST_SIZE * trials / (trials + count)), jnp.full((), -jnp.inf))

    def factors(self, scales):
        """What each latent's loadings are multiplied with, from the logs of the scales."""
        return jnp.exp(jnp.concatenate([scales, jnp.zeros(1, scales.dtype)]))[self.groups]

    def slopes(self, values: dict[str, Any], batch: Batch, rows: Rows, share, moments) -> Slopes:
        """What the trials of a chunk say, from what the E-step found at these values."""
        model, entries = self.model, self.entries

        def one(batch: Batch, sites, paths, share, mean, covariance):
            theta = parameters_at(model, self.context, values)
            given, _ = problem(model, theta, batch)
            bins, size = mean.shape[-2:]
            crosses = jnp.zeros((mean.shape[0], bins - 1, size, size), mean.dtype)
            found = Smoothed(mean, covariance, crosses, jnp.zeros(mean.shape[0], mean.dtype))
            # Of a row's bound only its share among the components of its trial matters here.
            known = jnp.log(share) if theta.mixture is None else jnp.log(share) - theta.mixture.log_weights
            local = local_inference.begin(given, sites, None, paths)._replace(smoothed=found, elbo=known)

            def bound(at, scales):
                theta = parameters_at(model, self.context, entries.into(values, at))
                theta = theta._replace(loadings=theta.loadings * self.factors(scales))
                given, repeated = problem(model, theta, batch)
                return combined(theta, bound_of.bound(given, model.observation, repeated, local))[0].sum()

            return jnp.concatenate(jax.grad(bound, (0, 1))(entries.of(values), jnp.zeros(self.n_scales, mean.dtype)))

        trials = batch.counts.shape[0]
        batches = jax.tree.map(lambda a: a[:, None], batch)
        own = (rows.sites, rows.paths, share, *moments)
        own = jax.tree.map(lambda a: a.reshape(trials, model.n_components, *a.shape[1:]), own)
        each = jax.vmap(one)(batches, *own)
        # Trials that fill up a chunk have seen nothing.
        each = jnp.where(batch.seen.any((1, 2))[:, None], each, 0.0)
        finite = jnp.nan_to_num(each)
        information = finite.T @ finite if each.shape[1] <= MOST_JOINT else (finite**2).sum(0)
        slope, scale = jnp.split(each.sum(0), [each.shape[1] - self.n_scales])
        return Slopes(entries.split(slope), scale, information)

    def climb(self, values: dict[str, Any], theta: Parameters, slopes: Slopes, trials, stride: Stride, bound):
        """A step uphill on bound plus log prior; by half as much where the bound has fallen since the last step.

        theta: the parameters at these values. Returns the values, the factors of the loadings, and the next stride.
        """
        here = jnp.concatenate([self.entries.of(values), jnp.zeros_like(slopes.scale)])
        parts = [here.size - self.n_scales]

        def prior(at):
            at, scales = jnp.split(at, parts)
            loadings = self.model.readout.values(theta.baseline, theta.loadings * self.factors(scales))
            return log_prior(self.model, self.context, self.entries.into(values, at) | loadings)

        prior_slope, prior_curvature = jax.jvp(jax.grad(prior), (here,), (jnp.ones_like(here),))
        slope = jnp.concatenate([self.entries.join(slopes.slope), slopes.scale]) + prior_slope
        precision = shrunk(slopes.information, jnp.maximum(-prior_curvature, 0.0), trials)
        change = slope / precision if precision.ndim == 1 else jnp.linalg.solve(precision, slope)
        change = jnp.where(jnp.isfinite(change).all(), change, 0.0)
        slack = local_inference.tolerance(bound.dtype) * jnp.abs(bound)
        size = jnp.where(bound < stride.bound - slack, 0.5 * stride.size, jnp.minimum(LARGEST_SIZE, 1.1 * stride.size))
        at = here + size * change * jnp.minimum(1.0, LONGEST_STEP / jnp.abs(change).max())
        at, scales = jnp.split(at, parts)
        return self.entries.into(values, at), self.factors(scales), Stride(size, bound)


def shrunk(information, prior, trials):
    """The precision that so many trials and a prior of independent entries give: [entry, entry], or its diagonal.

    The empirical Fisher information is shrunk towards its diagonal by p / (p + trials) for p entries: fewer trials than
    entries tell little of how they go together.
    """
    if information.ndim == 1:
        return information + prior + 1e-6
    own = jnp.diagonal(information)
    share = own.size / (own.size + trials)
    return (1 - share) * information + jnp.diag(share * own + prior + 1e-6)
