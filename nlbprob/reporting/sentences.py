"""The rules by which the report's numbers become sentences: functions of numbers alone, none says more than they show.

An interval is one of 90% throughout. What includes 0 is not called different from 0, and what was not tried is called
not tested.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nlbprob.posterior.units import digits
from nlbprob.reporting.numbers import Estimate, counted, fixed, joined, measured, percent, scored

#: A mode that fades to 37% before this part of a turn shows no rhythm; from a full turn on it shows one.
FAST_FADE, RHYTHM = 0.25, 1.0
#: Of a mode that turns less often its period is told.
SLOW_HZ = 1.0
#: The part of the draws in which an area has to load most before it is said to.
CERTAIN = 0.95
#: Bits per spike that are worth a sentence.
SMALL_COST = 0.0005
#: A regime in a smaller fraction of the bins hardly ever holds; one that holds is known from this probability on.
RARE, TOLD_APART = 0.005, 0.75
#: Modes, blocks, regimes and latents that are described one by one.
MOST = 3


class Regime(NamedTuple):
    """A regime: the fraction of bins, its mean stay in ms, and its slowest mode, in ms and Hz."""

    fraction: Estimate
    stay: Estimate
    decay: Estimate
    frequency: Estimate


def recording(
    name: str, splits: Mapping[str, int], bins: tuple[int, int], bin_ms: float, neurons: int, heldout: int, spikes: int
) -> str:
    """What was recorded; bins: of the shortest and of the longest trial."""
    parts = joined([f"{number} {split}" for split, number in splits.items()])
    length = f"{bins[1]}" if bins[0] == bins[1] else f"{bins[0]} to {bins[1]}"
    hidden = f" {heldout} of the neurons {'is' if heldout == 1 else 'are'} held out." if heldout else ""
    return (
        f"{name} has {counted(sum(splits.values()), 'trial')} ({parts}) of {length} bins of {bin_ms:g} ms, in which "
        f"{counted(neurons, 'neuron')} fired {counted(spikes, 'spike')}.{hidden}"
    )


def model(name: str, parts: Sequence[str], terms: Sequence[str], link: str, counts: str) -> str:
    """What was fitted.

    Args:
        name: of the model.
        parts: its latents in words, "8 latents with linear dynamics".
        terms: what else a neuron's predictor is made of, in words.
        link: "log rate", or "predictor" where the link is another one.
        counts: the distribution of the counts in words, "Poisson"; empty where it is not known.
    """
    further = f" plus {joined(terms)}" if terms else ""
    of_counts = f", and its counts are {counts} given that" if counts else ""
    return f"{name} has {joined(parts)}; the {link} of each neuron is a weighted sum of these{further}{of_counts}."


def committee(members: Sequence[str], converged: int) -> str:
    """Several models that predict together, and how many of their fits converged."""
    return (
        f"Rates are the weighted mean of those of {counted(len(members), 'model')}, each fitted by itself: "
        f"{joined(members)}. {converged} of {len(members)} fits have converged."
    )


def prediction(score: Estimate, heldout: int, heldin: int, trials: int, split: str) -> str:
    """How well held-out neurons are predicted, against their mean rates, which are at 0 bits per spike."""
    what = (
        f"From {counted(heldin, 'neuron')} the model predicts the {counted(heldout, 'held-out neuron')} in "
        f"{counted(trials, f'{split} trial')} at {scored(score, ' bits per spike')}"
    )
    if score.value <= 0:
        return f"{what}, no better than their mean rates in these trials, which are at 0."
    if score.low <= 0 or score.interval is None:
        return f"{what}, not shown to be better than their mean rates in these trials, which are at 0."
    return f"{what}, better than their mean rates in these trials, which are at 0."


class Mode(NamedTuple):
    """A mode of the dynamics.

    Attributes:
        number: from 1.
        turns: whether its eigenvalue is complex at the centre of the posterior.
        frequency: Hz.
        decay: ms, to 37%.
        cycles: turns until then.
        variance: the fraction of the squared loadings in the directions that it moves: of the predictors' variance,
            where all latents have their usual size.
    """

    number: int
    turns: bool
    frequency: Estimate
    decay: Estimate
    cycles: Estimate
    variance: float

    @property
    def certain(self) -> bool:
        """Whether the mode is known to turn: no interval of its frequency that includes 0."""
        return self.turns and self.frequency.low > 0


def mode(one: Mode, longest_ms: float) -> str:
    """A mode in Hz and ms."""
    most = 100 * longest_ms
    if one.decay.low > longest_ms:
        fades = f"outlasts the longest trial ({longest_ms:g} ms), so that trials show only that it fades slowly"
    else:
        fades = f"fades to 37% in {measured(one.decay, 'ms', most)}"
    if one.certain:
        rare = one.frequency.value < SLOW_HZ
        period = f", once in {digits(1 / one.frequency.value)} s," if rare else ""
        what = f"turns at {measured(one.frequency, 'Hz')}{period} and {fades}"
        if one.cycles.value < FAST_FADE:
            what += ", before a quarter of a turn"
    elif one.turns:
        what = f"{fades}; it is not shown to turn: the interval of its frequency, {between(one.frequency)}, includes 0"
    elif one.frequency.value > 0:
        what = f"{fades} and changes its sign from bin to bin"
    else:
        what = f"{fades} without turning"
    return f"Mode {one.number} ({percent(one.variance)} of the squared loadings) {what}."


def between(frequency: Estimate) -> str:
    """The interval of a frequency."""
    return f"{digits(frequency.low)} to {digits(frequency.high)} Hz"


def modes(found: Sequence[Mode], longest_ms: float, link: str) -> str:
    """The modes in whose directions the predictors vary most, one by one."""
    leading = sorted(sorted(found, key=lambda one: -one.variance)[:MOST], key=lambda one: one.number)
    words = [mode(one, longest_ms) for one in leading]
    if len(found) > len(leading):
        names = joined([str(one.number) for one in leading])
        words.insert(0, f"Of {len(found)} modes, modes {names} move the {link}s most.")
    return " ".join(words)


def rhythm(found: Sequence[Mode], longest_ms: float) -> str:
    """Whether a mode makes a full turn in the longest trial before it fades to 37%."""
    shown = [
        one for one in found if one.certain and min(one.cycles.low, one.frequency.low * longest_ms / 1000) >= RHYTHM
    ]
    if not shown:
        return "No mode is shown to make a full turn in a trial before it fades to 37%, so that no rhythm is shown."
    listed = joined([f"mode {one.number} ({digits(one.frequency.value)} Hz)" for one in shown])
    verb = "makes" if len(shown) == 1 else "make"
    return f"M{listed[1:]} {verb} at least one full turn in a trial before fading to 37%: a rhythm."


def areas(block: str, strengths: Mapping[str, float], certainty: float | None) -> str:
    """Which area loads most on the latents of a block.

    Args:
        block: its name in words.
        strengths: root mean square loading of the neurons of each area.
        certainty: the fraction of posterior draws in which the same area loads most; None without draws.
    """
    order = sorted(strengths, key=lambda name: -strengths[name])
    listed = ", ".join(f"{name} {strengths[name]:.2f}" for name in order[:MOST])
    rest = f", {counted(len(order) - MOST, 'other area')} less" if len(order) > MOST else ""
    numbers = f"root mean square loadings on {block}: {listed}{rest}"
    if certainty is None:
        return f"{order[0]} loads most, as far as a point estimate shows; {numbers}."
    if certainty >= CERTAIN:
        return f"{order[0]} loads most; {numbers}."
    return f"No area is shown to load most ({order[0]} does in {percent(certainty)} of the draws); {numbers}."


def regimes(block: str, found: Sequence[Regime], trials: int, most_ms: float, probability: float) -> str:
    """How often each regime holds, and for how long at a time.

    Args:
        block: its name.
        found: the regimes.
        trials: in which they were counted.
        most_ms: a stay beyond this is not seen to end.
        probability: of the most probable regime of a bin, on average.
    """
    order = sorted(range(len(found)), key=lambda regime: -found[regime].fraction.value)
    held = [regime for regime in order if found[regime].fraction.value >= RARE]
    parts = [
        f"regime {regime + 1}{'' if place else f' of {block}'} holds in {percent(found[regime].fraction.value)} of the "
        f"bins{stay(found[regime].stay, most_ms)}"
        for place, regime in enumerate(held[:MOST])
    ]
    never = [f"regime {regime + 1}" for regime in order if regime not in held]
    absent = f" {joined(never).capitalize()} hardly ever hold{'s' * (len(never) == 1)}." if never else ""
    sure = f"the most probable one of a bin has a probability of {percent(probability)} on average"
    known = f"Of the regimes {sure}." if probability >= TOLD_APART else f"Which regime holds is not known: {sure}."
    return f"In {counted(trials, 'trial')}, {'; '.join(parts)}.{absent} {known}"


def stay(length: Estimate, most_ms: float) -> str:
    """How long a regime holds at a time."""
    return " and is not seen to end" if length.value > most_ms else f", for {measured(length, 'ms', most_ms)} at a time"


def shares(score: float, parts: Mapping[str, Estimate], latents: Mapping[str, Estimate], cost: float) -> str:
    """How a score is divided.

    Args:
        score: bits per spike of held-out neurons.
        parts: the shares of blocks and effects, by their names.
        latents: those of latents.
        cost: what mean rates that are predicted wrongly take from the score.
    """
    order = sorted(latents, key=lambda name: -latents[name].value)
    leading, rest = order[:MOST], order[MOST:]
    terms = [f"{name}, {scored(one)}" for name, one in parts.items()]
    wrong = f", and of {fixed(-cost)} for mean rates that are predicted wrongly" if abs(cost) >= SMALL_COST else ""
    text = f"The score of {fixed(score)} bits per spike is the sum of the shares of {'; of '.join(terms)}{wrong}."
    if len(latents) < 2:
        return text
    listed = [f"{name}, {scored(latents[name])}" for name in leading]
    if rest:
        listed.append(f"the other {len(rest)} together, {fixed(sum(latents[name].value for name in rest))}")
    return f"{text} By latent: {'; '.join(listed)}."


def timescales(block: str, quantity: str, unit: str, values: Sequence[Estimate]) -> str:
    """The timescales of one kind of a block: each where there are few, else the shortest and the longest."""
    ordered = sorted(values, key=lambda one: one.value)
    if len(ordered) <= MOST:
        listed = joined([measured(one, unit) for one in ordered])
        return f"The {quantity}{'s' * (len(ordered) > 1)} of {block}: {listed}."
    return (
        f"The {len(ordered)} {quantity}s of {block} reach from {measured(ordered[0], unit)} to "
        f"{measured(ordered[-1], unit)}."
    )


def decoding(behavior: str, measure: str, score: Estimate) -> str:
    """How well behavior is decoded from the rates."""
    if score.value <= 0:
        return f"{behavior} is not decoded from the rates: {measure} is {scored(score)}."
    if score.low <= 0:
        return f"{behavior} is not shown to be decoded from the rates: {measure} is {scored(score)}, which includes 0."
    return f"{behavior} is decoded linearly from the rates, {measure} {scored(score)}."


def averages(score: Estimate) -> str:
    """How well averages by condition are predicted, as the benchmark measures it: of held-in neurons as well."""
    return f"Averages by condition of all neurons, held-in ones among them, are predicted at psth R² {scored(score)}."


def convergence(stages: Sequence[tuple[bool, str]], doubts: Sequence[str], has_intervals: bool) -> str:
    """Whether the fit converged, what still moves, and what has collapsed.

    Args:
        stages: for each finding whether it is as it should be, and its sentence.
        doubts: sentences on what has collapsed.
        has_intervals: whether the parameters have a posterior.
    """
    bad = [words for good, words in stages if not good]
    ended = "The fit has not converged." if bad else "The fit has converged." if stages else "No step was taken."
    intervals = "" if has_intervals else " The parameters are point estimates, without intervals."
    return " ".join([ended, *(bad or [words for _, words in stages]), *doubts]) + intervals


def replication(fits: int, recurs_in: Mapping[str, tuple[int, int]]) -> str:
    """What other fits found again; recurs_in: by mode or timescale in how many fits, and of how many."""
    if not fits:
        return (
            "Whether other starts, or halves of the trials, give the same result was not tested; nlbprob replicate "
            "tests it."
        )
    others = f"{counted(fits, 'other fit')} from other starts or to halves of the trials"
    if not recurs_in:
        return f"{others} had no modes or timescales to compare."
    again = [name for name, (number, of) in recurs_in.items() if number == of]
    rest = [f"{name} (in {number} of {of})" for name, (number, of) in recurs_in.items() if number < of]
    found = (
        f"{others} found {joined(again)} again." if again else f"{others} found no mode or timescale again every time."
    )
    return found + (f" Not replicated: {joined(rest)}." if rest else "")
