"""A fit's state on disk: written whole, by time, the last two kept, and read back to go on bit for bit."""

import dataclasses
import hashlib
import importlib.metadata
import io
import json
import os
import pathlib
import time
import zipfile
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from nlbprob.blocks import spec
from nlbprob.errors import InputError
from nlbprob.files import write_bytes
from nlbprob.infer.fit.setup import Setup
from nlbprob.infer.fit.state import BestHeldout, EMResult, FitInfo, FitState
from nlbprob.infer.vi import guides

if TYPE_CHECKING:
    from nlbprob.infer.fit.loop import Steps

#: The newest checkpoint in a folder, and the one before it.
NAMES = ("checkpoint.npz", "checkpoint.previous.npz")
#: Fraction of a fit's time that its checkpoints may take, and the least time between two of them.
TIME_FRACTION, LEAST_SECONDS = 0.02, 10.0
#: Packages whose versions decide a fit's numbers.
PACKAGES = ("jax", "jaxlib", "numpyro", "optax", "numpy")
#: Changes whenever what is written does.
FORMAT = 4


class Checkpoints:
    """Watches a fit and writes its state to a folder, so often that it takes under 2% of the time."""

    def __init__(self, running: "Steps", folder: str | os.PathLike):
        self.running, self.folder = running, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.facts = fingerprint(running.setup)
        self.due, self.stage = time.perf_counter() + LEAST_SECONDS, running.state.stage

    def __call__(self, state: FitState, info: FitInfo) -> None:
        """After a step: write where it is time, and where a stage has ended."""
        if time.perf_counter() >= self.due or state.stage != self.stage:
            self.write()

    def write(self) -> None:
        """Write the present state."""
        started_at, state = time.perf_counter(), restartable(self.running.setup, self.running.state)
        write(self.folder, state, self.facts)
        now = time.perf_counter()
        self.due, self.stage = now + max(LEAST_SECONDS, (now - started_at) / TIME_FRACTION), state.stage


def write(folder: pathlib.Path, state: FitState, facts: dict[str, Any]) -> None:
    """Write a state as the newest checkpoint of a folder. Raises WriteError where the disk does not take it."""
    content = io.BytesIO()
    words = np.frombuffer(json.dumps(facts | words_of(state), default=dataclasses.asdict).encode(), np.uint8)
    np.savez(content, allow_pickle=False, **arrays_of(state) | {"facts": words})
    newest, previous = (folder / name for name in NAMES)
    if newest.exists():
        os.replace(newest, previous)
    write_bytes(newest, content.getvalue())


def restartable(setup: Setup, state: FitState) -> FitState:
    """The state to write: with a guide of NumPyro's, whose state has no known form, the second stage's start."""
    if setup.family.known_ahead:
        return state
    state = state.replace(svi=None, frames=None)
    if state.stage != "svi":
        return state
    return state.replace(iteration=0, log=tuple(info for info in state.log if info.stage != "svi"))


def arrays_of(state: FitState) -> dict[str, Any]:
    """The leaves of a state by their place in it."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(plain(leaf)) for path, leaf in leaves}


def plain(leaf: Any) -> Any:
    """A leaf as numbers: keys of random numbers are not, by themselves."""
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def is_key(leaf: Any) -> bool:
    """Whether a leaf, or its shape, is a key of random numbers."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) if hasattr(leaf, "dtype") else False


def words_of(state: FitState) -> dict[str, Any]:
    """What of a state is no array, and the names of those of its parts that are there."""
    parts = [field.name for field in dataclasses.fields(state) if field.default is None and field.name != "result"]
    result = state.result
    return statics(state) | {
        "parts": [name for name in parts if getattr(state, name) is not None],
        "result": None if result is None else statics(result),
    }


def statics(state: FitState | EMResult) -> dict[str, Any]:
    """The fields of a pytree that are no arrays."""
    return {name: getattr(state, name) for name in static_names(state)}


def static_names(kind: Any) -> list[str]:
    """The names of these fields, of a dataclass or one of its values."""
    return [field.name for field in dataclasses.fields(kind) if field.metadata.get("static")]


