"""A run: one model fitted to one recording and scored, in a folder with everything needed to read it again."""

import concurrent.futures
import dataclasses
import datetime
import functools
import importlib.metadata
import json
import pathlib
import platform
import shutil

from nlbprob import __version__
from nlbprob.errors import InputError, RunExistsError
from nlbprob.model_file import find_model, load_model
from nlbprob.settings import Settings

#: What a run writes to its folder.
FILES = ("config.json", "model.py", "posterior", "metrics.json", "submission.h5", "posterior.nc", "report.html")
#: What `nlbprob test` adds: the record, and a folder with the refitted posterior and its submission.
TEST_FILES = ("test.json", "test")
#: Packages whose versions decide a run's numbers.
PACKAGES = ("jax", "jaxlib", "numpyro", "optax", "numpy", "scipy", "pynwb", "h5py", "xarray", "arviz")


def perform(settings: Settings, out: str | pathlib.Path, *, force: bool = False, progress: bool = True) -> dict:
    """Load, fit, score, and write config, posterior, metrics, submission and report to the folder `out`.

    force: replace the run that the folder holds; progress: say what is read, and show a bar.
    Returns the content of metrics.json. Raises RunExistsError where `out` exists, InputError where the settings and
    the recording do not fit each other.
    """
    from nlbprob.reporting import write_report
    from nlbprob.scoring.baselines import baselines
    from nlbprob.scoring.rates import check_rates, rate_array
    from nlbprob.scoring.submission import write_submission

    folder = pathlib.Path(out)
    check_free(folder, force)
    fit, on = settings.splits
    if set(fit) & set(on):
        raise InputError(f"--score-on {settings.score_on}: score on trials that the model has not learned from.")
    file = find_model(settings.model)
    model = load_model(settings.model, **settings.model_options)
    trials = settings.load()
    init = None if settings.init is None else read_posterior(settings.init, model)
    if progress:
        print(trials, *(f"Note: {note}" for note in trials.source.get("notes", [])), sep="\n", flush=True)

    clear(folder)
    shutil.copyfile(file.path, folder / "model.py")
    config = describe(settings, trials)
    write_json(folder / "config.json", config)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        begin = functools.cache(lambda: pool.submit(baselines, trials, fit, on))
        posterior = fit_posterior(model, trials, settings, folder, init, progress, meanwhile=begin)
        if progress:
            print("Scoring, drawing and writing the report ...", flush=True)
        visible = trials.hide_heldout(*on)
        rates, latents = posterior.rates_and_latents(visible)
        check_rates(rate_array(rates, trials), trials.counts, trials.bin_ms, trials.seen)
        others = begin().result()
        # Draws are XLA's work, scores and figures Python's.
        drawn = pool.submit(write_draws, folder / "posterior.nc", posterior, visible.split(*on), settings.draws)
        metrics = measure(rates, trials, settings, others) | {"verdict": posterior.verdict}
        write_json(folder / "metrics.json", metrics)
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
        drawn.result()
    return metrics


def write_draws(path: pathlib.Path, posterior, trials, draws: int) -> None:
    """Write posterior.nc; too large a file is no reason to lose the run, and is told."""
    try:
        posterior.to_arviz(trials, draws=draws).to_netcdf(path)
    except InputError as error:
        print(f"{path.name} is left out. {error}")


def fit_posterior(model, trials, settings: Settings, folder: pathlib.Path, init, progress: bool, meanwhile=None):
    """Fit `model` to the trials of `fit_on` from `init` on, and save the posterior, on Ctrl-C too."""
    from nlbprob.infer.fit import Interrupted, fit

    try:
        learned = trials.split(*settings.splits[0])
        posterior = fit(model, learned, **settings.fit_options, init=init, progress=progress, meanwhile=meanwhile)
    except Interrupted as stop:
        if stop.posterior is None:
            raise
        stop.posterior.save(folder / "posterior")
        raise KeyboardInterrupt(f"interrupted; what was found lies in {folder}: go on with --init {folder}") from None
    posterior.save(folder / "posterior")
    return posterior


