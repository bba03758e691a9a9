"""The evidence of single trials, and models compared by it: the bound made almost exact by importance weights."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nlbprob.arguments import checked_keywords, flag, instance_of, seed_number, whole_number
from nlbprob.data.handed import check_trials
from nlbprob.infer.runtime.batch import Batch, chunks, prediction_chunk
from nlbprob.infer.runtime.precision import precision
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.runtime.progress import Progress
from nlbprob.infer.trajectories import prior as trajectory_prior
from nlbprob.infer.trajectories.marginals import infer
from nlbprob.infer.trajectories.problem import Auxiliary, TrialProblem, combined, emitted, state_slices
from nlbprob.model import Model, Parameters
from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Sites, Smoothed, apply
from nlbprob.posterior import predict
from nlbprob.posterior.posterior import Posterior
from nlbprob.posterior.sampling import DRAWS_TOGETHER

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials

#: Below this many effective draws a trial's evidence is doubtful.
LEAST_DRAWS = 10.0


@checked_keywords
def log_evidence(
    posterior: Posterior, trials: "Trials", draws: int = 200, seed: int = 0, progress: bool = True
) -> "xarray.Dataset":
    """log p(y | theta) of all that is seen of each trial, at the centre theta of the parameters' posterior, in nats.

    It is log 1/S sum_s w_s, w = p(y | x, theta) p(x | theta) / q(x), over draws of whole trajectories x from the
    trial's posterior q. The mean of w is an unbiased estimate of p(y | theta); the bound is E[log w], always below the
    log evidence. Discrete states and templates are summed over, not drawn. Burda, Grosse and Salakhutdinov (2016),
    arXiv 1509.00519.

    Args:
        posterior: of a fit.
        trials: of the neurons of the fit.
        draws: number S of trajectories for each trial.
        seed: of the draws.
        progress: show a progress bar.

    Returns:
        By trial, in nats: "log_evidence", its standard error "error" and the bound "elbo"; and "effective_draws",
        (sum w)^2 / sum w^2, of `draws`: under ten the estimate is doubtful.

    Raises:
        InputError: the trials are of another recording.
    """
    import xarray

    check_posterior(posterior, "log_evidence")
    check_trials(trials, "log_evidence")
    posterior.check(trials)
    draws, seed = whole_number(draws, "log_evidence", "draws", 1), seed_number(seed, "log_evidence")
    progress = flag(progress, "log_evidence", "progress")
    model = posterior.model
    size = prediction_chunk(model, trials)
    bar = Progress(-(-trials.n_trials // size), progress, unit="chunk", first="evidence", delay_s=2.0)
    parts, rows_of_parts = [], []
    with precision(posterior.config["precision"]):
        theta = jax.tree.map(jnp.asarray, posterior.centre._replace(uncertainty=None))
        for rows, batch in chunks(model, posterior.context, trials, size):
            keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), rows.start), draws)
            elbo, logs = importance_weights(model, theta, batch, keys)
            parts.append({"elbo": elbo, **summary(jnp.moveaxis(logs, 0, 1))})
            rows_of_parts.append(rows)
            bar.tick("evidence", f"{np.mean(parts[-1]['log_evidence'][: rows.stop - rows.start]):.1f} nats/trial")
    bar.close()
    variables = {name: ("trial", value) for name, value in predict.gathered(parts, rows_of_parts).items()}
    return xarray.Dataset(variables, {"trial": trials.table["id"]}, {"units": "nats", "draws": draws})


def check_posterior(value: Any, caller: str) -> None:
    """Raise InputError unless the value is a fit."""
    instance_of(value, Posterior, caller, "posterior", "a fit, as nlb.fit or nlb.Posterior.load(folder) return it")


def summary(logs) -> dict[str, Any]:
    """From log weights [trial, draw]: the log of their mean, its standard error, and how many draws count."""
    count = logs.shape[1]
    log_sum = jax.nn.logsumexp(logs, 1)
    effective = jnp.exp(2 * log_sum - jax.nn.logsumexp(2 * logs, 1))
    error = jnp.sqrt(jnp.maximum(1 / effective - 1 / count, 0.0))
    return {"log_evidence": log_sum - jnp.log(count), "error": error, "effective_draws": effective}


@program("model")
def importance_weights(model: Model, theta: Parameters, batch: Batch, keys):
    """The bound of each trial, and log w [draw, trial] of draws from its posterior, templates summed over.

    q is the prior chain c times sites exp(h'x - 1/2 x'Jx) / Z, so that log w = log p(y | x) + log p(x) - log c(x) -
    h'x + 1/2 x'Jx + log Z; c is p where all priors are chains. Sites are taken about the mean of q, where float32 keeps
    its digits.
    """
    problem, rows, local = infer(model, theta, batch)
    prior = trajectory_prior.surrogate(problem, local.auxiliary)
    sites = trajectory_prior.all_sites(prior, local.sites, problem.emission)
    filtered = kalman.filter(prior.chain, sites)
    smoothed = kalman.smooth(prior.chain, sites, filtered)

    def weigh(key):
        state = kalman.sample(key, prior.chain, filtered)
        x = emitted(problem.emission, state)
        x = x if problem.shift is None else x + problem.shift
        likelihood = model.observation.distribution(x @ problem.loadings.T + problem.offset, problem.observation)
        pointwise = jnp.where(rows.seen, likelihood.log_prob(rows.counts), 0.0).sum((1, 2))
        weight = pointwise - smoothed.divergence - about_mean(sites, smoothed, state)
        return combined(theta, weight + log_ratio(problem, local.auxiliary, state))[0]

    return combined(theta, local.elbo)[0], lax.map(weigh, keys, batch_size=DRAWS_TOGETHER)


def about_mean(sites: Sites, smoothed: Smoothed, state):
    """The sites at a trajectory less their expectation: (h - Jm)'(x - m) - 1/2 (x - m)'J(x - m) + 1/2 tr JP."""
    gap = state - smoothed.mean
    slope = sites.linear - apply(sites.precision, smoothed.mean)
    quadratic = jnp.einsum("btij,btij->b", sites.precision, gap[..., :, None] * gap[..., None, :] - smoothed.covariance)
    return (slope * gap).sum((1, 2)) - 0.5 * quadratic


def log_ratio(problem: TrialProblem, auxiliary: Auxiliary, state):
    """log p(x) - log c(x), summed over the blocks; c is the chain of the surrogate of their prior."""
    total = 0.0
    for prior, block_auxiliary, columns in zip(problem.priors, auxiliary, state_slices(problem), strict=True):
        if block_auxiliary is not None:
            total = total + prior.log_ratio(block_auxiliary, state[..., columns])
    return total
