"""When each regime of dynamics that switch holds."""

from matplotlib.axes import Axes

from nlbprob import plot
from nlbprob.plot import style
from nlbprob.plot.switching import TRIALS
from nlbprob.reporting.parts import Panel, Section
from nlbprob.reporting.view import View


def section(view: View) -> Section | None:
    """The regimes' probabilities of single trials and on average; nothing where no block of the model switches."""
    switching = [block for block in view.posterior.model.chains if block.n_regimes]
    if not switching:
        return None
    rows = view.latent_rows
    found = view.posterior.regimes(view.visible.select(trials=rows))
    pairs = [two() for _ in found]
    plot.regimes(view.posterior, view.trials.select(trials=rows), pairs, regimes=found)
    panels = [Panel.of(above, f"Probability of each regime, {above.get_title(loc='left')}") for above, _ in pairs]
    reading = (
        f"The probability of each regime, given what is seen. Above, a strip is a trial ({min(TRIALS, len(rows))} of "
        f"them), divided among the regimes in each bin; below, the average over {len(rows)} trials. Where the average "
        "is not level, regimes follow the time in the trial."
    )
    most = max(block.n_regimes for block in switching)
    key = [(style.CONDITIONS[regime], f"regime {regime + 1}") for regime in range(min(most, len(style.CONDITIONS)))]
    return Section("Regimes", reading, panels, key)


def two() -> tuple[Axes, Axes]:
    """Axes above each other: of single trials, and of their average."""
    figure = style.blank(215)
    above, below = (style.axes_at(figure, 44, bottom, 8, 215 - bottom - 86) for bottom in (123, 29))
    return above, below
