"""`pareto`: accuracy beside measures of parsimony, of fits and of the benchmark's published entries."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.arguments import one_of
from nlbprob.parsimony.classes import NOT_STATED, ORACLE, PublishedClass, published_classes
from nlbprob.scoring.leaderboard import Row, cited, published, warnings
from nlbprob.scoring.metrics.scored import DoesNotApply

if TYPE_CHECKING:
    import pandas


#: Width of a bin in which the benchmark ranks entries.
RANKED_MS = 5.0


@dataclasses.dataclass(frozen=True)
class Measure:
    """A measure of parsimony.

    Attributes:
        unit: empty where it has none.
        meaning: in a few words.
        less_is_better: whether fewer make a model more parsimonious.
    """

    unit: str
    meaning: str
    less_is_better: bool


#: By the names that tables and files have for them.
MEASURES = {
    "effective_dimension": Measure("", "directions that the log rates of held-out neurons use", True),
    "description_bits": Measure("bits", "to describe the parameters as precisely as the data determine them", True),
    "stability": Measure("", "overlap of the subspace with that of repeated fits", False),
    "few_shot": Measure("bits/spike", "co-bps of readouts learned from a few trials", False),
    "cycle_consistency": Measure("R2", "of latents inferred from counts that were simulated from them", False),
}


def label(measure: str) -> str:
    """What tables and figures call a measure, with its unit."""
    unit = MEASURES[measure].unit
    return measure.replace("_bits", " length").replace("_", "-" if measure == "few_shot" else " ") + (
        f" ({unit})" if unit else ""
    )


@dataclasses.dataclass(frozen=True)
class FrontEntry:
    """A model on the front: a fit, with what was measured of it, or a published entry, with what its paper says.

    Attributes:
        name: of the model.
        co_bps: bits/spike; None where no neuron is held out.
        interval: its 90% interval; None where there is none.
        split: the scored split.
        bin_ms: width of a bin in ms.
        dynamics: its class, see `nlbprob.parsimony.classes.CLASSES`.
        blocks: the class of each latent block of a fit, by its name.
        measures: by the names of `MEASURES`; of a fit, those that could be measured.
        reasons: why others could not be, by their names.
        source: of a published entry, where its score stands, by letters of `nlbprob.scoring.leaderboard.SOURCES`.
        paper: of a published entry, the paper that supports its class.
    """

    name: str
    co_bps: float | None
    interval: tuple[float, float] | None
    split: str
    bin_ms: float
    dynamics: str
    blocks: dict[str, str] = dataclasses.field(default_factory=dict)
    measures: dict[str, float] = dataclasses.field(default_factory=dict)
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)
    source: str = ""
    paper: str = ""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Front:
    """The result of `pareto`.

    Attributes:
        fits: the models that were measured.
        published: entries of the benchmark's leaderboard on one data set, best first.
        dataset: that data set; empty where there is none.
        notes: what has to be known before scores are compared.
    """

    fits: list[FrontEntry]
    published: list[FrontEntry] = dataclasses.field(default_factory=list)
    dataset: str = ""
    notes: list[str] = dataclasses.field(default_factory=list)

    def efficient(self, measure: str = "effective_dimension") -> list[str]:
        """The fits on the Pareto front: no other is as good in both co-bps and the measure, and better in one.

        Args:
            measure: one of the names of `MEASURES`.

        Returns:
            Their names; fits of which one of both is not known are left out.

        Raises:
            InputError: there is no such measure.
        """
        measure = one_of(measure, MEASURES, "Front.efficient", "measure")
        known = [each for each in self.fits if each.co_bps is not None and measure in each.measures]
        sign = -1 if MEASURES[measure].less_is_better else 1
        points = np.array([(each.co_bps, sign * each.measures[measure]) for each in known], float).reshape(-1, 2)
        return [each.name for each, kept in zip(known, undominated(points), strict=True) if kept]

    def to_dict(self) -> dict[str, Any]:
        """The front as JSON takes it.

        Returns:
            Fits, published entries with their sources, what measures mean, and which fits are efficient by each.
        """
        return {
            "dataset": self.dataset,
            "fits": [dataclasses.asdict(each) for each in self.fits],
            "published": [dataclasses.asdict(each) for each in self.published],
            "measures": {name: dataclasses.asdict(measure) for name, measure in MEASURES.items()},
            "efficient": {name: self.efficient(name) for name in MEASURES},
            "notes": list(self.notes),
            "sources": self.sources(),
        }

    def to_dataframe(self) -> "pandas.DataFrame":
        """A row for each fit and each published entry.

        Returns:
            Columns "name", "co_bps", "split", "bin_ms", "class" and the measures; NaN where one is not known.
        """
        import pandas

        rows = [
            {"name": each.name, "co_bps": each.co_bps, "split": each.split, "bin_ms": each.bin_ms}
            | {"class": each.dynamics}
            | {name: each.measures.get(name, np.nan) for name in MEASURES}
            for each in [*self.fits, *self.published]
        ]
        return pandas.DataFrame(rows)

    def sources(self) -> list[str]:
        """Where the published scores stand, and the papers that support their classes, one a line."""
        papers = {each.paper: each.dynamics for each in self.published if each.paper}
        rows = [Row("", self.dataset, each.bin_ms, "", {}, each.source) for each in self.published]
        return [*cited(rows), *(f"{dynamics}: {paper}" for paper, dynamics in sorted(papers.items()))]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__

    def lines(self) -> Iterator[str]:
        """The front in words, for a terminal; "*" marks fits that are efficient by the effective dimension."""
        efficient = self.efficient()
        for each in ranked_entries(self.fits):
            between = "" if each.interval is None else f" [{each.interval[0]:.3f}, {each.interval[1]:.3f}]"
            bits = "-" if each.co_bps is None else f"{each.co_bps:.4f}{between}"
            star = "*" if each.name in efficient else " "
            yield f"{star} {each.name}: co-bps {bits} ({each.split}, {each.bin_ms:g} ms bins), {each.dynamics}"
            for name in MEASURES:
                value = each.measures.get(name)
                yield f"    {label(name)}: " + (f"{value:.4g}" if value is not None else each.reasons.get(name, "-"))


def ranked_entries(entries: Sequence[FrontEntry]) -> list[FrontEntry]:
    """Entries by co-bps, the best first and those without last."""
    return sorted(entries, key=lambda each: np.inf if each.co_bps is None else -each.co_bps)


def undominated(points: Float[np.ndarray, "point goal"]) -> Bool[np.ndarray, " point"]:
    """Which points no other one reaches in all goals and exceeds in one; more is better in each."""
    as_good = (points[:, None] >= points).all(-1)
    better = (points[:, None] > points).any(-1)
    return ~(as_good & better).any(0)


def published_entries(dataset: str, bin_ms: float) -> list[FrontEntry]:
    """The leaderboard's entries on a data set, on test in bins of one width, with their classes, best first.

    Args:
        dataset: of the benchmark.
        bin_ms: width of a bin; where no entry has it, the entries in bins of 5 ms, which the benchmark ranks.

    Raises:
        InputError: there is no such data set.
    """
    known, rows = published_classes(), [row for row in published(dataset) if row.split == "test"]
    width = bin_ms if any(row.bin_ms == bin_ms for row in rows) else RANKED_MS
    entries = []
    for row in rows:
        found = known.get(row.model, PublishedClass(NOT_STATED, "", ""))
        facts = (row.model, row.values["co-bps"], None, row.split, row.bin_ms, found.dynamics)
        if row.bin_ms == width and found.dynamics != ORACLE:
            entries.append(FrontEntry(*facts, source=row.source, paper=found.paper))
    return entries


def front_of(fits: list[FrontEntry], dataset: str = "") -> Front:
    """The front of measured fits beside the published entries on a data set, if one is named."""
    if not dataset:
        return Front(fits)
    entries = published_entries(dataset, fits[0].bin_ms if fits else RANKED_MS)
    rows, run_rows = (
        [Row(each.name, dataset, each.bin_ms, each.split, {"co-bps": each.co_bps}, each.source) for each in some]
        for some in (entries, fits)
    )
    return Front(fits, entries, dataset, warnings(run_rows, rows))


def measured(readings: Mapping[str, Callable[[], float]]) -> tuple[dict[str, float], dict[str, str]]:
    """The measures that apply, by name, and why others do not."""
    values, reasons = {}, {}
    for name in (name for name in MEASURES if name in readings):
        try:
            value = readings[name]()
        except DoesNotApply as absent:
            reasons[name] = str(absent)
        else:
            if np.isfinite(value):
                values[name] = value
            else:
                reasons[name] = "it comes out as no finite number: there are too few spikes"
    return values, reasons
