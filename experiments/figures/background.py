"""The two figures of docs/background.md: a simulated recording, a fit to it, and what intervals are.

python experiments/figures/background.py

It writes docs/assets/background-trial.png and docs/assets/background-intervals.png, and prints the numbers in the text.
"""

import pathlib

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

import nlbprob as nlb

#: The true frequencies (Hz) of `nlb.reaches`, and the fraction of its draws that an interval holds.
TRUE_HZ, FRACTION = (1.2, 2.4), 0.9
ASSETS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "assets"
DPI = 170


def interval(draws: np.ndarray) -> np.ndarray:
    """The 90% interval of draws over their first axis, [(low, high), ...]."""
    return np.quantile(draws, [(1 - FRACTION) / 2, (1 + FRACTION) / 2], axis=0)


def draw_trial(posterior: nlb.Posterior, trials: nlb.Trials) -> None:
    """Spikes of one trial, and the rates that are inferred from them."""
    figure, axes = plt.subplots(2, 1, figsize=(5.2, 4.2), layout="constrained")
    nlb.plot.rasters(posterior, trials.split("val"), axes[None], which=[0])
    figure.savefig(ASSETS / "background-trial.png", dpi=DPI)


def draw_intervals(posterior: nlb.Posterior, made: nlb.Simulated) -> None:
    """The rate of one held-out neuron with its interval, and the frequencies of the modes with theirs."""
    trials = made.trials
    hidden, hz = trials.hide_heldout("val").split("val"), 1000 / trials.bin_ms
    tree = posterior.to_arviz(hidden, draws=200, predictive=4, rates=200)
    drawn = tree["predictions"]["rates"].values[0] * hz  # [draw, trial, time, neuron]
    truth = made.rates[trials.table["split"] == "val"]
    window = trials.window_bins
    neuron = np.flatnonzero(trials.heldout)[trials.counts[..., trials.heldout].sum((0, 1)).argmax()]
    time = trials.time_ms[:window] + trials.bin_ms / 2
    low, high = interval(drawn[:, 0, :window, neuron])
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.0, 2.9), layout="constrained")
    left.fill_between(time, low, high, alpha=0.25, color="#0b63a8", linewidth=0, label="90% interval")
    left.plot(time, drawn[:, 0, :window, neuron].mean(0), color="#0b63a8", label="inferred rate")
    left.plot(time, hz * truth[0, :window, neuron], color="#1b1f24", linestyle="--", label="true rate")
    left.set(xlabel="time (ms)", ylabel="spikes per second", title="a neuron that the model did not see")
    left.set_ylim(bottom=0)
    left.legend()
    nlb.plot.modes(posterior, right)
    right.set(title="rhythms in the dynamics", xlim=(0, 1.2 * max(TRUE_HZ)))
    for number, true in enumerate(TRUE_HZ):
        right.axvline(true, color="#c75c0f", linewidth=0.9, zorder=0, label="" if number else "truth")
    right.legend()
    figure.savefig(ASSETS / "background-intervals.png", dpi=DPI)
    inside = (interval(drawn)[0] <= hz * truth) & (hz * truth <= interval(drawn)[1])
    print(f"90% intervals of rates that hold the truth: {100 * inside[:, :window][..., trials.heldout].mean():.0f}%")


def main() -> None:
    """Simulate, fit, draw, and print the numbers."""
    made = nlb.reaches(trials=60, neurons=40, conditions=4, bin_ms=20, seed=0)
    model = nlb.Model(latents=[nlb.LDS(4, dynamics="modal")])
    posterior = nlb.fit(model, made.trials.split("train"), seed=0)
    with mpl.rc_context(nlb.plot.style.RC):
        draw_trial(posterior, made.trials)
        draw_intervals(posterior, made)
    for low, high in interval(posterior.dynamics()["frequency_hz"].values).T:
        print(f"{low:.2f} to {high:.2f} Hz")


if __name__ == "__main__":
    main()
