"""The benchmark's test phase for a run: refit on train and val, predict test, check, score, and keep count.

The test targets are public. What a run is tested on is therefore written down: in the run, and in the ledger.
"""

import dataclasses
import pathlib
import time
from typing import Any

from nlbprob import committee, files
from nlbprob.committee import MEMBERS, member_settings
from nlbprob.errors import InputError, RunExistsError
from nlbprob.model_file import load_model
from nlbprob.run import loaded, report
from nlbprob.settings import Settings
from nlbprob.staged_fit import fit_posterior
from nlbprob.storage import manifest, reading, staging
from nlbprob.storage.contents import (
    COMMITTEE,
    RECORD_NAME,
    is_committee,
    read_config,
    read_metrics,
    read_posterior,
    read_test,
    settings_of,
)
from nlbprob.storage.origin import check_recording
from nlbprob.storage.stage import Stage

#: What a test adds to a run: the record, and a folder with the refitted posterior and its submission.
RECORD, FOLDER = RECORD_NAME, "test"


def run_test(
    folder: str | pathlib.Path, target: str | pathlib.Path, *, force: bool = False, progress: bool = True
) -> dict[str, Any]:
    """Refit a run's model on train and val with the run's own settings, and score it on test once.

    The record is written to the run, and its report is written again with it.

    Args:
        folder: of the run.
        target: the test targets, of the layout of the organizers' eval_data_test.h5.
        force: though it was tested before.
        progress: show a progress bar.

    Returns:
        The record, test.json, with "date", "dataset", "bin_ms", "target" and its "sha256", "config", "results" as the
        benchmark gives them, "scores" of the data set, "earlier" test evaluations of it, "later" (whether there were
        any) and the "statement" that belongs beside the scores.

    Raises:
        InputError: the folder holds no whole run of one of the benchmark's data sets, the recording is no longer the
            one that was fitted, the targets are of another one, the rates do not pass the check, or the ledger cannot
            be written; then nothing is scored.
    """
    from nlbprob.scoring import ledger

    folder, target = pathlib.Path(folder), pathlib.Path(target)
    settings, dataset, bin_ms = test_settings(folder)
    check_repeat(folder, force)
    check_target(target, dataset, bin_ms)
    ledger.entries(dataset)  # an error in it is better met before the fit
    try:
        with staging.additions(folder, (RECORD, FOLDER)) as stage:
            record = evaluated(stage, folder, settings, dataset, target, progress)
            files.write_json(stage.path / RECORD, record)
            stage.add(RECORD)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted: nothing of the test was kept; the same command starts again") from None
    (committee.report if is_committee(folder) else report)(folder)
    return record


def evaluated(
    stage: Stage, folder: pathlib.Path, settings: Settings, dataset: str, target: pathlib.Path, progress: bool
) -> dict[str, Any]:
    """Predict, check, score, and enter that in the ledger; returns the record of it."""
    from nlbprob.data.transfer import checksum
    from nlbprob.scoring import ledger
    from nlbprob.scoring.evaluate import evaluate

    started = time.perf_counter()
    submission, trials = predict(stage, folder, settings, dataset, progress)
    check(submission, settings, dataset, trials)
    evaluation = evaluate(submission, target, split="test")
    (scores,) = evaluation.groups
    record = {
        "date": manifest.now(),
        "dataset": dataset,
        "bin_ms": trials.bin_ms,
        "split": "test",
        "fit_on": settings.fit_on,
        "target": str(target.resolve()),
        "sha256": checksum(target),
        "scores": scores.values,
        "run": str(folder.resolve()),
        "config": dataclasses.asdict(settings),
    }
    earlier = ledger.record({name: files.plain(value) for name, value in record.items()})
    return record | {
        "results": evaluation.results,
        "notes": [note for note in evaluation.notes if note.startswith(f"{scores.group}: ")],
        "earlier": len(earlier),
        "earlier_on_these_targets": sum(entry.get("sha256") == record["sha256"] for entry in earlier),
        "later": bool(earlier),
        "statement": ledger.statement(dataset, earlier),
        "seconds": time.perf_counter() - started,
    }