def read_statics(kind: type, facts: dict[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass that are no arrays, from JSON."""
    fields = {name: facts[name] for name in static_names(kind)}
    return fields | {"log": tuple(map(read_info, fields["log"]))}


def read_info(row: dict[str, Any]) -> FitInfo:
    """The info of a step from JSON, which knows no tuples."""
    moved = None if row["moved"] is None else tuple(row["moved"])
    return FitInfo(**{**row, "elbos": tuple(row["elbos"]), "moved": moved})


def fingerprint(setup: Setup) -> dict[str, Any]:
    """What has to be equal for a fit to be gone on with: model, data, configuration, versions."""
    digest = hashlib.sha256()
    for batch in setup.batches:
        for leaf in jax.tree.leaves(batch):
            digest.update(np.ascontiguousarray(leaf).tobytes())
    sites = {name: list(site.shape.shape) for name, site in setup.em.sites.items()}
    facts = {
        "format": FORMAT,
        "model": {"blocks": spec.to_json(setup.model), "sites": sites},
        "data": digest.hexdigest(),
        "config": spec.to_json(setup.config),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    return json.loads(json.dumps(facts, default=str))


def read(folder: str | os.PathLike, setup: Setup) -> FitState | None:
    """The state of the newest whole checkpoint in a folder; None where there is none.

    Raises:
        InputError: the checkpoint is of another model, recording or configuration, or of other versions.
    """
    for name in NAMES:
        path = pathlib.Path(folder) / name
        if not path.is_file():
            continue
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = {key: file[key] for key in file.files}
            facts = json.loads(arrays.pop("facts").tobytes())
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            continue  # its writing was cut short: the one before it is whole
        check_same(path, facts, fingerprint(setup))
        return state_of(path, setup, arrays, facts)
    return None


def check_same(path: pathlib.Path, facts: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise InputError where a checkpoint is not of this fit."""
    other = [name for name in wanted if facts.get(name) != wanted[name]]
    if other:
        words = {"format": "a format of another nlbprob", "data": "other trials", "model": "another model"}
        words |= {"config": "another configuration", "versions": "other versions of packages"}
        raise InputError(
            f"{path} is a checkpoint with {' and '.join(words[name] for name in other)}: go on as it was begun, or "
            "name another folder for a new fit."
        )


def state_of(path: pathlib.Path, setup: Setup, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> FitState:
    """The state from its arrays and words. Raises InputError where arrays are missing or of another shape."""
    wanted = template(setup, facts)
    leaves, structure = jax.tree_util.tree_flatten_with_path(wanted)
    values = []
    for key_path, leaf in leaves:
        name = jax.tree_util.keystr(key_path)
        shape = jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf) else leaf
        value = arrays.get(name)
        if value is None or value.shape != shape.shape or value.dtype != shape.dtype:
            raise InputError(f"{path}: {name} is missing or of another shape; delete the file to start again.")
        values.append(jax.random.wrap_key_data(jnp.asarray(value)) if is_key(leaf) else jnp.asarray(value))
    return jax.tree_util.tree_unflatten(structure, values)


def template(setup: Setup, facts: dict[str, Any]) -> FitState:
    """The state with shapes for arrays."""
    sites = setup.shapes()
    em = setup.shapes(tied=True) if facts["stage"] == "tied" else sites
    if facts["stage"] == "warm start" and setup.warm is not None:
        values = {name: site.shape for name, site in setup.warm.sites.items()}
        em = setup.warm.init(values, setup.batches, setup.n_trials)
    result, parts = None, facts["parts"]
    if facts["result"] is not None:
        result = EMResult(em=sites, **read_statics(EMResult, facts["result"]))
    _, frames, state = setup.svi_shapes() if "frames" in parts or "svi" in parts else (None, None, None)
    kept = guides.KEPT_DRAWS
    draws = {name: jax.ShapeDtypeStruct((kept, *v.shape), v.dtype) for name, v in sites.values.items()}
    words: dict[str, Any] = read_statics(FitState, facts)
    words["seeds"] = tuple((seed, elbo) for seed, elbo in facts["seeds"])
    return FitState(
        em=em,
        deviations=setup.deviation_shapes() if "deviations" in parts else None,
        heldout=BestHeldout(sites.values, sites.rows) if "heldout" in parts else None,
        result=result,
        svi=state if "svi" in parts else None,
        frames=frames if "frames" in parts else None,
        values=sites.values if "values" in parts else None,
        draws=draws if "draws" in parts else None,
        **words,
    )
