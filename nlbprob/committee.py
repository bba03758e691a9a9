"""A run of a committee: runs of several models on one recording, averaged, scored and reported as one."""

import dataclasses
import pathlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nlbprob import files
from nlbprob.errors import InputError, RunExistsError
from nlbprob.model_file import load_model
from nlbprob.run import Opened, add_report, loaded, measure, results
from nlbprob.selection.members import shortest_names
from nlbprob.settings import Settings
from nlbprob.storage import manifest, reading, staging
from nlbprob.storage.contents import (
    COMMITTEE,
    read_config,
    read_metrics,
    read_posterior,
    refuse_committee,
    settings_of,
)
from nlbprob.storage.forms import CONFIG
from nlbprob.storage.origin import check_recording
from nlbprob.storage.reading import check_free, parsed_json, require

if TYPE_CHECKING:
    from nlbprob.selection.average import Committee
    from nlbprob.storage.stage import Stage

MEMBERS = "members"
#: What a committee's run writes to its folder, beside its manifest.
FILES = ("config.json", COMMITTEE, MEMBERS, "metrics.json", "submission.h5", "report.html")
#: What is copied of the run of each member, beside its posterior.
COPIED = ("config.json", "model.py")
#: Settings in which the runs have to agree, so that they learned from the same trials and are scored on the same ones.
ALIKE = ("recordings", "data_options", "shared", "fit_on", "score_on")


class Member(NamedTuple):
    """A run that is averaged."""

    folder: pathlib.Path
    config: dict[str, Any]
    metrics: dict[str, Any]
    settings: Settings
    run: reading.Run


