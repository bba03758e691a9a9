"""What every test shares: shapes checked at run time, two virtual CPU devices, the folder of real recordings."""

import os
import pathlib

import pytest
from jaxtyping import install_import_hook

# All of this must come before the first import of jax and of nlbprob.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2".strip()
install_import_hook("nlbprob", "beartype.beartype")

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Compilation takes most of the tests' time: what was compiled once, in this run or an earlier one, is not again.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


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
