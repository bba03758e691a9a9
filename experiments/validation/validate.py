"""Recovery and coverage studies: do fits find what data were drawn from, and do their intervals hold it?

python experiments/validation/validate.py [--seeds N] [--only NAME ...]

Keeps what every run measured in results.json beside this file, from which it writes docs/validation.md. --only replaces
the results of the studies that it names, and keeps the others.
"""

import argparse
import functools
import json
import os
import pathlib
import time
from collections.abc import Callable

from nlbprob.cli import cache_folder

# Before JAX is imported: a program that was compiled for one seed serves all others.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder() / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import recovery
from coverage import coverage
from dense import dense
from goals import GOALS
from score_intervals import score_intervals

FOLDER = pathlib.Path(__file__).resolve().parent
RESULTS, PAGE = FOLDER / "results.json", FOLDER.parent.parent / "docs" / "validation.md"
#: What each study calls with a seed, and for how many seeds.
STUDIES: dict[str, tuple[Callable, int]] = {
    "modal": (recovery.modal, 20),
    "switching": (recovery.switching, 20),
    "templates": (recovery.templates, 20),
    "timescales": (recovery.timescales, 20),
    "pruning": (recovery.pruning, 20),
    "stitching": (recovery.stitching, 20),
    "coverage": (coverage, 100),
    "coverage-normal": (functools.partial(coverage, family="normal"), 20),
    "coverage-lowrank": (functools.partial(coverage, family="lowrank"), 20),
    "dense": (dense, 20),
    "dense-softplus": (functools.partial(dense, kind="softplus"), 20),
    "dense-overdispersed": (functools.partial(dense, kind="overdispersed"), 20),
    "scores": (score_intervals, 40),
    "scores-few-spikes": (functools.partial(score_intervals, kind="few-spikes"), 40),
    "scores-gains": (functools.partial(score_intervals, kind="gains"), 40),
    "scores-strong-gains": (functools.partial(score_intervals, kind="strong-gains"), 40),
    "scores-errors": (functools.partial(score_intervals, kind="errors"), 40),
}
INTRODUCTION = """# Validation

Written by `make validate` (`experiments/validation`) from recordings drawn with a known truth; `results.json` there
holds the numbers of every run. A line gives the share of values that are as the goal says and, where values are errors
or ratios, their smallest, median and largest. A goal that is not met says so.
Labels are told on truths drawn until their own parameters are right in 86 to 97% of cases.
Lines called dense are fits of any dynamics to planes that turn and a slow latent, at default settings: of counts as the
model has them, of softplus rates, and of counts whose variance is larger than their mean.
Lines of scores take 50 sets of trials from each recording, with predictions that are made up, not fitted. The logarithm
of the trials' gains has a standard deviation of 0.3, and 30 neurons have about 7 spikes a trial; few spikes: 1.4;
gains: 0.5; strong gains: 0.8 and five neurons; errors: predictions err three times as much, by trial.
"""


def main() -> None:
    """Run the studies that are asked for, and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, help="runs of each study (default: 20, of coverage 100, of scores 40)")
    parser.add_argument("--only", nargs="+", choices=list(STUDIES), default=list(STUDIES), help="studies to run")
    chosen = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in chosen.only:
        study, seeds = STUDIES[name]
        begin, results[name] = time.perf_counter(), []
        for seed in range(chosen.seeds or seeds):
            results[name].append(study(seed))
            write(results)
            print(f"{name} {seed + 1}/{chosen.seeds or seeds}, {time.perf_counter() - begin:.0f} s", flush=True)
        for goal in GOALS[name]:
            line = goal.line(name, results[name])
            print(f"{'met' if line['met'] else 'NOT MET':<8}{line['quantity']}: {line['found']:.1%} ({line['goal']})")


def write(results: dict[str, list[dict]]) -> None:
    """Keep what was measured so far, so that a study that is interrupted leaves its runs."""
    RESULTS.write_text(json.dumps(results) + "\n", encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")


def page(results: dict[str, list[dict]]) -> str:
    """The page of the docs."""
    rows = [
        "| study | quantity | runs | values | found | least, median, most | goal | met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in STUDIES:
        for goal in GOALS[name] if name in results else []:
            one = goal.line(name, results[name])
            shown = [name, one["quantity"], one["runs"], one["values"], f"{one['found']:.1%}", one["spread"]]
            shown += [one["goal"], "yes" if one["met"] else "**no**"]
            rows.append(f"| {' | '.join(map(str, shown))} |")
    missing = [name for name in STUDIES if name not in results]
    notes = [f"\nNot run: {', '.join(missing)}."] if missing else []
    return "\n".join([INTRODUCTION, *rows, *notes, ""])


if __name__ == "__main__":
    main()
