"""When each regime of dynamics that switch holds, and how it moves."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from nlbprob import plot
from nlbprob.plot import style
from nlbprob.plot.dynamics import FOREVER
from nlbprob.plot.switching import TRIALS
from nlbprob.reporting.dynamics import quantity
from nlbprob.reporting.numbers import Estimate, percent
from nlbprob.reporting.parts import Cell, Key, Panel, Row, Section, Table
from nlbprob.reporting.sentences import RARE, Regime
from nlbprob.reporting.view import View

if TYPE_CHECKING:
    import xarray

#: Stands for what is infinite, such as a stay that never ends.
LONGEST = 1e12


def section(view: View) -> Section | None:
    """The regimes' probabilities of single trials and on average; nothing where no block of the model switches."""
    if view.regimes is None:
        return None
    rows = view.latent_rows
    pairs = [two() for _ in view.regimes]
    plot.regimes(view.posterior, view.trials.select(trials=rows), pairs, regimes=view.regimes)
    found = regimes_of(view)
    panels = []
    for (above, _), (name, each) in zip(pairs, found.items(), strict=True):
        label = f"Probability of each regime, {above.get_title(loc='left')}"
        panels.append(Panel.of(above, label, seen(each, probability(view, name))))
    reading = (
        f"The probability of each regime, given what is seen. Above, a strip is a trial ({min(TRIALS, len(rows))} of "
        f"them), divided in each bin among regimes, the first at the top; below, the average over {len(rows)} trials. "
        "Where the average is not level, regimes follow the time in the trial. The table counts in paths that are "
        "drawn from their posterior: how often each regime holds, how long at a time where the ends of trials do not "
        "cut it, and the slowest mode of its dynamics. Brackets are 90% intervals."
    )
    most = max(len(regimes) for regimes in found.values())
    colors = enumerate(style.CONDITIONS[:most])
    key = [Key(color, f"regime {regime + 1}", "area, line", regime) for regime, color in colors]
    tables = [table(name, regimes, FOREVER * view.longest_ms) for name, regimes in found.items()]
    return Section("Regimes", reading, panels, key, tables)


def table(name: str, regimes: list[Regime], most_ms: float) -> Table:
    """How often each regime holds, for how long at a time, and how it moves."""
    columns = ["regime", "bins (%)", "mean stay (ms)", "decay time (ms)", "frequency (Hz)"]
    rows = [
        Row(
            f"regime {number}",
            [
                Cell(f"{100 * regime.fraction.value:.1f}", value=regime.fraction.value),
                quantity(regime.stay, most_ms) if regime.fraction.value >= RARE else Cell("–"),
                quantity(regime.decay, most_ms),
                quantity(regime.frequency),
            ],
        )
        for number, regime in enumerate(regimes, 1)
    ]
    return Table(f"Regimes of {name}", columns, rows)


def seen(regimes: list[Regime], probability: float) -> str:
    """The regime that holds most, and how well it is known."""
    fractions = [regime.fraction.value for regime in regimes]
    most = int(np.argmax(fractions))
    return (
        f"Regime {most + 1} holds in {percent(fractions[most])} of the bins; the most probable regime of a bin has a "
        f"probability of {percent(probability)} on average."
    )


def probability(view: View, name: str) -> float:
    """The probability of the most probable regime of a block in a bin, on average over the bins of the trials shown."""
    inside = np.arange(view.trials.n_bins) < view.lengths[view.latent_rows, None]
    return float(view.regimes[name].values.max(-1)[inside].mean())


def regimes_of(view: View) -> dict[str, list[Regime]]:
    """The regimes of each block that switches, in numbers."""
    return {
        name: [regime_of(found.isel(regime=place)) for place in range(found.sizes["regime"])]
        for name, found in view.switching.items()
    }


def regime_of(found: "xarray.Dataset") -> Regime:
    """One regime of what `Posterior.switching` gives."""
    decay = np.where(found["decay_ms"].values < 0, np.inf, found["decay_ms"].values)  # negative: it grows
    slowest = int(np.median(np.nan_to_num(decay, nan=-1.0), axis=0).argmax())
    return Regime(
        Estimate.of_draws(found["occupancy"].values, float(found["occupancy"].mean())),
        middle(found["dwell_ms"].values),
        middle(decay[:, slowest]),
        middle(found["frequency_hz"].values[:, slowest]),
    )


def middle(draws: Float[np.ndarray, " sample"]) -> Estimate:
    """The median of draws, with their interval; some may be infinite."""
    finite = np.nan_to_num(draws.astype(float), nan=LONGEST, posinf=LONGEST)
    return Estimate.of_draws(finite, float(np.median(finite)))


def two() -> tuple[Axes, Axes]:
    """Axes above each other: of single trials, and of their average."""
    figure = style.blank(215)
    above, below = (style.axes_at(figure, 44, bottom, 8, 215 - bottom - 86) for bottom in (123, 29))
    return above, below
