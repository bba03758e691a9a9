"""The command of a fit whose stages last moments: what it computes is made up, what it writes is written as ever.

`python -m tests.damage.short_fit fit MODEL DATA --out RUN ...`
"""

import contextlib
import pathlib
import sys
import time
import types
from collections.abc import Iterator
from unittest import mock

import numpy as np

from nlbprob import cli, files
from nlbprob.data.trials import Trials
from nlbprob.infer.fit.fit import Interrupted

#: How long each stage lasts.
STAGE_S = 0.1
#: The size of what each stage writes.
SIZES = {"checkpoint.npz": 40_000, "posterior.npz": 40_000, "posterior.nc": 80_000, "report.html": 60_000}


def trials(*_, **__) -> Trials:
    """A recording of 20 trials."""
    return Trials.from_arrays(np.random.default_rng(0).poisson(0.8, (20, 10, 8)), 5.0)


class Found:
    """A posterior that predicts mean rates."""

    verdict = "Converged."

    def save(self, folder: pathlib.Path) -> None:
        """Two files, as a posterior has them."""
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "posterior.npz")
        files.write_text(folder / "posterior.json", "{}")

    def rates_and_latents(self, visible: Trials) -> tuple[np.ndarray, None]:
        """Those of each neuron."""
        time.sleep(STAGE_S)
        return np.full(visible.counts.shape, 0.8), None

    def to_arviz(self, *_, **__) -> "Found":
        """Itself."""
        return self

    def to_netcdf(self, path: pathlib.Path, *_, **__) -> None:
        """A file."""
        time.sleep(STAGE_S)
        write(path)


def write(path: pathlib.Path) -> None:
    """A file of the size that is set for its name, in pieces."""
    with files.replacing(path) as file:
        for _ in range(4):
            file.write(b"x" * (SIZES[path.name] // 4))
            time.sleep(STAGE_S / 4)


class Checkpoints:
    """A file that is written anew now and then."""

    def __init__(self, _: object, folder: pathlib.Path):
        self.path = folder / "checkpoint.npz"
        folder.mkdir(exist_ok=True)

    def __call__(self, *_: object) -> None:
        """Write it."""
        write(self.path)


class Log:
    """A line for each step."""

    def __init__(self, path: pathlib.Path, _: object):
        self.path = path

    def __call__(self, *_: object) -> None:
        """Add one."""
        with self.path.open("a") as file:
            file.write("{}\n")


def drive(running, progress, watchers) -> Found:
    """A fit that has found something once half of it is over."""
    found = None
    try:
        for watch in watchers:
            watch(types.SimpleNamespace(stage="svi"), None)
        time.sleep(STAGE_S)
        found = Found()
        for watch in watchers:
            watch(types.SimpleNamespace(stage="svi"), None)
    except KeyboardInterrupt as stop:
        interrupted = Interrupted(None)
        interrupted.posterior = found
        raise interrupted from stop
    return found


@contextlib.contextmanager
def made_up() -> Iterator[None]:
    """What takes long is replaced in the block."""
    import nlbprob.reporting.page

    with (
        mock.patch("nlbprob.data.nwb.load", trials),
        mock.patch("nlbprob.infer.fit.fit.drive", drive),
        mock.patch("nlbprob.infer.fit.loop.steps", return_value=types.SimpleNamespace(state=None)),
        mock.patch("nlbprob.infer.fit.checkpoint.Checkpoints", Checkpoints),
        mock.patch("nlbprob.infer.fit.log.Log", Log),
        mock.patch("nlbprob.run.load_model", return_value=None),
        mock.patch.object(nlbprob.reporting.page, "write_report", lambda path, **_: write(path)),
        mock.patch("nlbprob.posterior.posterior.Posterior.load", return_value=Found()),
    ):
        yield


def main() -> None:
    """Run the command line."""
    with made_up():
        print("started", flush=True)
        sys.exit(cli.program())


if __name__ == "__main__":
    main()
