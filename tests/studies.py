"""The studies of `make validate`, for their short forms in tests."""

import importlib.util
from types import ModuleType

from nlbprob.resources import folder


def load(name: str) -> ModuleType:
    """A module of experiments/validation."""
    path = folder("experiments") / "validation" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"validation_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
