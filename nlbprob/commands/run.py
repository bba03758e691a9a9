"""Run experiments: of each configuration check the recording, fit, score, write the report, and make an entry.

`nlbprob run experiments/mc_maze/templates_lds.toml --data DIR` runs one configuration, `nlbprob run FOLDER --data DIR`
all of a folder, one after the other. A configuration is what `nlbprob fit --config` takes. `experiments` is the folder
that comes with nlbprob, of the Neural Latents Benchmark '21. FOLDER/NAME.toml is fitted into OUT/FOLDER/NAME, and its
entry is OUT/FOLDER/NAME-entry. The same command goes on where it was stopped: what is whole is left as it is, a fit
that was interrupted is continued. What failed is told at the end, and the exit status is then 1.
"""

import contextlib
import dataclasses
import functools
import pathlib
import time
from collections.abc import Iterator

from nlbprob.commands.experiment import Experiment, Fetch
from nlbprob.commands.terminal import say
from nlbprob.configuration import read_configuration
from nlbprob.errors import InputError, was_interrupted

#: The folder of the configurations that come with nlbprob.
SHIPPED = "experiments"


@dataclasses.dataclass
class Outcome:
    """What came of an experiment: its state, the time that it took now, and what went wrong."""

    state: str = "not begun"
    seconds: float = 0.0
    problem: str | None = None


def add_arguments(parser) -> None:
    """Add what to run, where the recordings lie and where to write."""
    parser.add_argument("what", metavar="TOML|FOLDER", help="a configuration, or a folder of them")
    parser.add_argument("--data", metavar="DIR", default="data", help="folder with the recordings (default data)")
    parser.add_argument("--download", action="store_true", help="fetch data sets of the benchmark that are not there")
    parser.add_argument("--out", metavar="OUT", default="runs", help="folder to write to (default runs)")


def run(arguments) -> int:
    """Run all experiments, and print what came of each."""
    data, out = pathlib.Path(arguments.data), pathlib.Path(arguments.out)
    experiments = {each.run: each for each in placed(configurations(pathlib.Path(arguments.what)), out, data)}
    outcomes = {folder: Outcome() for folder in experiments}
    fetch = functools.cache(fetched) if arguments.download else None
    try:
        carry_out(experiments, outcomes, fetch)
    except KeyboardInterrupt as stop:
        tell(experiments, outcomes)
        raise KeyboardInterrupt("interrupted; what was found is kept, and the same command goes on from it") from stop
    tell(experiments, outcomes)
    return 1 if any(outcome.problem for outcome in outcomes.values()) else 0


def configurations(path: pathlib.Path) -> list[pathlib.Path]:
    """The configuration of this path, or all of a folder that say how to fit, in order of their names.

    A path that is not there and begins with "experiments" is looked for among those that come with nlbprob.

    Raises:
        InputError: there is no configuration.
    """
    from nlbprob.resources import folder

    place = path
    if not path.exists() and path.parts[:1] == (SHIPPED,):
        place = folder(SHIPPED).joinpath(*path.parts[1:])
    if place.is_file():
        return [place]
    found = [each for each in sorted(place.rglob("*.toml")) if may_fit(each)]
    if not found:
        what = "holds no TOML file with a table [fit]" if place.is_dir() else "there is no such file or folder"
        raise InputError(f"{path}: {what}; name a configuration of `nlbprob fit`, or `{SHIPPED}`.")
    return found


def may_fit(file: pathlib.Path) -> bool:
    """Whether a configuration says how to fit; one that cannot be read counts as such, so that its fault is told."""
    try:
        return bool(read_configuration(file).fit)
    except (InputError, OSError):
        return True


def placed(files: list[pathlib.Path], out: pathlib.Path, data: pathlib.Path) -> list[Experiment]:
    """The experiments, each with a folder of its own. Raises InputError where two would have the same."""
    experiments = [Experiment(file, out / file.resolve().parent.name / file.stem, data) for file in files]
    by_run = {experiment.run: experiment for experiment in experiments}
    for experiment in experiments:
        if (other := by_run[experiment.run]) is not experiment:
            raise InputError(
                f"{experiment.file} and {other.file}: both would be fitted into {experiment.run}; rename one of "
                "them, or its folder."
            )
    return experiments


def fetched(dataset: str, to: pathlib.Path) -> InputError | OSError | None:
    """Download a data set of the benchmark; returns what went wrong, if anything did."""
    from nlbprob.data.dandi import download

    say(f"Downloading {dataset} to {to} ...")
    try:
        download(dataset, to)
    except (InputError, OSError) as error:
        return error
    return None


def carry_out(
    experiments: dict[pathlib.Path, Experiment], outcomes: dict[pathlib.Path, Outcome], fetch: Fetch | None
) -> None:
    """Look at all experiments before the first is begun, so that what is wrong is said at once; then do each."""
    todo = {}
    for folder, experiment in experiments.items():
        with noted(outcomes[folder], experiment.name):
            todo[folder] = experiment.remaining(fetch)
    for number, (folder, words) in enumerate(todo.items(), 1):
        outcome, experiment = outcomes[folder], experiments[folder]
        say("", f"{number} of {len(todo)}: {experiment.name}")
        with noted(outcome, experiment.name):
            outcome.state = "done" if experiment.carry_out(words) else "done before"


@contextlib.contextmanager
def noted(outcome: Outcome, name: str) -> Iterator[None]:
    """An error in the block is said and noted, and ends nothing but the block."""
    start = time.perf_counter()
    try:
        yield
    except BrokenPipeError:  # nobody reads what is printed
        raise
    except Exception as error:
        outcome.state = "interrupted" if was_interrupted(error) else "failed"
        if outcome.state == "interrupted":
            raise KeyboardInterrupt from error
        outcome.problem = str(error) if isinstance(error, InputError | OSError) else traced(error)
        say(f"{name}: {outcome.problem}")
    except KeyboardInterrupt:
        outcome.state = "interrupted"
        raise
    finally:
        outcome.seconds += time.perf_counter() - start


def traced(error: Exception) -> str:
    """An error that nobody has foreseen in a line; where it arose goes to the standard error stream."""
    import traceback

    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def tell(experiments: dict[pathlib.Path, Experiment], outcomes: dict[pathlib.Path, Outcome]) -> None:
    """Print a line for each experiment, and below what went wrong."""
    from nlbprob.commands.table import table

    rows = [
        [experiments[folder].name, outcome.state, bits(folder), f"{outcome.seconds:.0f}"]
        for folder, outcome in outcomes.items()
    ]
    say("", table(["", "state", "co-bps", "seconds"], rows))
    failed = {folder: outcome.problem for folder, outcome in outcomes.items() if outcome.problem}
    say(*([""] if failed else []), *(f"{experiments[folder].name}: {problem}" for folder, problem in failed.items()))


def bits(folder: pathlib.Path) -> str:
    """The co-bps of a run that is whole, a dash of any other."""
    from nlbprob.commands.table import cell
    from nlbprob.storage.contents import read_metrics

    try:
        metrics = read_metrics(folder)
    except InputError:
        return "-"
    return cell(metrics[metrics["split"]].get("co-bps"))
