"""What a tree for ArviZ holds of trials, and how it is filled: chunk of trials by chunk, some draws at a time."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nlbprob.arguments import described
from nlbprob.blocks.observations import Observation
from nlbprob.errors import InputError, suggestion
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import marginals
from nlbprob.infer.trajectories.problem import TrialProblem
from nlbprob.model import Model
from nlbprob.posterior import predict
from nlbprob.posterior import sampling as joint_draws
from nlbprob.posterior.embed import Embedded

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

LATENTS = ("draws", "summary")
SAMPLE, CELLS = ("chain", "draw"), ("trial", "time", "neuron")
#: The axis of each form of the log likelihood.
FORMS = {"neuron": "pair", "trial": "trial", "full": "entry"}
#: The coordinates of axes along which what is seen stands in a row.
LABELS = {"entry": CELLS, "pair": ("trial", "neuron")}
#: Trials whose data are written at once.
ROWS = 64


class Contents(NamedTuple):
    """What to put into a tree.

    Attributes:
        draws: of the parameters and of all that is drawn with them.
        log_likelihood: "neuron", "trial" or "full".
        latents: "draws", or "summary" for their mean and standard deviation.
        predictive: how many of the draws have counts as well.
        rates: how many of the draws have expected counts as well.
    """

    draws: int
    log_likelihood: str
    latents: str
    predictive: int
    rates: int


class Recorded(NamedTuple):
    """What is recorded of a draw: of which neurons, in which forms, and whether NumPy draws the counts."""

    neurons: tuple[int, ...]
    log_likelihood: str
    latents: str
    on_host: bool


class Variable(NamedTuple):
    """An array of the tree: its dimensions, their sizes, the kind of its numbers."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return int(np.prod(self.shape, dtype=float)) * self.dtype.itemsize


#: A place in the tree: a group and a name.
Key = tuple[str, str]
#: Takes what is known of a part of an array: its place, the part, the values.
Record = Callable[[Key, Any, np.ndarray], None]


