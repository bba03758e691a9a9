"""What an accelerator does: its numbers beside the CPU's, how long fits take, and which recursion is the faster one.

python experiments/benchmark/device_check.py [--out FOLDER] [--folder DIR] [--minutes 5] [--small]

Needs nothing but nlbprob and what JAX finds as its first device; no part begins after so many minutes, and what was
left out is said. DIR holds maze_large_subset.nwb, a real recording; without it that fit is left out. Results are in
device_check.json, and as tables in device_check.md. `--small` runs every part in a small form, on a CPU too.
"""

import argparse
import json
import os
import pathlib
import platform
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import nlbprob as nlb
from nlbprob.numerics import kalman
from nlbprob.numerics.gaussian import Chain, Sites

WINDOW = {"bin_ms": 5, "behavior": "hand_vel", "condition": ("condition",)}
#: How often a program runs before the shortest time counts.
REPEATS = 3


class Sizes(NamedTuple):
    """How large each part is: (trials, bins, latents) of recursions, trials of fits, rows of a matrix, iterations."""

    recursions: tuple[tuple[int, int, int], ...]
    demo: int
    whole: tuple[int, int, int]
    matrix: int
    iterations: int


WHOLE = Sizes(
    tuple((trials, bins, dim) for dim in (4, 13, 32) for trials in (1, 64, 1024) for bins in (25, 140, 600)),
    150,
    (2295, 182, 32),
    8192,
    4,
)
SMALL = Sizes(((1, 25, 2), (8, 25, 2)), 24, (40, 12, 3), 256, 2)


def facts() -> dict[str, Any]:
    """The device, the machine and the versions."""
    device = jax.devices()[0]
    memory = (device.memory_stats() or {}).get("bytes_limit")
    return {
        "device": f"{len(jax.devices())} x {device.device_kind}",
        "platform": device.platform,
        "memory_gb": None if memory is None else round(memory / 1e9, 1),
        "machine": f"{os.cpu_count()} cores, {platform.platform()}",
        "versions": {"nlbprob": nlb.__version__, "jax": jax.__version__, "python": platform.python_version()},
    }


def numbers(sizes: Sizes, _: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The largest differences of float32 on the device from float64 on the CPU, in parts of the largest value."""
    for trials, bins, dim in sizes.recursions[-2:]:
        chain, sites = problem(trials, bins, dim)
        with jax.default_device(jax.devices("cpu")[0]), jax.enable_x64(True):
            wanted = solve(*with_digits((*chain, *sites), np.float64), parallel=False)
        for parallel in (False, True):
            found = solve(*chain, *sites, parallel=parallel)
            yield {
                "what": f"{'parallel' if parallel else 'sequential'}, {trials} x {bins} x {dim}",
                **{name: apart(found[name], wanted[name]) for name in ("mean", "covariance", "log Z")},
            }


def apart(found: Any, wanted: Any) -> float:
    """The largest difference of two arrays, in parts of the largest value."""
    one, other = np.asarray(found, float), np.asarray(wanted, float)
    return float(np.abs(one - other).max() / np.abs(other).max())


def problem(trials: int, bins: int, dim: int) -> tuple[Chain, Sites]:
    """A stable chain, and sites as of some spikes in a bin."""
    random = np.random.default_rng(0)
    turn, _ = np.linalg.qr(random.standard_normal((dim, dim)))
    kept = np.exp(-5 / random.uniform(50, 500, dim))
    read = random.standard_normal((dim, dim))
    precision = np.broadcast_to(0.1 * read @ read.T / dim, (trials, bins, dim, dim))
    linear = random.standard_normal((trials, bins, dim))
    chain = Chain(np.zeros(dim), np.eye(dim), turn * kept, np.zeros(dim), turn @ np.diag(1 - kept**2) @ turn.T)
    return with_digits(chain, np.float32), with_digits(Sites(linear, precision), np.float32)


def with_digits(arrays: Any, dtype: type[np.floating]) -> Any:
    """The same numbers with the digits of a type."""
    return jax.tree.map(lambda a: np.asarray(a, dtype), arrays)


def solved(*arrays: Any, parallel: bool) -> dict[str, Any]:
    """Moments and normaliser of a chain times sites."""
    chain, sites = Chain(*arrays[:5]), Sites(*arrays[5:])
    filtered = kalman.filter(chain, sites, parallel)
    smoothed = kalman.smooth(chain, sites, filtered, parallel)
    return {"mean": smoothed.mean, "covariance": smoothed.covariance, "log Z": kalman.log_normalizer(filtered, sites)}


solve = jax.jit(solved, static_argnames="parallel")


def recursions(sizes: Sizes, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Seconds of the smoother in sequence and in parallel, by trials, bins and latents."""
    for trials, bins, dim in sizes.recursions:
        if time.perf_counter() > given.end:
            yield {"trials": trials, "bins": bins, "latents": dim, "left out": "out of time"}
            continue
        arrays = [jax.device_put(array) for part in problem(trials, bins, dim) for array in part]
        pair = [shortest(lambda p=parallel, a=arrays: solve(*a, parallel=p)) for parallel in (False, True)]
        row = {"trials": trials, "bins": bins, "latents": dim, "sequential_s": pair[0], "parallel_s": pair[1]}
        yield row | {"faster": "sequential" if pair[0] < pair[1] else "parallel"}


def shortest(run: Callable[[], Any]) -> float:
    """The least of some times of a program, in s, its compilation before them."""
    jax.block_until_ready(run())
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - begin)
    return min(times)


