"""The studies of `make validate`, for their short forms in tests."""

import importlib.util
import sys
from types import ModuleType
from unittest import mock

from nlbprob.resources import folder


def load(name: str) -> ModuleType:
    """A module of experiments/validation."""
    path = folder("experiments") / "validation" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"validation_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with mock.patch.object(sys, "path", [str(path.parent), *sys.path]):  # one study takes measures of another
        spec.loader.exec_module(module)
    return module
