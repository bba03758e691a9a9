"""The settings of a run: the model, the recording, and the options of the fit."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nlbprob.configuration import of_run, tables
from nlbprob.errors import InputError
from nlbprob.fit_config import FitConfig
from nlbprob.model_file import is_path
from nlbprob.options import read_table
from nlbprob.run_config import OPTIONS, RunConfig

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


@dataclasses.dataclass(frozen=True)
class Settings(RunConfig):
    """The settings of a run.

    Args:
        model: the name of a model that comes with nlbprob, or the path of a model file.
        data: the recording, or several to stitch.
        model_options: keywords of the model.
        data_options: keyword arguments of `nlbprob.load`, for each recording.
        **options: as `RunConfig` has them.

    Raises:
        InputError: a value is of the wrong kind.
    """

    model: str = dataclasses.field(metadata={"option": OPTIONS["model"]})
    data: str | list[str] = dataclasses.field(metadata={"option": OPTIONS["data"]})
    model_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    data_options: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def fit_config(self) -> FitConfig:
        """How the model is fitted, by itself."""
        return FitConfig(**self.fit_options)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.recordings) > 1:
            session_names(self.recordings)
        check_model_options(self.model_options)
        object.__setattr__(self, "data_options", dict(tables({"data": self.data_options}, "settings").data))

    @classmethod
    def of_run(cls, record: Any, where: str) -> "Settings":
        """The settings in the config.json of a run.

        Args:
            record: what `dataclasses.asdict` made of them.
            where: what messages call the file.

        Raises:
            InputError: they are not whole, or not settings.
        """
        configuration = of_run(record, where)
        values = read_table(configuration.fit, OPTIONS, where, "setting")
        for option in ("model", "data"):
            if option not in values:
                raise InputError(f"{where}: the settings do not name the {option}; repeat the run.")
        return cls(**values, model_options=dict(configuration.model), data_options=dict(configuration.data))

    @property
    def recordings(self) -> tuple[str, ...]:
        """The paths of the recordings."""
        return (self.data,) if isinstance(self.data, str) else tuple(self.data)

    @property
    def splits(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The splits to fit and those to score on, as the functions of `nlbprob.scoring` take them."""
        return tuple(self.fit_on.split("+")), tuple(self.score_on.split("+"))

    def learned(self, trials: "Trials") -> "Trials":
        """Of these trials those that the model is fitted to, by which its default sizes are set."""
        return trials.split(*self.splits[0])

    def load(self) -> "Trials":
        """The trials of both, read from the recording, or from several that are stitched."""
        return self.read().split(*(name for names in self.splits for name in names))

    def read(self) -> "Trials":
        """All trials of the recording, or of several that are stitched."""
        from nlbprob.data.nwb import load
        from nlbprob.data.stitch import stitch

        if isinstance(self.data, str):
            return load(self.data, **self.data_options)
        names = session_names(self.recordings)
        sessions = {name: load(path, **self.data_options) for name, path in zip(names, self.recordings, strict=True)}
        return stitch(sessions, shared=self.shared)

    def absolute(self) -> "Settings":
        """The same with absolute paths, so that they mean the same from any folder."""
        data = [path if "://" in path else os.path.abspath(path) for path in self.recordings]
        return dataclasses.replace(
            self,
            data=data if len(data) > 1 else data[0],
            model=os.path.abspath(self.model) if is_path(self.model) else self.model,
            init=None if self.init is None else os.path.abspath(self.init),
        )


def check_model_options(options: Mapping[str, Any]) -> None:
    """Raise InputError where config.json, from which a run is read again, could not hold a keyword of the model."""
    for option, value in options.items():
        try:
            json.dumps(value, allow_nan=False, default=lambda array: array.tolist())
        except (TypeError, ValueError, AttributeError, RecursionError):
            raise InputError(
                f"The model's option {option} is {value!r}, which config.json cannot hold; give finite numbers, text, "
                "true or false, or lists of these."
            ) from None


def session_names(recordings: Sequence[str]) -> list[str]:
    """Names for recordings that are stitched: those of the files, with as many folders above as make them unique.

    Raises:
        InputError: one comes twice.

    Examples:
        >>> session_names(["monday/maze.nwb", "tuesday/maze.nwb"])
        ['monday-maze', 'tuesday-maze']
    """
    real = [os.path.realpath(recording) for recording in recordings]
    if len(set(real)) < len(real):
        twice = next(path for path in real if real.count(path) > 1)
        raise InputError(f"data: {twice} is named twice; name each recording once.")
    parts = [pathlib.Path(os.path.abspath(recording)).parts for recording in recordings]
    longest = max(map(len, parts))
    for depth in range(1, longest + 1):
        names = [session_name("-".join(part[-depth:])) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{name}-{number}" for number, name in enumerate(names, 1)]


def session_name(text: str) -> str:
    """The text as the name of a session: without the ending, and without characters that `stitch` or a terminal reads
    as signs of their own.
    """
    return "".join(
        "-" if letter in "+/" or not letter.isprintable() else letter for letter in text.removesuffix(".nwb")
    )
