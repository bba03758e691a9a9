"""What an entry does not show, said by rule from what its runs hold."""

from collections.abc import Iterator

from nlbprob.entry.parts import Item, Points
from nlbprob.entry.source import Source
from nlbprob.reporting.numbers import fixed


def limits(source: Source) -> Iterator[Item]:
    """Every limit that a run shows by itself."""
    yield Points([*of_fit(source), *of_scores(source), *of_scope(source)])


def of_fit(source: Source) -> Iterator[str]:
    """Convergence, other optima, the width of the posterior."""
    for name, (posterior, _) in source.models.items():
        who = f"The fit of {name}" if source.is_committee else "The fit"
        if not posterior.verdict.startswith("Converged"):
            yield f"{who} has not converged; see its verdict above."
        if len(posterior.config.get("seeds", [])) < 2:
            yield f"{who} was begun from one start (seed {posterior.config.get('seed')}): others may end elsewhere."
        if not posterior.has_width:
            yield f"{who} gives point estimates: its parameters have no intervals."
    replication = source.replication
    if replication is None:
        yield (
            "Whether other starts or halves of the trials give the same dynamics was not tested"
            + ("." if source.is_committee else " (nlbprob replicate tests it).")
        )
    elif replication.get("modes"):
        came = replication["modes"]["replicated"]
        yield f"{sum(came)} of {len(came)} modes came again in each of {len(replication['fits'])} other fits."
    if (init := source.config["settings"].get("init")) is not None:
        yield f"It was begun from another fit, {init}, which is not in this entry and which repeating it needs."
    yield (
        "The posterior is an approximation, whose intervals can be too narrow; whether counts drawn from it look like "
        "the recorded ones was not tested here (nlbprob.check_counts does)."
    )


def of_scores(source: Source) -> Iterator[str]:
    """Scores that are missing, doubtful, or below those of a baseline."""
    metrics = source.metrics
    values = metrics[metrics["split"]]
    for name, value in values.items():
        if value is None:
            yield f"No {name}: {metrics['reasons'].get(name, 'the run does not say why')}."
    for name, note in metrics.get("notes", {}).items():
        yield f"{name}: {note}."
    for baseline, theirs in metrics["baselines"].items():
        above = [
            f"{name} ({fixed(theirs[name])} over {fixed(value)})"
            for name, value in values.items()
            if value is not None and (theirs.get(name) or -1e300) > value
        ]
        if above:
            yield f"The baseline {baseline} has the higher {', '.join(above)}."


def of_scope(source: Source) -> Iterator[str]:
    """What was scored, and what was not."""
    split, count = source.metrics["split"], len(source.manifest.recording)
    if source.view.tested is None and source.dataset is not None:
        yield f"It was not tested on the benchmark's test trials; {split} is what models are chosen on."
    elif source.view.tested is None:
        yield f"Scores are of the split {split}: where the model was chosen on it, they are a little too high."
    yield (
        "What the model and the settings leave open, such as numbers of latents, is nlbprob's default, which was set "
        "on seven public recordings, a part of MC_Maze_Large among them: on these, scores can be a little too high."
    )
    if count <= 1:
        yield "One recording was fitted; other sessions, animals and tasks were not seen."
    yield (
        f"Only bins of {source.metrics['bin_ms']:g} ms were seen; scores of other widths or splits are not comparable. "
        "Intervals say what other trials of this recording would give, not what another fit or recording would."
    )
