"""A NumPyro function that calls blocks, with the interface of a `Model`.

A function of trials gets its latents from blocks, x = nlb.LDS(8)(trials), and ends with one `nlb.observe`, whose
predictor is x @ loadings.T + offset; loadings and offset may be functions of any continuous sites. Where loadings
[neuron, latent] and baselines [neuron] are sites themselves, they get Newton steps and a normal for each neuron, as
those of a `Model` do; all other sites follow gradients and get one normal together.
"""

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.handlers
import optax
from jax import lax
from numpyro.distributions import biject_to
from numpyro.infer import init_to_median

from nlbprob.arguments import named
from nlbprob.blocks.base import Block, Context
from nlbprob.blocks.effects import Effect
from nlbprob.blocks.identity import Described
from nlbprob.blocks.latent import Latent
from nlbprob.blocks.observation_base import Observation
from nlbprob.blocks.templates import Templates
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.functions import inspection, program, view
from nlbprob.functions.likelihood import FunctionObservation, closed_over
from nlbprob.functions.readout import SiteReadout, tangent_normal
from nlbprob.model import Model, Parameters

#: Steps of Adam, and their rate, by which sites are fitted to the initial baselines and loadings.
PLACING_STEPS, PLACING_RATE = 400, 0.05
#: Number of draws whose median is the initial value of a site.
MEDIAN_OF = 101


class Program:
    """A function of trials, and its parts, found by running it.

    form: of its predictor; sites: shape and support of the sites that are not blocks'; dims: latents of each block;
    bins: of the views that it is run on for its parameters.
    """

    def __init__(self, function: Callable, context: Context):
        trials = empty_trials(context)
        self.function, self.bin_ms = function, context.bin_ms
        self.bins = inspection.smallest_bins(function, context, trials)
        self.parts = inspection.parts(function, self.empty(context), trials)
        self.sites = self.parts.sites
        self.dims = {block.name: block.n_latents for block in self.parts.blocks}
        self.form = inspection.form(function, self.parts, context, self.bins)
        self.closed_over: tuple[str, ...] = ()
        if not isinstance(self.parts.observation, Observation):
            self.closed_over = closed_over(function, view.random_view(context, inspection.TRIALS, self.bins), self.dims)

    def __repr__(self) -> str:
        return f"the function {getattr(self.function, '__qualname__', self.function)!r}"

    def empty(self, context: Context) -> view.View:
        """A view of trials without spikes."""
        return view.blank(context, inspection.TRIALS, self.bins)

    def medians(self, context: Context) -> dict[str, Any]:
        """Medians of the priors of all sites."""
        median, empty = init_to_median(num_samples=MEDIAN_OF), self.empty(context)

        def sample(key):
            seeded = numpyro.handlers.seed(self.function, key)
            at_median = numpyro.handlers.substitute(seeded, substitute_fn=median)
            return program.function_sites(at_median, empty, self.dims)

        return jax.jit(sample)(jax.random.key(0))

    def observation(self, context: Context) -> Observation:
        """The observation; by quadrature where the function has a likelihood of its own."""
        if isinstance(self.parts.observation, Observation):
            return self.parts.observation
        medians = self.medians(context) if self.closed_over else {}
        medians = {name: medians[name] for name in self.closed_over}
        return FunctionObservation(self.function, self.empty(context), self.dims, medians)


