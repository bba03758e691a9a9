"""Models as JSON and back, so that a saved posterior needs no pickle and no code but nlbprob's."""

import dataclasses
import importlib
from typing import Any

from nlbprob.errors import InputError

PACKAGE = "nlbprob."


def to_json(block: Any) -> Any:
    """A block, or a model of blocks, as nested dictionaries; values that JSON cannot hold are given by their repr."""
    if dataclasses.is_dataclass(block) and not isinstance(block, type):
        fields = {field.name: to_json(getattr(block, field.name)) for field in dataclasses.fields(block)}
        return {"block": f"{type(block).__module__}:{type(block).__qualname__}", **fields}
    if isinstance(block, dict):
        return {str(key): to_json(value) for key, value in block.items()}
    if isinstance(block, list | tuple):
        return [to_json(item) for item in block]
    if block is None or isinstance(block, bool | int | float | str):
        return block
    if callable(block) and hasattr(block, "__qualname__"):
        return {"repr": f"the function {block.__qualname__!r}"}
    return {"repr": repr(block)}


def from_json(value: Any) -> Any:
    """The block or model that `to_json` described. Raises InputError where it used code that is not nlbprob's."""
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "repr" in value or not value.get("block", PACKAGE).startswith(PACKAGE):
        name = value.get("repr") or value["block"]
        raise InputError(f"The saved model uses {name}, which is not part of nlbprob; load it with model=... given.")
    fields = {key: from_json(item) for key, item in value.items() if key != "block"}
    if "block" not in value:
        return fields
    module, name = value["block"].split(":")
    return getattr(importlib.import_module(module), name)(**fields)
