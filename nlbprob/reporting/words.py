"""What was fitted to what, in words and formulas."""

import pathlib
from typing import Any

import numpy as np
from markupsafe import Markup

from nlbprob.blocks.formula import blocks, described, first_paragraph, formula, said
from nlbprob.infer.vi.families import words_of
from nlbprob.posterior.posterior import Posterior
from nlbprob.reporting.view import View
from nlbprob.selection.average import Committee


def title(view: View) -> str:
    """The page's title: model and recording."""
    return f"{model_name(view)} fitted to {recording_name(view)}"


def model_name(view: View) -> str:
    """The model file's name, else its latent blocks."""
    name = view.config.get("model", {}).get("name")
    if view.committee is not None:
        return name or f"average of {', '.join(view.committee.members)}"
    latents = [type(block).__name__ for role, block in blocks(view.posterior.model) if role == "latents"]
    return name or " + ".join(latents) or "a model"


def recording_name(view: View) -> str:
    """The recording's file without its folder; the names of several that are stitched."""
    source = view.trials.source
    return ", ".join(source.get("sessions", {})) or pathlib.PurePath(source.get("file") or "trials in memory").name


def facts(view: View) -> list[tuple[str, str | Markup]]:
    """Name and text of what a reader needs to repeat the fit."""
    trials = view.trials
    edges = trials.time_ms[0], trials.time_ms[trials.window_bins - 1] + trials.bin_ms
    window = f"{trials.window_bins} bins of {trials.bin_ms:g} ms, {edges[0]:g} to {edges[1]:g} ms"
    align = trials.source.get("options", {}).get("align")
    window += f" from {align}" if align else ""
    window += f", then {trials.forward_bins} bins to forecast" if trials.forward_bins else ""
    lengths = trials.lengths[trials.lengths > 0]
    if lengths.size and lengths.min() < trials.n_bins:
        window += f"; trials of {lengths.min()} to {lengths.max()} bins"
    splits = ", ".join(f"{number} {name}" for name, number in trials.splits.items())
    neurons = f"{trials.n_neurons} neurons{areas(view)}, {int(trials.heldout.sum())} held out"
    columns, kinds = ", ".join(trials.condition), len(trials.condition_labels)
    conditions = f"; {kinds} conditions ({columns})" if kinds else ""
    behavior = f"; behavior {trials.behavior_name}" if trials.behavior is not None else ""
    behavior += f", read {trials.lag_ms:g} ms after the spikes" if behavior and trials.lag_ms else ""
    lines: list[tuple[str, str | Markup]] = [
        ("Recording", f"{recording_name(view)}: {splits} trials; {neurons}{conditions}{behavior}"),
        *([("Session", said)] if (said := session(trials.source)) else []),
        ("Bins", window),
        *(posterior_facts(view) if view.committee is None else committee_facts(view.committee)),
    ]
    if view.config.get("started"):
        lines.append(("Date", view.config["started"].replace("T", " ")))
    if view.config.get("versions"):
        lines.append(("Versions", ", ".join(f"{k} {v}" for k, v in view.config["versions"].items())))
    notes = trials.source.get("notes", [])
    return lines + ([("Notes", Markup("<br>").join(map(str, notes)))] if notes else [])


def areas(view: View) -> str:
    """How many neurons each area has, in brackets; nothing where there is one, or where it is not told."""
    if view.areas is None:
        return ""
    names, numbers = np.unique(view.areas, return_counts=True)
    return f" ({', '.join(f'{number} {name}' for name, number in zip(names, numbers, strict=True))})"


def session(source: dict[str, Any]) -> str:
    """What the file itself says of its recording."""
    said = dict(source.get("session", {}))
    if "subject_id" in said:
        said["subject_id"] = f"subject {said['subject_id']}"
    return "; ".join(said.values())


def posterior_facts(view: View) -> list[tuple[str, str | Markup]]:
    """What was fitted, how, and how that ended."""
    seed = view.posterior.config.get("seed", "not recorded")
    return [
        ("Model", model_html(view.posterior.model)),
        ("Fit", fit_of(view.posterior, view.metrics["fit_on"])),
        ("Verdict", view.posterior.verdict),
        ("Seed", f"{seed}{drawn(view.trials.source)}"),
    ]


def committee_facts(committee: Committee) -> list[tuple[str, str | Markup]]:
    """The models of the members, and how their fits ended."""
    models = [Markup("<li>{}: {}</li>").format(name, model_html(fit.model)) for name, fit in committee.members.items()]
    verdicts = Markup("<br>").join(committee.verdict.splitlines())
    return [("Models", Markup('<ul class="blocks">{}</ul>').format(Markup("").join(models))), ("Verdicts", verdicts)]


def drawn(source: dict[str, Any]) -> str:
    """Which columns were drawn because the file has none."""
    seeds = source.get("seeds", {})
    words = ", ".join(f"{name} (seed {seed})" for name, seed in seeds.items())
    return f"; drawn, since the file does not name them: {words}" if seeds else ""


def fit_of(posterior: Posterior, fit_on: str) -> str:
    """Length and kind of a fit to the trials of a split."""
    config, history = posterior.config, posterior.history
    stages = {"em": "EM iterations", "svi": "stochastic steps"}
    number = {name: int((history["stage"] == name).sum()) for name in stages}
    length = ", ".join(f"{number[name]} {words}" for name, words in stages.items() if number[name]) or "no iterations"
    seconds = max(history["seconds"], default=0.0)
    family = config.get("posterior_words") or words_of(config.get("posterior", ""))
    return f"{length} in {seconds:.0f} s on {fit_on}; parameters: {family}; {config.get('precision', 'float32')}"


def model_html(model: Any) -> Markup:
    """The model's blocks, each with its options and its formula."""
    entry = Markup('<li>{}: {}<span class="formula">{}</span></li>')
    lines = [
        entry.format(role, Markup(described(block)), Markup(formula(said(block)))) for role, block in blocks(model)
    ]
    total = Markup(formula(first_paragraph(getattr(model, "function", model))))
    return Markup('<span class="formula">{}</span><ul class="blocks">{}</ul>').format(total, Markup("").join(lines))
