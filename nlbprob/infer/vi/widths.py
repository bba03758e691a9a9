"""The covariance at which the variational posterior of parameters starts.

The information is that of the counts alone, by the scores of single trials. That of counts and trajectories
together, the curvature of the expected log likelihood in an M-step, is a third or so too large.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from nlbprob.infer.em import updates as maximize
from nlbprob.infer.em.fisher import FisherScoring, TrialScores, shrunk
from nlbprob.infer.em.steps import EM, EStep
from nlbprob.infer.parameters.flat import Entries
from nlbprob.infer.parameters.sites import log_prior, parameters_at
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.vi.guides import Widths

#: Largest standard deviation at which a parameter starts, in unconstrained space.
LARGEST_SCALE = 0.5


def root(
    scoring: FisherScoring, values: dict[str, Any], scores: TrialScores, trials: int | Int[Array, ""]
) -> Float[Array, "entry entry"] | Float[Array, " entry"]:
    """A root of the covariance of the entries in unconstrained space: lower-triangular, or its diagonal alone.

    The precision is the prior's plus the empirical Fisher information of so many trials. The scales of latents, which
    the loadings have, are integrated out: timescales go with them.
    """
    prior = jnp.concatenate([prior_precision(scoring, values), jnp.zeros(scoring.n_scales)])
    information = information_weight(trials, prior.size) * scores.information
    precision, count = shrunk(information, prior, trials), prior.size - scoring.n_scales
    if precision.ndim == 1:
        return jnp.minimum(1 / jnp.sqrt(precision[:count]), LARGEST_SCALE)
    scale = 1 / jnp.sqrt(jnp.diagonal(precision))
    inverse = jnp.linalg.inv(jnp.linalg.cholesky(scale[:, None] * precision * scale))
    covariance = (scale[:, None] * (inverse.T @ inverse) * scale)[:count, :count]
    limit = jnp.minimum(1.0, LARGEST_SCALE / jnp.sqrt(jnp.diagonal(covariance)))
    return jnp.linalg.cholesky(limit[:, None] * covariance * limit)


def information_weight(trials: int | Int[Array, ""], entries: int) -> Float[Array, ""]:
    """Weight of the empirical information, from 1 for many trials to 1/3 for fewer trials than entries.

    It is estimated from so many trials: at full weight, 90% intervals of timescales hold the truth in some 75% of
    recordings of 40 trials.
    """
    return trials / (trials + 2 * jnp.minimum(entries, trials))


def prior_precision(scoring: FisherScoring, values: dict[str, Any]) -> Float[Array, " entry"]:
    """-d^2 log p(theta) / d theta^2 of each entry in unconstrained space; exact for priors of independent entries."""
    entries = scoring.entries

    def density(at: Float[Array, " entry"]) -> Float[Array, ""]:
        return log_prior(scoring.model, scoring.context, entries.into(values, at)) + entries.log_volume(at)

    here = entries.of(values)
    curvature = jax.jvp(jax.grad(density), (here,), (jnp.ones_like(here),))[1]
    return jnp.maximum(-curvature, 0.0)


class ReadoutInformation(NamedTuple):
    """Of each neuron's baseline and loadings, summed over trials.

    products: outer products of the scores of single trials; curvature: of the expected log likelihood, the
    trajectories' posterior held fixed.
    """

    products: Float[Array, "neuron width width"]
    curvature: Float[Array, "neuron width width"]


def readout(scoring: FisherScoring, values: dict[str, Any], batch: Batch, chunk: EStep) -> ReadoutInformation:
    """The information of a chunk's trials on the readout, from the E-step at these values."""
    theta = parameters_at(scoring.model, scoring.context, values)
    _, slope, weight, mean, covariance = maximize.readout_terms(
        scoring.model, theta, batch, chunk.moments, chunk.responsibility
    )
    # By trial and neuron: d/dd = sum_t g, d/dc = sum_t g m - w P c.
    trials, neurons, size = batch.counts.shape[0], slope.shape[-1], mean.shape[-1]
    weighted = jnp.einsum("rtn,rtij->rnij", weight, covariance)
    loading_scores = jnp.einsum("rtn,rtk->rnk", slope, mean) - jnp.einsum("rnij,nj->rni", weighted, theta.loadings)
    each = jnp.concatenate([slope.sum(1)[..., None], loading_scores], -1)
    each = jnp.nan_to_num(each.reshape(trials, -1, neurons, 1 + size).sum(1))
    design = maximize.readout_design(mean)
    curvature = maximize.readout_curvature(weight.reshape(-1, neurons), design, weighted.sum(0))
    return ReadoutInformation(jnp.einsum("rni,rnj->nij", each, each), curvature)


def readout_covariance(
    scoring: FisherScoring, values: dict[str, Any], information: ReadoutInformation, trials: int | Int[Array, ""]
) -> Float[Array, "neuron width width"]:
    """The covariance of each neuron's baseline and loadings by Laplace's method [neuron, width, width].

    Few trials hardly show correlations: the outer products are shrunk, by 4 width / (4 width + trials), towards
    the curvature, scaled to as much information as they hold on average.
    """
    model = scoring.model
    theta = parameters_at(model, scoring.context, values)
    _, prior = model.penalty(scoring.context, theta, values)
    products, curvature = information
    width = products.shape[-1]
    ridge = 1e-6 * jnp.eye(width, dtype=products.dtype)
    held = jnp.trace(jnp.linalg.solve(curvature + ridge, products), axis1=1, axis2=2) / width
    fraction = 4 * width / (4 * width + trials)
    precision = (1 - fraction) * products + fraction * jnp.clip(held, 0.1, 1.0)[:, None, None] * curvature
    return jnp.linalg.inv(precision + prior[:, :, None] * jnp.eye(width, dtype=prior.dtype))


def remaining(em: EM, names: tuple[str, ...]) -> FisherScoring:
    """The entries of these sites, none of them the readout's, with the scales of all latents."""
    sites = em.sites
    groups = np.arange(em.model.dim) if em.model.readout.names else np.full(em.model.dim, -1)
    return FisherScoring(em.model, em.context, Entries({name: sites[name] for name in names}), groups)


@program("em", "names")
def gather(
    em: EM, names: tuple[str, ...], values: dict[str, Any], batch: Batch, chunk: EStep
) -> tuple[ReadoutInformation | None, TrialScores | None]:
    """The information of a chunk's trials on the readout, and on the other sites `names`; None where there are none."""
    scoring = remaining(em, names)
    information = readout(scoring, values, batch, chunk) if em.model.readout.names else None
    others = scoring.scores(values, batch, chunk.site_state, chunk.responsibility, chunk.moments) if names else None
    return information, others


@program("em", "names")
def widths(
    em: EM,
    names: tuple[str, ...],
    values: dict[str, Any],
    information: tuple[ReadoutInformation | None, TrialScores | None],
    trials: int | Int[Array, ""],
) -> Widths:
    """The covariance of each neuron's readout, and a root of that of the other sites `names`."""
    (of_readout, others), scoring = information, remaining(em, names)
    covariance = None if of_readout is None else readout_covariance(scoring, values, of_readout, trials)
    return covariance, None if others is None else root(scoring, values, others, trials)