@dataclasses.dataclass(frozen=True, eq=False)
class FunctionEffect(Effect):
    """The term of the function's predictor besides c_n'x + d_n, if there is one."""

    program: Any
    name: str = "(function)"
    priors: dict[str, Any] = dataclasses.field(default_factory=dict)

    def covariates(self, trials, context):
        return view.covariates(trials, context) if self.program.form.varies else {}

    def parameters(self, context):
        raise AssertionError("The sites of a function are sampled by the function.")

    def offset(self, parameters, covariates, counts, seen):
        """The offset of the function less the baselines.

        Args:
            parameters: the values of all sites, and the baselines, which `Model.offset` adds.
            covariates: of the view, by name.
            counts: [trial, time, neuron], spikes/bin.
            seen: [trial, time, neuron].

        Returns:
            [trial, time, neuron], or 0.
        """
        if not self.program.form.varies:
            return 0.0
        values, baseline = parameters
        here = view.view(covariates, counts, seen, self.program.bin_ms)
        zero = program.zero_latents(self.program.dims, here)
        return program.predictor(self.program.function, values, here, zero) - baseline

    def start(self, context):
        """Medians of the priors."""
        return self.program.medians(context)


@dataclasses.dataclass(frozen=True, eq=False)
class FunctionModel(Model):
    """A NumPyro function of trials as a model: eta = C x + offset, C and offset functions of its sites.

    Made by `resolve_model`.

    Args:
        program: the function. The other fields are its parts, as its runs showed them.
    """

    program: Any = None

    @property
    def function(self) -> Callable:
        """The function itself."""
        return self.program.function

    def parameters(self, context: Context) -> Parameters:
        """Sample the function's sites; loadings and baselines are sites, or slope and offset at the sampled values."""
        function, empty = self.function, self.program.empty(context)
        sampled = program.sample(function, {block.name: block for block in self.latents}, context, empty)
        if self.readout.names:
            loadings, baseline = self.readout.loadings(sampled.values), sampled.values[self.readout.names[0]]
        else:
            offset, loadings = program.linear(function, sampled.values, empty, self.program.dims)
            baseline = offset[0, 0]
        priors: Any = sampled.priors
        dynamics = tuple(priors[block.name] for block in self.chains)
        mixture = None
        if self.templates is not None:
            mixture = priors[self.templates.name].embedded(self.dim, self.template_slice)
        effects = ((sampled.values, baseline),) if self.effects else ()
        observation = sampled.observation | {name: sampled.values[name] for name in self.program.closed_over}
        return Parameters(dynamics, loadings, baseline, observation, mixture, effects)

    def offset(self, theta: Parameters, covariates, counts, seen):
        """The term of each predictor besides C x."""
        if self.effects and self.readout.names:
            ((values, _),) = theta.effects
            values = values | {self.readout.names[0]: jnp.zeros_like(theta.baseline)}
            theta = theta._replace(effects=((values, 0.0),))
        return super().offset(theta, covariates, counts, seen)

    def penalty(self, context: Context, theta: Parameters, values: dict[str, Any]):
        """The normal that touches the prior of baselines and loadings, where these are sites."""

        def density(readout_values):
            substituted: Any = numpyro.handlers.substitute(program.sample, data=values | readout_values)
            blocks = {block.name: block for block in self.latents}
            with program.HANDLERS, numpyro.handlers.block():
                return substituted(self.function, blocks, context, self.program.empty(context)).log_density

        readout_values = {name: values[name] for name in self.readout.names}
        parts = tangent_normal(density, readout_values)
        rows = [[part[name].reshape(len(theta.baseline), -1) for name in self.readout.names] for part in parts]
        location, precision = (jnp.concatenate(columns, 1) for columns in rows)
        return location, precision

    def start_readout(self, context: Context, values: dict[str, Any], baseline, loadings) -> dict[str, Any]:
        """Site values with given baselines and loadings: by gradient descent where these are no sites."""
        if self.readout.names:
            return self.readout.values(baseline, loadings)
        names, empty = list(self.program.sites), self.program.empty(context)
        support = {name: biject_to(self.program.sites[name][1]) for name in names}
        adam, goal = optax.adam(PLACING_RATE), (jnp.asarray(baseline), jnp.asarray(loadings))

        def distance(raw):
            at = {name: support[name](raw[name]) for name in names}
            offset, slope = program.linear(self.function, at, empty, self.program.dims)
            return ((offset[0, 0] - goal[0]) ** 2).mean() + ((slope - goal[1]) ** 2).mean()

        def step(state, _):
            raw, optimizer = state
            change, optimizer = adam.update(jax.grad(distance)(raw), optimizer, raw)
            moved: Any = optax.apply_updates(raw, change)
            return (moved, optimizer), None

        @jax.jit
        def descend(raw):
            (raw, _), _ = lax.scan(step, (raw, adam.init(raw)), length=PLACING_STEPS)
            return {name: support[name](raw[name]) for name in names}

        return descend({name: support[name].inv(values[name]) for name in names})

    def __call__(self, trials: Trials, observed: bool = True):
        """The function, with the deterministic "latents" besides. observed=False draws the counts too."""
        function = self.function if observed else numpyro.handlers.uncondition(self.function)
        with program.Latents() as latents:
            returned = function(trials)
        numpyro.deterministic("latents", jnp.concatenate([latents[block.name] for block in self.latents], -1))
        return returned


