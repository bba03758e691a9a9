"""The scores beside those of the baselines: a table, and dots with intervals."""

import numpy as np
from matplotlib.axes import Axes

from nlbprob.plot import style
from nlbprob.reporting.numbers import Estimate, bracketed, counted, fixed, joined
from nlbprob.reporting.parts import Cell, Panel, Row, Section, Table
from nlbprob.reporting.verdicts import Verdict, compared
from nlbprob.reporting.view import View
from nlbprob.scoring.baselines import CONDITION_PSTH
from nlbprob.scoring.metrics.catalogue import METRICS

#: What intervals behind scores are, in words.
INTERVALS = (
    "90% intervals of what the score would be over many more trials of this kind. Bits per spike are counted from mean "
    "rates that know the scored trials, as the benchmark has it, which makes them a little too low; the interval is "
    "corrected for this and the score is not, so that the score may lie near the lower end of its interval or below it."
)
#: What its interval leaves out of psth R2.
OF_AVERAGES = (
    "psth R2 is of all neurons, held-in ones among them. The recorded averages that it compares with are over fitted "
    "and scored trials, as the benchmark has it, which favours averages of the fitted trials; its interval takes them "
    "as they are."
)
#: What is chosen for a baseline, in words.
SETTINGS = {
    "width_ms": "Gaussian of {:g} ms (standard deviation)",
    "penalty": "ridge penalty {:,g}",
    "pseudo_trials": "weight of the average over conditions {:g} (in trials)",
}


def section(view: View) -> Section:
    """The scores that apply, each with its 90% interval, above those of the baselines."""
    metrics = view.metrics
    values, baselines = metrics[view.split], metrics["baselines"]
    shown = [name for name, value in values.items() if value is not None]
    where = (
        f"Scored on {counted(int(view.scored.sum()), f'{view.split} trial')}, in bins of {metrics['bin_ms']:g} ms; "
        f"fitted on {metrics['fit_on']}. "
    )
    units, meanings = units_of(metrics), meanings_of(metrics)
    meaning = "; ".join(f"{name}: {meanings[name]}" for name in shown if meanings.get(name))
    condition_note = f" The {CONDITION_PSTH} uses the condition of each scored trial; no other row does."
    reading = f"{where}Higher is better. {meaning}. Brackets and bars are {INTERVALS}"
    reading += f" {OF_AVERAGES}" * ("psth R2" in shown) + condition_note * (CONDITION_PSTH in baselines)
    rows = [("this model", values, metrics["intervals"])]
    intervals = metrics.get("baseline_intervals", {})
    rows += [(name, others, intervals.get(name, {})) for name, others in baselines.items()]
    cells = [
        Row(row, [cell(row_values.get(name), between.get(name)) for name in shown], row == rows[0][0])
        for row, row_values, between in rows
    ]
    columns = ["rates of", *(f"{name} ({units[name]})" if units.get(name) else name for name in shown)]
    return Section(
        "Scores",
        reading if shown else "No score applies.",
        [dots(name, rows, units.get(name) or name, view.differences(name)) for name in shown],
        tables=[Table(f"Scores on {view.split}", columns, cells)] if shown else [],
        notes=[*of_baselines(metrics) * bool(shown), *reasons(metrics), *of_test(view.tested)],
    )


def units_of(metrics: dict) -> dict[str, str]:
    """The unit of each score: as metrics.json has it, else that of the project's metrics."""
    return {name: metric.unit for name, metric in METRICS.items()} | metrics.get("units", {})


def meanings_of(metrics: dict) -> dict[str, str]:
    """What each score measures, likewise."""
    return {name: metric.meaning for name, metric in METRICS.items()} | metrics.get("meanings", {})


def cell(value: float | None, between: list[float] | tuple[float, float] | None) -> Cell:
    """A score to three digits with its interval, or a dash."""
    return Cell("–") if value is None else Cell(fixed(value), bracketed(between), value)


