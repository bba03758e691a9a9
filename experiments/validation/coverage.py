"""Coverage: recordings drawn from a model's own prior, and how often 90% intervals hold the truth.

The model has two blocks, a plane that turns and a Gaussian process, with the priors they come with. Its intervals are
right on average over the prior if the posterior is exact, whatever the prior is.
"""

import numpy as np

import nlbprob as nlb

BIN_MS, TRIALS, BINS, NEURONS = 25.0, 40, 40, 15
DRAWS, LOW, HIGH = 200, 0.05, 0.95
ITERATIONS = 120

Measured = dict[str, list[float]]


def coverage(seed: int, family: str = "neuron") -> Measured:
    """Which of the 90% intervals of a fit hold the truth that was drawn from the prior: of each quantity, 0 or 1 for
    each of its entries, or their mean where there are thousands.
    """
    model = nlb.Model(latents=[nlb.LDS(2, dynamics="modal"), nlb.GP(nlb.Matern32(), 1)])
    truth = nlb.simulate(model, TRIALS, neurons=NEURONS, bins=BINS, bin_ms=BIN_MS, seed=seed)
    trials = truth.trials
    posterior = nlb.fit(model, trials, seed=seed, posterior=family, em_iterations=ITERATIONS, progress=False)
    drawn = posterior.parameters(DRAWS, seed)
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

    size = true.shape[-1]
    best = np.linalg.lstsq(extended(draws.mean(0)).reshape(-1, size + 1), true.reshape(-1, size), rcond=None)[0]
    return extended(draws) @ best
