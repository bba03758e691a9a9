"""The report: one HTML file that needs nothing but itself."""

import base64
import hashlib
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jinja2
import matplotlib as mpl
from markupsafe import Markup

from nlbprob import files
from nlbprob.data.trials import Trials
from nlbprob.plot import style
from nlbprob.posterior.posterior import Posterior
from nlbprob.reporting import (
    contributions,
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
from nlbprob.reporting.parts import Absent, Section
from nlbprob.reporting.summary import summary
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
    contributions.section,
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

#: What a browser may load on this page: nothing from outside, and of scripts the page's own alone, known by its hash.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{}'; base-uri 'none'; form-action 'none'"
)
#: Where the page's template, style and script are.
FOLDER = pathlib.Path(__file__).parent


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
    """Write the report of a fit as one HTML file that loads nothing; its one script sorts tables and turns drawings.

    Args:
        path: of the file.
        posterior: of the fit; or a committee of several.
        trials: those fitted and scored, held-out counts seen.
        metrics: the content of a run's metrics.json: {split: {score: value}, "intervals": {score: [low, high]},
            "baselines": {name: {score: value}}, "by_neuron": [{"id", "co-bps"}], "reasons": {score: words}, "split",
            "fit_on", "bin_ms"}; "baseline_intervals" {name: {score: [low, high]}}, "baseline_settings" {name:
            {setting: value}}, "differences" {name: {score: value}}, the scores less those of this baseline, with their
            "difference_intervals", "units" {score: unit} and "meanings" {score: words} are used where they are there.
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
        return document(words.title(view), summary(view), parts, words.facts(view))


def document(
    title: str,
    summary: Sequence[tuple[str, str]],
    parts: Sequence[Section | Absent | None],
    facts: Sequence[tuple[str, str | Markup]],
) -> str:
    """A page: its title, a summary in words and facts by name, and its parts between them."""
    return rendered(
        "page.html",
        title,
        (FOLDER / "page.js").read_text(encoding="utf-8"),
        summary=summary,
        facts=facts,
        sections=[part for part in parts if isinstance(part, Section)],
        absent=[part for part in parts if isinstance(part, Absent)],
    )


def plain(title: str, headline: str, sections: Sequence[tuple[str, Markup]]) -> str:
    """A page of HTML without a script: its title, the result in one sentence, and sections by name."""
    return rendered("plain.html", title, "", headline=headline, sections=sections)


def rendered(name: str, title: str, script: str, **content: Any) -> str:
    """A page by the template of a name; what is put in is escaped unless it is `Markup`."""
    options = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    pages = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), keep_trailing_newline=True, **options)
    css, policy = (FOLDER / "page.css").read_text(encoding="utf-8"), POLICY.format(source_of(script))
    return pages.get_template(name).render(
        title=title, policy=policy, css=Markup(css), script=Markup(script), **content
    )


def source_of(script: str) -> str:
    """A script as a Content-Security-Policy names it: by its hash."""
    if not script:
        return "none"
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
