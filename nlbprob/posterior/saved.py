"""What a saved posterior must be, whoever wrote the files: facts, sites, shapes, kinds, supports and finite numbers."""

import re
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from nlbprob import __version__
from nlbprob.blocks.base import Context
from nlbprob.infer.parameters.sites import Site, count_readout_names, parameter_sites, value_sites
from nlbprob.model import Model
from nlbprob.posterior.archive import LIMIT_BYTES, DamageError, Declared

#: Packages whose versions are kept with a posterior.
PACKAGES = ("nlbprob", "jax", "numpyro")
#: What posterior.json holds, with the type of each entry.
FACTS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "versions": dict,
    "model": dict,
    "bin_ms": (int, float),
    "covariates": dict,
    "conditions": list,
    "config": dict,
    "arrays_sha256": str,
    "facts_sha256": str,
}
#: What is read of a fit's settings, with the type of each.
CONFIG: dict[str, type | tuple[type, ...]] = {
    "posterior": str,
    "posterior_words": str,
    "precision": str,
    "seed": int,
    "em_iterations": int,
    "svi_steps": int,
    "early_stopping": (int, float),
    "train_trials": int,
    "seeds": list,
    "occupancy": dict,
    "em_settled": bool,
    "em_moved": list,
    "sessions": dict,
    "replication": dict,
}
#: Settings that every fit has.
DEMANDED = ("posterior", "precision", "seed")
#: The kinds of the arrays beside the sites, with their number of axes and their greatest length.
ARRAYS = {"neuron_ids": ("biufU", 1, 1_000_000), "bin_weights": ("f", 1, 1_000_000), "basis": ("f", 2, 10_000)}
HISTORY = {"stage": ("Uf", 1, 1_000_000)} | dict.fromkeys(("iteration", "elbo", "seconds"), ("iuf", 1, 1_000_000))
#: How far a basis may be from orthogonal, in float32.
ORTHOGONAL = 1e-3
#: The most draws of the parameters.
MOST_DRAWS = 100_000


def check_facts(facts: Any) -> None:
    """Raise DamageError where posterior.json lacks an entry, or one is of another type."""
    if not isinstance(facts, dict) or facts.keys() != FACTS.keys():
        keys = facts.keys() if isinstance(facts, dict) else set()
        raise DamageError(f"its entry {sorted(FACTS.keys() ^ keys)[0][:100]!r} is missing, or should not be there")
    check_types(facts, FACTS)
    config = facts["config"]
    for name in DEMANDED:
        if name not in config:
            raise DamageError(f"its entry config.{name} is missing")
    check_types(config, {name: kind for name, kind in CONFIG.items() if name in config}, "config.")
    if config["precision"] not in ("float32", "float64"):
        raise DamageError(f"its entry config.precision is {config['precision'][:100]!r}")
    if not all(isinstance(one, dict) and {"seed", "elbo"} <= one.keys() for one in config.get("seeds", [])):
        raise DamageError("its entry config.seeds is no list of seeds with their bounds")
    if "em_moved" in config and list(map(type, config["em_moved"])) != [str, float]:
        raise DamageError("its entry config.em_moved is no parameter with its movement")
    found = config.get("replication", {"fits": 0, "recurs_in": []})
    times = found.get("timescales", {})
    numbers = [found.get("fits"), *listed(found.get("recurs_in")), found.get("fits_of_timescales", 0)]
    numbers += times.values() if isinstance(times, dict) else [None]
    if not all(type(number) is int and 0 <= number <= numbers[0] for number in numbers):
        raise DamageError("its entry config.replication does not count fits")
    for shares in config.get("occupancy", {}).values():
        listed(shares)
    for place in (place for places in config.get("sessions", {}).values() for place in listed(places)):
        if type(place) is not int or place < 0:
            raise DamageError("its entry config.sessions is no table of the places of neurons")
    bin_ms = facts["bin_ms"]
    if not 0 < bin_ms < np.inf:
        raise DamageError(f"its entry bin_ms is {bin_ms!r}")
    if not all(type(width) is int and 0 <= width <= 1_000_000 for width in facts["covariates"].values()):
        raise DamageError("its entry covariates has a width that is no whole number")
    if not all(isinstance(label, str | int | float) for label in facts["conditions"]):
        raise DamageError("its entry conditions has a label that is neither text nor a number")


def listed(value: Any) -> list[Any]:
    """A list. Raises DamageError where it is none."""
    if not isinstance(value, list):
        raise DamageError(f"its entry config has {str(value)[:100]!r} in place of a list")
    return value


def check_types(values: Mapping[str, Any], kinds: Mapping[str, type | tuple[type, ...]], prefix: str = "") -> None:
    """Raise DamageError where a value is of another type than its name demands; true and false are no numbers."""
    for name, kind in kinds.items():
        if not isinstance(values[name], kind) or (isinstance(values[name], bool) and kind is not bool):
            raise DamageError(f"its entry {prefix}{name} is {str(values[name])[:100]!r}, of another type")