def test_settings(folder: pathlib.Path) -> tuple[Settings, str, float]:
    """The settings of a whole run moved to the test phase, its data set and its bin width."""
    code = (COMMITTEE, MEMBERS) if is_committee(folder) else ("model.py",)
    run = reading.require(folder, "config.json", *code, "metrics.json")
    config = read_config(folder)
    read_metrics(folder)
    options = config["data"].get("options", {})
    dataset = options.get("dataset")
    if dataset is None:
        raise InputError(
            f"{folder}: the run is of a recording of its own, which has no test phase; the benchmark's data sets have "
            "one: `nlbprob fit MODEL DIR --dataset NAME`."
        )
    check_recording(run.manifest.recording, folder, run.manifest.started)
    return moved(settings_of(config, folder)), dataset, options["bin_ms"]


def moved(settings: Settings) -> Settings:
    """The settings of a run in the test phase."""
    options = settings.data_options | {"phase": "test"}
    return dataclasses.replace(settings, data_options=options, fit_on="train+val", score_on="test")


def check_repeat(folder: pathlib.Path, force: bool) -> None:
    """Raise RunExistsError where the run was tested already, unless that is wanted."""
    done = read_test(folder)
    if done is not None and not force:
        raise RunExistsError(
            f"{folder} was tested on {done['date'][:10]}: see its {RECORD}. The scores will be the same; add --force "
            "to test it again, which counts as another evaluation."
        )


def check_target(target: pathlib.Path, dataset: str, bin_ms: float) -> None:
    """Raise InputError, before an hour is spent on a fit, where the targets are not those of the run."""
    from nlbprob.data.nlb.facts import suffix
    from nlbprob.scoring.groups import other_width, parse_group
    from nlbprob.scoring.hdf5 import keys, opened

    group = dataset + suffix(bin_ms)
    parse_group(group)
    with opened(target, "target file") as truth:
        present = [name for name in truth if "eval_spikes_heldout" in keys(truth[name])]
    if group not in present:
        width = other_width(group, present)
        hint = f"they are of the other bin width ({width})" if width else "they hold " + (", ".join(present) or "none")
        raise InputError(f"{target}: no targets of {group}; {hint}. Name the file with those of the run.")


def predict(
    stage: Stage, folder: pathlib.Path, settings: Settings, dataset: str, progress: bool
) -> tuple[pathlib.Path, Any]:
    """Refit, predict the test trials, and write posterior and submission; returns the submission and the trials."""
    from nlbprob.scoring.submission import write_submission

    trials = loaded(settings, progress)
    fit, on = settings.splits
    path = stage.path / FOLDER / "submission.h5"
    if is_committee(folder):
        rates = refitted_members(stage, folder, trials, progress)
    else:
        rates = refitted(stage, folder, settings, trials, progress, f"{FOLDER}/")
    with files.translated(path):
        write_submission(path, rates, trials, fit, on, name=dataset)
    stage.add(f"{FOLDER}/submission.h5")
    return path, trials


def refitted(stage: Stage, place: pathlib.Path, settings: Settings, trials: Any, progress: bool, under: str) -> Any:
    """Fit the model.py in a folder again, save the posterior `under` a folder of the stage, and predict the trials."""
    model = load_model(str(place / "model.py"), **settings.model_options)
    init = None if settings.init is None else read_posterior(settings.init, model)
    posterior = fit_posterior(model, trials, settings, stage, init, progress, under=under)
    return posterior.rates(trials.hide_heldout(*settings.splits[1]))


def refitted_members(stage: Stage, folder: pathlib.Path, trials: Any, progress: bool) -> Any:
    """Fit every member of a committee again, and predict the trials with the committee's weights."""
    from nlbprob.selection.committee_store import read_weights

    rates: Any = 0.0
    for name, weight in read_weights(folder).items():
        settings, place = moved(member_settings(folder, name)), folder / MEMBERS / name
        rates += weight * refitted(stage, place, settings, trials, progress, f"{FOLDER}/{MEMBERS}/{name}/")
    return rates


def check(submission: pathlib.Path, settings: Settings, dataset: str, trials: Any) -> None:
    """Raise InputError, with what is wrong, unless the submission passes against the inputs of the test phase."""
    from nlbprob.data.nlb import eval_inputs, read, resample, train_inputs
    from nlbprob.scoring.check import check_submission
    from nlbprob.scoring.check_group import FAILS

    resampled = resample(read(settings.recordings[0], dataset), trials.bin_ms)
    fit, (on,) = settings.splits
    seed = trials.source["options"]["seed"]
    inputs = train_inputs(resampled, *fit, seed=seed) | eval_inputs(resampled, on, seed=seed)
    wrong = [str(finding) for finding in check_submission(submission, inputs) if finding.status == FAILS]
    if wrong:
        raise InputError(f"{submission} does not pass the check, and nothing was scored:\n" + "\n".join(wrong))
