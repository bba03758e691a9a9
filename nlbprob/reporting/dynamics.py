"""The modes of the dynamics: eigenvalues as frequencies and decay times."""

import numpy as np

from nlbprob import plot
from nlbprob.errors import InputError
from nlbprob.plot import style
from nlbprob.plot.dynamics import FOREVER, bounds
from nlbprob.reporting.parts import Absent, Panel, Section, table
from nlbprob.reporting.view import View
from nlbprob.selection.replicate import digits as three_digits

TITLE = "Dynamics"


def section(view: View) -> Section | Absent:
    """Each mode's frequency and decay time, with intervals."""
    try:
        modes = view.posterior.dynamics()
    except InputError as reason:
        return Absent(TITLE, str(reason).rstrip("."))
    frequency, decay = modes["mean_frequency_hz"].values, modes["mean_decay_ms"].values
    spans = bounds(modes["frequency_hz"].values), bounds(modes["decay_ms"].values)
    longest = view.trials.n_bins * view.trials.bin_ms
    intervals = " Brackets and crosses are 90% intervals." if view.has_intervals else ""
    reading = (
        "The eigenvalues of the transition matrix: undisturbed, the latent state is a sum of these modes, each of "
        "which turns at its frequency and fades to 37% in its decay time; at 0 Hz it fades without turning."
        f"{intervals} Above the dashed line it outlasts the longest trial ({longest:g} ms): trials show only that it "
        "is slow."
    )
    fits = modes.attrs["fits"]
    reading += (
        f" The last column says in how many of {fits} other fits, from other starts or to halves of the trials, the "
        "mode moves the same neurons alike and its intervals overlap."
        if "recurs_in" in modes
        else " Whether other fits find the same modes was not seen; nlbprob replicate shows it."
    )
    rows = [
        [
            f"mode {mode + 1}",
            "0" if modes["multiplicity"].values[mode] == 1 else number(frequency[mode], spans[0][mode], view),
            number(decay[mode], spans[1][mode], view, FOREVER * longest),
            f"{modes['mean_modulus'].values[mode]:.4f}",
            f"{modes['recurs_in'].values[mode]} of {fits}" if "recurs_in" in modes else "not replicated",
        ]
        for mode in range(len(frequency))
    ]
    html = table(["", "frequency (Hz)", "decay time (ms)", "|eigenvalue| per bin", "found again"], rows, "modes")
    figure, axes = style.single(height=229, left=47)
    plot.modes(view.posterior, axes, dynamics=modes, longest_ms=longest)
    label = f"{len(frequency)} modes by frequency and decay time; the table holds their values"
    return Section(TITLE, reading, [Panel("modes", figure, label)], table=html)


def number(value: float, span: np.ndarray, view: View, most: float = np.inf) -> str:
    """A value with its interval, to three digits."""
    interval = f"[{digits(span[0], most)}, {digits(span[1], most)}]" if view.has_intervals else ""
    return f'<b>{digits(value, most)}</b> <span class="interval">{interval}</span>'


def digits(value: float, most: float = np.inf) -> str:
    """Three significant digits, never in powers of ten; a number above `most` is printed as "over"."""
    return f"over {most:.0f}" if value > most else three_digits(value)
