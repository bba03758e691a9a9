"""The figure of README.md: six panels of the report of the demo.

make demo
python experiments/figures/readme.py runs/demo

It reads the run and its recording, writes docs/assets/demo.png, and prints the numbers that the figure shows.
"""

import io
import pathlib
import sys
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image

import nlbprob as nlb
from nlbprob.plot.averages import busiest
from nlbprob.reporting.scores import draw_dots
from nlbprob.run import Opened, opened

FIGURE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "assets" / "demo.png"
DPI, COLORS = 170, 128


def draw(run: Opened) -> None:
    """One trial, latents and modes in the upper row; scores and one held-out neuron in the lower one."""
    val = run.trials.split("val")
    hidden = val.hide_heldout()
    figure = plt.figure(figsize=(7.1, 4.1), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=[1.15, 1, 1])
    trial = [figure.add_subplot(cell) for cell in grid[0, 0].subgridspec(2, 1)]
    plane, modes, scores, recorded, predicted = (figure.add_subplot(grid[divmod(place, 3)]) for place in range(1, 6))
    nlb.plot.rasters(run.posterior, val, [trial], which=[0])
    nlb.plot.trajectories(run.posterior, hidden, [plane], pairs=[(0, 1)])
    name_starts(plane)
    plane.set_title("latents by condition, 0 to 7")
    nlb.plot.modes(run.posterior, modes)
    modes.set_title("modes of the dynamics")
    draw_scores(scores, run.metrics)
    nlb.plot.psths(run.posterior, run.trials, [[recorded, predicted]], on="val", neurons=busiest(val)[:1])
    for axes, words in ((recorded, "one held-out neuron, recorded"), (predicted, "predicted by the model")):
        name_peaks(axes)
        axes.set_title(words)
    save(figure)


def save(figure: Figure) -> None:
    """Write the figure with few colors, so that the file is small."""
    figure.savefig(content := io.BytesIO(), dpi=DPI, facecolor="white")
    Image.open(content).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(FIGURE, optimize=True)


def name_starts(axes: Axes) -> None:
    """The number of each condition beside the start of its line, on the side away from the nearest other start."""
    named = named_lines(axes)
    starts = np.array([values[0] for _, values, _ in named])
    for (number, _, color), start in zip(named, starts, strict=True):
        away = start - starts[np.argsort(np.linalg.norm(starts - start, axis=1))[1]]
        write_number(axes, number, start, 9 * away / np.linalg.norm(away), color)


def name_peaks(axes: Axes) -> None:
    """The number of each condition above the peak of its line."""
    for number, values, color in named_lines(axes):
        write_number(axes, number, values[values[:, 1].argmax()], np.array([0.0, 8.0]), color)
    axes.set_ylim(top=1.12 * axes.get_ylim()[1])


def named_lines(axes: Axes) -> list[tuple[str, np.ndarray, Any]]:
    """Of each line that stands for a condition, its number, its points and its color."""
    labelled = [(str(line.get_label()), np.asarray(line.get_xydata()), line.get_color()) for line in axes.lines]
    return [(words.split()[-1], values, color) for words, values, color in labelled if not words.startswith("_")]


def write_number(axes: Axes, number: str, place: np.ndarray, offset: np.ndarray, color: Any) -> None:
    """A number so many points from a place, legible above lines: color is not needed to tell conditions apart."""
    text = {"textcoords": "offset points", "ha": "center", "va": "center", "color": color}
    written = axes.annotate(number, place, offset, **text)
    written.set_path_effects([withStroke(linewidth=1.8, foreground="white")])


def draw_scores(axes: Axes, metrics: dict) -> None:
    """co-bps of the model above that of the baselines."""
    rows = [("this model", metrics["val"]["co-bps"], metrics["intervals"]["co-bps"])]
    intervals = metrics["baseline_intervals"]
    rows += [(name, values["co-bps"], intervals[name]["co-bps"]) for name, values in metrics["baselines"].items()]
    draw_dots(axes, rows)
    axes.set(xlabel="co-bps (bits/spike)", title="prediction of held-out neurons")
    for name, value, (low, high) in rows:
        print(f"{name}: co-bps {value:.3f}, 90% interval {low:.3f} to {high:.3f}")


def main() -> None:
    """Read the run, draw it, and print its modes."""
    run = opened(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo"))
    with mpl.rc_context(nlb.plot.style.RC):
        draw(run)
    modes = run.posterior.dynamics()
    names = ["frequency_hz", "decay_ms"]
    print(modes[names].quantile([0.05, 0.5, 0.95], "sample").to_dataframe().unstack("quantile").round(2))


if __name__ == "__main__":
    main()
