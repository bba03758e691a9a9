"""When each regime of dynamics that switch holds."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from nlbprob import plot
from nlbprob.plot import style
from nlbprob.plot.switching import TRIALS
from nlbprob.plot.trials import shown_bins
from nlbprob.reporting.numbers import percent
from nlbprob.reporting.parts import Cell, Panel, Row, Section, Table
from nlbprob.reporting.view import View
from nlbprob.selection.replicate import digits


def section(view: View) -> Section | None:
    """The regimes' probabilities of single trials and on average; nothing where no block of the model switches."""
    if view.regimes is None:
        return None
    rows = view.latent_rows
    pairs = [two() for _ in view.regimes]
    plot.regimes(view.posterior, view.trials.select(trials=rows), pairs, regimes=view.regimes)
    held = {name: dwelling(view, probability.values) for name, probability in view.regimes.items()}
    panels = [
        Panel.of(above, f"Probability of each regime, {above.get_title(loc='left')}", seen(fractions))
        for (above, _), (fractions, _) in zip(pairs, held.values(), strict=True)
    ]
    reading = (
        f"The probability of each regime, given what is seen. Above, a strip is a trial ({min(TRIALS, len(rows))} of "
        f"them), divided among the regimes in each bin; below, the average over {len(rows)} trials. Where the average "
        "is not level, regimes follow the time in the trial. The table counts the most probable regime of each bin; "
        "the ends of trials cut a stay short."
    )
    most = max(len(fractions) for fractions, _ in held.values())
    key = [(style.CONDITIONS[regime], f"regime {regime + 1}") for regime in range(min(most, len(style.CONDITIONS)))]
    tables = [table(name, *numbers) for name, numbers in held.items()]
    return Section("Regimes", reading, panels, key, tables)


def table(name: str, fractions: list[float], dwell_ms: list[float]) -> Table:
    """How often each regime holds, and for how long at a time."""
    rows = [
        Row(
            f"regime {regime + 1}",
            [
                Cell(f"{100 * fraction:.1f}", value=fraction),
                Cell(digits(stay), value=stay) if fraction else Cell("–"),
            ],
        )
        for regime, (fraction, stay) in enumerate(zip(fractions, dwell_ms, strict=True))
    ]
    return Table(f"Regimes of {name}", ["regime", "bins (%)", "mean stay (ms)"], rows)


def seen(fractions: list[float]) -> str:
    """The regime that holds most."""
    most = int(np.argmax(fractions))
    return f"Regime {most + 1} is the most probable one in {percent(fractions[most])} of the bins."


def dwelling(view: View, probability: Float[np.ndarray, "trial time regime"]) -> tuple[list[float], list[float]]:
    """How often each regime is the most probable one, and the mean time until it is another one's turn, in ms.

    Args:
        view: of the fit.
        probability: of the trials `view.latent_rows`.

    Returns:
        By regime the fraction of all bins, and the mean length of a stay, NaN where there is none.
    """
    regimes = probability.shape[2]
    bins, stays = np.zeros(regimes), np.zeros(regimes)
    for course, end in zip(probability.argmax(2), shown_bins(view.trials)[view.latent_rows], strict=True):
        inside = course[:end]
        bins += np.bincount(inside, minlength=regimes)
        stays += np.bincount(inside[np.diff(inside, prepend=-1) != 0], minlength=regimes)
    with np.errstate(invalid="ignore"):
        return (bins / bins.sum()).tolist(), (view.trials.bin_ms * bins / stays).tolist()


def two() -> tuple[Axes, Axes]:
    """Axes above each other: of single trials, and of their average."""
    figure = style.blank(215)
    above, below = (style.axes_at(figure, 44, bottom, 8, 215 - bottom - 86) for bottom in (123, 29))
    return above, below