def average_runs(
    runs: Sequence[str],
    out: str | pathlib.Path,
    *,
    weights: Sequence[float] | None = None,
    folds: int | None = None,
    seed: int = 0,
    force: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Average the rates of runs, score them, and write all that predicts again, with a report, to the folder `out`.

    Args:
        runs: their folders, of one recording that was read and split alike; NAME=FOLDER names one, else it has the name
            of its folder.
        out: the folder of the new run.
        weights: as `nlbprob.average` takes them.
        folds: as `nlbprob.average` takes them, of the trials that the runs learned from.
        seed: of the folds.
        force: replace the run that the folder holds.
        progress: print what is read, and show a bar.

    Returns:
        The content of metrics.json, with "members": by name "weight", "score" (its own co-bps), "adds" (co-bps of all
        less that of the others) and the ends of its 90% interval, "adds_low" and "adds_high".

    Raises:
        RunExistsError: `out` holds a run, or something else.
        InputError: a run is not done or is itself a committee, or the runs are not of the same trials.
    """
    from nlbprob.selection.average import average

    folder = pathlib.Path(out)
    members = {name: read_member(place) for name, place in named_folders(runs).items()}
    if any(member.folder.resolve() == folder.resolve() for member in members.values()):
        raise RunExistsError(f"{folder} is one of the runs that are averaged: name another folder.")
    check_free(folder, force)
    settings = common_settings(members)
    trials = loaded(settings, progress)
    posteriors = {name: read_fit(member, trials) for name, member in members.items()}
    learned = None if folds is None else settings.learned(trials)
    committee = average(posteriors, weights, folds=folds, trials=learned, seed=seed, progress=progress)
    existing_run = reading.examine(folder)
    try:
        with staging.new_run(folder, FILES, existing_run is not None and existing_run.kept) as stage:
            stage.note(recording=next(iter(members.values())).run.manifest.recording)
            return write(stage, committee, members, settings, trials)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted: no average was written; the same command starts again") from None


def write(
    stage: "Stage", committee: "Committee", members: dict[str, Member], settings: Settings, trials: Any
) -> dict[str, Any]:
    """Write committee, scores, submission and report to a stage; returns the content of metrics.json."""
    from nlbprob.reporting.page import write_report
    from nlbprob.scoring.submission import write_submission

    fit, on = settings.splits
    config = describe(committee, members, settings, trials)
    with files.translated(stage.path):
        committee.save(stage.path)
    for name, member in members.items():
        for file in COPIED:
            files.write_bytes(stage.path / MEMBERS / name / file, (member.folder / file).read_bytes())
    visible = trials.hide_heldout(*on)
    member_rates = {name: posterior.rates(visible) for name, posterior in committee.members.items()}
    rates = committee.mean(member_rates)
    first = next(iter(members.values())).metrics  # the baselines of one recording are the same in all runs
    metrics = measure(rates, trials, settings, {}) | {
        "baselines": first["baselines"],
        "baseline_intervals": first.get("baseline_intervals", {}),
        "baseline_settings": first.get("baseline_settings", {}),
        "members": added(committee, member_rates, trials, on),
        "verdict": committee.verdict,
    }
    files.write_json(stage.path / "config.json", config)
    files.write_json(stage.path / "metrics.json", metrics)
    with files.translated(stage.path / "submission.h5"):
        write_submission(stage.path / "submission.h5", rates, trials, fit, on)
    write_report(
        stage.path / "report.html", posterior=committee, trials=trials, metrics=metrics, config=config, rates=rates
    )
    stage.add(*FILES)
    return metrics


def added(committee: "Committee", rates: dict[str, Any], trials: Any, on: tuple[str, ...]) -> dict[str, Any]:
    """What each member adds on the scored trials, as JSON; weights alone where no held-out spike is seen there."""
    import numpy as np

    from nlbprob.scoring.rates import in_splits
    from nlbprob.selection.member_weights import Predictions, contributions, rows_of

    weights, scored = np.array(list(committee.weights.values())), in_splits(trials, on, "on")
    try:
        predictions = Predictions.of(
            [each.values[scored] for each in rates.values()], trials.select(trials=np.flatnonzero(scored))
        )
    except InputError:
        return {name: {"weight": weight} for name, weight in committee.weights.items()}
    return rows_of(contributions(predictions, list(rates), weights))


def report(folder: str | pathlib.Path) -> pathlib.Path:
    """Write report.html of the committee's run in `folder` from its other files and the recording; returns its path.

    Raises:
        InputError: the folder holds no such run that is whole, or the recording is no longer the one that was fitted.
    """
    folder = pathlib.Path(folder)
    return add_report(folder, opened(folder))


def opened(folder: pathlib.Path, progress: bool = False) -> Opened:
    """Read a committee's run and its recording; the model.py of each member is executed.

    Raises:
        InputError: the folder holds no such run that is whole, or the recording is no longer the one that was fitted.
    """
    from nlbprob.functions.model import resolve_model
    from nlbprob.selection.average import Committee
    from nlbprob.selection.committee_store import read_weights

    config, metrics, tested, settings, trials = results(folder, COMMITTEE, MEMBERS, progress=progress)
    models = {}
    for name in read_weights(folder):
        model = load_model(str(folder / MEMBERS / name / "model.py"), **member_settings(folder, name).model_options)
        models[name] = resolve_model(model, settings.learned(trials))
    return Opened(config, metrics, tested, settings, trials, models, Committee.load(folder, models))


def member_settings(folder: pathlib.Path, name: str) -> Settings:
    """The settings of the run that a member of a committee comes from, as its run keeps them."""
    place = folder / MEMBERS / name
    return settings_of(parsed_json(place / "config.json", CONFIG), place)


def named_folders(runs: Sequence[str]) -> dict[str, pathlib.Path]:
    """The folders of runs by name: NAME=FOLDER, or that of the folder, with as many above it as tell them apart.

    Raises:
        InputError: fewer than two are named, or one twice.

    Examples:
        >>> named_folders(["monday/lds", "tuesday/lds"])
        {'monday-lds': PosixPath('monday/lds'), 'tuesday-lds': PosixPath('tuesday/lds')}
    """
    if len(runs) < 2:
        raise InputError("Name two runs or more to average.")
    pairs = [(word.partition("=") if not pathlib.Path(word).exists() else ("", "", word)) for word in runs]
    folders = [pathlib.Path(path if equals or not name else name) for name, equals, path in pairs]
    parts = [folder.absolute().parts for folder in folders]
    given = [name if equals else None for name, equals, _ in pairs]

    def name_of(number: int, end: tuple[str, ...]) -> str:
        own = given[number]
        return re.sub(r"[^\w .+=()-]|^\W+|[ .]+$", "-", "-".join(end)) if own is None else own

    names = shortest_names(parts, name_of)
    if len(set(names)) == len(names):
        return dict(zip(names, folders, strict=True))
    twice = next(name for name in names if names.count(name) > 1)
    raise InputError(f"Two runs have the name {twice!r}; name each once, and by NAME=RUN as you like.")


def read_member(folder: pathlib.Path) -> Member:
    """A run to be averaged. Raises InputError where it is not done, was changed, or is itself a committee."""
    refuse_committee(folder, "a committee is made of single models")
    run = require(folder, *COPIED, "posterior", "metrics.json")
    check_recording(run.manifest.recording, folder, run.manifest.started)
    config = read_config(folder)
    return Member(folder, config, read_metrics(folder), settings_of(config, folder), run)


def read_fit(member: Member, trials: Any) -> Any:
    """The posterior of a run; its model.py is executed."""
    from nlbprob.functions.model import resolve_model

    model = load_model(str(member.folder / "model.py"), **member.settings.model_options)
    return read_posterior(member.folder, resolve_model(model, member.settings.learned(trials)))


def common_settings(members: dict[str, Member]) -> Settings:
    """The settings of the committee's run: of the data and the splits, which all runs share.

    Raises:
        InputError: they do not share them.
    """
    first, *others = members.values()
    for other in others:
        for name in ALIKE:
            one, two = getattr(first.settings, name), getattr(other.settings, name)
            if one != two:
                words = name.replace("_", " ")
                raise InputError(
                    f"{first.folder} and {other.folder} have other {words} ({str(one)[:200]} and {str(two)[:200]}); "
                    "fit both to one recording, with the same options of [data], --fit-on and --score-on."
                )
    common = first.settings
    return Settings(
        model=f"average of {', '.join(members)}",
        data=common.data,
        data_options=common.data_options,
        fit_on=common.fit_on,
        score_on=common.score_on,
        shared=common.shared,
    )


def describe(committee: "Committee", members: dict[str, Member], settings: Settings, trials: Any) -> dict[str, Any]:
    """The content of config.json: the settings, the members with their weights, and the versions in use."""
    from nlbprob.selection.committee_store import as_json

    return {
        "settings": dataclasses.asdict(settings),
        "model": {"name": settings.model, "options": {}},
        "committee": {
            "weights": committee.chosen,
            "members": {
                name: {
                    "weight": committee.weights[name],
                    "run": str(member.folder.resolve()),
                    "model": member.settings.model,
                    "model_options": member.settings.model_options,
                }
                for name, member in members.items()
            },
            "folds": None if committee.table is None else as_json(committee.table),
        },
        "data": trials.source,
        "started": manifest.now(),
        "versions": manifest.versions(),
    }
