"""The covariance at which the variational posterior of parameters starts.

The information is that of the counts alone, by the scores of single trials. That of counts and trajectories
together, the curvature of the expected log likelihood in an M-step, is a third or so too large.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from nlbprob.infer.em import updates as maximize
from nlbprob.infer.em.fisher import FisherScoring, TrialScores, shrunk
from nlbprob.infer.em.steps import EM, EStep, stacked
from nlbprob.infer.parameters.flat import Entries
from nlbprob.infer.parameters.sites import log_prior, parameters_at
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.vi.frames import Widths
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import symmetrize

#: Newton steps from the mode of the readout's posterior to its mean.
MEAN_STEPS = 2
#: Largest standard deviation at which a parameter starts, in unconstrained space.
LARGEST_SCALE = 0.5


def root(
    scoring: FisherScoring, values: dict[str, Any], scores: TrialScores, trials: int | Int[Array, ""]
) -> tuple[Float[Array, "entry entry"] | Float[Array, " entry"], Float[Array, "soft soft"]]:
    """A root of the covariance of the entries in unconstrained space: lower-triangular, or its diagonal alone.

    The precision is the prior's plus the empirical Fisher information of so many trials. The logs of the scales of
    latents, which the loadings have, and shifts of the latents, which baselines undo, are integrated out: timescales
    and initial means go with them. The covariance of both comes second.
    """
    own = prior_precision(scoring, values)
    prior = jnp.concatenate([own, jnp.zeros(scoring.n_scales + scoring.n_shifts)])
    information = information_weight(trials, prior.size) * scores.information
    precision, count = shrunk(information, prior, trials), own.size
    if precision.ndim == 1:
        return jnp.minimum(1 / jnp.sqrt(precision[:count]), LARGEST_SCALE), jnp.diag(1 / precision[count:])
    scale = 1 / jnp.sqrt(jnp.diagonal(precision))
    joint = scale[:, None] * matrices.positive_inverse(scale[:, None] * precision * scale) * scale
    covariance = joint[:count, :count]
    limit = jnp.minimum(1.0, LARGEST_SCALE / jnp.sqrt(jnp.diagonal(covariance)))
    return jnp.linalg.cholesky(limit[:, None] * covariance * limit), joint[count:, count:]


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
    return matrices.positive_inverse(precision + prior[:, :, None] * jnp.eye(width, dtype=prior.dtype))


def shared_directions(
    scoring: FisherScoring,
    values: dict[str, Any],
    covariance: Float[Array, "neuron width width"],
    soft: Float[Array, "soft soft"],
) -> Float[Array, "neuron width direction"]:
    """Directions in which all readouts move together, each one standard deviation long.

    Loadings C exp(s) and baselines d + C b give the counts the same probability as d and C do, up to the prior of the
    trajectories: s and b are known far worse than independent readouts would have them. Let U lead from (s, b) to the
    readouts. With independent readouts of precision D the precision of (s, b) is A = U'DU; the trajectories and all
    other parameters integrated out it is H. The covariance of all readouts is then D^-1 + U (H^-1 - A^-1) U', which has
    precision H along U.

    Args:
        scoring: of the model.
        values: of all sites.
        covariance: D^-1, of each neuron's baseline and loadings.
        soft: the covariance of s and b, in this order.
    """
    model, theta = scoring.model, parameters_at(scoring.model, scoring.context, values)
    loadings, latents = theta.loadings, jnp.arange(model.dim)
    directions = jnp.zeros((*loadings.shape[:1], 1 + model.dim, 2 * model.dim), loadings.dtype)
    directions = directions.at[:, 1 + latents, latents].set(loadings).at[:, 0, model.dim :].set(loadings)
    _, prior = model.penalty(scoring.context, theta, values)
    known = jnp.eye(directions.shape[-1], dtype=loadings.dtype) / LARGEST_SCALE**2
    alone = known + jnp.einsum("nwi,nwv,nvj->ij", directions, matrices.positive_inverse(covariance), directions)
    together = known + matrices.positive_inverse(soft) + jnp.einsum("nwi,nw,nwj->ij", directions, prior, directions)
    together, alone = matrices.positive_inverse(together), matrices.positive_inverse(alone)
    variances, axes = jnp.linalg.eigh(symmetrize(together - alone))
    return directions @ (axes * jnp.sqrt(jnp.maximum(variances, 0.0)))


@program("em")
def mean_readout(
    em: EM,
    values: dict[str, Any],
    covariance: Float[Array, "neuron width width"],
    batches: tuple[Batch, ...],
    chunks: tuple[EStep, ...],
) -> dict[str, Any]:
    """The values with the readout at the mean of its posterior, where EM has found its mode.

    A rate that is exp(eta) is larger on average than at the average eta: at the mode, rates that are averaged over the
    posterior would be too high. The mean is the best centre of a normal of the given covariance.

    Args:
        em: the first stage.
        values: of all sites, where EM ended.
        covariance: of the posterior of each neuron's baseline and loadings.
        batches: the trials.
        chunks: their E-step.
    """
    model, theta = em.model, parameters_at(em.model, em.context, values)
    penalty = model.penalty(em.context, theta, values)
    marginals = stacked([(chunk.moments, chunk.responsibility) for chunk in chunks])
    uncertain = theta._replace(uncertainty=covariance)
    mean, _ = maximize.readout(model, uncertain, stacked(batches), marginals, penalty, MEAN_STEPS)
    return values | model.readout.values(mean.baseline, mean.loadings)


@program("em", "names")
def deviations(em: EM, names: tuple[str, ...], found: Widths) -> dict[str, Float[Array, "..."]]:
    """The standard deviation of every entry of each site in unconstrained space.

    Args:
        em: the first stage.
        names: of the sites that are not the readout's.
        found: what `widths` has found.
    """
    covariance, rest, shared = found
    shapes = dict(zip(em.sites, em.entries.shapes, strict=True))
    by_site = {}
    if covariance is not None:
        variance = jnp.diagonal(covariance, axis1=1, axis2=2)
        variance = variance if shared is None else variance + (shared**2).sum(-1)
        start = 0
        for name in em.model.readout.names:
            width = math.prod(shapes[name][1:])
            by_site[name] = jnp.sqrt(variance[:, start : start + width]).reshape(shapes[name])
            start += width
    if rest is not None:
        scale = rest if rest.ndim == 1 else jnp.sqrt((rest**2).sum(1))
        by_site |= Entries({name: em.sites[name] for name in names}).split(scale)
    return by_site


def remaining(em: EM, names: tuple[str, ...]) -> FisherScoring:
    """The entries of these sites, none of them the readout's, with the scales and shifts of all latents."""
    sites, size = em.sites, em.model.dim
    groups, shifts = (np.arange(size), size) if em.model.readout.names else (np.full(size, -1), 0)
    return FisherScoring(em.model, em.context, Entries({name: sites[name] for name in names}), groups, shifts)


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
    """The covariance of each neuron's readout, a root of that of the other sites `names`, and what readouts share."""
    (of_readout, others), scoring = information, remaining(em, names)
    rest, soft = (None, None) if others is None else root(scoring, values, others, trials)
    covariance = None if of_readout is None else readout_covariance(scoring, values, of_readout, trials)
    if covariance is None or soft is None:
        return covariance, rest, None
    return covariance, rest, shared_directions(scoring, values, covariance, soft)
