"""The page of a comparison of runs: scores with differences, latents beside each other, evidence of whole trials."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl

from nlbprob.plot import style
from nlbprob.reporting.page import document
from nlbprob.reporting.parts import Absent, Cell, Panel, Row, Section, Table
from nlbprob.reporting.scores import cell, meanings_of, units_of
from nlbprob.selection.members import shortest_names


def short_names(names: Sequence[str]) -> dict[str, str]:
    """The shortest ends of paths that tell them apart, by the paths: "lds" of /runs/first/lds."""
    each = list(dict.fromkeys(names))
    parts = [pathlib.PurePath(name).parts for name in each]
    return dict(zip(each, shortest_names(parts, lambda _, end: str(pathlib.PurePath(*end))), strict=True))


def shortened(found: Any, names: Mapping[str, str]) -> Any:
    """The same with other names of runs, wherever they stand."""
    if isinstance(found, dict):
        return {shortened(key, names): shortened(value, names) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [shortened(value, names) for value in found]
    return names.get(found, found) if isinstance(found, str) else found


def comparison_page(found: dict[str, Any]) -> str:
    """The whole document; found: what `nlbprob compare --json` prints."""
    found = shortened(found, short_names([row["run"] for row in found["runs"]]))
    with mpl.rc_context(style.RC):
        parts = [scores_section(found), latents_section(found["latents"]), evidence_section(found.get("evidence"))]
        first, *others = (row["run"] for row in found["runs"])
        title = f"{', '.join(others)} compared with {first}"
        facts = [
            ("scored on", f"{found['trials']} trials of {found['split']}, bins of {found['bin_ms']:g} ms"),
            ("intervals", f"90%, of {found['bootstrap']} resamples of the trials, seed {found['seed']}"),
        ]
        return document(title, [("Result", headline(found))], parts, facts)


def headline(found: dict[str, Any]) -> str:
    """Which runs predict better than the first, in one sentence."""
    first, *others = found["runs"]
    return "; ".join(verdict(row, first["run"]) for row in others) + "."


def verdict(row: dict[str, Any], first: str) -> str:
    """Whether a run predicts better than the first, by the interval of the difference in co-bps."""
    low, high = row.get("difference_interval") or (0.0, 0.0)
    words = "predicts better than" if low > 0 else "predicts worse than" if high < 0 else "does not clearly differ from"
    return f"{row['run']} {words} {first}"


def scored(rows: list[dict[str, Any]]) -> list[str]:
    """The names of the scores that a run has, in the order in which runs list them."""
    known = (name for row in rows for name, each in row["scores"].items() if each["value"] is not None)
    return list(dict.fromkeys(known))


def scores_section(found: dict[str, Any]) -> Section:
    """Every score of every run, their differences from those of the first, and the differences drawn."""
    rows, units = found["runs"], units_of({})
    names = scored(rows)
    meanings = meanings_of({})
    first, *others = rows
    reading = (
        "Higher is better. "
        + "; ".join(f"{name}: {meanings[name]}" for name in names if name in meanings)
        + f". Differences are from {first['run']}. Trials are paired in them, so that their intervals are narrower "
        "than those of the scores; where one does not contain zero, the runs differ."
    )
    columns = ["run", *(f"{name} ({units[name]})" if units.get(name) else name for name in names)]
    none = {"value": None, "interval": None}
    scores = [
        Row(row["run"], [cell(*(row["scores"].get(name, none)[key] for key in none)) for name in names]) for row in rows
    ]
    between = [Row(row["run"], [difference(row["scores"].get(name, none)) for name in names]) for row in others]
    tables = [Table("Scores", columns, scores), Table(f"Differences from {first['run']}", columns, between)]
    panels = [differences(name, rows, units.get(name) or name) for name in names]
    return Section("Scores", reading, [panel for panel in panels if panel], tables=tables)


def difference(score: dict[str, Any]) -> Cell:
    """The difference of a score from that of the first run, with its interval; a dash where there is none."""
    if "difference" not in score:
        return Cell("–")
    between, value = score["difference_interval"], score["difference"]
    return Cell(signed(value), "" if between is None else f"[{signed(between[0])}, {signed(between[1])}]", value)


def signed(value: float) -> str:
    """Three digits after the point, always with a sign."""
    return f"{value:+.3f}".replace("-", "−")


def differences(name: str, rows: list[dict[str, Any]], unit: str) -> Panel | None:
    """The difference of each run from the first in one score; None where no run has one."""
    shown = [(row["run"], row["scores"][name]) for row in rows[1:] if "difference" in row["scores"].get(name, {})]
    if not shown:
        return None
    ends = [end for _, score in shown for end in (score["difference"], *(score["difference_interval"] or []))]
    low, high = style.limits([0.0, *ends])
    figure, axes = style.single(height=35 + 22 * len(shown), left=9)
    for place, (run, score) in enumerate(reversed(shown)):
        between, value = score["difference_interval"], score["difference"]
        if between is not None:
            axes.plot(between, [place, place], color=style.MODEL, linewidth=1.5)
        axes.plot([value], [place], "o", color=style.MODEL)
        side = "left" if value < low + 0.3 * (high - low) else "right" if value > low + 0.7 * (high - low) else "center"
        axes.annotate(run, (value, place), (0, 5), textcoords="offset points", ha=side, fontsize=7.6)
    axes.axvline(0, color=style.MUTED, linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.4, len(shown) - 0.2)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(unit)
    words = ", ".join(f"{run} {score['difference']:+.3f}" for run, score in shown)
    return Panel(f"{name}, less that of {rows[0]['run']}", figure, f"Differences in {name}: {words}")


def latents_section(latents: dict[str, Any]) -> Section | Absent:
    """How much of each run's latents those of the others explain."""
    title, runs = "Latents", latents["runs"]
    left_out = "; ".join(f"{run} {reason}" for run, reason in latents["reasons"].items())
    if len(runs) < 2:
        return Absent(title, left_out or "fewer than two runs have latents")
    reading = (
        "R2 of the latents of the run of a row, predicted linearly from those of the run of a column, in trials that "
        "the regression was not learned from. 1: all that the one has inferred the other has, too, in other "
        "coordinates. A row of low numbers has latents that no other run has. In brackets: the largest angle between "
        "the directions in which both move the neurons." + f" Left out: {left_out}." * bool(left_out)
    )
    angles = [[max(each) for each in row] for row in latents["angles_deg"]]
    rows = [
        Row(
            f"{run} ({dim})",
            [explained(*each) for each in zip(row, of_run, [run == other for other in runs], strict=True)],
        )
        for run, dim, row, of_run in zip(runs, latents["dim"], latents["explained"], angles, strict=True)
    ]
    columns = ["latents of (how many)", *(f"explained by {run}" for run in runs)]
    return Section(title, reading, tables=[Table("Latents explained", columns, rows)])


def explained(r2: float, angle_deg: float, itself: bool) -> Cell:
    """How much of a run's latents another one explains, with the largest angle between their directions."""
    return Cell("–") if itself else Cell(f"{r2:z.2f}".replace("-", "−"), f"({angle_deg:.0f}°)", r2)


def evidence_section(evidence: list[dict[str, Any]] | None) -> Section | Absent:
    """The evidence of whole trials, where it was asked for."""
    title = "Evidence of whole trials"
    if evidence is None:
        return Absent(title, "not asked for, which --folds does")
    reading = (
        "Log probability of all that is seen of trials that a model has not learned from, trajectories integrated out, "
        "in nats over all trials, by cross-validation. Higher is better. The difference is from the best; two of its "
        "standard errors and more are clear."
    )
    rows = [
        Row(
            row["run"],
            [Cell(f"{row[key]:,.1f}".replace("-", "−"), value=row[key]) for key in ("elpd", "elpd_diff", "dse")],
        )
        for row in evidence
    ]
    columns = ["run", "log evidence (nats)", "from the best", "standard error"]
    return Section(title, reading, tables=[Table("Evidence of whole trials", columns, rows)])
