"""The modes of the dynamics: eigenvalues as frequencies and decay times."""

import numpy as np
from jaxtyping import Float

from nlbprob import plot
from nlbprob.errors import InputError
from nlbprob.plot import style
from nlbprob.plot.dynamics import FOREVER
from nlbprob.posterior.mode_draws import mode_planes
from nlbprob.posterior.units import digits as three_digits
from nlbprob.reporting.numbers import Estimate, counted
from nlbprob.reporting.parts import Absent, Cell, Panel, Row, Section, Table
from nlbprob.reporting.sentences import Mode
from nlbprob.reporting.view import View

TITLE = "Dynamics"
#: Neurons that are named of each mode, and rows of their table that are open at first.
MOST, OPEN = 3, 6


def section(view: View) -> Section | Absent:
    """Each mode's frequency and decay time, with intervals."""
    try:
        modes = view.posterior.dynamics()
    except InputError as reason:
        return Absent(TITLE, str(reason).rstrip("."))
    found, longest = modes_of(view), view.longest_ms
    intervals = " Brackets and crosses are 90% intervals." if view.has_intervals else ""
    reading = (
        "The eigenvalues of the transition matrix: undisturbed, the latent state is a sum of these modes, each of "
        "which turns at its frequency and fades to 37% in its decay time; at 0 Hz it fades without turning."
        f"{intervals} Above the dashed line it outlasts the longest trial ({longest:g} ms): trials show only that it "
        "fades slowly. Modes have a part of all squared loadings, those in the directions that they move; they share "
        "directions, so that these parts need not sum to 100%. While the state moves in a mode with a mean square of "
        f"1, a neuron's {view.predictor} moves by its loading on it; the second table names the largest."
    )
    fits = modes.attrs["fits"]
    reading += (
        f" The last column says in how many of {fits} other fits, from other starts or to halves of the trials, the "
        "mode moves the same neurons alike and its intervals overlap."
        if "recurs_in" in modes
        else " Whether other fits find the same modes was not tested; nlbprob replicate tests it."
    )
    columns = ["mode", "frequency (Hz)", "decay time (ms)", "squared loadings (%)"]
    rows = [
        Row(
            f"mode {one.number}",
            [
                quantity(one.frequency),
                quantity(one.decay, FOREVER * longest),
                Cell(f"{100 * one.variance:.1f}", value=one.variance),
            ],
        )
        for one in found
    ]
    if "recurs_in" in modes:
        columns += ["found again"]
        recurs = [Cell(f"{number} of {fits}", value=number) for number in modes["recurs_in"].values.tolist()]
        rows = [Row(row.name, [*row.cells, cell]) for row, cell in zip(rows, recurs, strict=True)]
    figure, axes = style.single(height=229, left=47)
    plot.modes(view.posterior, axes, dynamics=modes, longest_ms=longest)
    label = f"{len(found)} modes by frequency and decay time; the table holds their values"
    panel = Panel("modes", figure, label, seen(found, longest))
    tables = [Table("Modes of the dynamics", columns, rows), moved(view, found, modes["mean_loading"].values)]
    return Section(TITLE, reading, [panel], tables=tables)


def modes_of(view: View) -> list[Mode]:
    """The modes in numbers; none where no block has a transition matrix of its own."""
    try:
        modes = view.posterior.dynamics()
    except InputError:
        return []
    frequency, decay = modes["frequency_hz"].values, modes["decay_ms"].values
    centre = modes["mean_frequency_hz"].values, modes["mean_decay_ms"].values
    loadings = view.posterior.own_loadings
    total = float((loadings**2).sum()) or 1.0
    return [
        Mode(
            int(modes["mode"].values[place]),
            bool(modes["multiplicity"].values[place] == 2),
            Estimate.of_draws(frequency[:, place], float(centre[0][place])),
            Estimate.of_draws(decay[:, place], float(centre[1][place])),
            Estimate.of_draws(
                frequency[:, place] * decay[:, place] / 1000, float(centre[0][place] * centre[1][place]) / 1000
            ),
            float(((plane.T @ loadings) ** 2).sum()) / total,
        )
        for place, plane in enumerate(mode_planes(view.posterior))
    ]


def moved(view: View, found: list[Mode], loadings: Float[np.ndarray, "mode neuron"]) -> Table:
    """The neurons with the largest loadings on each mode, and the area with the largest root mean square of them."""
    columns = ["mode", "neurons, by id"] + ["area, loading"] * (view.areas is not None)
    rows = []
    for one, each in zip(found, loadings, strict=True):
        ids = view.trials.neurons["id"][np.argsort(-each, kind="stable")[:MOST]]
        cells = [Cell(", ".join(map(str, ids)))]
        if view.areas is not None:
            size = {name: float(np.sqrt((each[view.areas == name] ** 2).mean())) for name in np.unique(view.areas)}
            area = max(size, key=lambda name: size[name])
            cells.append(Cell(f"{area} {size[area]:.2f}", value=area))
        rows.append(Row(f"mode {one.number}", cells))
    return Table("What each mode moves most", columns, rows, folded=len(rows) > OPEN)


def seen(found: list[Mode], longest_ms: float) -> str:
    """How many modes turn, and how many outlast a trial."""
    turn, slow = sum(one.certain for one in found), sum(one.decay.value > longest_ms for one in found)
    unsure = sum(one.turns and not one.certain for one in found)
    doubt = f", {unsure} more with an interval that includes 0 Hz" if unsure else ""
    return f"{turn} of {counted(len(found), 'mode')} turn{'s' * (turn == 1)}{doubt}; {slow} above the dashed line."


def quantity(one: Estimate, most: float = np.inf) -> Cell:
    """A value with its interval, to three digits."""
    interval = f"[{digits(one.low, most)}, {digits(one.high, most)}]" if one.interval else ""
    return Cell(digits(one.value, most), interval, one.value)


def digits(value: float, most: float = np.inf) -> str:
    """Three significant digits, never in powers of ten; a number above `most` is printed as "over"."""
    return f"over {most:.0f}" if value > most else three_digits(value)
