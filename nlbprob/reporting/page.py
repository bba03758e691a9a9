"""The report: one HTML file that needs nothing but itself."""

import pathlib
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib as mpl

from nlbprob import files
from nlbprob.data.trials import Trials
from nlbprob.plot import style
from nlbprob.posterior.posterior import Posterior
from nlbprob.reporting import (
    decoding,
    dynamics,
    learning,
    loadings,
    members,
    neurons,
    psths,
    rasters,
    regimes,
    scores,
    trajectories,
    words,
)
from nlbprob.reporting.parts import Absent, Section, anchor, render
from nlbprob.reporting.view import View
from nlbprob.scoring.rates import rate_array
from nlbprob.selection.average import Committee

#: The parts of the page in order. A new one is a function from a view to a section, or to None where it does
#: not concern the model, added here.
SECTIONS: list[Callable[[View], Section | Absent | None]] = [
    scores.section,
    learning.section,
    rasters.section,
    psths.section,
    trajectories.section,
    dynamics.section,
    regimes.section,
    loadings.section,
    decoding.section,
    neurons.section,
]
#: Those of a committee, which has no latents of its own.
COMMITTEE: list[Callable[[View], Section | Absent]] = [
    scores.section,
    members.section,
    rasters.section,
    psths.section,
    decoding.section,
    neurons.section,
    members.inside,
]

#: What a browser may load on this page: nothing from outside.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_report(
    path: str | pathlib.Path,
    *,
    posterior: Posterior | Committee,
    trials: Trials,
    metrics: dict[str, Any],
    config: dict[str, Any] | None = None,
    rates: Any = None,
    latents: Any = None,
    tested: dict[str, Any] | None = None,
) -> pathlib.Path:
    """Write the report of a fit as one HTML file without scripts or links to elsewhere.

    Args:
        path: of the file.
        posterior: of the fit; or a committee of several.
        trials: those fitted and scored, held-out counts seen.
        metrics: the content of a run's metrics.json: {split: {score: value}, "intervals": {score: [low, high]},
            "baselines": {name: {score: value}}, "by_neuron": [{"id", "co-bps"}], "reasons": {score: words}, "split",
            "fit_on", "bin_ms"}; "baseline_intervals" {name: {score: [low, high]}},
            "units" {score: unit} and "meanings" {score: words} are shown where they are there.
        config: the content of a run's config.json: "model" {"name"}, "started", "versions"; what is missing is left
            out.
        rates: what posterior.rates gives for trials.hide_heldout(split), where it is known already; inferred here
            otherwise, which takes most of the time.
        latents: what posterior.latents gives for the same trials, where it is known already; else likewise.
        tested: the content of a run's test.json: "scores" {score: value}, "statement", "date", "fit_on", "bin_ms"; None
            where the run was not tested.

    Returns:
        The file's path.

    Raises:
        InputError: rates do not fit the trials, or these are not the posterior's.
    """
    trials = trials.split(*dict.fromkeys([*metrics["fit_on"].split("+"), *metrics["split"].split("+")]))
    if rates is None:
        rates = posterior.rates(trials.hide_heldout(*metrics["split"].split("+")))
    view = View(posterior, trials, rate_array(rates, trials), metrics, config or {}, latents, tested)
    target = pathlib.Path(path)
    files.write_text(target, page(view))
    return target


def page(view: View) -> str:
    """The whole document."""
    with mpl.rc_context(style.RC):
        parts = [function(view) for function in (COMMITTEE if view.committee else SECTIONS)]
        sections = "".join(render(part) for part in parts if isinstance(part, Section))
    links = "".join(
        f'<a href="#{anchor(part.title)}">{escape(part.title)}</a> ' for part in parts if isinstance(part, Section)
    )
    facts = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in words.facts(view))
    missing = [f"<li>{escape(part.title)}: {escape(part.reason)}.</li>" for part in parts if isinstance(part, Absent)]
    header = (
        f'<p class="headline">{escape(words.headline(view))}</p>\n'
        f'<nav aria-label="Sections">{links}</nav><dl>{facts}</dl>'
    )
    if missing:
        sections += f'<section id="not-shown"><h2>Not shown</h2><ul>{"".join(missing)}</ul></section>\n'
    return document(words.title(view), header, sections)


def document(title: str, header: str, body: str) -> str:
    """A page without scripts or links to elsewhere.

    Args:
        title: its name, as text.
        header: HTML below the name.
        body: HTML below that.
    """
    css = pathlib.Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    name = escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<link rel="icon" href="data:,">\n<title>{name}</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n'
        f"<header><h1>{name.replace('_', '_<wbr>')}</h1>{header}</header>\n{body}</main>\n</body>\n</html>\n"
    )
