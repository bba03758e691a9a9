"""The summary in words: the numbers of a fit, handed to the rules of `sentences`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nlbprob.blocks import readers
from nlbprob.blocks.flow import Flow
from nlbprob.blocks.gain import Gain
from nlbprob.blocks.gp import GP
from nlbprob.blocks.lds import LDS
from nlbprob.blocks.negative_binomial import NegativeBinomial
from nlbprob.blocks.observations import Bernoulli, Gaussian, SqrtGaussian
from nlbprob.blocks.poisson import Poisson, ZeroInflatedPoisson
from nlbprob.blocks.slds import SwitchingLDS
from nlbprob.blocks.templates import Templates
from nlbprob.blocks.trial_factors import TrialFactors
from nlbprob.plot.dynamics import FOREVER
from nlbprob.posterior import diagnostics
from nlbprob.posterior.timescales import site_draws
from nlbprob.reporting import contributions, dynamics, regimes, sentences, verdicts, words
from nlbprob.reporting.numbers import Estimate, counted
from nlbprob.reporting.view import View
from nlbprob.scoring.baselines import MEAN_RATE

#: The latents of each kind of block in words.
LATENTS: dict[type, Callable[[Any], str]] = {
    LDS: lambda block: "with linear dynamics",
    SwitchingLDS: lambda block: f"with linear dynamics that switch among {block.n_regimes} regimes",
    Flow: lambda block: "with nonlinear dynamics",
    GP: lambda block: "that are Gaussian processes",
    Gain: lambda block: "constant in each trial",
    TrialFactors: lambda block: f"determined by {counted(block.n_states, 'number')} in each trial",
    Templates: lambda block: f"on one of {block.components} templates in each trial",
}
#: The distributions of counts in words.
COUNTS = {
    Poisson: "Poisson",
    NegativeBinomial: "negative binomial",
    ZeroInflatedPoisson: "Poisson with additional zeros",
    Bernoulli: "0 or 1",
    Gaussian: "normal",
    SqrtGaussian: "normal after a square root",
}
#: Names of timescales in words, by how their site ends.
QUANTITIES = {"lengthscale_ms": "lengthscale", "period_ms": "period", "decay_ms": "decay time"}
#: Draws of the parameters for intervals.
DRAWS = 200


def summary(view: View) -> list[tuple[str, str]]:
    """What the report finds, a heading and a few sentences for each subject that the fit has."""
    entries = [("Recording", recording(view))]
    if view.committee is not None:
        converged = sum(all(found.good for found in diagnostics.stages(fit)) for fit in view.committee.members.values())
        entries += [("Models", sentences.committee(list(view.committee.members), converged))]
        return [*entries, *scores(view)]
    entries += [("Model", model(view)), *scores(view), *findings(view)]
    stages, doubts = diagnostics.stages(view.posterior), diagnostics.doubts(view.posterior)
    found = [(finding.good, finding.words) for finding in stages]
    fit = sentences.convergence(found, [finding.words for finding in doubts], view.has_intervals)
    return [*entries, ("Fit", fit), ("Replication", replication(view))]


def findings(view: View) -> list[tuple[str, str]]:
    """What a fit says of the population, a heading and a few sentences for each subject that it has."""
    subjects = {"Dynamics": modes, "Regimes": switching, "Timescales": timescales, "Areas": areas, "Shares": shares}
    return [(subject, text) for subject, told in subjects.items() if (text := told(view))]


def recording(view: View) -> str:
    """What was recorded."""
    trials = view.trials
    lengths = trials.lengths[trials.lengths > 0]
    bins = (int(lengths.min()), int(lengths.max())) if lengths.size else (trials.n_bins, trials.n_bins)
    spikes = int(trials.counts.sum(where=trials.seen, dtype=np.int64))
    heldout = int(trials.heldout.sum())
    name = words.recording_name(view)
    return sentences.recording(name, trials.splits, bins, trials.bin_ms, trials.n_neurons, heldout, spikes)


def model(view: View) -> str:
    """What was fitted."""
    fitted = view.posterior.model
    parts = [latents_of(block) for block in fitted.latents]
    effects = [f"the effect {type(effect).__name__}" for effect in fitted.effects]
    counts = COUNTS.get(type(fitted.observation), "")
    return sentences.model(words.model_name(view), parts, effects, view.link, counts)


def latents_of(block: Any) -> str:
    """The latents of a block in words."""
    known = LATENTS.get(type(block))
    what = known(block) if known else f"of its own kind ({type(block).__name__})"
    what += f" that neurons of {of} alone read" if (of := readers.words(block)) else ""
    return f"{counted(block.n_latents, 'latent')} {what}" if block.n_latents else f"a course {what}"


def scores(view: View) -> list[tuple[str, str]]:
    """How well held-out neurons and behavior are predicted, beside the baselines."""
    metrics, entries = view.metrics, []
    values, intervals = metrics[view.split], metrics["intervals"]
    bits = values.get("co-bps")
    if bits is not None:
        one = Estimate.of(bits, intervals.get("co-bps"))
        heldout, heldin = int(view.trials.heldout.sum()), int(view.trials.heldin.sum())
        text = sentences.prediction(one, heldout, heldin, int(view.scored.sum()), view.split)
        entries.append(("Prediction", " ".join([text, *against_baselines(view, "co-bps", one)])))
    for name in ("vel R2", "tp corr"):
        if values.get(name) is not None:
            one = Estimate.of(values[name], intervals.get(name))
            measure, behavior = name.replace("vel R2", "R²"), view.trials.behavior_name or "The behavior"
            text = sentences.decoding(behavior, measure, one)
            entries.append(("Behavior", " ".join([text, *against_baselines(view, name, one)])))
    if values.get("psth R2") is not None:
        one = Estimate.of(values["psth R2"], intervals.get("psth R2"))
        text = sentences.averages(one)
        entries.append(("Averages", " ".join([text, *against_baselines(view, "psth R2", one)])))
    return entries


def against_baselines(view: View, score: str, one: Estimate) -> list[str]:
    """What is said of the baselines besides the mean rates, which have a score of zero."""
    metrics, baselines = view.metrics, []
    for name, values in metrics["baselines"].items():
        if values.get(score) is None or name == MEAN_RATE:
            continue
        other = Estimate.of(values[score], metrics.get("baseline_intervals", {}).get(name, {}).get(score))
        baselines.append(verdicts.Baseline(name, other, view.differences(score).get(name)))
    return [verdicts.comparison(one, baselines)] if baselines else []


def modes(view: View) -> str:
    """What turns and fades, and whether any of it is a rhythm."""
    found = dynamics.modes_of(view)
    if not found:
        return ""
    return f"{sentences.modes(found, view.longest_ms, view.link)} {sentences.rhythm(found, view.longest_ms)}"


def switching(view: View) -> str:
    """How long each regime holds."""
    count, most_ms = len(view.latent_rows), FOREVER * view.longest_ms
    found = regimes.regimes_of(view)
    sure = {name: regimes.probability(view, name) for name in found}
    return " ".join(sentences.regimes(name, each, count, most_ms, sure[name]) for name, each in found.items())


def timescales(view: View) -> str:
    """The timescales of blocks without modes."""
    labels, draws = site_draws(view.posterior, DRAWS, 0)
    by_site: dict[str, list[Estimate]] = {}
    for label, values in zip(labels, draws.T, strict=True):
        by_site.setdefault(label.partition("[")[0], []).append(Estimate.of_draws(values))
    texts = []
    for site, values in by_site.items():
        block, _, name = site.partition(".")
        quantity = next((word for end, word in QUANTITIES.items() if end in name), name)
        texts.append(sentences.timescales(block, quantity, "Hz" if name.endswith("_hz") else "ms", values))
    return " ".join(texts)


def areas(view: View) -> str:
    """Which area loads most on the latents of each block."""
    if view.areas is None:
        return ""
    names, slices = np.unique(view.areas), view.posterior.model.slices
    squares, texts = np.asarray(view.parameter_draws["loadings"], float) ** 2, []
    blocks = [one for one in view.posterior.model.latents if one.n_latents and not readers.words(one)]
    for block in blocks[: sentences.MOST]:
        of_block = squares[..., slices[block.name]].sum(-1)
        strength = np.sqrt(np.stack([of_block[:, view.areas == name].mean(1) for name in names], 1))
        mean = strength.mean(0)
        certainty = float((strength.argmax(1) == mean.argmax()).mean()) if view.has_intervals else None
        block_name = "the latents" if len(slices) == 1 else block.name
        texts.append(sentences.areas(block_name, dict(zip(names.tolist(), mean.tolist(), strict=True)), certainty))
    return " ".join(texts)


def shares(view: View) -> str:
    """What each block and the leading latents give to the score of held-out neurons."""
    found = view.contributions
    if found is None:
        return ""
    parts, latents = contributions.shares_of(found, "part", ""), contributions.shares_of(found, "latent", "latent_")
    return sentences.shares(found["score"].item(), parts, latents, contributions.cost(found))


def replication(view: View) -> str:
    """What other fits found again."""
    record = view.posterior.config.get("replication", {"fits": 0, "recurs_in": []})
    fits = record["fits"]
    recurs = {f"mode {place + 1}": (number, fits) for place, number in enumerate(record["recurs_in"])}
    times = record.get("timescales", {})
    recurs |= {name: (number, record["fits_of_timescales"]) for name, number in times.items()}
    return sentences.replication(fits, recurs)