def reasons(metrics: dict) -> list[str]:
    """Why scores are missing, and what was left out of others or why they have no interval."""
    lines = []
    for title, remarks in (("Not scored", metrics["reasons"]), ("Note", metrics.get("notes", {}))):
        parts = "; ".join(f"{name}: {remark}" for name, remark in remarks.items())
        lines += [f"{title}: {parts}."] * bool(parts)
    return lines


def of_baselines(metrics: dict) -> list[str]:
    """What was chosen for the baselines, in a sentence; none where it was not kept."""
    told = {}
    for name, settings in metrics.get("baseline_settings", {}).items():
        known = {setting: float(f"{value:.2g}") for setting, value in settings.items() if setting in SETTINGS}
        told[name] = ", ".join(SETTINGS[setting].format(value) for setting, value in known.items())
    listed = "; ".join(f"{name}: {text}" for name, text in told.items() if text)
    return [f"Chosen inside {metrics['fit_on']}: {listed}."] if listed else []


def of_test(tested: dict | None) -> list[str]:
    """The scores on test, never without what a reader has to know of them: how many evaluations came before."""
    if tested is None:
        return []
    values = ", ".join(f"{name} {fixed(value)}" for name, value in tested["scores"].items() if value is not None)
    setting = f"fitted on {tested['fit_on']}, in bins of {tested['bin_ms']:g} ms, on {tested['date'][:10]}"
    return [f"On test ({setting}): {values}. {tested['statement']}"]


def seen(entries: list[tuple[str, Estimate]], paired: dict[str, Estimate]) -> str:
    """Which of the other rows the first one beats, and which not."""
    (_, model), *others = entries
    verdicts = {name: compared(model, other, paired.get(name)) for name, other in others}
    words = {
        Verdict.BETTER: "above",
        Verdict.OPEN: "not told apart from",
        Verdict.WORSE: "below",
        Verdict.UNKNOWN: "without interval, not compared with",
    }
    parts = [
        f"{phrase} {joined(listed)}"
        for verdict, phrase in words.items()
        if (listed := [name for name, found in verdicts.items() if found is verdict])
    ]
    return f"This model: {'; '.join(parts)}." if parts else ""


def dots(name: str, rows: list, axis: str, paired: dict[str, Estimate]) -> Panel:
    """One score of the model and of each baseline.

    Args:
        name: of the score.
        rows: of each a name, its scores, and their intervals.
        axis: the words below the axis.
        paired: what the first row's score is above that of another one.
    """
    entries = [(row, values[name], between.get(name)) for row, values, between in rows if values.get(name) is not None]
    figure, axes = style.single(height=35 + 18 * len(entries), left=9)
    draw_dots(axes, entries)
    axes.set_xlabel(axis)
    words = ", ".join(f"{row} {value:.3f}" for row, value, _ in entries)
    estimates = [(row, Estimate.of(value, between)) for row, value, between in entries]
    return Panel(name, figure, f"{name}: {words}", seen(estimates, paired))


def draw_dots(axes: Axes, entries: list[tuple[str, float, list[float] | tuple[float, float] | None]]) -> None:
    """One row for each name, score and interval, the first one in the model's color; a line at 0."""
    places = np.arange(len(entries))[::-1]
    shown = []
    for place, (row, value, between) in zip(places, entries, strict=True):
        color = style.MODEL if row == entries[0][0] else style.MUTED
        if between is not None:
            axes.plot(between, [place, place], color=color, linewidth=1.5)
            shown += between
        axes.plot([value], [place], "o", color=color)
        shown.append(value)
    low, high = style.limits([*shown, 0.0])
    for place, (row, value, _) in zip(places, entries, strict=True):
        share = (value - low) / (high - low)
        side = "left" if share < 0.25 else "right" if share > 0.75 else "center"
        axes.annotate(row, (value, place), (0, 4), textcoords="offset points", ha=side, fontsize=7.6, color=style.INK)
    axes.axvline(0, color=style.LINE, linewidth=0.8, zorder=0)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.5, len(entries) - 0.2)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
