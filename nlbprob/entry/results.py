"""The results of an entry in a card: data, fit, scores beside those of baselines, and how certain they are."""

import pathlib
from collections.abc import Iterator
from typing import Any

from nlbprob.entry.parts import Heading, Item, Points, Table, Text
from nlbprob.entry.source import Source
from nlbprob.errors import InputError
from nlbprob.plot.dynamics import FOREVER, bounds
from nlbprob.posterior.units import digits
from nlbprob.reporting import summary, words
from nlbprob.reporting.numbers import bracketed, fixed
from nlbprob.reporting.scores import INTERVALS, OF_AVERAGES, meanings_of, of_baselines, units_of
from nlbprob.scoring.baselines import CONDITION_PSTH

DASH = "-"


def data(source: Source) -> Iterator[Item]:
    """What was fitted, and what was scored."""
    facts = dict(words.facts(source.view))
    lines = [f"{name}: {facts[name]}." for name in ("Recording", "Session", "Bins") if name in facts]
    for each in source.manifest.recording:
        lines.append(f"File: {last_part(each.path)}, {each.size} bytes, SHA-256 {each.sha256 or 'not taken'}.")
    if source.dataset is not None:
        from nlbprob.data.nlb.facts import facts as facts_of

        number_of_set = facts_of(source.dataset).dandiset
        lines.append(
            f"Data set {source.dataset} of the benchmark: https://dandiarchive.org/dandiset/{number_of_set}, where its "
            "licence and citation stand."
        )
    fit, on = ("+".join(names) for names in source.splits)
    lines.append(f"Fitted on the split {fit}, scored on {on}, whose held-out neurons the model did not see.")
    lines += [f"Note: {note}." for note in source.view.trials.source.get("notes", [])]
    yield Points(lines)


def last_part(path: str) -> str:
    """A file's name without its folder, which is of one machine and says whose; an address as it is."""
    return path if "://" in path else pathlib.PurePath(path).name


def fitting(source: Source) -> Iterator[Item]:
    """How each model was fitted, and how that ended."""
    for name, (posterior, _) in source.models.items():
        if source.is_committee:
            yield Heading(name)
        config = posterior.config
        tried = [str(each["seed"]) for each in config.get("seeds", [])]
        seeds = (
            f"the best of the seeds {', '.join(tried)} is {config['seed']}"
            if len(tried) > 1
            else f"seed {config.get('seed')}"
        )
        spent = words.fit_of(posterior, source.metrics["fit_on"])
        drawn = words.drawn(source.view.trials.source)
        yield Points([f"{spent}; {seeds}{drawn}.", f"Verdict of the fit: {posterior.verdict}"])
    yield Text(
        "Variational inference: the posterior of each trial's trajectory is Gaussian, given its template or regimes "
        "where there are some, and keeps the structure of the dynamics. EM finds the parameters that have the highest "
        "evidence lower bound; the distribution that is named above stands for their posterior about these. Settings "
        f"are in runs/{source.name}/config.json, null where they were left to nlbprob; what it then chose is in "
        f"runs/{source.name}/posterior."
    )


def scores(source: Source) -> Iterator[Item]:
    """The scores with their intervals above those of the baselines, and what they mean."""
    metrics = source.metrics
    values, intervals = metrics[metrics["split"]], metrics["intervals"]
    shown = [name for name, value in values.items() if value is not None]
    rows = [["this entry", *(score(values[name], intervals.get(name)) for name in shown)]]
    others = metrics.get("baseline_intervals", {})
    for baseline, theirs in metrics["baselines"].items():
        between = others.get(baseline, {})
        rows.append([baseline, *(score(theirs.get(name), between.get(name)) for name in shown)])
    units = units_of(metrics)
    yield Table(["", *(f"{name} ({units[name]})" if units.get(name) else name for name in shown)], rows)
    meanings = meanings_of(metrics)
    lines = [f"{name}: {meanings[name]}." for name in shown if meanings.get(name)]
    lines += [OF_AVERAGES] * ("psth R2" in shown)
    lines += [
        f"Difference in co-bps from {name}, paired over trials: {fixed(each.value)}{interval(each.interval)}, "
        f"{clearly(each)}."
        for name, each in source.differences.items()
    ]
    if CONDITION_PSTH in metrics["baselines"]:
        lines.append(
            f"The {CONDITION_PSTH} is told the condition of each scored trial; neither this entry nor the others are"
            f"{told_in_fit(source)}."
        )
    yield Points([*lines, *of_baselines(metrics), *tested(source)])


