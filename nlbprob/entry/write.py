"""Write an entry: runs with all that reads, verifies and repeats them, in one folder."""

import dataclasses
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

from nlbprob import files
from nlbprob.entry import repeat, terms
from nlbprob.entry.card import card
from nlbprob.entry.check import ABOUT, DATA, RUNS, SUBMISSION, is_entry
from nlbprob.entry.parts import PICTURES, Picture
from nlbprob.entry.scoring import compared, numbers, rescored, write_data
from nlbprob.entry.source import Source, read_sources
from nlbprob.errors import InputError, RunExistsError
from nlbprob.reporting import words
from nlbprob.scoring.combine import combine
from nlbprob.scoring.comparison import Difference
from nlbprob.storage import manifest, reading, staging
from nlbprob.storage.manifest import Entry
from nlbprob.storage.reading import check_free
from nlbprob.storage.stage import Stage

#: What an entry has in its folder, beside its manifest.
FILES = (
    *("README.md", "card.html", SUBMISSION, ABOUT, RUNS, DATA, PICTURES, "LICENSE", "CITATION.cff"),
    *(repeat.SCRIPT, repeat.REQUIREMENTS, repeat.CODE),
)


def write_entry(
    runs: Sequence[str],
    out: str | pathlib.Path,
    *,
    authors: Sequence[str] = (),
    title: str | None = None,
    force: bool = False,
    progress: bool = True,
) -> list[Source]:
    """Make an entry of runs of one recording, each in bins of another width.

    All scores are computed again from what the entry holds before it is written.

    Args:
        runs: their folders.
        out: the folder of the entry.
        authors: names, for its citation.
        title: of its card; None: model and recording.
        force: replace the entry that the folder holds.
        progress: say what is done.

    Returns:
        The runs, with how far each lies above the baselines.

    Raises:
        RunExistsError: `out` holds an entry, a run, or something else.
        InputError: a run is not whole or lacks a file, they do not belong together, or the scores of one do not follow
            from its rates.
    """
    folder = pathlib.Path(out)
    check_place(folder, force)
    told = print if progress else (lambda *_: None)
    told(f"Reading {', '.join(map(str, runs))} ...")
    sources = read_sources(runs)
    existing = reading.examine(folder)
    try:
        with staging.new_run(folder, FILES, existing is not None and existing.kept) as stage:
            recordings = {each.path: each for source in sources for each in source.manifest.recording}
            stage.note(recording=tuple(recordings.values()))
            copied = []
            for source in sources:
                copy_run(stage, source)
                write_data(stage.path / DATA / source.name, source.view.trials, source.splits)
                told(f"Computing the scores of {source.folder} and of its baselines again ...")
                copied.append(verified(stage, source))
            told("Writing the card ...")
            write_rest(stage, copied, title or words.title(sources[0].view), authors)
            stage.add(*(name for name in FILES))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted: no entry was written; the same command starts again") from None
    return copied


def check_place(folder: pathlib.Path, force: bool) -> None:
    """Raise RunExistsError where an entry would overwrite anything but an entry."""
    check_free(folder, force=True)
    existing = reading.examine(folder)
    if existing is None or not existing.kept:
        return
    if not is_entry(existing):
        raise RunExistsError(f"{folder} holds a run, not an entry: name another folder for the entry.")
    if not force:
        raise RunExistsError(f"{folder} already holds an entry: name another folder, or add --force to replace it.")


def copy_run(stage: Stage, source: Source) -> None:
    """Copy a run with its manifest; every file is compared with it on the way."""
    place = stage.path / RUNS / source.name
    for name in [*source.manifest.files, manifest.NAME]:
        target = place / name
        with files.translated(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.folder / name, target)
    for name, entry in source.manifest.files.items():
        if Entry.of(place / name) != entry:
            raise InputError(f"{source.folder}: {name} was changed while it was copied; make the entry again.")


def verified(stage: Stage, source: Source) -> Source:
    """The run with what is computed of it again. Raises InputError where a score does not follow from its rates."""
    submission = stage.path / RUNS / source.name / SUBMISSION
    metrics = rescored(stage.path / DATA / source.name, submission, source.splits)
    again = {
        name: Difference(**each, bin_ms=metrics["bin_ms"], split=metrics["split"])
        for name, each in metrics.pop("paired").items()
    }
    wrong = [each for each in compared(numbers(source.metrics), numbers(metrics)) if not each.agrees]
    if wrong:
        raise InputError(
            f"{source.folder}: {wrong[0]}; was it made by another version of nlbprob? Repeat the run: "
            f"`nlbprob fit --config {source.folder} --out NEW`."
        )
    return dataclasses.replace(source, differences=again)


def write_rest(stage: Stage, sources: Sequence[Source], title: str, authors: Sequence[str]) -> None:
    """Write everything but the copies of the runs and their data."""
    folder = stage.path
    written = card(sources, title)
    with files.translated(folder):
        (folder / PICTURES).mkdir(exist_ok=True)
    for item in (item for part in written.parts for item in part.items if isinstance(item, Picture)):
        files.write_bytes(folder / item.path, item.file())
    files.write_text(folder / "README.md", written.markdown())
    files.write_text(folder / "card.html", written.html())
    groups = combine(folder / SUBMISSION, *(folder / RUNS / source.name / SUBMISSION for source in sources))
    versions = sources[0].config.get("versions", {})
    files.write_text(folder / repeat.REQUIREMENTS, repeat.requirements(versions))
    files.write_text(folder / repeat.SCRIPT, repeat.script(sources))
    files.write_bytes(folder / repeat.CODE, repeat.code())
    files.write_text(folder / "LICENSE", terms.licence())
    files.write_text(folder / "CITATION.cff", terms.citation(title, authors, manifest.now()))
    files.write_json(folder / ABOUT, {"format": 1, "title": title, "runs": dict(map(about, sources, groups))})


def about(source: Source, group: str) -> tuple[str, dict[str, Any]]:
    """The name of a run, and what entry.json holds of it: its group of the submission, its splits, its differences."""
    differences = {name: {"value": each.value, "interval": each.interval} for name, each in source.differences.items()}
    fit, on = source.splits
    return source.name, {"group": group, "fit_on": fit, "score_on": on, "paired": differences}
