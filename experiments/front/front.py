"""Readable models against black boxes on the same trials: several seeds each, and paired differences.

python experiments/front/front.py DATA --black-boxes FOLDER --out FOLDER [--recordings NAME ...] [--seeds N]

DATA holds the recordings. Each cell, a model and a seed, is fitted to `train` with the model's defaults and predicts
`val` from held-in neurons alone; its rates stay in `--out`, so that the same command goes on where it was stopped.
Black boxes are read as rates: an npz of `rates` [trial, time, neuron] in spikes per bin, with ids `trial` and `neuron`.
It prints the table, and writes front.json beside this file.
"""

import argparse
import json
import pathlib
import time
from typing import Any

import numpy as np

import nlbprob as nlb

#: How each is read, and which models are worth their time there.
RECORDINGS: dict[str, dict[str, Any]] = {
    "maze_large_subset": {"bin_ms": 5, "behavior": "hand_vel", "condition": ("condition",)},
    "mc_maze_segments": {"bin_ms": 5},
}
MODELS = {"maze_large_subset": ("poisson_lds", "templates_lds"), "mc_maze_segments": ("poisson_lds",)}
RESULTS = pathlib.Path(__file__).with_suffix(".json")


def cell(trials: nlb.Trials, model: str, seed: int, kept: pathlib.Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Rates of a fit [trial, time, neuron] in spikes per bin, and what is told of it; from `kept` where it is there."""
    told = kept.with_suffix(".json")
    if not told.is_file():
        begin = time.perf_counter()
        posterior = nlb.fit(nlb.load_model(model), trials.split("train"), seed=seed, progress=False)
        fitted = time.perf_counter() - begin
        np.save(kept, posterior.rates(trials.hide_heldout("val")).values)
        words = {"fit_s": fitted, "iterations": len(posterior.elbo), "latents": posterior.model.dim}
        told.write_text(json.dumps(words | {"verdict": posterior.verdict}), encoding="utf-8")
    return np.load(kept), json.loads(told.read_text(encoding="utf-8"))


def black_boxes(trials: nlb.Trials, file: pathlib.Path) -> np.ndarray:
    """Rates [trial, time, neuron] of all trials and neurons; 0.001 where the file has none, which is not scored."""
    given = np.load(file)
    ids = [trials.table["id"].tolist(), trials.neurons["id"].tolist()]
    rates = np.full(trials.counts.shape, 1e-3)
    places = [
        [known.index(one) for one in given[name].tolist()] for known, name in zip(ids, ("trial", "neuron"), strict=True)
    ]
    rates[np.ix_(places[0], np.arange(given["rates"].shape[1]), places[1])] = given["rates"]
    return rates


def scored(rates: np.ndarray, trials: nlb.Trials) -> dict[str, Any]:
    """co-bps and velocity R2 with their 90% intervals over trials of val."""
    found = nlb.score(rates, trials, fit="train", on="val")
    return {name: [found.values[name], *(found.intervals[name] or ())] for name in ("co-bps", "vel R2")}


def line(rates: np.ndarray, told: dict[str, Any], others: dict[str, Any], trials: nlb.Trials) -> dict[str, Any]:
    """What is told of a fit, its scores, and what it has in co-bps beyond each of the others, with 90% intervals."""
    differences = {f"less {name}": nlb.compare(rates, theirs, trials) for name, theirs in others.items()}
    return (
        told
        | {"scores": scored(rates, trials)}
        | {name: [found.value, *(found.interval or ())] for name, found in differences.items()}
    )


def main() -> None:
    """Fill what is missing, compare, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=pathlib.Path, help="where the recordings are")
    parser.add_argument("--black-boxes", type=pathlib.Path, help="where RECORDING_5ms.npz are")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="where rates are kept")
    parser.add_argument("--recordings", nargs="+", choices=list(RECORDINGS), default=list(RECORDINGS))
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in chosen.recordings:
        trials = nlb.load(chosen.data / f"{name}.nwb", **RECORDINGS[name])
        others = {f"baseline: {key}": rates for key, rates in nlb.baselines(trials, fit="train").items()}
        file = None if chosen.black_boxes is None else chosen.black_boxes / f"{name}_5ms.npz"
        if file is not None and file.is_file():
            others["black boxes"] = black_boxes(trials, file)
        for model in MODELS[name]:
            for seed in range(chosen.seeds):
                rates, told = cell(trials, model, seed, chosen.out / f"{name}_{model}_{seed}.npy")
                found = line(rates, told, {} if seed else others, trials)
                results.setdefault(name, {})[f"{model}, seed {seed}"] = found
                RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
                print(name, model, seed, json.dumps({k: found[k] for k in found if k != "verdict"}), flush=True)
            bits = [results[name][f"{model}, seed {seed}"]["scores"]["co-bps"][0] for seed in range(chosen.seeds)]
            print(
                f"{name} {model}: median co-bps {np.median(bits):.4f} ({min(bits):.4f} to {max(bits):.4f})", flush=True
            )


if __name__ == "__main__":
    main()
