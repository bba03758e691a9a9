"""What every test shares: shapes checked at run time, two virtual CPU devices, the folder of real recordings."""

import collections
import gc
import os
import pathlib
import signal
import sys

import numpy as np
import pytest
from jaxtyping import install_import_hook

# All of this must come before the first import of jax and of nlbprob.
FLAGS = "--xla_force_host_platform_device_count=2 --xla_cpu_parallel_codegen_split_count=1"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}".strip()
install_import_hook("nlbprob", "beartype.beartype")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a process that a shell has put behind
    signal.signal(signal.SIGINT, signal.default_int_handler)
gc.set_threshold(100_000, 20, 20)  # as the command line does: tracing makes objects by the million

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Compilation takes most of the tests' time: programs are not optimized, which they are too small to gain from, and what
# was compiled once, in this run or an earlier one, is not again.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_collection_modifyitems(items):
    """Files of few tests come first: these take long, and one that is met last keeps the other workers waiting."""
    sizes = collections.Counter(item.path for item in items)
    items.sort(key=lambda item: sizes[item.path])


@pytest.fixture(scope="module", autouse=True)
def compiled_programs():
    """What a file's tests have compiled is let go after them.

    A process can hold only so many, see `nlbprob.infer.runtime.programs.make_room`.
    """
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="module")
def optimized():
    """Programs are optimized as a user's are, where a file's recordings are large enough to gain from it."""
    import jax

    name = "jax_disable_most_optimizations"
    before = jax.config.read(name)
    jax.config.update(name, False)
    yield
    jax.config.update(name, before)


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


def holes(trials, seed=1):
    """The same trials with a tenth of the entries unseen and the last trial a third shorter."""
    seen = np.random.default_rng(seed).uniform(size=trials.seen.shape) > 0.1
    seen[-1, 2 * trials.n_bins // 3 :] = False
    return trials.replace(seen=seen)


#: What the recording below was drawn with: one plane that turns at 1.5 Hz and fades within 300 ms.
FREQUENCY_HZ, DECAY_MS = 1.5, 300.0


@pytest.fixture(scope="session")
def truth():
    """30 trials of 20 bins of 20 ms, 10 neurons of which two are held out, drawn from a plane that turns."""
    import nlbprob as nlb

    random = np.random.default_rng(5)
    values = {
        "lds.decay_ms": np.full(2, DECAY_MS),
        # The orthogonal factor is a Cayley transform, so that the angle of a turn is 2 atan of half the entry.
        "lds.initial_covariance": np.array([[0.27323431, -0.18227127], [-0.18227127, 0.2579461]]),
        "lds.rotation_hz": np.array([2 * np.tan(np.pi * FREQUENCY_HZ * 0.02) / (2 * np.pi * 0.02)]),
        "loadings": 0.8 * random.standard_normal((10, 2)),
        "baseline": np.full(10, np.log(0.6)),
    }
    return nlb.simulate(nlb.Model(latents=[nlb.LDS(2)]), 30, neurons=10, bins=20, bin_ms=20.0, seed=2, values=values)


@pytest.fixture(scope="session")
def recording(truth):
    """The same with holes, a short trial, a forward window of two bins, conditions and a behavior."""
    trials = holes(truth.trials)
    random = np.random.default_rng(0)
    return trials.replace(
        table=trials.table | {"side": np.where(np.arange(30) % 2, "left", "right")},
        condition=("side",),
        forward_bins=2,
        behavior=random.standard_normal((30, 20, 2)),
        behavior_name="hand_vel",
        behavior_channels=("x", "y"),
    )


#: A fit that ends in seconds.
SHORT = {"em_iterations": 10, "svi_steps": 20, "progress": False}
#: The same without its second stage, which takes longest to compile.
EM_ALONE = SHORT | {"svi_steps": 0}


@pytest.fixture(scope="session")
def fitted(recording):
    """The default form of posterior of a model of the recording."""
    import nlbprob as nlb

    return nlb.fit(nlb.Model(latents=[nlb.LDS(2)]), recording.split("train"), seed=1, **SHORT)
