"""Coverage: recordings drawn from a model's own prior, and how often 90% intervals hold the truth.

The model has two blocks, a plane that turns at some 2 Hz and a slow Gaussian process, with priors as wide as what is
known of a recording beforehand: their roles are clear, and no process is faster than a bin. Intervals are right on
average over the prior if the posterior is exact, whatever the prior is.
"""

import math

import numpy as np
import numpyro.distributions as dist

import nlbprob as nlb

BIN_MS, TRIALS, BINS, NEURONS = 25.0, 40, 40, 15
#: Starts of a fit, of which the one with the highest bound is kept.
STARTS = 4
DRAWS, LOW, HIGH = 200, 0.05, 0.95
ITERATIONS = 120

Measured = dict[str, list[float]]


def prior_model() -> nlb.Model:
    """The model, with the priors that truths are drawn from."""
    plane = {
        "frequency_hz": dist.LogNormal(math.log(2.0), 0.4).expand([1]),
        "decay_ms": dist.LogNormal(math.log(200.0), 0.4).expand([1]),
    }
    slow = {"lengthscale_ms": dist.LogNormal(math.log(400.0), 0.4).expand([1])}
    latents = [nlb.LDS(2, dynamics="modal", priors=plane), nlb.GP(nlb.Matern32(), 1, priors=slow)]
    return nlb.Model(latents=latents, readout=nlb.LinearReadout(baseline_scale=1.0))


def coverage(seed: int, family: str = "neuron") -> Measured:
    """Which of the 90% intervals of a fit hold the truth that was drawn from the prior: of each quantity, 0 or 1 for
    each of its entries, or their mean where there are thousands.
    """
    model = prior_model()
    truth = nlb.simulate(model, TRIALS, neurons=NEURONS, bins=BINS, bin_ms=BIN_MS, seed=seed)
    trials = truth.trials
    starts = list(range(STARTS * seed, STARTS * (seed + 1)))
    posterior = nlb.fit(model, trials, seed=starts, posterior=family, em_iterations=ITERATIONS, progress=False)
    drawn = posterior.parameter_draws(DRAWS, seed)
    latents = posterior.sample_latents(trials, DRAWS, seed).values
    loadings, baseline = drawn["loadings"], drawn["baseline"]
    rates = np.exp(np.einsum("stki,sni->stkn", latents, loadings) + baseline[:, None, None])
    true = truth.parameters
    measured = {name: inside(drawn[f"lds.{name}"], true[f"lds.{name}"]) for name in ("frequency_hz", "decay_ms")}
    measured["lengthscale_ms"] = inside(drawn["gp.lengthscale_ms"], true["gp.lengthscale_ms"])
    measured["baseline"] = inside(baseline, true["baseline"])
    shares = np.stack([share(x, c, model) for x, c in zip(latents, loadings, strict=True)])
    measured["share"] = inside(shares, share(truth.latents, true["loadings"], model))
    measured["rates"] = [float(np.mean(inside(rates, truth.rates)))]
    measured["latents"] = [float(np.mean(inside(mapped(latents, truth.latents), truth.latents)))]
    return measured


def inside(draws: np.ndarray, true: np.ndarray) -> list[float]:
    """1 where the interval of the draws [sample, ...] holds the truth, 0 elsewhere."""
    low, high = np.quantile(draws, (LOW, HIGH), axis=0)
    return ((low <= true) & (true <= high)).astype(float).ravel().tolist()


def share(latents: np.ndarray, loadings: np.ndarray, model: nlb.Model) -> float:
    """The first block's share of the variance of log rates over trials and time, summed over neurons.

    That of the second is the rest, and its interval holds the truth where this one does.
    """
    parts = [(latents[..., place] @ loadings[:, place].T).var((0, 1)).sum() for place in model.slices.values()]
    return float(parts[0] / sum(parts))


def mapped(draws: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The draws [sample, trial, time, latent] under the one affine map that leads their mean nearest to the truth."""

    def extended(x):
        return np.concatenate([x, np.ones((*x.shape[:-1], 1))], -1)

    mean = extended(draws.mean(0))
    best = np.linalg.lstsq(mean.reshape(-1, mean.shape[-1]), true.reshape(-1, true.shape[-1]), rcond=None)[0]
    return extended(draws) @ best
