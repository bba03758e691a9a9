"""The model of an entry in a card: its formulas, its graph, and the prior and the posterior of every parameter."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from numpyro.handlers import seed, trace
from numpyro.infer import Predictive

from nlbprob.blocks.calls import HANDLERS
from nlbprob.blocks.formula import blocks, explained, first_paragraph, options, said
from nlbprob.entry.parts import Formulas, Heading, Item, Picture, Points, Table, Text
from nlbprob.entry.source import Source
from nlbprob.functions.graph import GIVEN_BY, bare, variables
from nlbprob.plot.plates import figure
from nlbprob.posterior.units import NONE, digits, unit_of

#: Draws from the priors, for the ranges in the table.
PRIOR_DRAWS = 400
#: Arguments of distributions that say over again what another one says.
REDUNDANT = {"rate_matrix", "scale_tril", "precision_matrix", "logits"}
LEGEND = (
    "A circle is a variable, named as in the posterior file, with its distribution and axes below; a box holds what "
    "there is for every trial, bin or neuron; an arrow leads to what depends on a variable. The counts are filled, the "
    "rates are computed, everything else is inferred. A loop: trajectories, whose bins depend on each other."
)


def formulas(source: Source) -> Iterator[Item]:
    """Each model in a sentence, in formulas and as a graph."""
    for name, (posterior, file) in source.models.items():
        if source.is_committee:
            yield Heading(name)
        model = posterior.model
        lines = [("in all", first_paragraph(getattr(model, "function", model)))]
        lines += [(f"{role}: {type(block).__name__}{options(block)}", said(block)) for role, block in blocks(model)]
        size = sum(map(free, posterior.values.values()))
        yield Text(
            f"{file.help.rstrip('.')}. {model.dim} latents, {len(posterior.neuron_ids)} neurons, bins of "
            f"{posterior.context.bin_ms:g} ms, {size} parameters."
        )
        yield Formulas(lines)
        told = [
            f"{type(block).__name__}{f', {what}' if what else ''}: {words}"
            for _, block in blocks(model)
            for what, words in explained(block)
        ]
        yield Points(told)
        picture = "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in f"{source.name}-{name}")
        graph = variables(model, source.view.trials)
        yield Picture(picture, figure(graph, source.view.trials), f"The model {name} as a graph")
        yield Text(LEGEND)


def free(value: np.ndarray) -> int:
    """How many numbers of an array are free: of a symmetric matrix those on and below the diagonal."""
    size = value.shape[-1] if value.ndim > 1 else 0
    if size > 1 and value.shape[-2] == size and np.allclose(value, np.swapaxes(value, -1, -2), rtol=1e-4, atol=1e-6):
        return value.size // size**2 * (size * (size + 1) // 2)
    return value.size


def parameters(source: Source) -> Iterator[Item]:
    """A table of all parameters of each model: priors and posteriors."""
    for name, (posterior, _) in source.models.items():
        if source.is_committee:
            yield Heading(name)
        yield parameter_table(posterior, source)
    yield Text(
        "Range of the prior: 5% to 95% of its draws, over all entries. Posterior: mean and 90% interval of a single "
        "number, else the least and the greatest mean over the entries, which is no interval. Latents have a mean "
        "square of 1 over the bins of a trial, so that a loading is the effect of a latent of that size on the "
        "predictor."
    )


def parameter_table(posterior: Any, source: Source) -> Table:
    """The sites of a posterior's parameters."""
    model, context = posterior.model, posterior.context
    graph = variables(model, source.view.trials)
    with HANDLERS:
        predicted = Predictive(model.parameters, num_samples=PRIOR_DRAWS)(jax.random.key(0), context)
        runs = [trace(seed(model.parameters, number)).get_trace(context) for number in (0, 1)]
    rows = []
    for name, draws in posterior.draws.items():
        if name not in graph or name not in predicted:
            continue  # what the fit derives from the others
        prior, axes = np.asarray(predicted[name]), [*graph[name].plates, *graph[name].axes]
        sizes = [f"{axis} ({length})" for axis, length in zip(axes, draws.shape[1:], strict=False)]
        one, other = (bare(run[name]["fn"]) for run in runs)
        cells = [" x ".join(sizes) or "one number", prior_words(one, other, graph[name].parents)]
        if len(axes) > 1 and axes[-1] == f"{axes[-2]}_2":
            prior, draws = (np.diagonal(values, axis1=-2, axis2=-1) for values in (prior, draws))
            cells[0] += ", its diagonal"
        ends = between(np.quantile(prior, (0.05, 0.95)))
        rows.append([name, *cells, ends, posterior_words(draws), unit_of(name).replace(NONE, "-")])
    return Table(["parameter", "axes", "prior", "range of the prior", "posterior", "unit"], rows, words=True)


def prior_words(one: Any, other: Any, parents: tuple[str, ...]) -> str:
    """A prior with its arguments, where these are the same in two runs of the program; else what they come from."""
    kind, shown = GIVEN_BY.sub("", type(one).__name__), []
    for name in one.arg_constraints:
        value, again = (np.asarray(getattr(each, name, np.nan), float) for each in (one, other))
        if not np.array_equal(value, again):
            return f"{kind} given {', '.join(parents)}"
        if name not in REDUNDANT:
            shown.append(f"{name} {argument(value)}")
    return f"{kind}({', '.join(shown)})"


def argument(value: np.ndarray) -> str:
    """An argument of a prior: a number, a multiple of the identity, or its range."""
    if value.ndim >= 2 and value.shape[-1] == value.shape[-2]:
        first = value.reshape(-1, *value.shape[-2:])[0]
        if np.allclose(first, first[0, 0] * np.eye(len(first))):
            return f"{first[0, 0]:.3g} I"
    low, high = value.min(), value.max()
    return f"{low:.3g}" if high - low < 1e-6 * (1 + abs(low)) else between((low, high))


def between(pair: Any) -> str:
    """A range in three digits."""
    return " to ".join(digits(float(end)).replace("-", "−") for end in pair)


def posterior_words(draws: np.ndarray) -> str:
    """A posterior in short."""
    means = draws.mean(0)
    if means.size == 1:
        ends = ", ".join(digits(float(end)) for end in np.quantile(draws, (0.05, 0.95)))
        return f"{digits(float(means.item()))} [{ends}]"
    return between((means.min(), means.max()))
