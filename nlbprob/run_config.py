"""What a run is asked to do, as far as it can be set; light, so that configuration files are checked against it."""

import dataclasses
import os
from typing import Any

from nlbprob.fit_config import FitConfig, declared
from nlbprob.options import Option, count, entries, flag, joined, one_of, path, whole


def paths(value: Any) -> str | list[str]:
    """A path, or several; one of a list stands alone."""
    found = [path(value)] if isinstance(value, str | os.PathLike) else [path(entry) for entry in entries(value)]
    if not found:
        raise ValueError
    return found if len(found) > 1 else found[0]


MODEL = Option(None, path, "the name of a model, or the path of a model file", "the model", "MODEL")
RECORDINGS = Option(None, paths, "the path of a recording, or a list of paths", "the recording", "DATA", several=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(FitConfig):
    """How a run fits and scores, and what it keeps.

    Args:
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


#: Every option of a run by name: what the table [fit] of a configuration may hold.
OPTIONS: dict[str, Option] = {"model": MODEL, "data": RECORDINGS} | {
    field.name: field.metadata["option"] for field in dataclasses.fields(RunConfig)
}
