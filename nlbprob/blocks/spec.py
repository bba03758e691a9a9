"""Models as JSON and back, from a closed list of classes: reading a saved model runs no code that a file names."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist

from nlbprob.blocks.effects import History, InputEffect
from nlbprob.blocks.flow import Flow
from nlbprob.blocks.gain import Gain
from nlbprob.blocks.gp import GP
from nlbprob.blocks.inputs import Covariate, TrialTime
from nlbprob.blocks.kernels import Matern12, Matern32, Matern52, Periodic, Product, QuasiPeriodic, Sum
from nlbprob.blocks.lds import LDS
from nlbprob.blocks.negative_binomial import NegativeBinomial
from nlbprob.blocks.observations import Bernoulli, Gaussian, SqrtGaussian
from nlbprob.blocks.poisson import Poisson, ZeroInflatedPoisson
from nlbprob.blocks.readout import LinearReadout
from nlbprob.blocks.shrinkage.ard import ARD
from nlbprob.blocks.shrinkage.horseshoe import Horseshoe
from nlbprob.blocks.shrinkage.laplace import Laplace
from nlbprob.blocks.shrinkage.ridge import Ridge
from nlbprob.blocks.slds import SwitchingLDS
from nlbprob.blocks.templates import Templates
from nlbprob.blocks.trial_factors import TrialFactors
from nlbprob.errors import InputError

#: The first words of the entry of a function.
FUNCTION = "the function"


def name_of(kind: type) -> str:
    """The name of a class in a file, "module:name"."""
    return f"{kind.__module__}:{kind.__qualname__}"


#: Every block that a saved model may be made of; a test holds that it has all public ones.
BLOCKS: dict[str, type] = {
    name_of(kind): kind
    for kind in (
        *(LDS, SwitchingLDS, Flow, GP, Gain, Templates, TrialFactors),
        *(Matern12, Matern32, Matern52, Periodic, QuasiPeriodic, Sum, Product),
        *(Bernoulli, Gaussian, NegativeBinomial, Poisson, SqrtGaussian, ZeroInflatedPoisson),
        *(Ridge, ARD, Laplace, Horseshoe),
        *(LinearReadout, InputEffect, History, Covariate, TrialTime),
    )
}
#: Priors that are saved by their arguments; their constructors take nothing but arrays.
PRIORS: dict[str, type[dist.Distribution]] = {
    kind.__name__: kind
    for kind in (
        *(dist.Beta, dist.Cauchy, dist.Dirichlet, dist.Exponential, dist.Gamma, dist.HalfCauchy, dist.HalfNormal),
        *(dist.InverseGamma, dist.Laplace, dist.LogNormal, dist.LogUniform, dist.Normal, dist.StudentT),
        *(dist.Uniform, dist.Weibull),
    )
}
#: Fields that blocks of earlier versions did not have; theirs are as by default.
LATER = {"neurons", "reads"}
#: No block has a size beyond this; a larger number in a file would only exhaust the memory.
LARGEST_SIZE = 10_000


def to_json(block: Any) -> Any:
    """A block, or a model of blocks, as nested dictionaries; values that JSON cannot hold are given by their repr.

    NumPy's and JAX's numbers and arrays are given as Python's numbers and lists.
    """
    if dataclasses.is_dataclass(block) and not isinstance(block, type):
        fields = {field.name: to_json(getattr(block, field.name)) for field in dataclasses.fields(block)}
        return {"block": name_of(type(block)), **fields}
    if isinstance(block, Mapping):
        return {str(key): to_json(value) for key, value in block.items()}
    if isinstance(block, list | tuple):
        return [to_json(item) for item in block]
    if isinstance(block, dist.Distribution):
        return prior_to_json(block)
    if isinstance(block, np.ndarray | np.generic | jax.Array):
        return to_json(block.tolist())
    if block is None or isinstance(block, bool | int | float | str):
        return block
    if callable(block) and hasattr(block, "__qualname__"):
        return {"repr": f"{FUNCTION} {block.__qualname__!r}"}
    return {"repr": repr(block)}


def prior_to_json(prior: dist.Distribution) -> dict[str, Any]:
    """A prior by its class, its arguments, and how it was expanded; by its repr where it is not one of `PRIORS`."""
    if type(prior) is dist.ExpandedDistribution:
        return {"expand": list(prior.batch_shape), "of": prior_to_json(prior.base_dist)}
    if type(prior) is dist.Independent:
        return {"to_event": prior.reinterpreted_batch_ndims, "of": prior_to_json(prior.base_dist)}
    if PRIORS.get(type(prior).__name__) is not type(prior):
        return {"repr": f"a prior {type(prior).__name__}"}
    arguments = {name: np.asarray(getattr(prior, name)).tolist() for name in prior.arg_constraints}
    return {"prior": type(prior).__name__, **arguments}


def from_json(value: Any, classes: Mapping[str, type] = BLOCKS) -> Any:
    """The block or model of a value that `to_json` returned.

    Args:
        value: what was read from JSON.
        classes: what may be built, by name.

    Raises:
        InputError: it names another class, or a class has other fields.
    """
    if isinstance(value, list):
        return tuple(from_json(item, classes) for item in value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_SIZE:
        raise InputError(f"The saved model has a size of {value}, beyond the largest, {LARGEST_SIZE}.")
    if not isinstance(value, dict):
        return value
    if "repr" in value:
        raise foreign(value["repr"])
    if value.keys() & {"prior", "of"}:
        return prior_from_json(value)
    kind = classes.get(value["block"]) if isinstance(value.get("block"), str) else None
    if "block" in value and kind is None:
        raise foreign(function_in(value) or value["block"])
    fields = {key: from_json(item, classes) for key, item in value.items() if key != "block"}
    if kind is None:
        return fields
    field_names = {field.name for field in dataclasses.fields(kind)}
    if wrong := sorted((field_names ^ fields.keys()) - (LATER - fields.keys())):
        raise InputError(f"The saved {kind.__name__} lacks the field {wrong[0]!r}, or should not have it.")
    return kind(**fields)


def function_in(value: Any) -> str | None:
    """The entry of a function in a saved model; None where the model was none."""
    if isinstance(value, dict):
        if str(value.get("repr", "")).startswith(FUNCTION):
            return str(value["repr"])
        value = list(value.values())
    return next(filter(None, map(function_in, value)), None) if isinstance(value, list) else None


def foreign(name: Any) -> InputError:
    """The error about a saved model with a class that may not be built from a file."""
    shown = str(name)[:200]
    shown = shown if shown.startswith(FUNCTION) else repr(shown)
    return InputError(
        f"The saved model uses {shown}, which is not part of nlbprob; load it with model=..., the model "
        "that was fitted."
    )


def prior_from_json(value: dict[str, Any]) -> dist.Distribution:
    """The prior of a value that `prior_to_json` returned. Raises InputError where it is not one of `PRIORS`."""
    if "of" in value:
        base = from_json(value["of"])
        if not isinstance(base, dist.Distribution):
            raise InputError("The saved model has a prior that is made of something else.")
        return (
            base.expand(checked_sizes(value["expand"]))
            if "expand" in value
            else base.to_event(*checked_sizes([value["to_event"]]))
        )
    kind = PRIORS.get(value["prior"]) if isinstance(value["prior"], str) else None
    if kind is None:
        raise foreign(value["prior"])
    arguments = {name: np.asarray(item, np.float32) for name, item in value.items() if name != "prior"}
    if arguments.keys() != kind.arg_constraints.keys():
        raise InputError(f"The saved prior {kind.__name__} has other arguments than {', '.join(kind.arg_constraints)}.")
    return kind(**{name: float(item) if item.ndim == 0 else item for name, item in arguments.items()})


def checked_sizes(sizes: Any) -> tuple[int, ...]:
    """The sizes as a tuple. Raises InputError unless each is a whole number that a model may have."""
    if not all(type(size) is int and 0 <= size <= LARGEST_SIZE for size in sizes):
        raise InputError(f"The saved model has a prior of the shape {str(sizes)[:200]}, which is not a shape.")
    return tuple(sizes)


def as_fitted(block: Any, saved: Any, path: str = "model") -> Any:
    """The model with every field that is None set to its value in the saved fit.

    Priors may differ: they do not change what the parameters mean.

    Args:
        block: the model, or a part of it.
        saved: the fitted model as `to_json` returned it.
        path: the name of the part in messages.

    Raises:
        InputError: the two differ in something else.
    """
    if dataclasses.is_dataclass(block) and not isinstance(block, type):
        kind = type(block).__qualname__
        fitted = str(saved.get("block") if isinstance(saved, dict) else saved).rpartition(":")[2]
        if fitted != kind:
            raise other_model(path, kind, fitted)
        fields = [field.name for field in dataclasses.fields(block) if field.name in saved and field.name != "priors"]
        parts_by_name = {name: as_fitted(getattr(block, name), saved[name], f"{path}.{name}") for name in fields}
        changed = {name: value for name, value in parts_by_name.items() if value is not getattr(block, name)}
        return dataclasses.replace(block, **changed) if changed else block
    if isinstance(block, tuple) and isinstance(saved, list) and len(block) == len(saved):
        parts = [as_fitted(*pair, f"{path}[{i}]") for i, pair in enumerate(zip(block, saved, strict=True))]
        return tuple(parts) if any(a is not b for a, b in zip(parts, block, strict=True)) else block
    described = to_json(block)
    if block is None and saved is not None:
        return from_json(saved)
    if described != saved and "repr" not in (described if isinstance(described, dict) else {}):
        raise other_model(path, described, saved)
    return block


def other_model(path: str, actual: Any, fitted: Any) -> InputError:
    """The error about a model that is not the one that was fitted."""
    return InputError(
        f"The saved posterior is of another model: {path} was {str(fitted)[:100]!r} and is {str(actual)[:100]!r}. "
        "Load it with the model, and the options, that were fitted."
    )