def fits(sizes: Sizes, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Seconds of a first and of a second fit in this process, and co-bps: the demo, and the macaque's reaches."""
    recordings = {"demo": lambda: nlb.reaches(sizes.demo).trials}
    file = None if given.folder is None else given.folder / "maze_large_subset.nwb"
    if file is not None:
        recordings["macaque, reaches, 5 ms"] = lambda: nlb.load(file, **WINDOW)
    options = {"em_iterations": sizes.iterations, "svi_steps": 0, "posterior": "map"} if given.small else {}
    for name, load in recordings.items():
        trials, seconds = load(), []
        for _ in range(2):
            begin = time.perf_counter()
            posterior = nlb.fit(model_of(sizes, given), trials.split("train"), progress=False, **options)
            scores = nlb.score(posterior.rates(trials.hide_heldout("val")), trials, metrics=["co-bps"], bootstrap=0)
            seconds.append(time.perf_counter() - begin)
        yield {"fit": name, "first_s": seconds[0], "second_s": seconds[1], "co-bps": scores.values["co-bps"]}


def model_of(sizes: Sizes, given: argparse.Namespace) -> nlb.Model:
    """The model that is fitted: `poisson_lds` with its default size, in small form with few latents."""
    return nlb.Model(latents=[nlb.LDS(sizes.whole[2] if given.small else None)])


def full_size(sizes: Sizes, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Seconds of an iteration of EM on a recording of the size of mc_maze, memory, and the fraction of the peak.

    Operations are counted roughly, 3 N K (K + 1) + 20 K^3 for each bin of each trial with N neurons and K latents.
    """
    trials, neurons, dim = sizes.whole
    made = nlb.reaches(trials, neurons).trials
    config, ends = nlb.FitConfig(em_iterations=sizes.iterations, svi_steps=0, posterior="map"), []
    for _, info in nlb.steps(nlb.Model(latents=[nlb.LDS(dim)]), made, config):
        ends.append(info.seconds)
        if time.perf_counter() > given.end:
            break
    each = float(np.median(np.diff(ends))) if len(ends) > 1 else None
    peak, operations = peak_flops(sizes.matrix), (3 * neurons * dim * (dim + 1) + 20 * dim**3) * trials * made.n_bins
    used = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    yield {
        "size": f"{trials} x {made.n_bins} x {neurons}, {dim} latents",
        "first_iteration_s": ends[0],
        "iteration_s": each,
        "device_memory_gb": None if used is None else used / 1e9,
        "peak_tflops": peak / 1e12,
        "fraction_of_peak": None if each is None else operations / each / peak,
    }


def peak_flops(rows: int) -> float:
    """Operations per second of a square matrix product in float32."""
    square = jax.device_put(np.random.default_rng(0).standard_normal((rows, rows)).astype(np.float32))
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    return 2 * rows**3 / shortest(lambda: product(square))


PARTS: dict[str, Callable[[Sizes, argparse.Namespace], Iterator[dict[str, Any]]]] = {
    "Numbers": numbers,
    "Fits": fits,
    "Full size": full_size,
    "Recursions": recursions,
}


def markdown(found: dict[str, Any]) -> str:
    """The results as tables."""
    about = ", ".join(f"{name} {version}" for name, version in found["facts"]["versions"].items())
    lines = [f"# {found['facts']['device']}", "", f"{found['facts']['machine']}; {about}.", ""]
    for name, part in PARTS.items():
        lines += [f"## {name}", "", " ".join((part.__doc__ or "").split()), ""]
        rows = found["parts"].get(name, [])
        columns = list(dict.fromkeys(column for row in rows for column in row))
        lines += [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)] if rows else ["Left out: out of time."]
        lines += [f"| {' | '.join(written(row.get(column)) for column in columns)} |" for row in rows] + [""]
    return "\n".join(lines)


def written(value: Any) -> str:
    """A cell of a table."""
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Run part after part while there is time, and keep what was found after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("device_check"), help="folder of the results")
    parser.add_argument("--folder", type=pathlib.Path, help="where the real recordings are")
    parser.add_argument("--minutes", type=float, default=5.0, help="no part begins later (default 5)")
    parser.add_argument("--small", action="store_true", help="every part in a small form")
    given = parser.parse_args()
    given.end = time.perf_counter() + 60 * given.minutes
    given.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"facts": facts(), "small": given.small, "parts": {}}
    print(f"{found['facts']['device']}: at most {given.minutes:g} minutes.", flush=True)
    for name, part in PARTS.items():
        begin = time.perf_counter()
        if begin < given.end:
            found["parts"][name] = list(part(SMALL if given.small else WHOLE, given))
            print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)
        (given.out / "device_check.json").write_text(json.dumps(found, indent=1) + "\n")
        (given.out / "device_check.md").write_text(markdown(found))
    print(f"Everything is in {given.out}: device_check.json, device_check.md.")


if __name__ == "__main__":
    main()
