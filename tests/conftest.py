"""What every test shares: shapes checked at run time, two virtual CPU devices, the folder of real recordings."""

import os
import pathlib

import pytest
from jaxtyping import install_import_hook

# Both must come before the first import of jax and of nlbprob.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2".strip()
install_import_hook("nlbprob", "beartype.beartype")

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder beside the project with real recordings and golden values; tests that need it skip without it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the real recordings of a folder `shared` beside the project ({folder} is not there)")
    return folder
