"""A committee on disk: committee.json with the weights, and the posterior of each member below members/."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlbprob import files
from nlbprob.errors import InputError
from nlbprob.posterior import store
from nlbprob.posterior.archive import DamageError
from nlbprob.posterior.posterior import Posterior
from nlbprob.selection.member_weights import COLUMNS, rows_of
from nlbprob.selection.members import NAME, check_alike

if TYPE_CHECKING:
    import xarray

    from nlbprob.selection.average import Committee

FORMAT = 1
FILE, MEMBERS = "committee.json", "members"
#: The largest committee.json that is read, in bytes.
LARGEST = 1_000_000


def save(committee: "Committee", folder: Path) -> Path:
    """Write the members, then committee.json, which has the SHA-256 of each member's posterior.json."""
    folder.mkdir(parents=True, exist_ok=True)
    digests = {}
    for name, posterior in committee.members.items():
        posterior.save(folder / MEMBERS / name)
        digests[name] = digest(folder / MEMBERS / name)
    content = {
        "format": FORMAT,
        "weights": committee.weights,
        "chosen": committee.chosen,
        "sha256": digests,
        "table": None if committee.table is None else as_json(committee.table),
    }
    files.write_json(folder / FILE, content)
    return folder


def load(folder: Path, models: dict[str, Any]) -> dict[str, Any]:
    """The fields of the committee in a folder that `save` wrote.

    Args:
        folder: where committee.json lies.
        models: of members whose posteriors cannot be read without, by name.

    Raises:
        InputError: there is none, it is damaged or of another version, or a member is not the one that was saved.
    """
    content = read_content(folder)
    weights = content["weights"]
    with store.reading(folder / FILE):
        table = None if content["table"] is None else from_json(content["table"], weights)
    if unknown := sorted(models.keys() - weights.keys()):
        raise InputError(f"{folder}: models has {unknown[0]!r}; the members are {', '.join(weights)}.")
    members = {}
    for name in weights:
        place = folder / MEMBERS / name
        members[name] = Posterior.load(place, models.get(name))
        if digest(place) != content["sha256"][name]:
            raise InputError(f"{place} is not the posterior that the committee was saved with; take a whole copy.")
    check_alike(members)
    return {"members": members, "weights": weights, "chosen": content["chosen"], "table": table}


def read_weights(folder: Path) -> dict[str, float]:
    """The weights in the committee.json of a folder, by member. Raises InputError as `load` does."""
    return read_content(folder)["weights"]


def read_content(folder: Path) -> dict[str, Any]:
    """The content of committee.json. Raises InputError where there is none, or it is damaged."""
    if not (folder / FILE).exists():
        raise InputError(f"{folder} holds no committee: {FILE} is missing.")
    with store.reading(folder / FILE):
        content = json.loads(store.read(folder / FILE, LARGEST))
        return content | {"weights": checked(content)}


def digest(member: Path) -> str:
    """The SHA-256 of a member's posterior.json, which has that of its arrays."""
    return hashlib.sha256((member / store.FACTS).read_bytes()).hexdigest()


def checked(content: Any) -> dict[str, float]:
    """The weights in committee.json. Raises InputError or DamageError where its content is none of a committee."""
    if content["format"] != FORMAT:
        raise InputError(f"{FILE} is of format {str(content['format'])[:20]!r}; this version reads format {FORMAT}.")
    weights = {name: float(weight) for name, weight in content["weights"].items()}
    if len(weights) < 2 or not all(map(NAME.fullmatch, weights)) or content["sha256"].keys() != weights.keys():
        raise DamageError("its members are not two or more with names")
    if min(weights.values()) < 0 or not abs(sum(weights.values()) - 1) < 1e-6:
        raise DamageError("its weights do not sum to 1")
    if not isinstance(content["chosen"], str):
        raise DamageError("its entry 'chosen' is no text")
    return weights


def as_json(table: "xarray.Dataset") -> dict[str, Any]:
    """A table of `contributions` as JSON takes it."""
    return {"measure": table.attrs["measure"], "score": table.attrs["score"], "members": rows_of(table)}


def from_json(content: Mapping[str, Any], weights: Mapping[str, float]) -> "xarray.Dataset":
    """The table that `as_json` wrote."""
    import xarray

    rows = [[content["members"][name][column] for column in COLUMNS] for name in weights]
    values = np.array(rows, float)  # None becomes NaN
    units = [{}] + [{"units": "bits/spike"}] * (len(COLUMNS) - 1)
    columns = zip(COLUMNS, values.T, units, strict=True)
    attributes = {"score": float(content["score"]), "measure": str(content["measure"])}
    return xarray.Dataset({name: ("member", *rest) for name, *rest in columns}, {"member": list(weights)}, attributes)