def resolve_model(model: Any, trials: Trials) -> Model:
    """A `Model`, or a NumPyro function of trials, with the number of latents set, by default from these trials.

    Args:
        model: a Model, or a NumPyro function of trials.
        trials: the training data.

    Returns:
        A model whose `dim` is known.

    Raises:
        InputError: it cannot be fitted to them.
    """
    if isinstance(model, Model):
        return model.resolve(trials)
    return function_model(model, Context.of(trials)).resolve(trials)


def remedy(value: Any) -> str:
    """How to make a model of an argument that is none, in words."""
    if isinstance(value, Latent | Templates):
        return f"make a model of it, nlb.Model(latents=[nlb.{type(value).__name__}(...)])"
    if isinstance(value, str | os.PathLike):
        return f"build the model of a file or name first, nlb.load_model({str(value)!r})"
    kind = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    return f"a model is an nlb.Model(latents=[...]) or a NumPyro function of trials, not {kind}"


def empty_trials(context: Context) -> Trials:
    """One bin without spikes of a trial of each condition: enough for a block to set its numbers of latents."""
    neurons, conditions = context.n_neurons, context.conditions or ("",)
    shape, columns = (len(conditions), 1, neurons), {"id": np.arange(neurons), "heldout": np.zeros(neurons, bool)}
    table = {"id": np.arange(len(conditions)), "split": np.repeat("train", len(conditions))}
    table["condition"] = np.array(conditions)
    counts, seen = np.zeros(shape, np.uint8), np.ones(shape, bool)
    by = ("condition",) if context.conditions else ()
    return Trials(counts, seen, context.bin_ms, columns, table, np.zeros(1), condition=by)


def function_model(function: Any, context: Context) -> FunctionModel:
    """The model of a function, in the context of a fit. Raises InputError where it cannot be fitted."""
    if isinstance(function, Block | type) or not callable(function):
        raise InputError(f"{named('fit', 'model', function)}: {remedy(function)}.")
    return cached_model(Described(function), context, bool(jax.config.jax_enable_x64))


@functools.lru_cache(maxsize=32)
def cached_model(described: Described, context: Context, wide: bool) -> FunctionModel:
    """The model of a function: one object for each function, context and width of numbers."""
    function = described.value
    try:
        ran = Program(function, context)
    except jax.errors.TracerArrayConversionError as error:
        raise InputError(
            "fit: the function turns something of the trials, or a sampled value, into a NumPy array. Write its "
            f"mathematics with jax.numpy. {str(error).splitlines()[0]}"
        ) from error
    # Newton steps for the readout take derivatives in the predictor only.
    names = () if set(ran.form.readout) & set(ran.closed_over) else ran.form.readout
    readout = SiteReadout(names, tuple(ran.sites[name][0][1] for name in names[1:]))
    effects = (FunctionEffect(ran),) if set(ran.sites) - set(names) or ran.form.varies else ()
    return FunctionModel(ran.parts.blocks, ran.observation(context), readout, effects, ran)