def check_declared(declared: Mapping[str, Declared]) -> None:
    """Raise DamageError where arrays beside the sites are missing, unknown, or of another kind or shape."""
    rules = ARRAYS | {f"history/{name}": rule for name, rule in HISTORY.items()}
    for name in rules.keys() - {"basis"} - declared.keys():
        raise DamageError(f"its array {name!r} is missing")
    for name, (shape, dtype) in declared.items():
        if name.startswith(("values/", "draws/")):
            if dtype.kind != "f":
                raise DamageError(f"its array {name[:100]!r} is of the kind {dtype.kind!r}, not of real numbers")
            continue
        if name not in rules:
            raise DamageError(f"it has an array {name[:100]!r}, which no posterior has")
        kinds, axes, longest = rules[name]
        if dtype.kind not in kinds or len(shape) != axes or max(shape) > longest:
            raise DamageError(f"its array {name!r} has the shape {shape} and the kind {dtype.kind!r}")
    if len({declared[f"history/{name}"].shape for name in HISTORY}) > 1:
        raise DamageError("the columns of its history differ in length")


def context_of(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Context:
    """The context of the fit. Raises DamageError where the weights of the bins are none."""
    weights = arrays["bin_weights"]
    if not (len(weights) and np.isfinite(weights).all() and (weights >= 0).all() and weights[0] > 0):
        raise DamageError("its array 'bin_weights' has not one fraction for each bin")
    if abs(weights.sum() - 1) > 1e-6:
        raise DamageError(f"its array 'bin_weights' sums to {weights.sum():g}, not to 1")
    sessions = facts["config"].get("sessions", {}).values()
    if any(place >= len(arrays["neuron_ids"]) for places in sessions for place in places):
        raise DamageError("its sessions have more neurons than it has ids")
    conditions = tuple(facts["conditions"])
    return Context(float(facts["bin_ms"]), weights, len(arrays["neuron_ids"]), facts["covariates"], conditions)


def check_size(model: Model, context: Context) -> None:
    """Raise DamageError where a model has more latents than any fit of these neurons, before its sites are traced."""
    if not context.n_neurons or model.dim > context.n_neurons:
        raise DamageError(f"its model has {model.dim} latents, its arrays {context.n_neurons} neurons")
    if 4 * model.dim * context.n_neurons > LIMIT_BYTES:
        raise DamageError(f"its loadings of {context.n_neurons} neurons and {model.dim} latents exceed the memory")


def sites(model: Model, context: Context, declared: Mapping[str, Declared]) -> dict[str, Site]:
    """The sites whose values a file should hold. One that was saved by an earlier version has no count readout."""
    stored = any(f"values/{name}" in declared for name in count_readout_names(model))
    return value_sites(model, context) if stored else parameter_sites(model, context)


def mismatch(sites: Mapping[str, Site], declared: Mapping[str, Declared]) -> list[str]:
    """The sites that a model has and a file lacks, or the other way round, or that differ in shape."""
    expected = {f"values/{name}": site.shape.shape for name, site in sites.items()}
    declared_values = {name: shape for name, (shape, _) in declared.items() if name.startswith("values/")}
    drawn = {name: shape for name, (shape, _) in declared.items() if name.startswith("draws/")}
    counts = {shape[:1] for shape in drawn.values()}
    count = next(iter(counts), (0,))
    if len(counts) == 1 and count and 0 < count[0] <= MOST_DRAWS:
        expected |= {f"draws/{name}": (*count, *site.shape.shape) for name, site in sites.items()}
    declared_values |= drawn
    return sorted(
        name for name in expected.keys() | declared_values.keys() if expected.get(name) != declared_values.get(name)
    )


def check_values(sites: Mapping[str, Site], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise DamageError where a parameter is not finite or outside its support, or the basis is not orthogonal."""
    for name, array in arrays.items():
        group, _, site = name.partition("/")
        if group not in ("values", "draws"):
            continue
        if not np.isfinite(array).all():
            raise DamageError(f"its array {name!r} has {(~np.isfinite(array)).sum()} values that are not finite")
        low, high = bounds(sites[site].support)
        if (array < low).any() or (array > high).any():
            raise DamageError(f"its array {name!r} has values outside {low:g} to {high:g}")
    basis = arrays.get("basis")
    if basis is None:
        return
    dim = len(basis)
    if basis.shape != (dim, dim) or not np.abs(basis.T @ basis - np.eye(dim)).max(initial=0.0) < ORTHOGONAL:
        raise DamageError("its array 'basis' is no rotation")


def bounds(support: Any) -> tuple[float, float]:
    """The least and the greatest value that a site may have, both included: rounding may lead to the very edge."""
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    ends = (getattr(support, "lower_bound", -np.inf), getattr(support, "upper_bound", np.inf))
    return float(np.min(ends[0])), float(np.max(ends[1]))


def note_versions(versions: Mapping[str, Any], folder: Path) -> None:
    """Warn where a posterior was saved by another release of nlbprob or of what it computes with."""
    now = current_versions()
    before = {name: str(versions.get(name, "unknown"))[:40] for name in now}
    other = [f"{name} {before[name]} (now {now[name]})" for name in now if release(before[name]) != release(now[name])]
    if other:
        warnings.warn(
            f"{folder} was saved by {', '.join(other)}: predictions may differ in their last digits.", stacklevel=4
        )


def current_versions() -> dict[str, str]:
    """The versions in use of `PACKAGES`."""
    return {name: __version__ if name == "nlbprob" else version(name) for name in PACKAGES}


def release(name: str) -> list[str]:
    """The first two numbers of a version."""
    return re.findall(r"\d+", name)[:2]
