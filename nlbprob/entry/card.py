"""The model card of an entry: what the model is, how well it does, how certain that is, and what is not known.

Every sentence and every number follows by rule from the runs of the entry.
"""

import datetime
import os
import shlex
from collections.abc import Callable, Iterator, Sequence

from nlbprob.entry import limits, model, results
from nlbprob.entry.parts import Card, Code, Heading, Item, Part, Points, Table, Text
from nlbprob.entry.repeat import CODE, REQUIREMENTS, SCRIPT
from nlbprob.entry.source import Source
from nlbprob.reporting import summary

#: The parts that are of runs, in order.
TOPICS: dict[str, Callable[[Source], Iterator[Item]]] = {
    "Scores": results.scores,
    "Findings": results.findings,
    "Model": model.formulas,
    "Priors and posteriors": model.parameters,
    "Inference": results.fitting,
    "Data": results.data,
    "Certainty": results.certainty,
    "Limits": limits.limits,
}
#: What is in the folder; targets are of the benchmark's data sets alone.
TARGETS = "data/WIDTH/targets.h5"
FILES = (
    ("README.md, card.html", "this card"),
    ("submission.h5", "rates as the benchmark takes them, a group for each bin width, float32, spikes per bin"),
    (
        "runs/WIDTH/",
        "a run as nlbprob wrote it: config.json, model.py, posterior/, metrics.json, submission.h5, log.jsonl",
    ),
    ("runs/WIDTH/report.html", "single trials, latents, dynamics, loadings, and where the model fails"),
    ("runs/WIDTH/posterior.nc", "draws of parameters and latents, for ArviZ or any reader of netCDF"),
    ("data/WIDTH/trials.nc", "the counts that were fitted and scored, binned, with behavior and conditions (netCDF)"),
    (TARGETS, "the benchmark's targets"),
    ("pictures/", "the pictures of README.md"),
    (f"{SCRIPT}, {REQUIREMENTS}, {CODE}", "repeat it: the script, the exact versions, the code of nlbprob"),
    ("entry.json, manifest.json", "the runs of the entry; size and SHA-256 of every file"),
    ("LICENSE, CITATION.cff", "terms of nlbprob, and whom to cite"),
)


def card(sources: Sequence[Source], title: str) -> Card:
    """The card of an entry.

    Args:
        sources: its runs.
        title: of the entry.
    """
    parts = [Part(name, of_runs(topic, sources)) for name, topic in TOPICS.items()]
    parts += [Part("Compute", list(compute(sources))), Part("Run it again", list(again(sources)))]
    parts += [
        Part("Files", [Table(["file", "what it is"], files(sources), words=True)]),
        Part("Licence and citation", list(terms())),
    ]
    return Card(title, " ".join(map(headline, sources)), parts)


def files(sources: Sequence[Source]) -> list[tuple[str, str]]:
    """What is in the folder of these runs."""
    benchmark = any(source.dataset is not None for source in sources)
    return [line for line in FILES if benchmark or line[0] != TARGETS]


def headline(source: Source) -> str:
    """How well a run predicts, beside the baselines, in a few sentences."""
    return " ".join(text for _, text in summary.scores(source.view)) or "No score applies."


def of_runs(topic: Callable[[Source], Iterator[Item]], sources: Sequence[Source]) -> list[Item]:
    """What a topic says of each run, below its bin width where there are several that differ."""
    told = [list(topic(source)) for source in sources]
    if all(items == told[0] for items in told):
        return told[0]
    return [
        item
        for source, items in zip(sources, told, strict=True)
        for item in (Heading(f"Bins of {source.metrics['bin_ms']:g} ms"), *items)
    ]


def compute(sources: Sequence[Source]) -> Iterator[Item]:
    """Seconds, memory, machine."""
    rows = []
    for source in sources:
        seconds = sum(max(posterior.history["seconds"], default=0.0) for posterior, _ in source.models.values())
        whole, memory = duration(source), source.peak_memory_mb
        machine = source.config.get("machine")
        kind = (
            f"{machine['cores']} cores, {', '.join(machine['devices'])}, {machine['system']}"
            if machine
            else "not recorded"
        )
        rows.append(
            [
                source.name,
                f"{seconds:.0f}",
                results.DASH if whole is None else f"{whole:.0f}",
                results.DASH if memory is None else f"{memory:.0f}",
                kind,
            ]
        )
    yield Table(["run", "fit (s)", "whole run with report (s)", "peak memory (MB)", "machine"], rows, words=True)
    versions = sources[0].config.get("versions", {})
    yield Text("Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".")


def duration(source: Source) -> float | None:
    """How long a run took, in s; None where it was continued later, or that is not known."""
    ended = source.manifest.ended
    if ended is None or source.is_committee:
        return None
    start, end = (datetime.datetime.fromisoformat(text) for text in (source.manifest.started, ended))
    return (end - start).total_seconds()


def again(sources: Sequence[Source]) -> Iterator[Item]:
    """The commands that verify and repeat the entry."""
    data = " ".join(
        "RECORDING" if len(sources[0].recordings) == 1 else f"RECORDING_{n + 1}"
        for n in range(len(sources[0].recordings))
    )
    yield Text(
        "Verify every file by its SHA-256, and compute all scores, intervals and baselines again from the rates and "
        "counts in this folder; the exit status is 0 where all agree:"
    )
    yield Code("nlbprob entry --check .")
    yield Text(
        "Where nlbprob is not installed, in this folder, with Python 3.12 or newer, the exact versions and the code of "
        "this entry:"
    )
    yield Code(
        "python3 -m venv ../checked\n"
        f"../checked/bin/python -m pip install --requirement {REQUIREMENTS}\n"
        f"../checked/bin/python -m zipfile -e {CODE} ../checked/code\n"
        "PYTHONPATH=../checked/code ../checked/bin/python -m nlbprob entry --check ."
    )
    yield Text(
        f"Fit everything again, in an environment of its own with the exact versions of {REQUIREMENTS}, and compare "
        "the scores, which are alike where they differ by no more than a tenth of the width of an interval (the "
        "recording is not in this folder; its SHA-256 is above):"
    )
    yield Code(f"sh {SCRIPT} ../repeated {data}")
    yield Text("What the runs were begun with:")
    begun = [shlex.join(["nlbprob", *map(without_folder, source.manifest.command.words)]) for source in sources]
    yield Points([f"{source.name}: {command}" for source, command in zip(sources, begun, strict=True)])


def without_folder(word: str) -> str:
    """A word of a command; of a whole path from the root of a disk the name alone."""
    return results.last_part(word) if os.path.isabs(word) else word


def terms() -> Iterator[Item]:
    """Licence and citation."""
    yield Text(
        f"nlbprob, of which {CODE} is a copy, has the licence Apache-2.0 (LICENSE). The recording, and what data/ "
        "holds of it, has the licence of its source, which whoever hands in the entry states. CITATION.cff has the "
        "citation; add there whom the recording is from."
    )
