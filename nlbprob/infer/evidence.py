"""The evidence of single trials, and models compared by it: the bound made almost exact by importance weights."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nlbprob.arguments import checked_keywords, instance_of, seed_number, whole_number
from nlbprob.blocks.latent import Dynamics
from nlbprob.blocks.markov import LinearGaussianMarkov
from nlbprob.blocks.switching import SwitchingLinearGaussian
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.functions.model import resolved
from nlbprob.infer import predict, switching
from nlbprob.infer.ahead import jit
from nlbprob.infer.draws import DRAWS_TOGETHER
from nlbprob.infer.fit import checked_options, fit
from nlbprob.infer.posterior import Posterior
from nlbprob.infer.problem import Batch, Problem, averaged, combined, lift, state_slices
from nlbprob.infer.progress import Progress
from nlbprob.model import Model, Parameters
from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Sites, Smoothed, apply
from nlbprob.scoring.inner import cross_validation

if TYPE_CHECKING:
    import xarray
    from arviz_stats.utils import ELPDData

    from nlbprob.data.trials import Trials

#: Below this many effective draws a trial's evidence is doubtful.
LEAST_DRAWS = 10.0
#: How each fold is fitted: the evidence is that at the parameters' centre.
FOLD_OPTIONS = {"posterior": "map", "svi_steps": 0}


@checked_keywords
def log_evidence(
    posterior: Posterior, trials: "Trials", draws: int = 200, seed: int = 0, progress: bool = True
) -> "xarray.Dataset":
    """log p(y | theta) of all that is seen of each trial, at the centre theta of the parameters' posterior, in nats.

    "log_evidence" [trial] is log 1/S sum_s w_s, w = p(y | x, theta) p(x | theta) / q(x), over draws of whole
    trajectories x from the trial's posterior q: an unbiased estimate of p(y | theta), where the bound "elbo" [trial] is
    E[log w], always below. Discrete states and templates are summed over, not drawn. "error" [trial]: standard error;
    "effective_draws" [trial]: (sum w)^2 / sum w^2, of `draws`; under ten the estimate is doubtful.
    Burda, Grosse and Salakhutdinov (2016), arXiv 1509.00519. Raises InputError where the trials are of another
    recording.
    """
    import xarray

    check_posterior(posterior, "log_evidence")
    check_trials(trials, "log_evidence")
    posterior.check(trials)
    draws, seed = whole_number(draws, "log_evidence", "draws", 1), seed_number(seed, "log_evidence")
    model = posterior.model
    weights = jit(lambda theta, batch, keys: importance_weights(model, theta, batch, keys))
    size = predict.chunk_size(model, trials)
    bar = Progress(-(-trials.n_trials // size), progress, unit="chunk", first="evidence", delay_s=2.0)
    parts, places = [], []
    with predict.precision(posterior.config["precision"]):
        theta = jax.tree.map(jnp.asarray, posterior.centre._replace(uncertainty=None))
        for rows, batch in predict.chunks(model, posterior.context, trials, size):
            keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), rows.start), draws)
            elbo, logs = weights(theta, batch, keys)
            parts.append({"elbo": elbo, **summary(jnp.moveaxis(logs, 0, 1))})
            places.append(rows)
            bar.tick("evidence", f"{np.mean(parts[-1]['log_evidence'][: rows.stop - rows.start]):.1f} nats/trial")
    bar.close()
    found = {name: ("trial", value) for name, value in predict.gathered(parts, places).items()}
    return xarray.Dataset(found, {"trial": trials.table["id"]}, {"units": "nats", "draws": draws})


def check_posterior(value: Any, caller: str) -> None:
    """Raise InputError unless the value is a fit."""
    instance_of(value, Posterior, caller, "posterior", "a fit, as nlb.fit or nlb.Posterior.load(folder) return it")


def summary(logs) -> dict[str, Any]:
    """From log weights [trial, draw]: the log of their mean, its standard error, and how many draws count."""
    count = logs.shape[1]
    whole = jax.nn.logsumexp(logs, 1)
    effective = jnp.exp(2 * whole - jax.nn.logsumexp(2 * logs, 1))
    error = jnp.sqrt(jnp.maximum(1 / effective - 1 / count, 0.0))
    return {"log_evidence": whole - jnp.log(count), "error": error, "effective_draws": effective}


def importance_weights(model: Model, theta: Parameters, batch: Batch, keys):
    """The bound of each trial, and log w [draw, trial] of draws from its posterior, templates summed over.

    q is the prior chain c times sites exp(h'x - 1/2 x'Jx) / Z, so that log w = log p(y | x) + log p(x) - log c(x) -
    h'x + 1/2 x'Jx + log Z; c is p but for blocks that switch. Sites are taken about the mean of q, where float32 keeps
    its digits.
    """
    given, rows, local = predict.infer(model, theta, batch)
    prior = switching.prior(given, local.paths)
    sites = prior.with_extra(lift(local.sites, given.emission))
    filtered = kalman.filter(prior.chain, sites)
    smoothed = kalman.smooth(prior.chain, sites, filtered)

    def weigh(key):
        state = kalman.sample(key, prior.chain, filtered)
        x = state if given.emission is None else apply(given.emission, state)
        x = x if given.shift is None else x + given.shift
        likelihood = model.observation.distribution(x @ given.loadings.T + given.offset, given.observation)
        pointwise = jnp.where(rows.seen, likelihood.log_prob(rows.counts), 0.0).sum((1, 2))
        weight = pointwise - smoothed.divergence - about_mean(sites, smoothed, state)
        return combined(theta, weight + switched(given, local.paths, state))[0]

    return combined(theta, local.elbo)[0], lax.map(weigh, keys, batch_size=DRAWS_TOGETHER)


def about_mean(sites: Sites, smoothed: Smoothed, state):
    """The sites at a trajectory less their expectation: (h - Jm)'(x - m) - 1/2 (x - m)'J(x - m) + 1/2 tr JP."""
    gap = state - smoothed.mean
    slope = sites.linear - apply(sites.precision, smoothed.mean)
    curved = jnp.einsum("btij,btij->b", sites.precision, gap[..., :, None] * gap[..., None, :] - smoothed.covariance)
    return (slope * gap).sum((1, 2)) - 0.5 * curved


def switched(given: Problem, paths, state):
    """log p(x) - log c(x), summed over the blocks that switch; c is the chain of their averaged dynamics."""
    total = 0.0
    for chain, regimes, path, place in zip(given.chains, given.regimes, paths, state_slices(given), strict=True):
        if path is not None:
            x, bins = state[..., place], state.shape[1]
            prior = SwitchingLinearGaussian(Dynamics(chain, regimes=regimes), bins)
            mean = LinearGaussianMarkov.from_chain(averaged(chain, path.marginal).chain, bins)
            total = total + prior.log_prob(x) - mean.log_prob(x)
    return total


@checked_keywords
def kfold(
    model: Model | Callable,
    trials: "Trials",
    folds: int = 5,
    seed: int = 0,
    *,
    draws: int = 200,
    fit_options: dict[str, Any] | None = None,
    progress: bool = True,
) -> "ELPDData":
    """How well a model predicts whole trials that it has not seen: K-fold over trials, for `arviz.compare`.

    The elpd of a trial is its `log_evidence` (all its seen entries jointly, nats) at the parameters fitted to the other
    folds; p is by how much that of trials which were learned from is higher. Comparing models: the same trials, folds
    and seed for all, `az.compare({"lds": nlb.kfold(...), "templates": nlb.kfold(...)})`.

    model: or a NumPyro function of trials. folds: at least 2, shuffled by `seed`, which is also that of fits and draws.
    fit_options: keywords of `fit`, by default {"posterior": "map", "svi_steps": 0}: the evidence is that at the
    parameters' centre.
    Returns ArviZ's `ELPDData`; `elpd_i` [trial] has the coordinates "elbo", "error", "effective_draws" and "fold";
    `warning` is set where a trial has fewer than ten effective draws. Why not leave-one-out by importance sampling
    (`az.loo`): a trial carries so many effective parameters that its k is mostly above 0.7.
    """
    import xarray

    check_trials(trials, "kfold")
    folds, seed = whole_number(folds, "kfold", "folds", 2), seed_number(seed, "kfold")
    draws, model = whole_number(draws, "kfold", "draws", 1), resolved(model, trials)
    options = FOLD_OPTIONS | checked_options(fit_options, "kfold") | {"seed": seed, "progress": False}
    pairs = cross_validation(trials, folds, seed)
    bar = Progress(folds, progress, unit="fold", first="fitting folds")
    found, fold, inside = [], np.zeros(trials.n_trials, int), np.zeros(trials.n_trials)
    try:
        for number, (learned, held) in enumerate(pairs):
            posterior = fit(model, trials.select(trials=learned), **options)
            every = log_evidence(posterior, trials, draws, seed, progress=False)
            fold[held] = number
            inside[learned] += every["log_evidence"].values[learned] / (folds - 1)
            found.append(every.isel(trial=held))
            bar.tick("folds", f"{float(found[-1]['log_evidence'].mean()):.1f} nats/trial")
    finally:
        bar.close()
    order = np.argsort(np.concatenate([held for _, held in pairs]))
    whole = xarray.concat(found, "trial").isel(trial=order).assign_coords(fold=("trial", fold))
    if not np.isfinite(whole["log_evidence"]).all():
        raise InputError("kfold: the evidence of a trial is not finite; try fit_options={'precision': 'float64'}.")
    return elpd_of(whole, inside, draws, folds)


def elpd_of(whole: "xarray.Dataset", inside: np.ndarray, draws: int, folds: int) -> "ELPDData":
    """ArviZ's form of the evidence of trials held out, and of the same trials `inside` the fits of other folds."""
    from arviz_stats.utils import ELPDDataLOOKFold

    elpd = whole.set_coords(["elbo", "error", "effective_draws"])["log_evidence"].rename("elpd_i")
    apart = elpd.copy(data=inside - elpd.values).rename("p_kfold_i")
    return ELPDDataLOOKFold(
        elpd=float(elpd.sum()),
        se=float(np.sqrt(elpd.size) * elpd.std()),
        p=float(apart.sum()),
        n_samples=draws,
        n_data_points=elpd.size,
        scale="log",
        warning=bool((whole["effective_draws"] < LEAST_DRAWS).any()),
        good_k=float("nan"),
        elpd_i=elpd,
        n_folds=folds,
        p_kfold_i=apart,
    )
