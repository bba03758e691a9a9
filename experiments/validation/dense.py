"""Dense dynamics at default settings: do the 90% intervals of modes hold the truth, where the form is not told?

Recordings have two planes that turn and one slow latent, five in all; the fit has six latents whose dynamics are any
matrix. A mode of the fit stands for the plane whose frequency and decay time are nearest. `kind` draws recordings that
the model is not quite right for.
"""

import math

import numpy as np
from coverage import HIGH, LOW, inside, mapped
from recovery import Measured, readout

import nlbprob as nlb

TRIALS, BINS, BIN_MS = 120, 50, 20.0
DRAWS, LATENTS = 200, 6
OBSERVATIONS = {
    "plain": nlb.Poisson(),
    "softplus": nlb.Poisson(link="softplus"),
    "overdispersed": nlb.NegativeBinomial(),
}


def dense(seed: int, kind: str = "plain", trials: int = TRIALS) -> Measured:
    """Which 90% intervals hold the truth: of the planes' frequencies and decay times, of baselines, rates and latents.

    Args:
        seed: of the recording and of the fit.
        kind: of the recordings: "plain", "softplus" rates, or "overdispersed" counts. The fit takes Poisson counts of
            log-linear rates.
        trials: of each recording.
    """
    random = np.random.default_rng([seed, 7])
    neurons = int(random.integers(60, 101))
    planes, slow = nlb.LDS(4, dynamics="modal", name="planes"), nlb.LDS(1, dynamics="diagonal", name="slow")
    model = nlb.Model(latents=[planes, slow], observation=OBSERVATIONS[kind])
    values = readout(random, neurons, 5, 0.5) | {
        "planes.frequency_hz": np.array([random.uniform(1.0, 2.0), random.uniform(2.8, 4.5)]),
        "planes.decay_ms": random.uniform(120.0, 300.0, 2),
        "slow.decay_ms": random.uniform(500.0, 1000.0, 1),
    }
    for block, size in (("planes", 4), ("slow", 1)):
        values |= {f"{block}.initial_mean": np.zeros(size), f"{block}.initial_scale": np.ones(size)}
    if kind == "softplus":
        values |= {"baseline": random.normal(-1.5, 0.5, neurons), "loadings": 1.5 * values["loadings"]}
    if kind == "overdispersed":
        values["dispersion"] = np.full(neurons, 0.3)
    truth = nlb.simulate(model, trials, neurons=neurons, bins=BINS, bin_ms=BIN_MS, seed=seed, values=values)
    posterior = nlb.fit(nlb.Model(latents=[nlb.LDS(LATENTS)]), truth.trials, seed=seed, progress=False)
    measured = modes(posterior, values["planes.frequency_hz"], values["planes.decay_ms"])
    latents = posterior.sample_latents(truth.trials, DRAWS, seed).values
    drawn = posterior.parameter_draws(DRAWS, seed)
    rates = np.exp(latents[:, ::6] @ drawn["loadings"].mT[:, None] + drawn["baseline"][:, None, None])
    measured["rates"] = [float(np.mean(inside(rates, truth.rates[::6])))]
    measured["latents"] = [float(np.mean(inside(mapped(latents, truth.latents), truth.latents)))]
    if kind == "plain":
        measured["baseline"] = inside(drawn["baseline"], values["baseline"])
    return measured


def modes(posterior: nlb.Posterior, frequency_hz: np.ndarray, decay_ms: np.ndarray) -> Measured:
    """Whether the intervals of the modes that are nearest to each plane hold its frequency and decay time, and their
    distance in standard deviations.
    """
    found = posterior.dynamics(DRAWS)
    measured: Measured = {}
    for plane in zip(frequency_hz, decay_ms, strict=True):
        middle = [found[name].median("sample").values for name in ("frequency_hz", "decay_ms")]
        far = np.abs(middle[0] / plane[0] - 1) + 0.3 * np.abs(np.log(middle[1] / plane[1]))
        for name, true in zip(("frequency_hz", "decay_ms"), plane, strict=True):
            draws = found[name].values[:, int(np.argmin(far))]
            low, high = np.quantile(draws, (LOW, HIGH))
            width = np.log(high / low) / (2 * 1.645)
            measured.setdefault(name, []).append(float(low <= true <= high))
            measured.setdefault(f"{name}_z", []).append(math.log(np.median(draws) / true) / width)
    return measured
