"""The settings of a run: the model, the recording, and the options of the fit."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nlbprob.configuration import of_run, tables
from nlbprob.errors import InputError
from nlbprob.fit_config import FitConfig, declared
from nlbprob.model_file import is_path
from nlbprob.options import (
    Option,
    count,
    entries,
    flag,
    joined,
    one_of,
    path,
    read_table,
    whole,
)

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


def paths(value: Any) -> str | list[str]:
    """A path, or several; one of a list stands alone."""
    several = [path(value)] if isinstance(value, str | os.PathLike) else [path(entry) for entry in entries(value)]
    if not several:
        raise ValueError
    return several if len(several) > 1 else several[0]


MODEL = Option(None, path, "the name of a model, or the path of a model file", "the model", "MODEL")
RECORDINGS = Option(None, paths, "the path of a recording, or a list of paths", "the recording", "DATA", several=True)


@dataclasses.dataclass(frozen=True)
class Settings(FitConfig):
    """The settings of a run.

    Args:
        model: the name of a model that comes with nlbprob, or the path of a model file.
        data: the recording, or several to stitch.
        model_options: keywords of the model.
        data_options: keyword arguments of `nlbprob.load`, for each recording.
        init: the folder of a run (or of a posterior) of the same model and neurons to start from; None: from scratch.
        draws: of the posterior, kept in posterior.nc.
        latents: there as "summary" (mean and standard deviation) or "draws".
        rates: how many draws have rates there; None: a few.
        fit_on: the split to learn from; several are joined by "+".
        score_on: that to score on, likewise.
        shared: whether neurons of equal id are one and the same in several recordings.
        **fit: as `FitConfig` has them.

    Raises:
        InputError: a value is of the wrong kind.
    """

    model: str = dataclasses.field(metadata={"option": MODEL})
    data: str | list[str] = dataclasses.field(metadata={"option": RECORDINGS})
    model_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    data_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    init: str | None = declared(
        None, path, "the folder of a run", "run of the same model and units to start from", "RUN"
    )
    draws: int = declared(200, count, "a whole number, 1 or more", "draws in posterior.nc (default 200)", "N", int)
    latents: str = declared(
        "summary",
        one_of("summary", "draws"),
        "summary or draws",
        "latents in posterior.nc: mean and standard deviation, or all draws (default summary)",
        "{summary,draws}",
    )
    rates: int | None = declared(
        None, whole, "a whole number, 0 or more", "draws of rates in posterior.nc (default: a few)", "N", int
    )
    fit_on: str = declared(
        "train",
        joined,
        "a split, or several joined by +, such as train+val",
        "split to learn from, or several, such as train+val (default train)",
        "SPLIT",
    )
    score_on: str = declared(
        "val",
        joined,
        "a split, or several joined by +, such as val+test",
        "split to score on, such as test, of trials that were not learned from (default val)",
        "SPLIT",
    )
    shared: bool = declared(
        False, flag, "true or false", "of several DATA: neurons of equal id are one and the same neuron"
    )

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


#: Every option of `Settings` by name.
OPTIONS: dict[str, Option] = {
    field.name: field.metadata["option"] for field in dataclasses.fields(Settings) if "option" in field.metadata
}


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
