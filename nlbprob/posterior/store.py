"""A posterior on disk: arrays in one npz file, the rest in JSON; never pickle."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nlbprob.blocks import spec
from nlbprob.blocks.base import Context
from nlbprob.errors import InputError
from nlbprob.functions.model import function_model
from nlbprob.infer.parameters.sites import parameter_sites
from nlbprob.model import Model
from nlbprob.posterior.posterior import Posterior

FORMAT = 1


def save(posterior: Posterior, folder: Path) -> Path:
    """Write posterior.npz and posterior.json into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        "neuron_ids": np.asarray(posterior.neuron_ids),
        "bin_weights": posterior.context.bin_weights,
    } | ({} if posterior.basis is None else {"basis": posterior.basis})
    for group in ("values", "draws", "history"):
        arrays |= {f"{group}/{name}": np.asarray(value) for name, value in getattr(posterior, group).items()}
    np.savez_compressed(folder / "posterior.npz", **arrays)
    facts = {
        "format": FORMAT,
        "model": spec.to_json(posterior.model),
        "bin_ms": posterior.context.bin_ms,
        "covariates": dict(posterior.context.covariates),
        "conditions": list(posterior.context.conditions),
        "config": posterior.config,
    }
    (folder / "posterior.json").write_text(json.dumps(facts, indent=1) + "\n")
    return folder


def check_sites(model: Model, context: Context, values: dict[str, np.ndarray]) -> None:
    """Raise InputError where a function's sites are not those that were saved."""
    sites = {name: site.shape.shape for name, site in parameter_sites(model, context).items()}
    saved = {name: value.shape for name, value in values.items()}
    if sites != saved:
        wrong = sorted(name for name in sites.keys() | saved.keys() if sites.get(name) != saved.get(name))
        raise InputError(
            f"The saved posterior is of another function: the sites {', '.join(wrong)} are missing or of another shape "
            "in one of the two. Load it with the function, and the options, that were fitted."
        )


def load(folder: Path, model: Model | Callable | None = None) -> Posterior:
    """Read a folder that `save` wrote. Raises InputError where there is none or it is not whole."""
    try:
        facts = json.loads((folder / "posterior.json").read_text())
        with (folder / "posterior.npz").open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = dict(file)
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no posterior: {Path(error.filename).name} is missing.") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"The posterior in {folder} cannot be read ({error}); was its writing cut short?") from error
    groups: dict[str, dict[str, np.ndarray]] = {"values": {}, "draws": {}, "history": {}}
    for key, value in arrays.items():
        group, _, name = key.partition("/")
        if name:
            groups[group][name] = value
    context = Context(
        facts["bin_ms"],
        arrays["bin_weights"],
        len(arrays["neuron_ids"]),
        facts["covariates"],
        tuple(facts["conditions"]),
    )
    found = spec.from_json(facts["model"]) if model is None else model
    if not isinstance(found, Model):
        found = function_model(found, context)
        check_sites(found, context, groups["values"])
    ids, basis = arrays["neuron_ids"], arrays.get("basis")
    return Posterior(found, context, neuron_ids=ids, config=facts["config"], basis=basis, **groups)
