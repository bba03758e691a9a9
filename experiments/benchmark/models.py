"""Every model of models/ on every real recording: the README's table of scores.

python experiments/benchmark/models.py FOLDER [--models NAME ...] [--recordings NAME ...] [--again]

FOLDER holds the recordings. Each cell is fitted with the model's defaults to the split `train`, in a process of its own
so that its seconds include imports and compilation, and scored on `val` from held-in neurons alone. Cells that
models.json holds already are left as they are, so that a stopped run goes on where it was; models.md is the table.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import nlbprob as nlb
from nlbprob.posterior.diagnostics import SMALL_LATENT, loading_fractions

RECORDINGS = {
    "maze_large_subset": {"bin_ms": 20, "behavior": "hand_vel", "condition": ("condition",)},
    "bci_baseline": {"bin_ms": 45},
    "steinmetz_s13": {"bin_ms": 20},
    "aplysia_jan1312": {"bin_ms": 50},
    "aplysia_jan1912": {"bin_ms": 50},
}
#: What they are called in the table.
TITLES = {
    "maze_large_subset": "macaque, reaches",
    "bci_baseline": "macaque, BCI",
    "steinmetz_s13": "mouse, several areas",
    "aplysia_jan1312": "Aplysia, first",
    "aplysia_jan1912": "Aplysia, second",
}
#: A model of models/, with options where some were chosen inside train by `nlb.choose`.
MODELS = (
    "poisson_lds",
    "poisson_lds dim=40",
    "modal_lds",
    "custom_numpyro",
    "poisson_gpfa",
    "gpfa",
    "templates_lds",
    "switching_lds",
    "recurrent_slds",
    "multisession_lds",
)
APLYSIA = tuple(name for name in RECORDINGS if name.startswith("aplysia"))
#: Of 24 (the default there) and 40 latents, by two folds of train: 0.2068 and 0.2072 bits/spike.
WIDE, WIDE_ON = "poisson_lds dim=40", "steinmetz_s13"
#: Why a model does not apply to a recording: a dash in the table, which these words explain.
PIECES = "for trials that resemble each other, which the pieces of one long recording do not"
ALONE = "for several sessions, here the two of Aplysia, fitted as one model"
FEWER = "for the largest recording, and was chosen over the default inside its training trials"
ABSENT = {("templates_lds", name): PIECES for name in APLYSIA}
ABSENT |= {("multisession_lds", name): ALONE for name in RECORDINGS if name not in APLYSIA}
ABSENT |= {(WIDE, name): FEWER for name in RECORDINGS if name != WIDE_ON}
RESULTS = pathlib.Path(__file__).with_suffix(".json")


def load(folder: pathlib.Path, recording: str) -> nlb.Trials:
    """The recording, as the table has it."""
    return nlb.load(folder / f"{recording}.nwb", **RECORDINGS[recording])


def fitted(model: str, trials: nlb.Trials):
    """(rates of all trials, what is told of the fit)."""
    name, *options = model.split()
    options = {key: int(value) for key, value in (option.split("=") for option in options)}
    posterior = nlb.fit(nlb.load_model(name, **options), trials.split("train"), progress=False)
    rates = posterior.rates(trials.hide_heldout("val"))
    used = int((loading_fractions(posterior) >= SMALL_LATENT).sum())
    return rates, {"latents": used, "of": posterior.model.dim, "verdict": posterior.verdict}


def scored(rates, trials: nlb.Trials) -> dict:
    """The scores of a cell, with their 90% intervals."""
    found = nlb.score(rates, trials, fit="train", on="val")
    return {"values": found.values, "intervals": found.intervals}


def cell(folder: pathlib.Path, model: str, recording: str) -> dict[str, dict]:
    """The results of one cell by recording: of both sessions where the model takes them together."""
    if model == "multisession_lds":
        stitched = nlb.stitch({name: load(folder, name) for name in APLYSIA})
        rates, told = fitted(model, stitched)
        parts, own = nlb.unstitch(stitched), nlb.unstitch(stitched, rates)
        return {name: scored(own[name], parts[name]) | told for name in APLYSIA}
    trials = load(folder, recording)
    if model == "baselines":
        found = nlb.baselines(trials)
        return {recording: {name: scored(rates, trials) for name, rates in found.items()}}
    rates, told = fitted(model, trials)
    return {recording: scored(rates, trials) | told}


def table(results: dict) -> str:
    """The results in Markdown: one row a model, one column a recording; the best model of each in bold."""
    best = {}
    for name in RECORDINGS:
        known = [model for model in MODELS if f"{model} {name}" in results]
        if known:
            best[name] = max(known, key=lambda model: results[f"{model} {name}"]["values"]["co-bps"])
    heads = [f"{TITLES[name]}, {options['bin_ms']} ms" for name, options in RECORDINGS.items()]
    lines = ["| model | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for model in MODELS:
        words = [entry(results.get(f"{model} {name}"), ABSENT.get((model, name))) for name in RECORDINGS]
        words = [
            f"**{word}**" if best.get(name) == model else word for word, name in zip(words, RECORDINGS, strict=True)
        ]
        lines.append(f"| `{model}` | " + " | ".join(words) + " |")
    for baseline in ("smoothing + Poisson regression", "condition PSTH"):
        known = [results.get(f"baselines {name}", {}).get(baseline) for name in RECORDINGS]
        words = [entry(one, None if one else "no conditions") for one in known]
        lines.append(f"| {baseline} | " + " | ".join(words) + " |")
    reasons = {(model, reason) for (model, _), reason in ABSENT.items()}
    lines += ["", "A dash: " + "; ".join(f"`{model}` is {reason}" for model, reason in sorted(reasons)) + "."]
    return "\n".join(lines) + "\n"


def entry(result: dict | None, absent: str | None) -> str:
    """One cell in words."""
    if result is None:
        return "-" if absent else "not measured"
    bits, (low, high) = result["values"]["co-bps"], result["intervals"]["co-bps"]
    words = [f"{bits:.3f} [{low:.3f}, {high:.3f}]"]
    if result["values"].get("vel R2") is not None:
        words.append(f"R2 {result['values']['vel R2']:.2f}")
    if "seconds" in result:
        words += [f"{result['seconds']:.0f} s", f"{result['latents']}/{result['of']}"]
    return "; ".join(words)


def measure(folder: pathlib.Path, model: str, recording: str) -> dict[str, dict]:
    """One cell in a process of its own, with its wall time."""
    start = time.perf_counter()
    words = [sys.executable, __file__, str(folder), "--cell", model, recording]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{model} on {recording} failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    if model != "baselines":
        for result in found.values():
            result["seconds"] = time.perf_counter() - start
    return {f"{model} {name}": result for name, result in found.items()}


def main() -> None:
    """Fill what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the recordings are")
    parser.add_argument("--models", nargs="+", default=["baselines", *MODELS], choices=["baselines", *MODELS])
    parser.add_argument("--recordings", nargs="+", default=list(RECORDINGS), choices=list(RECORDINGS))
    parser.add_argument("--again", action="store_true", help="measure cells that are known, too")
    parser.add_argument("--cell", nargs=2, metavar=("MODEL", "RECORDING"), help="this cell alone, as JSON")
    arguments = parser.parse_args()
    if arguments.cell:
        print(json.dumps(cell(arguments.folder, *arguments.cell), default=float))
        return
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    fresh: set[str] = set()
    for recording in arguments.recordings:
        for model in arguments.models:
            key = f"{model} {recording}"
            if (model, recording) in ABSENT or key in fresh or (key in results and not arguments.again):
                continue
            found = measure(arguments.folder, model, recording)
            fresh |= set(found)
            results |= found
            RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
            print(f"{key}: {entry(results[key], None) if model != 'baselines' else 'done'}", flush=True)
    RESULTS.with_suffix(".md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()
