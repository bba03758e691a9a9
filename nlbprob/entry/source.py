"""The runs that an entry is made of: whole, of one recording, each in bins of another width."""

import dataclasses
import json
import math
import pathlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from nlbprob import committee, run
from nlbprob.errors import InputError
from nlbprob.model_file import find_model
from nlbprob.replication import RECORD
from nlbprob.reporting.view import View
from nlbprob.scoring.comparison import Difference
from nlbprob.scoring.submission import read_submission
from nlbprob.storage import reading
from nlbprob.storage.contents import is_committee

#: Files without which a run is no entry.
NEEDED = ("config.json", "metrics.json", "submission.h5", "report.html")


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A run that goes into an entry.

    Attributes:
        name: the bin width, such as "5ms": that of its folder in the entry.
        folder: of the run.
        manifest: of the run.
        view: what its report is drawn from, with the rates of its submission.
        splits: those it was fitted on and those it is scored on.
        differences: co-bps less that of each baseline, paired over trials.
    """

    name: str
    folder: pathlib.Path
    manifest: Any
    view: View
    splits: tuple[tuple[str, ...], tuple[str, ...]]
    differences: dict[str, Difference] = dataclasses.field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """Its config.json."""
        return self.view.config

    @property
    def metrics(self) -> dict[str, Any]:
        """Its metrics.json."""
        return self.view.metrics

    @property
    def dataset(self) -> str | None:
        """The benchmark's data set that it is of."""
        return self.config["data"].get("options", {}).get("dataset")

    @property
    def recordings(self) -> list[str]:
        """What it was fitted to, as it was named."""
        named = self.config["settings"]["data"]
        return [named] if isinstance(named, str) else list(named)

    @property
    def is_committee(self) -> bool:
        """Whether it averages several models."""
        return self.view.committee is not None

    @cached_property
    def replication(self) -> dict[str, Any] | None:
        """What `nlbprob replicate` found; None where it was not asked."""
        if RECORD not in self.manifest.files:
            return None
        return json.loads((self.folder / RECORD).read_text(encoding="utf-8"))

    @cached_property
    def models(self) -> dict[str, tuple[Any, Any]]:
        """The posterior of each model, and the file it comes from, by its name: one, or those of a committee."""
        if self.view.committee is None:
            return {self.config["model"]["name"]: (self.view.posterior, find_model(str(self.folder / "model.py")))}
        place = self.folder / committee.MEMBERS
        return {
            name: (fit, find_model(str(place / name / "model.py"))) for name, fit in self.view.committee.members.items()
        }

    @cached_property
    def peak_memory_mb(self) -> float | None:
        """The most memory that the fit took, from its log; None where that is not known."""
        path = self.folder / "log.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return max((json.loads(line).get("peak_memory_mb", math.nan) for line in lines), default=None)


def read_sources(folders: Sequence[str]) -> list[Source]:
    """The runs in these folders, narrowest bins first; code of theirs is executed.

    Raises:
        InputError: one is not whole or lacks a file, or they are no runs of one recording in bins of different widths.
    """
    sources = sorted((read_source(pathlib.Path(folder)) for folder in folders), key=lambda one: one.metrics["bin_ms"])
    first, *others = sources
    for before, other in zip(sources[:-1], others, strict=True):
        if other.name == before.name:
            raise InputError(
                f"{before.folder} and {other.folder} are both in bins of {other.metrics['bin_ms']:g} ms; an entry has "
                "one run of each width: leave one out, or make one of both with `nlbprob average`."
            )
        if (other.dataset, digests(other)) != (first.dataset, digests(first)) or other.splits != first.splits:
            raise InputError(
                f"{first.folder} and {other.folder} are of other recordings or splits; make an entry of each."
            )
    return sources


def digests(source: Source) -> list[str | None]:
    """The checksums of the files of a run's recording."""
    return [each.sha256 for each in source.manifest.recording]


def read_source(folder: pathlib.Path) -> Source:
    """A run. Raises InputError where it is not whole, or lacks what an entry needs."""
    examined = reading.require(folder, *NEEDED)
    if wrong := reading.damages(examined, list(examined.manifest.files)):
        raise InputError(f"{folder}: {'; '.join(wrong)}. Take it from a copy of the run, or repeat it.")
    opened = (committee if is_committee(folder) else run).opened(folder)
    fit, on = opened.settings.splits
    rates = read_submission(folder / "submission.h5", opened.trials, fit, on)
    view = View(opened.posterior, opened.trials, rates, opened.metrics, opened.config, None, opened.tested)
    return Source(f"{opened.metrics['bin_ms']:g}ms", folder, examined.manifest, view, (fit, on))
