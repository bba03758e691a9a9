"""The members of a committee: their names, whether they fit together, and the weights that are given."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nlbprob.arguments import instance_of, named, real_number, sequence_of
from nlbprob.errors import InputError
from nlbprob.fit_config import FAMILIES
from nlbprob.posterior.embed import text
from nlbprob.posterior.posterior import Posterior

#: Settings of its fit that the refit of a member takes over.
OF_FIT = ("posterior", "em_iterations", "svi_steps", "early_stopping", "precision", "seed")
#: What a member may be called: it names a folder, too.
NAME = re.compile(r"\w([\w .+=()-]{0,78}[\w+=()-])?")
EXAMPLE = "a Posterior, as fit or nlb.Posterior.load(folder) return it; of a committee, its members one by one"


def fit_settings(posterior: Posterior) -> dict[str, Any]:
    """Keywords of `fit` that repeat a fit; point estimates in the place of a family that has no name."""
    settings = {option: posterior.config[option] for option in OF_FIT if option in posterior.config}
    return settings if settings.get("posterior") in FAMILIES else settings | {"posterior": "map"}


def named_members(posteriors: Any) -> dict[str, Posterior]:
    """The posteriors by name. Raises InputError where there are not two, or a name cannot be one."""
    if isinstance(posteriors, Mapping):
        members = dict(posteriors)
    else:
        listed = sequence_of(posteriors, Posterior, "average", "posteriors", EXAMPLE)
        members = dict(zip(numbered([model_name(each.model) for each in listed]), listed, strict=True))
    if len(members) < 2:
        raise InputError(f"average: {len(members)} posterior is no committee; give two or more.")
    for name, posterior in members.items():
        instance_of(posterior, Posterior, "average", f"posteriors[{name!r}]", EXAMPLE)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InputError(
                f"average: {name!r} cannot name a member; give a short name of letters, digits, spaces and .+=()-_."
            )
    return members


def model_name(model: Any) -> str:
    """The names of a model's latent blocks, such as "Templates+LDS"; of a function its own."""
    function = getattr(model, "function", None)
    name = getattr(function, "__name__", "") if function is not None else ""
    return name if NAME.fullmatch(name) else "+".join(type(block).__name__ for block in model.latents)


def numbered(names: Sequence[str]) -> list[str]:
    """The names, those that come more than once with a number behind each: "LDS 1", "LDS 2"."""
    counted = [f"{name} {names[: place + 1].count(name)}" for place, name in enumerate(names)]
    return [each if names.count(name) > 1 else name for name, each in zip(names, counted, strict=True)]


def shortest_names(paths: Sequence[tuple[str, ...]], name_of: Callable[[int, tuple[str, ...]], str]) -> list[str]:
    """Names made of as few of the last parts of paths as tell them apart; of all parts where none do.

    Args:
        paths: the parts of each.
        name_of: the name of the path of a number, from its last parts.
    """
    names: list[str] = []
    for depth in range(1, max(map(len, paths), default=0) + 1):
        names = [name_of(number, parts[-depth:]) for number, parts in enumerate(paths)]
        if len(set(names)) == len(names):
            break
    return names


def check_alike(members: Mapping[str, Posterior]) -> None:
    """Raise InputError where members are of other neurons or bin widths."""
    first, *others = members
    for name in others:
        one, two = members[first], members[name]
        if one.context.bin_ms != two.context.bin_ms:
            raise InputError(
                f"average: {first} has bins of {one.context.bin_ms:g} ms, {name} of {two.context.bin_ms:g} ms; "
                "fit both to bins of one width."
            )
        if not np.array_equal(text(one.neuron_ids), text(two.neuron_ids)):
            raise InputError(
                f"average: {first} and {name} are fits to other neurons ({len(one.neuron_ids)} and "
                f"{len(two.neuron_ids)}), or in another order; fit both to one recording, read alike."
            )


def checked_weights(weights: Any, names: Sequence[str]) -> dict[str, float]:
    """Weights that sum to 1, by name. Raises InputError where there is not a number of 0 or more for each member."""
    if weights is None:
        return dict.fromkeys(names, 1 / len(names))
    if isinstance(weights, str) or not isinstance(weights, Iterable):
        raise InputError(f"{named('average', 'weights', weights)}: give a number for each member, as in [0.3, 0.7].")
    by_name: dict[Any, Any] = dict(weights) if isinstance(weights, Mapping) else dict(enumerate(weights))
    keys = list(names) if isinstance(weights, Mapping) else list(range(len(names)))
    if set(by_name) != set(keys):
        raise InputError(
            f"average: these weights do not fit the {len(names)} members {', '.join(names)}; give one for each."
        )
    values = [real_number(by_name[key], "average", f"weights[{key!r}]", least=0) for key in keys]
    if not sum(values):
        raise InputError("average: all weights are 0; give a positive one.")
    return {name: value / sum(values) for name, value in zip(names, values, strict=True)}
