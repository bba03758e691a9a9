"""A posterior on disk: arrays in one npz file, the rest in JSON; never pickle, and no code but nlbprob's blocks.

posterior.json is written last and holds the sha256 of both files, so that a folder is whole or refused. What it says is
checked against the model all the same: sites, shapes, kinds, supports, and that every number is finite.
"""

import contextlib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlbprob import files
from nlbprob.arguments import instance_of
from nlbprob.blocks import spec
from nlbprob.blocks.base import Context
from nlbprob.errors import InputError
from nlbprob.functions.model import function_model
from nlbprob.model import Model
from nlbprob.posterior import archive, saved

if TYPE_CHECKING:
    from nlbprob.posterior.posterior import Posterior

FORMAT = 2
ARRAYS, FACTS = "posterior.npz", "posterior.json"
#: The largest posterior.json that is read, in bytes.
LARGEST_FACTS = 64_000_000
#: What a saved model may be made of.
CLASSES = spec.BLOCKS | {spec.name_of(Model): Model}


def save(posterior: "Posterior", folder: Path) -> Path:
    """Write posterior.npz and posterior.json into the folder, both as a whole.

    Raises:
        nlbprob.files.WriteError: the system does not take them; what the folder held stays.
    """
    arrays: dict[str, Any] = {"neuron_ids": posterior.neuron_ids, "bin_weights": posterior.context.bin_weights}
    arrays |= {} if posterior.basis is None else {"basis": posterior.basis}
    for group in ("values", "draws", "history"):
        arrays |= {f"{group}/{name}": value for name, value in getattr(posterior, group).items()}
    content = archive.pack({name: storable(value) for name, value in arrays.items()})
    facts = spec.to_json(
        {
            "format": FORMAT,
            "versions": saved.current_versions(),
            "model": posterior.model,
            "bin_ms": posterior.context.bin_ms,
            "covariates": posterior.context.covariates,
            "conditions": posterior.context.conditions,
            "config": posterior.config,
            "arrays_sha256": hashlib.sha256(content).hexdigest(),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    # Nothing takes its place before both are on the disk; the arrays go first.
    with files.replacing(folder / FACTS) as about, files.replacing(folder / ARRAYS) as file:
        about.write(json.dumps(facts | {"facts_sha256": digest(facts)}, indent=1).encode() + b"\n")
        about.flush()
        file.write(content)
    return folder


def storable(value: Any) -> np.ndarray:
    """An array without Python objects: ids of mixed kinds become text."""
    array = np.asarray(value)
    return array.astype(str) if array.dtype.hasobject else array


def digest(facts: dict[str, Any]) -> str:
    """The sha256 of facts, in whatever order they stand in a file."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def place(folder: Any, caller: str) -> Path:
    """The path of a folder. Raises InputError where a method of `Posterior` was handed no path."""
    wanted = "the path of a folder, such as 'run/posterior'"
    return Path(instance_of(folder, str | os.PathLike, f"Posterior.{caller}", "folder", wanted))


def load(folder: Path, model: Model | Callable | None = None) -> dict[str, Any]:
    """The fields of the posterior in a folder that `save` wrote.

    Args:
        folder: where posterior.json and posterior.npz lie.
        model: the model, where it was a NumPyro function, or used blocks or priors that are not nlbprob's.

    Raises:
        InputError: there is none, it is damaged or of another version, or its parameters are not those of the model.
    """
    facts = read_facts(folder)
    with reading(folder / ARRAYS):
        content = read(folder / ARRAYS, archive.LIMIT_BYTES)
        if hashlib.sha256(content).hexdigest() != facts["arrays_sha256"]:
            raise archive.DamageError(f"it is not the file that {FACTS} was written with")
        file = zipfile.ZipFile(io.BytesIO(content))
        declared = archive.declared(file)
        saved.check_declared(declared)
        context = saved.context_of(facts, archive.unpack(file, ("neuron_ids", "bin_weights")))
    fitted_model = built(facts, context, folder / FACTS) if model is None else given(model, facts, context)
    with reading(folder / FACTS):
        sites = saved.sites(fitted_model, context, declared)
    if wrong := sorted({name.partition("/")[2] for name in saved.mismatch(sites, declared)}):
        raise InputError(
            f"The posterior in {folder} is of another {'function' if callable(model) else 'model'}: the sites "
            f"{', '.join(wrong)[:500]} are missing or of another shape in one of the two. Load it with the "
            "function or model, and the options, that were fitted."
        )
    with reading(folder / ARRAYS):
        arrays = archive.unpack(file, declared)
        saved.check_values(sites, arrays)
    saved.note_versions(facts["versions"], folder)
    groups: dict[str, dict[str, np.ndarray]] = {"values": {}, "draws": {}, "history": {}}
    for group, named in groups.items():
        named |= {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith(f"{group}/")}
    ids, basis = arrays["neuron_ids"], arrays.get("basis")
    fields = {"model": fitted_model, "context": context, "neuron_ids": ids, "config": facts["config"], "basis": basis}
    return fields | groups


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises in the block into an InputError that names it."""
    try:
        yield
    except (InputError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # of a file of unknown origin anything may come
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(
            f"{path} cannot be read: {reason}. Was its writing cut short, or was it changed since? "
            "Take a copy that is whole, or fit again."
        ) from error


def read(path: Path, most: int) -> bytes:
    """The content of a file. Raises InputError where there is none, and DamageError where it is too large."""
    if not path.exists():
        raise InputError(f"{path.parent} holds no posterior: {path.name} is missing.")
    if not path.is_file():
        raise archive.DamageError("it is no regular file")
    if path.stat().st_size > most:
        raise archive.DamageError(f"it has {path.stat().st_size} bytes, more than {most}")
    return path.read_bytes()


def read_facts(folder: Path) -> dict[str, Any]:
    """The content of posterior.json. Raises InputError where it is damaged, or of another version of the format."""
    with reading(folder / FACTS):
        facts = json.loads(read(folder / FACTS, LARGEST_FACTS))
        if isinstance(facts, dict) and facts.get("format", FORMAT) != FORMAT:
            raise InputError(
                f"The posterior in {folder} is of format {str(facts['format'])[:20]!r}, this version of nlbprob reads "
                f"format {FORMAT}: load it with the version that saved it, or fit again."
            )
        saved.check_facts(facts)
        if digest({name: value for name, value in facts.items() if name != "facts_sha256"}) != facts["facts_sha256"]:
            raise archive.DamageError("it was changed after it had been written")
    return facts


def built(facts: dict[str, Any], context: Context, path: Path) -> Model:
    """The model that posterior.json describes. Raises InputError where it is none that nlbprob's blocks make."""
    with reading(path):
        model = spec.from_json(facts["model"], CLASSES)
        if type(model) is not Model:
            raise archive.DamageError("its entry 'model' is no model")
        saved.check_size(model, context)
    return model


def given(model: Model | Callable, facts: dict[str, Any], context: Context) -> Model:
    """The model that was handed over, as it was fitted. Raises InputError where it is another one."""
    if isinstance(model, Model):
        return spec.as_fitted(model, facts["model"])
    return function_model(model, context)
