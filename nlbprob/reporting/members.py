"""The members of a committee: their weights, their scores and what each adds."""

from nlbprob.reporting.numbers import fixed
from nlbprob.reporting.parts import Absent, Cell, Row, Section, Table
from nlbprob.reporting.scores import cell
from nlbprob.reporting.view import View


def section(view: View) -> Section:
    """A table of the members on the scored trials, and on the folds where these chose the weights."""
    assert view.committee is not None
    chosen, measured = view.committee.chosen, view.committee.table
    reading = (
        "The rates are the weighted mean of those of the members, each fitted by itself. What a member adds is the "
        "score of all less that of the others, their weights scaled to sum to 1, with its 90% interval over the "
        f"{view.split} trials. Weights: {chosen}."
    )
    columns = ["member", "weight", f"co-bps alone ({view.split})", "adds (bits/spike)"]
    rows = view.metrics.get("members", {})
    cells = [
        [
            Cell(fixed(weight), value=weight),
            cell(rows.get(name, {}).get("score"), None),
            cell(rows.get(name, {}).get("adds"), ends(rows.get(name, {}))),
        ]
        for name, weight in view.committee.weights.items()
    ]
    if measured is not None:
        columns += ["score on the folds", "adds on the folds"]
        for line, score, adds in zip(cells, measured["score"].values, measured["adds"].values, strict=True):
            line += [Cell(fixed(number), value=float(number)) for number in (score, adds)]
        reading += (
            f" On these folds each member was fitted to the other folds; {measured.attrs['measure']} of all members "
            f"together is {fixed(measured.attrs['score'])} there."
        )
    named = [Row(name, line) for name, line in zip(view.committee.weights, cells, strict=True)]
    return Section("Members", reading, tables=[Table("Members of the average", columns, named)])


def ends(row: dict[str, float | None]) -> list[float] | None:
    """The interval of what a member adds; None where there is none."""
    low, high = row.get("adds_low"), row.get("adds_high")
    return None if low is None or high is None else [low, high]


def inside(view: View) -> Absent:
    """What a committee has not."""
    del view
    return Absent("Learning, latents, dynamics and loadings", "each member has its own, see the report of its run")
