"""An experiment: a configuration that is fitted, scored, reported and entered, as far as that is not done yet."""

import dataclasses
import json
import pathlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from nlbprob.commands import entry, fit
from nlbprob.commands.parser import Parser
from nlbprob.configuration import read_configuration
from nlbprob.errors import InputError
from nlbprob.settings import Settings
from nlbprob.storage.command import WORDS

#: Fetches a data set of the benchmark into a folder; returns what went wrong, if anything did.
Fetch = Callable[[str, pathlib.Path], Exception | None]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A configuration, and where its recording and what comes of it lie.

    Attributes:
        file: the configuration.
        run: the folder of its run.
        data: the folder in which the recording is looked for.
    """

    file: pathlib.Path
    run: pathlib.Path
    data: pathlib.Path

    @property
    def name(self) -> str:
        """What it is called: its folder and its file."""
        return f"{self.run.parent.name}/{self.run.name}"

    @property
    def entry(self) -> pathlib.Path:
        """The folder of its entry."""
        return self.run.with_name(f"{self.run.name}-entry")

    @property
    def words(self) -> tuple[str, ...]:
        """What `nlbprob fit` takes to make its run. Raises InputError where the configuration is wrong."""
        config = read_configuration(self.file)
        if "model" not in config.fit:
            raise InputError(f'{self.file}: names no model; write model = "poisson_lds" below [fit], or another one.')
        named = config.fit.get("data", str(self.data))
        paths = [named] if isinstance(named, str) else named
        if "data" in config.fit:
            paths = [str(self.data / path) if (self.data / path).exists() else config.path(path) for path in paths]
        return "--config", str(self.file), *paths, "--out", str(self.run)

    def remaining(self, fetch: Fetch | None = None) -> tuple[str, ...]:
        """What `nlbprob fit` takes to make its run, or to go on with it; nothing where the run is whole.

        Args:
            fetch: called for a data set of the benchmark whose files are missing; None: that is an error.

        Raises:
            InputError: the configuration is wrong, the recording is missing, or the folder holds another run or one
                that was changed.
            OSError: a file is missing or cannot be read.
        """
        from nlbprob.storage import reading

        words = self.words
        settings, _ = fit.read_settings(parsed(fit, words))
        there = reading.examine(self.run)
        if there is None or not there.kept:
            find(settings, fetch)
            return words
        self.check_same(there, settings)
        if there.manifest.state != "done":
            return "--resume", str(self.run)
        if wrong := reading.damages(there, list(there.manifest.files)):
            raise InputError(f"{self.run}: {'; '.join(wrong)}. Fit again: `{reading.again(there, '--force')}`.")
        return ()

    def check_same(self, there: Any, settings: Settings) -> None:
        """Raise InputError where the run that is there has other settings, or was fitted to another recording."""
        from nlbprob.storage.contents import settings_of
        from nlbprob.storage.forms import CONFIG
        from nlbprob.storage.reading import parsed_json

        remedy = "Move that folder away, or name another one with --out."
        kept = settings_of(parsed_json(self.run / "config.json", CONFIG), self.run)
        before, now = (json.loads(json.dumps(dataclasses.asdict(each))) for each in (kept, settings.absolute()))
        if changed := [name for name in now if name != "data" and now[name] != before[name]]:
            raise InputError(f"{self.run}: its run was made with other {', '.join(changed)} than {self.file}. {remedy}")
        for source, path in zip(there.manifest.recording, present(settings), strict=False):
            if difference := source.difference(path):
                raise InputError(f"{self.run}: {path} is not what its run was fitted to ({difference}). {remedy}")

    @property
    def is_entered(self) -> bool:
        """Whether its entry is there, whole and of its run.

        Raises:
            InputError: it is of another run, or was changed.
        """
        from nlbprob.entry.check import RUNS, SUBMISSION, check_entry
        from nlbprob.storage import reading
        from nlbprob.storage.manifest import Entry

        made = reading.examine(self.entry)
        if made is None or not made.kept:
            return False
        problems = check_entry(self.entry, scores=False).problems
        entered = [each for name, each in made.manifest.files.items() if is_submission(name, RUNS, SUBMISSION)]
        if entered != [Entry.of(self.run / SUBMISSION)]:
            problems.append("it is of another run")
        if problems:
            again = f"nlbprob entry {self.run} --out {self.entry} --force"
            raise InputError(f"{self.entry}: {'; '.join(problems)}. Make the entry again: `{again}`.")
        return True

    def carry_out(self, words: tuple[str, ...]) -> bool:
        """Fit with these words, if any, and make the entry if there is none; returns whether anything was to do.

        Raises:
            InputError: as `nlbprob fit` and `nlbprob entry` do.
        """
        if words:
            typed(fit, words)
        if self.is_entered:
            return bool(words)
        typed(entry, (str(self.run), "--out", str(self.entry)))
        return True


def is_submission(name: str, runs: str, submission: str) -> bool:
    """Whether a file of an entry is the submission of one of its runs."""
    return name.startswith(f"{runs}/") and name.count("/") == 2 and name.endswith(f"/{submission}")


def parsed(verb: ModuleType, words: tuple[str, ...]) -> Any:
    """The arguments of a verb."""
    parser = Parser(prog=f"nlbprob {verb_name(verb)}")
    verb.add_arguments(parser)
    return parser.parse_args(words)


def typed(verb: ModuleType, words: tuple[str, ...]) -> None:
    """Run a verb as if these words had been typed after it: so manifests and messages have a command that works."""
    token = WORDS.set((verb_name(verb), *words))
    try:
        verb.run(parsed(verb, words))
    finally:
        WORDS.reset(token)


def verb_name(verb: ModuleType) -> str:
    """What is typed for a verb."""
    return verb.__name__.rpartition(".")[2]


def find(settings: Settings, fetch: Fetch | None) -> None:
    """See that a recording is there, and fetch a data set of the benchmark where it is not.

    Raises:
        InputError: a file is missing, with how to get it; or as `nlbprob download` does.
        OSError: likewise.
    """
    dataset, folder = settings.data_options.get("dataset"), settings.recordings[0]
    if dataset is None:
        for path in settings.recordings:
            if "://" not in path and not pathlib.Path(path).exists():
                raise InputError(f"{path}: there is no such file; put it there, or name its folder with --data.")
        return

    from nlbprob.data.nlb.facts import facts
    from nlbprob.data.nlb.files import find_pair

    wanted = facts(dataset)
    try:
        find_pair(folder, wanted)
    except (InputError, FileNotFoundError) as error:
        if fetch is None:
            command = f"nlbprob download {dataset} --to {folder}"
            raise InputError(f"{error} `{command}` fetches what is missing, and so does --download here.") from None
        if (problem := fetch(dataset, pathlib.Path(folder))) is not None:
            raise InputError(f"{problem}") from problem
        find_pair(folder, wanted)


def present(settings: Settings) -> list[pathlib.Path]:
    """The files of a recording; none where they are not all there."""
    from nlbprob.storage.origin import files_of

    try:
        return files_of(settings.data, settings.data_options.get("dataset"))
    except (InputError, FileNotFoundError):
        return []