def chosen(draws: int, log_likelihood: str, latents: str, predictive: int | None, rates: int) -> Contents:
    """What is asked for. Raises InputError where there is no such form, or a number is none of draws."""
    for name, value, choices in (("log_likelihood", log_likelihood, tuple(FORMS)), ("latents", latents, LATENTS)):
        if not isinstance(value, str) or value not in choices:
            given = f"{name}={value!r}" if isinstance(value, str) else f"{name} is {described(value)}"
            raise InputError(f"{given}. {suggestion(value if isinstance(value, str) else '', choices)}")
    predictive = draws if predictive is None else predictive
    for name, value, least in (("draws", draws, 1), ("predictive", predictive, 1), ("rates", rates, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"{name}={value!r}: give a whole number of draws, at least {least}.")
    return Contents(int(draws), log_likelihood, latents, int(min(predictive, draws)), int(min(rates, draws)))


def variables(posterior: "Posterior", trials: "Trials", contents: Contents) -> dict[Key, Variable]:
    """Every array that has an axis over trials, or over their entries or pairs."""
    seen, sizes = trials.seen, dict(zip(CELLS, trials.counts.shape, strict=True))
    sizes |= {"entry": int(seen.sum()), "pair": int(seen.any(1).sum()), "latent": posterior.model.dim}
    sizes |= {"chain": 1, "draw": contents.draws}
    form = FORMS[contents.log_likelihood]
    result: dict[Key, Variable] = {}

    def add(group: str, name: str, dims: tuple[str, ...], kind: Any, **other: int) -> None:
        result[group, name] = Variable(dims, tuple((sizes | other)[dim] for dim in dims), np.dtype(kind))

    add("observed_data", "spikes", ("entry",), signed(trials.counts.dtype))
    kind = drawn_kind(posterior, trials)
    add("posterior_predictive", "spikes", (*SAMPLE, "entry"), kind, draw=contents.predictive)
    likelihood, seen_trials = (*SAMPLE, form), int(seen.any((1, 2)).sum())
    add("log_likelihood", "spikes", likelihood, np.float32, **({"trial": seen_trials} if form == "trial" else {}))
    kinds = dict(zip(CELLS, (trials.table["id"].dtype, trials.time_ms.dtype, trials.neurons["id"].dtype), strict=True))
    for group in ("observed_data", "posterior_predictive", "log_likelihood"):
        axis = result[group, "spikes"].dims[-1]
        for name in LABELS.get(axis, ()):
            add(group, name, (axis,), kinds[name])
    add("constant_data", "seen", CELLS, bool)
    if contents.rates:
        add("predictions", "rates", (*SAMPLE, *CELLS), np.float32, draw=contents.rates)
    if contents.latents == "draws":
        add("posterior", "latents", (*SAMPLE, "trial", "time", "latent"), np.float32)
    else:
        add("latents", "mean", ("trial", "time", "latent"), np.float32)
        add("latents", "std", ("trial", "time", "latent"), np.float32)
    if posterior.model.templates is not None:
        add("posterior", "component", (*SAMPLE, "trial"), np.int16)
    for block in posterior.model.chains:
        if block.n_regimes:
            add("posterior", f"{block.name}.regime", (*SAMPLE, "trial", "time"), np.int16)
    add("sample_stats", "lp", SAMPLE, np.float64)
    return result


def signed(kind: np.dtype) -> np.dtype:
    """The kind of signed numbers that holds counts of this kind; ArviZ takes unsigned ones for continuous."""
    if kind.kind != "u":
        return kind
    return np.dtype(f"i{min(8, 2 * kind.itemsize)}")


def counted_by(posterior: "Posterior") -> Observation:
    """The observation that predicts counts."""
    observation = posterior.model.observation
    return observation if posterior.centre.count_readout is None else observation.count_observation or observation


def drawn_kind(posterior: "Posterior", trials: "Trials") -> np.dtype:
    """The kind of drawn counts: that of the recorded ones, where both are whole numbers."""
    observation, parameters = counted_by(posterior), posterior.centre.observation
    predictor = jnp.zeros((1, 1, posterior.context.n_neurons))
    random = jax.eval_shape(lambda key: observation.distribution(predictor, parameters).sample(key), jax.random.key(0))
    integer = observation.draw(np.random.default_rng(0), np.zeros(1)) is not None or random.dtype.kind in "iub"
    return signed(trials.counts.dtype) if integer and trials.counts.dtype.kind in "iu" else np.dtype(np.float32)


def fill(
    posterior: "Posterior",
    embedded: Embedded,
    contents: Contents,
    seed: int,
    record: Record,
    tree_variables: dict[Key, Variable],
) -> None:
    """Record every part of the arrays `known`, of trials with every neuron of the fit."""
    trials, neurons = embedded
    seen, ends = trials.seen[..., neurons], boundaries(trials.seen[..., neurons])
    data(trials, neurons, ends, record, tree_variables)
    values = posterior.parameter_sites(contents.draws, seed)
    turn, total = posterior.rotation.astype(np.float32), np.zeros(contents.draws)
    draw = on_host(posterior, seed)
    options = Recorded(tuple(neurons.tolist()), contents.log_likelihood, contents.latents, draw is not None)
    states = {name for group, name in tree_variables if group == "posterior"}
    for piece in joint_draws.draws(posterior, values, trials, seed, describe, options):
        rows, seen_rows = piece.trials, seen[piece.trials]
        if contents.latents == "summary" and piece.draws.start == 0:
            mean, covariance = (np.asarray(moment)[: len(seen_rows)] for moment in predict.overall(piece.marginals))
            record(("latents", "mean"), rows, mean @ turn)
            record(("latents", "std"), rows, np.sqrt(np.einsum("btij,ik,jk->btk", covariance, turn, turn)))
        total[piece.draws] += piece.arrays["lp"].sum(1, dtype=np.float64)
        predicted(piece, seen_rows, ends, contents, record, tree_variables, draw)
        likelihood(piece, seen_rows, ends, contents, record)
        for name in states:
            drawn = piece.arrays[name]
            record(("posterior", name), (0, piece.draws, rows), drawn @ turn if name == "latents" else 1 + drawn)
    record(("sample_stats", "lp"), 0, total)


def on_host(posterior: "Posterior", seed: int) -> Callable[[np.ndarray], np.ndarray | None] | None:
    """The function that draws counts of given means by NumPy; None where NumPyro's distribution has to draw them."""
    draw = functools.partial(counted_by(posterior).draw, np.random.default_rng(seed))
    return None if draw(np.zeros(1)) is None else draw


def boundaries(seen: np.ndarray) -> dict[str, np.ndarray]:
    """By axis, of entries, of pairs or of trials, where what is seen in each trial begins, and the end of all."""
    counts = {"entry": seen.sum((1, 2)), "pair": seen.any(1).sum(1), "trial": seen.any((1, 2))}
    return {axis: np.concatenate([[0], np.cumsum(count)]) for axis, count in counts.items()}


def between(ends: np.ndarray, rows: slice) -> slice:
    """Where what is seen in these trials stands on an axis."""
    return slice(int(ends[rows.start]), int(ends[rows.stop]))


def describe(model: Model, options: "Recorded", key, problem: TrialProblem, batch: Batch, x) -> dict[str, Any]:
    """What is recorded of a joint draw, for some of the fit's neurons."""
    observation, neurons = model.observation, np.asarray(options.neurons)
    predictor = x @ problem.loadings.T + problem.offset
    of_counts, counted = marginals.of_counts(model, problem)
    distribution = of_counts.distribution(x @ counted.loadings.T + counted.offset, counted.observation)
    zero_variance = jnp.zeros_like(predictor)
    pointwise = observation.expected_log_prob(predictor, zero_variance, batch.counts, problem.observation)[0]
    pointwise = jnp.where(batch.seen, pointwise, 0.0)
    arrays = {"lp": pointwise.sum((1, 2)), "rates": jnp.asarray(distribution.mean)[..., neurons]}
    arrays |= {} if options.on_host else {"spikes": jnp.asarray(distribution.sample(key))[..., neurons]}
    arrays |= {"latents": x} if options.latents == "draws" else {}
    by_neuron = pointwise[..., neurons] if options.log_likelihood == "full" else pointwise.sum(1)[..., neurons]
    return arrays | ({} if options.log_likelihood == "trial" else {"log_likelihood": by_neuron})


def predicted(piece, seen, ends, contents: Contents, record: Record, tree_variables: dict[Key, Variable], draw) -> None:
    """Record expected counts, and counts drawn from them, of the first draws."""
    start, rates = piece.draws.start, piece.arrays["rates"]
    if (stop := min(piece.draws.stop, contents.rates)) > start:
        record(("predictions", "rates"), (0, slice(start, stop), piece.trials), rates[: stop - start])
    if (stop := min(piece.draws.stop, contents.predictive)) > start:
        key = ("posterior_predictive", "spikes")
        kind = tree_variables[key].dtype
        few = slice(stop - start)
        spikes = piece.arrays["spikes"][few, seen] if draw is None else draw(rates[few, seen])
        spikes = np.minimum(spikes, np.iinfo(kind).max) if kind.kind == "i" else spikes
        record(key, (0, slice(start, stop), between(ends["entry"], piece.trials)), spikes)


def likelihood(piece, seen: np.ndarray, ends, contents: Contents, record: Record) -> None:
    """Record the log likelihood of what is seen."""
    axis = FORMS[contents.log_likelihood]
    seen_entries = {"entry": seen, "pair": seen.any(1), "trial": seen.any((1, 2))}[axis]
    values = piece.arrays["lp" if axis == "trial" else "log_likelihood"][:, seen_entries]
    record(("log_likelihood", "spikes"), (0, piece.draws, between(ends[axis], piece.trials)), values)


def data(trials: "Trials", neurons: np.ndarray, ends, record: Record, tree_variables: dict[Key, Variable]) -> None:
    """Record what is seen, the counts, and the labels of entries and pairs."""
    for start in range(0, trials.n_trials, ROWS):
        rows = slice(start, min(start + ROWS, trials.n_trials))
        seen = trials.seen[rows][..., neurons]
        record(("constant_data", "seen"), rows, seen)
        record(("observed_data", "spikes"), between(ends["entry"], rows), trials.counts[rows][..., neurons][seen])
        labels = {"trial": trials.table["id"][rows], "time": trials.time_ms, "neuron": trials.neurons["id"][neurons]}
        cells = {"entry": dict(zip(CELLS, np.nonzero(seen), strict=True))}
        cells["pair"] = dict(zip(("trial", "neuron"), np.nonzero(seen.any(1)), strict=True))
        for key, variable in tree_variables.items():
            axis, name = variable.dims[-1], key[1]
            if name in CELLS and axis in cells:
                record(key, between(ends[axis], rows), labels[name][cells[axis][name]])
