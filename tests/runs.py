"""Folders of runs, made without a fit."""

import pathlib

from nlbprob.files import write_json
from nlbprob.storage.command import Command
from nlbprob.storage.manifest import Entry, Manifest
from nlbprob.storage.origin import Source
from nlbprob.storage.stage import files_under

METRICS = {
    "val": {"co-bps": 0.21234, "vel R2": None},
    "intervals": {"co-bps": [0.2, 0.22], "vel R2": None},
    "reasons": {"vel R2": "the recording has no behavior"},
    "baselines": {"mean rate": {"co-bps": 0.0, "vel R2": None}},
    "bin_ms": 5.0,
    "split": "val",
    "fit_on": "train",
}
CONFIG = {
    "settings": {"model": "poisson_lds", "data": "a.nwb"},
    "data": {"options": {}},
    "model": {"name": "poisson_lds"},
}


def seal(folder: pathlib.Path, state: str = "done", *names: str, recording: tuple[pathlib.Path, ...] = (), words=()):
    """Write the manifest of a run whose files are these (by default, all in the folder); returns the folder."""
    found = [path for name in names for path in files_under(folder / name)] if names else files_under(folder)
    entries = {path.relative_to(folder).as_posix(): Entry.of(path) for path in found if path.name != "manifest.json"}
    made = Manifest(
        state,
        Command(tuple(words), str(pathlib.Path.cwd())),
        "2026-01-02T03:04:05+00:00",
        recording=tuple(Source.of(path).hashed() for path in recording),
        files=entries,
    )
    made.write(folder)
    return folder


def make(folder: pathlib.Path, state: str = "done", *, config=CONFIG, metrics=METRICS, **options) -> pathlib.Path:
    """A run with its configuration, its scores, a model and a stand-in for a posterior."""
    (folder / "posterior").mkdir(parents=True)
    (folder / "posterior" / "posterior.npz").write_bytes(b"posterior")
    (folder / "model.py").write_text(
        "import nlbprob as nlb\n\n\ndef model(*, dim=3):\n    return nlb.Model(latents=[nlb.LDS(dim)])\n"
    )
    write_json(folder / "config.json", config)
    write_json(folder / "metrics.json", metrics)
    return seal(folder, state, **options)