def told_in_fit(source: Source) -> str:
    """What is said where the fit knew the conditions of its trials."""
    model = None if source.is_committee else source.view.posterior.model
    templates = None if model is None else model.templates
    if templates is None or templates.n_components != len(source.view.posterior.context.conditions):
        return ""
    return ", though the fit began with templates that are averages over the conditions of the training trials"


def findings(source: Source) -> Iterator[Item]:
    """What the fit says of the population, in the sentences of the report."""
    report = f"runs/{source.name}/report.html"
    if source.is_committee:
        yield Text(f"What the members have in common and what each adds is in {report}.")
        return
    found = [f"{subject}: {text}" for subject, text in summary.findings(source.view)]
    yield Points(found) if found else Text(f"The latents say nothing that has a unit; see {report}.")


def score(value: float | None, between: Any) -> str:
    """A score to three digits with its interval."""
    return DASH if value is None else f"{fixed(value)}{interval(between)}"


def interval(between: Any) -> str:
    """An interval behind a number; nothing where there is none."""
    return f" {bracketed(between)}".rstrip()


def clearly(difference: Any) -> str:
    """Whether a difference is told from zero, in words."""
    if difference.interval is None:
        return "without an interval"
    low, high = difference.interval
    return "better" if low > 0 else "worse" if high < 0 else "not told apart"


def tested(source: Source) -> Iterator[str]:
    """The scores on the benchmark's test trials, never without how many evaluations came before."""
    record = source.view.tested
    if record is not None:
        values = ", ".join(f"{name} {fixed(value)}" for name, value in record["scores"].items() if value is not None)
        yield (
            f"On the benchmark's test trials (fitted on {record['fit_on']}, {record['date'][:10]}): {values}. "
            f"{record['statement']}"
        )


def certainty(source: Source) -> Iterator[Item]:
    """What intervals mean, and the modes of the dynamics with theirs."""
    yield Text(
        f"Brackets behind scores are {INTERVALS} The fitted model is taken as it is. Brackets "
        "behind parameters are 90% intervals of their posterior. Rates are averaged over the posterior of "
        "trajectories, baselines and loadings; the dynamics are at the centre of theirs."
    )
    if source.view.committee is not None:
        weights = ", ".join(f"{name} {fixed(weight)}" for name, weight in source.view.committee.weights.items())
        yield Text(f"The rates are the weighted mean of those of the members; weights: {weights}.")
    for name, (posterior, _) in source.models.items():
        try:
            modes = posterior.dynamics()
        except InputError:
            continue  # no transition matrix that is constant in time
        if source.is_committee:
            yield Heading(name)
        yield Text(
            "Modes of the dynamics: undisturbed, each turns at its frequency and fades to 37% in its decay time; at "
            "0 Hz it only fades."
        )
        yield Table(["", "frequency (Hz)", "decay time (ms)", "found in other fits"], mode_rows(modes, source))


def mode_rows(modes: Any, source: Source) -> list[list[str]]:
    """A row for each mode, with 90% intervals."""
    longest = FOREVER * source.view.trials.n_bins * source.view.trials.bin_ms
    spans = {name: bounds(modes[name].values) for name in ("frequency_hz", "decay_ms")}
    rows = []
    for mode, number in enumerate(modes["mode"].values.tolist()):
        cells = []
        for name, most in (("frequency_hz", float("inf")), ("decay_ms", longest)):
            value, ends = float(modes[f"mean_{name}"].values[mode]), spans[name][mode]
            ends = [f"over {most:.0f}" if end > most else digits(float(end)) for end in ends]
            cells.append(f"{f'over {most:.0f}' if value > most else digits(value)} [{ends[0]}, {ends[1]}]")
        again = f"{modes['recurs_in'].values[mode]} of {modes.attrs['fits']}" if "recurs_in" in modes else "not tested"
        rows.append([f"mode {number}", *cells, again])
    return rows