def read_posterior(folder: str | pathlib.Path, model=None):
    """The posterior in a run's folder, or in a folder that `Posterior.save` wrote."""
    from nlbprob.infer.posterior import Posterior

    inside = pathlib.Path(folder) / "posterior"
    return Posterior.load(inside if inside.is_dir() else folder, model)


def measure(rates, trials, settings: Settings, others) -> dict:
    """The content of metrics.json: the scores of `rates` on the split `score_on`, with those of the baselines `others`.

    A data set of the benchmark is scored against the benchmark's own targets, so that its numbers can be compared.
    """
    from nlbprob.scoring.benchmark import benchmark_scores, benchmark_target
    from nlbprob.scoring.scores import score

    fit, on = settings.splits
    target = benchmark_target(trials, fit, on)

    def scored(guess):
        return score(guess, trials, fit, on) if target is None else benchmark_scores(guess, trials, target)

    scores = scored(rates).to_dict()
    scored_others = {name: scored(guess) for name, guess in others.items()}
    return {
        settings.score_on: scores.pop("values"),
        "baselines": {name: other.values for name, other in scored_others.items()},
        "baseline_intervals": {name: other.intervals for name, other in scored_others.items()},
        "fit_on": settings.fit_on,
        **scores,
    }


def report(folder: str | pathlib.Path) -> pathlib.Path:
    """Write report.html of the run in `folder` from its other files and the recording; returns its path."""
    folder = pathlib.Path(folder)
    config, metrics = read_json(folder, "config.json"), read_json(folder, "metrics.json")

    from nlbprob.functions.model import resolved
    from nlbprob.reporting import write_report

    settings = Settings(**config["settings"])
    trials = settings.load()
    model = resolved(load_model(str(folder / "model.py"), **settings.model_options), trials)
    return write_report(
        folder / "report.html",
        posterior=read_posterior(folder, model),
        trials=trials,
        metrics=metrics,
        config=config,
        tested=read_test(folder),
    )


def read_test(folder: str | pathlib.Path) -> dict | None:
    """The record that `nlbprob test` wrote of the run in `folder`; None where it was not tested."""
    folder = pathlib.Path(folder)
    return read_json(folder, TEST_FILES[0]) if (folder / TEST_FILES[0]).is_file() else None


def check_free(folder: pathlib.Path, force: bool) -> None:
    """Raise RunExistsError where `folder` holds anything that a run would overwrite or stand among."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder for the run.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "config.json").is_file():
        raise RunExistsError(f"{folder} exists and holds no run: name another folder.")
    kept = any((folder / name).exists() for name in ("posterior", "metrics.json"))
    if kept and not force:
        raise RunExistsError(f"{folder} already holds a run: name another folder, or add --force to replace it.")


def clear(folder: pathlib.Path) -> None:
    """Make `folder`, without the files of an earlier run; what else lies in it stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*FILES, *TEST_FILES):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def describe(settings: Settings, trials) -> dict:
    """The content of config.json: the settings, what they resolved to, and the versions in use."""
    file = find_model(settings.model)
    defaults = {name: option.default_value for name, option in file.options.items()}
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "settings": dataclasses.asdict(settings.absolute()),
        "model": {"name": file.name, "options": defaults | settings.model_options},
        "data": trials.source,
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": {"nlbprob": __version__, "python": platform.python_version(), **packages},
    }


def write_json(path: pathlib.Path, content: dict) -> None:
    """Write `content` as JSON that any reader takes: NumPy's values as plain ones, what is not finite as null."""
    path.write_text(json.dumps(plain(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def plain(value):
    """`value` in terms of dict, list, str, int, float, bool and None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and value - value != 0:
        return None
    return str(value) if isinstance(value, pathlib.Path) else value


def read_json(folder: pathlib.Path, name: str) -> dict:
    """A JSON file of the run in `folder`; InputError where there is no run, or one that did not end."""
    path = folder / name
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no run (no config.json): `nlbprob fit MODEL DATA --out {folder}` makes one.")
    if not path.is_file():
        raise InputError(f"{folder} has no {name}: the run did not end. Repeat `nlbprob fit` with --force.")
    return json.loads(path.read_text(encoding="utf-8"))
