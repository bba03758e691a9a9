"""A run: one model fitted to one recording and scored, in a folder with everything needed to read it again."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from nlbprob import files
from nlbprob.errors import InputError
from nlbprob.model_file import find_model, load_model
from nlbprob.settings import Settings
from nlbprob.staged_fit import fit_posterior
from nlbprob.storage import manifest, reading, staging
from nlbprob.storage.contents import read_config, read_metrics, read_posterior, read_test, refuse_committee, settings_of
from nlbprob.storage.forms import CONFIG
from nlbprob.storage.origin import Source, check_recording, files_of, note_unchecked
from nlbprob.storage.reading import check_free
from nlbprob.storage.stage import LIVE, Origin, Stage

#: What a run writes to its folder, beside its manifest.
FILES = ("config.json", "model.py", *LIVE, "posterior", "metrics.json", "submission.h5", "posterior.nc", "report.html")
#: Files that a resumed fit takes over from the unfinished run.
TAKEN_OVER = ("config.json", "model.py", *LIVE)


def perform(settings: Settings, out: str | pathlib.Path, *, force: bool = False, progress: bool = True) -> dict:
    """Load, fit, score, and write config, posterior, metrics, submission and report to the folder `out`.

    The files are written aside and take their places together, so that a run in `out` stays until the new one is
    complete. Where the fit is interrupted or fails, its manifest records that, and the results until then are kept.

    Args:
        settings: what to fit to what, and how.
        out: the run's folder.
        force: replace the run that the folder holds.
        progress: print what is read, and show a bar.

    Returns:
        The content of metrics.json.

    Raises:
        RunExistsError: `out` holds a run, or something else.
        InputError: the settings and the recording do not fit each other.
    """
    folder = pathlib.Path(out)
    check_free(folder, force)
    fit, on = settings.splits
    if set(fit) & set(on):
        raise InputError(f"--score-on {settings.score_on}: score on trials that the model has not learned from.")
    source = find_model(settings.model).path.read_bytes()
    model = load_model(settings.model, **settings.model_options)
    recording = sources(settings)
    trials = loaded(settings, progress)
    init = None if settings.init is None else read_posterior(settings.init, model)
    config = describe(settings, trials)

    existing_run = reading.examine(folder)
    with begun(folder, existing_run is not None and existing_run.kept) as stage:
        stage.note(recording=recording)
        files.write_bytes(stage.path / "model.py", source)
        files.write_json(stage.path / "config.json", config)
        stage.add("model.py", "config.json")
        return carry_out(stage, settings, model, trials, config, init, progress)


def resume(folder: str | pathlib.Path, *, progress: bool = True) -> dict:
    """Continue an unfinished run from its last checkpoint, or from the start where it has none.

    The result is that of an uninterrupted run, to the last bit, on one machine with the same versions. The
    model is the copy in the run.

    Args:
        folder: of the run.
        progress: print what is read, and show a bar.

    Returns:
        The content of metrics.json.

    Raises:
        InputError: there is nothing to continue, or the recording or a package is no longer the same.
    """
    folder = pathlib.Path(folder)
    left = reading.resumable(folder)
    check_recording(left.manifest.recording, folder, left.manifest.started)
    config = reading.parsed_json(left.folder / "config.json", CONFIG)
    settings = settings_of(config, left.folder)
    note_unchecked(settings.data)
    model = load_model(str(left.folder / "model.py"), **settings.model_options)
    trials = loaded(settings, progress)
    init = None if settings.init is None else read_posterior(settings.init, model)
    names = tuple(name for name in TAKEN_OVER if reading.listed(left.manifest, name))
    with begun(folder, left.folder != folder, Origin(left.folder, names, left.manifest.command)) as stage:
        stage.note(recording=left.manifest.recording)
        return carry_out(stage, settings, model, trials, config, init, progress)


def loaded(settings: Settings, progress: bool):
    """The trials of both splits, shown with what there is to note."""
    trials = settings.load()
    if progress:
        print(trials, *(f"Note: {note}" for note in trials.source.get("notes", [])), sep="\n", flush=True)
    return trials


@contextlib.contextmanager
def begun(folder: pathlib.Path, keep: bool, origin: Origin | None = None) -> Iterator[Stage]:
    """A run that is written aside, see `staging.new_run`; the message of Ctrl-C has the command to continue."""
    try:
        with staging.new_run(folder, FILES, keep, origin) as stage:
            yield stage
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(interruption(folder)) from stop


def carry_out(stage: Stage, settings: Settings, model, trials, config: dict, init, progress: bool) -> dict:
    """Fit, score and report, into a stage; returns the content of metrics.json."""
    from nlbprob.reporting.page import write_report
    from nlbprob.scoring.baselines import baselines
    from nlbprob.scoring.rates import check_rates, rate_array
    from nlbprob.scoring.submission import write_submission

    fit, on = settings.splits
    folder = stage.path
    with side_work() as pool:
        recording = pool.submit(lambda: tuple(source.hashed() for source in stage.manifest.recording))
        begin = functools.cache(lambda: pool.submit(baselines, trials, fit, on))

        def begin_baselines(state, info):
            if state.stage == "svi":  # which leaves all cores but one idle
                begin()

        watchers = [begin_baselines]
        try:
            posterior = fit_posterior(model, trials, settings, stage, init, progress, watchers=watchers, resumable=True)
        finally:
            if recording.done():  # also where the fit was interrupted
                stage.note(recording=recording.result())
        if progress:
            print("Scoring, drawing and writing the report ...", flush=True)
        visible = trials.hide_heldout(*on)
        rates, latents = posterior.rates_and_latents(visible)
        check_rates(rate_array(rates, trials), trials.counts, trials.bin_ms, trials.seen)
        others = begin().result()
        # Draws are XLA's work, scores and figures Python's.
        drawn = pool.submit(write_draws, folder / "posterior.nc", posterior, visible.split(*on), settings)
        metrics = measure(rates, trials, settings, others) | {"verdict": posterior.verdict}
        files.write_json(folder / "metrics.json", metrics)
        with files.translated(folder / "submission.h5"):
            write_submission(folder / "submission.h5", rates, trials, fit, on)
        write_report(
            folder / "report.html",
            posterior=posterior,
            trials=trials,
            metrics=metrics,
            config=config,
            rates=rates,
            latents=latents,
        )
        written = ["metrics.json", "submission.h5", "report.html"]
        stage.add(*written, *(["posterior.nc"] if drawn.result() else []))
        stage.note(recording=recording.result())
    return metrics


@contextlib.contextmanager
def side_work() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    """A thread beside the main one; an error or Ctrl-C in the block does not wait for what it is doing."""
    pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="beside")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def write_draws(path: pathlib.Path, posterior, trials, settings: Settings) -> bool:
    """Write posterior.nc, and return whether; a file that is too large is left out, with a message."""
    options = {"draws": settings.draws, "latents": settings.latents, "rates": settings.rates}
    try:
        posterior.to_netcdf(path, trials, **options)
    except InputError as error:
        print(f"{path.name} is left out. {error}")
        return False
    return True


def interruption(folder: pathlib.Path) -> str:
    """The message about an interrupted fit."""
    run = reading.existing(folder)
    if run.manifest.state == "done":  # the run that the new one was to replace, or the new one itself
        return reading.remark(run) or f"interrupted; the run in {folder} is whole"
    return f"interrupted. {reading.advice(run)}"


def measure(rates, trials, settings: Settings, others) -> dict:
    """The content of metrics.json: the scores of `rates` on the split `score_on`, with those of the baselines `others`.

    A data set of the benchmark is scored against the benchmark's own targets, so that its numbers can be compared.
    """
    from nlbprob.scoring.benchmark import benchmark_target, measured

    return measured(rates, trials, *settings.splits, others, benchmark_target(trials, *settings.splits))


def report(folder: str | pathlib.Path) -> pathlib.Path:
    """Write report.html of the run in `folder` from its other files and the recording; returns its path.

    Raises:
        InputError: the folder holds no run that is whole, or the recording is no longer the one that was fitted.
    """
    folder = pathlib.Path(folder)
    return add_report(folder, opened(folder))


def add_report(folder: pathlib.Path, run: "Opened") -> pathlib.Path:
    """Write report.html of a run, of one model or of several, to its folder; returns its path."""
    from nlbprob.reporting.page import write_report

    with staging.additions(folder, ["report.html"]) as stage:
        write_report(
            stage.path / "report.html",
            posterior=run.posterior,
            trials=run.trials,
            metrics=run.metrics,
            config=run.config,
            tested=run.tested,
        )
        stage.add("report.html")
    return folder / "report.html"


class Opened(NamedTuple):
    """A whole run, read from its folder, and its trials of both splits.

    model: as its file makes it; of a committee, those of its members by name.
    """

    config: dict[str, Any]
    metrics: dict[str, Any]
    tested: dict[str, Any] | None
    settings: Settings
    trials: Any
    model: Any
    posterior: Any


def opened(folder: pathlib.Path, progress: bool = False) -> Opened:
    """Read a run and its recording; its model.py is executed.

    Raises:
        InputError: the folder holds no run that is whole, or the recording is no longer the one that was fitted.
    """
    from nlbprob.functions.model import resolve_model

    refuse_committee(folder, "this is done with single models")
    config, metrics, tested, settings, trials = results(folder, "model.py", "posterior", progress=progress)
    model = load_model(str(folder / "model.py"), **settings.model_options)
    posterior = read_posterior(folder, resolve_model(model, settings.learned(trials)))
    return Opened(config, metrics, tested, settings, trials, model, posterior)


def results(
    folder: pathlib.Path, *files: str, progress: bool = False
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None, Settings, Any]:
    """Configuration, metrics, test, settings and trials of a run, of one model or of several, that has these files.

    Raises:
        InputError: the folder holds no such run that is whole, or the recording is no longer the one that was fitted.
    """
    run = reading.require(folder, "config.json", *files, "metrics.json")
    check_recording(run.manifest.recording, folder, run.manifest.started)
    config, metrics, tested = read_config(folder), read_metrics(folder), read_test(folder)
    settings = settings_of(config, folder)
    note_unchecked(settings.data)
    return config, metrics, tested, settings, loaded(settings, progress)


def sources(settings: Settings) -> tuple[Source, ...]:
    """The files of the recording, as they are before they are read."""
    dataset = settings.data_options.get("dataset")
    return tuple(Source.of(path) for path in files_of(settings.data, dataset))


def describe(settings: Settings, trials) -> dict:
    """The content of config.json: the settings, what they resolved to, and the versions in use."""
    file = find_model(settings.model)
    defaults = {name: option.default_value for name, option in file.options.items()}
    return {
        "settings": dataclasses.asdict(settings.absolute()),
        "model": {"name": file.name, "options": defaults | settings.model_options},
        "data": trials.source,
        "started": manifest.now(),
        "versions": manifest.versions(),
        "machine": manifest.machine(),
    }
