"""How long a first and a second fit in a process take, and how long a first one with another revision, side by side.

python experiments/benchmark/revisions.py REVISION FOLDER [--fits NAME ...] [--pairs 5] [--machine WORDS]

FOLDER holds the real recordings. Each fit runs in a process of its own, without compilations kept on disk; the
two revisions take turns, so that other work on the machine meets both. Scores of both are noted as well. revisions.json
holds what was measured (a stopped run goes on where it was), and the medians are printed.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = pathlib.Path(__file__).with_suffix(".json")
WINDOW = {"bin_ms": 5, "behavior": "hand_vel", "condition": ("condition",)}
#: Model, recording (None: the one that `nlbprob demo` simulates), and how it is loaded.
FITS = {
    "demo": ("poisson_lds", None, WINDOW | {"forward_ms": 200, "lag_ms": 100}),
    "maze poisson_lds": ("poisson_lds", "maze_large_subset.nwb", WINDOW),
    "maze templates_lds": ("templates_lds", "maze_large_subset.nwb", WINDOW),
}


def main() -> None:
    """Measure what is missing, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", help="the other revision, as git knows it")
    parser.add_argument("folder", type=pathlib.Path, help="where the real recordings are")
    parser.add_argument("--fits", nargs="+", choices=FITS, default=list(FITS))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores")
    given = parser.parse_args()
    measured: list[dict] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    with tempfile.TemporaryDirectory() as scratch:
        this = git("describe", "--always", "--dirty")
        trees = {this: ROOT, given.revision: pathlib.Path(scratch) / "other"}
        git("worktree", "add", "--quiet", "--detach", str(trees[given.revision]), given.revision)
        try:
            for cell in missing(measured, given, this):
                name = FITS[cell["fit"]][1]
                recording = demo(scratch) if name is None else given.folder / name
                found = timed(trees[cell["code"]], cell["fit"], recording, fits=1 + (cell["code"] == this))
                measured.append(cell | found | {"machine": given.machine})
                RESULTS.write_text(json.dumps(measured, indent=1) + "\n")
                print(measured[-1], flush=True)
        finally:
            git("worktree", "remove", "--force", str(trees[given.revision]))
    for line in table(measured, given.revision, this):
        print(line)


def missing(measured: list[dict], given: argparse.Namespace, this: str) -> Iterator[dict]:
    """What is to be measured: the fits in turn, each with the other revision and with `this` one."""
    done = {(one["fit"], one["code"], one["pair"]) for one in measured}
    for pair in range(given.pairs):
        for fit in given.fits:
            for code in (given.revision, this):
                if (fit, code, pair) not in done:
                    yield {"fit": fit, "code": code, "pair": pair}


def timed(tree: pathlib.Path, fit: str, recording: pathlib.Path, fits: int) -> dict:
    """Seconds of `fits` fits in a process of its own, and the scores of the last."""
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, __file__, "--one", fit, str(recording), str(fits)]
    ran = subprocess.run(
        command, env=environment | {"PYTHONPATH": str(tree)}, capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout.splitlines()[-1])


def one(fit: str, recording: str, fits: str) -> None:
    """As many fits in this process, of the code that PYTHONPATH names; prints JSON."""
    import nlbprob as nlb

    model, _, options = FITS[fit]
    trials = nlb.load(recording, **options)
    train, seconds = trials.split("train"), []
    for _ in range(int(fits)):
        start = time.monotonic()
        posterior = nlb.fit(nlb.load_model(model), train, seed=0, progress=False)
        seconds.append(round(time.monotonic() - start, 1))
    scores = nlb.score(posterior.rates(trials.hide_heldout("val")), trials, fit="train", on="val").values
    found = {name: round(float(value), 4) for name, value in scores.items() if value is not None}
    print(json.dumps({"seconds": seconds, "scores": found}))


def demo(scratch: str) -> pathlib.Path:
    """The recording of the demo, simulated once."""
    folder = pathlib.Path(scratch) / "demo-data"
    if not folder.exists():
        from nlbprob.simulation import reaches, write_nwb

        write_nwb(folder, reaches(seed=0))
    return next(folder.glob("*train*.nwb"))


def table(measured: list[dict], revision: str, this: str) -> Iterator[str]:
    """A line of Markdown for each fit: medians, and the median of the ratios of the pairs."""
    yield f"| fit | pairs | first, {revision} (s) | first, {this} (s) | ratio | second / first | co-bps |"
    yield "|---|---|---|---|---|---|---|"
    for fit in FITS:
        each = {(m["code"], m["pair"]): m for m in measured if m["fit"] == fit}
        both = [k for code, k in each if code == this and (revision, k) in each]
        pairs = [(each[revision, k], each[this, k]) for k in both]
        if pairs:
            old, new = ([pair[i]["seconds"][0] for pair in pairs] for i in (0, 1))
            ratio = statistics.median(b / a for a, b in zip(old, new, strict=True))
            again = statistics.median(pair[1]["seconds"][1] / pair[1]["seconds"][0] for pair in pairs)
            scores = " / ".join(f"{pairs[0][i]['scores']['co-bps']:.4f}" for i in (0, 1))
            middle = f"{statistics.median(old):.0f} | {statistics.median(new):.0f}"
            yield f"| {fit} | {len(pairs)} | {middle} | {ratio:.2f} | {again:.2f} | {scores} |"


def git(*words: str) -> str:
    """What git prints, run in the project."""
    return subprocess.check_output(["git", "-C", str(ROOT), *words], text=True).strip()


if __name__ == "__main__":
    one(*sys.argv[2:]) if sys.argv[1:2] == ["--one"] else main()
