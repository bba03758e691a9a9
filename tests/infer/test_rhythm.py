"""Modal dynamics on real recordings of a rhythm: a mode's frequency is where the spectrum of the counts peaks."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lombscargle

import nlbprob as nlb

#: Bin width, and width of the smoothing of counts.
BIN_MS, WIDTH_MS = 100.0, 200.0


def spectral_peak(trials):
    """Where the spectrum of the first principal component of smoothed counts peaks, and 1 / duration, in Hz.

    Square roots of counts are smoothed by a Gaussian and centred, from the seen bins alone: the pieces of the other
    split are gaps, so the spectrum is that of least squares. It starts at one cycle in the trial.
    """
    own = trials.seen[0].all(-1)
    counts, weight = np.sqrt(trials.counts[0].astype(float)) * own[:, None], own.astype(float)
    smooth = gaussian_filter1d(counts, WIDTH_MS / trials.bin_ms, axis=0)[own]
    smooth /= gaussian_filter1d(weight, WIDTH_MS / trials.bin_ms)[own, None]
    component = np.linalg.svd(smooth - smooth.mean(0), full_matrices=False)[0][:, 0]
    bins = np.flatnonzero(own)
    resolution = 1000 / (trials.bin_ms * (np.ptp(bins) + 1))
    frequency = np.arange(resolution, 500 / trials.bin_ms, resolution / 10)
    power = lombscargle(bins * trials.bin_ms / 1000, component, 2 * np.pi * frequency)
    return frequency[power.argmax()], resolution


def main_mode(posterior, trials):
    """The turning mode that carries the most variance of the log rates."""
    latents = np.asarray(posterior.latents(trials)["mean"])[0][trials.seen[0].all(-1)] @ posterior.rotation.T
    parts = (latents * posterior.centre.loadings[:, None]).reshape(trials.n_neurons, len(latents), -1, 2).sum(-1)
    return parts.var(1).sum(0).argmax()


def test_a_wave_with_gaps_peaks_at_its_frequency():
    time, random = 0.1 * np.arange(800), np.random.default_rng(0)
    counts = random.poisson(np.exp(np.sin(2 * np.pi * 0.3 * time)[:, None] * random.standard_normal(20)))
    trials = nlb.Trials.from_arrays(counts[None], BIN_MS)
    seen = trials.seen.copy()
    seen[0, 120:160] = seen[0, 600:640] = False
    peak, resolution = spectral_peak(trials.replace(seen=seen))
    assert resolution == pytest.approx(1 / 80)
    assert peak == pytest.approx(0.3, abs=0.2 / 80)


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("name", ["aplysia_jan1312", "aplysia_jan1912"])
def test_the_main_mode_turns_at_the_peak_of_the_spectrum(name, shared):
    train = nlb.load(shared / "data" / f"{name}.nwb", bin_ms=BIN_MS, join=True).split("train")
    posterior = nlb.fit(nlb.load_model("modal_lds"), train, seed=0, progress=False)
    drawn = posterior.parameter_sites()["lds.frequency_hz"][:, main_mode(posterior, train)]
    low, high = np.quantile(drawn, [0.05, 0.95])
    peak, resolution = spectral_peak(train)
    assert low - resolution < peak < high + resolution
    assert high - low < 2 * resolution  # so narrow that few frequencies pass
