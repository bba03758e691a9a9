"""Latents, a readout and an observation make a generative model: a NumPyro callable with named dimensions."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array, Float

from nlbprob.arguments import checked_keywords, flag
from nlbprob.blocks import composition, readers
from nlbprob.blocks.base import Context
from nlbprob.blocks.calls import spikes
from nlbprob.blocks.effects import Effect
from nlbprob.blocks.formula import model_table
from nlbprob.blocks.identity import Identified
from nlbprob.blocks.latent import Dynamics, Latent
from nlbprob.blocks.observations import Observation, Poisson
from nlbprob.blocks.parameters import Parameters as Parameters
from nlbprob.blocks.readout import LinearReadout, Readout
from nlbprob.blocks.templates import Templates
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


#: The attributes that inference reads; completion leaves them out.
INTERNAL = {
    *("assemble", "check", "covariates", "emission", "n_states", "offset", "parameters"),
    *("penalty", "resolve", "closed_form", "slice_of", "start_readout", "template_slice"),
}


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Model(Identified):
    """y[trial, time, neuron] ~ observation(c_n'x + d_n + effects), x the concatenated latents of the trial.

    Calling a model on `Trials` is a NumPyro model: sites of the blocks' parameters, one site of trajectories a latent
    block, the deterministic "latents" and "rates" (spikes per bin), and the observed counts "spikes" in the plates
    trial, time, neuron.

    Args:
        latents: blocks of trajectories, and at most one block of templates.
        observation: of a count given its predictor.
        readout: from latents to predictors.
        effects: further terms of the predictor, such as InputEffect or History.

    Examples:
        >>> import nlbprob as nlb
        >>> nlb.Model(latents=[nlb.LDS(12)], observation=nlb.Poisson()).dim
        12
    """

    latents: Sequence[Latent | Templates]
    observation: Observation = dataclasses.field(default_factory=Poisson)
    readout: Readout = dataclasses.field(default_factory=LinearReadout)
    effects: Sequence[Effect] = ()

    _repr_html_ = model_table

    def __post_init__(self):
        latents, effects = composition.checked_parts(self.latents, self.effects, self.observation, self.readout)
        object.__setattr__(self, "latents", latents)
        object.__setattr__(self, "effects", effects)
        composition.check_names(latents, effects)
        if self.templates is not None and self.templates.on is not None:
            self.slice_of(self.templates.on)
        composition.check_inputs((*latents, *effects))

    def __dir__(self):
        return [name for name in super().__dir__() if name not in INTERNAL]

    @property
    def chains(self) -> list[Latent]:
        """The latent blocks whose trajectories are chains: all but the templates."""
        return [block for block in self.latents if isinstance(block, Latent)]

    @property
    def templates(self) -> Templates | None:
        """The block of templates, where there is one."""
        return next((block for block in self.latents if isinstance(block, Templates)), None)

    @property
    def dim(self) -> int:
        """The number of latents of all blocks together."""
        return sum(block.n_latents for block in self.latents)

    @property
    def n_states(self) -> int:
        """The length of the state of all chains together."""
        return sum(block.n_states for block in self.chains)

    @property
    def slices(self) -> dict[str, slice]:
        """The latents of each block among all, by its name."""
        ends = np.cumsum([block.n_latents for block in self.latents])
        pairs = zip(self.latents, ends, strict=True)
        return {block.name: slice(int(end) - block.n_latents, int(end)) for block, end in pairs}

    def slice_of(self, name: str) -> slice:
        """The latents of the chain of that name among all. Raises InputError where there is no such chain."""
        chains = [block.name for block in self.chains]
        if name not in chains:
            raise InputError(f"Templates(on={name!r}): the model's latents are {', '.join(chains)}.")
        ends = np.cumsum([block.dim or 0 for block in self.latents])
        index = [block.name for block in self.latents].index(name)
        return slice(int(ends[index]) - (self.latents[index].dim or 0), int(ends[index]))

    @property
    def template_slice(self) -> slice:
        """The latents that the templates add to."""
        assert self.templates is not None
        return self.slice_of(self.templates.on) if self.templates.on else self.slices[self.templates.name]

    @property
    def n_components(self) -> int:
        """How many templates a trial may follow; 1 where there are none."""
        return self.templates.n_components if self.templates is not None else 1

    @property
    def latent_names(self) -> list[str]:
        """The label of each latent, such as "lds 1"."""
        return [name for block in self.latents for name in block.latent_names]

    def resolve(self, trials: "Trials") -> "Model":
        """The same model with the number of latents of each block set, by default from these trials.

        Args:
            trials: the training data.

        Returns:
            A model whose `dim` is known.

        Raises:
            InputError: there would be more latents than neurons.
        """
        latents = tuple(readers.resolved(block, trials) for block in self.latents)
        model = dataclasses.replace(self, latents=latents, readout=readers.restricted(self.readout, latents, trials))
        model.check(trials)
        return model

    def check(self, trials: "Trials") -> None:
        """Check that the model can be fitted to these trials.

        Args:
            trials: the training data.

        Raises:
            InputError: it has more latents than the recording has neurons, or a block does not fit the trials.
        """
        if self.dim > trials.n_neurons:
            raise InputError(
                f"The model has {self.dim} latents, the recording {trials.n_neurons} neurons: "
                "neurons determine no more latents than there are of them. Lower dim, or select more units."
            )
        for block in self.latents:
            block.check(trials)
        self.observation.check(trials)

    def covariates(self, trials: "Trials", context: Context | None = None) -> dict[str, np.ndarray]:
        """The covariates of each trial that the blocks need besides the counts.

        Args:
            trials: to be fitted or predicted.
            context: facts of the training data; by default of these trials.

        Returns:
            Arrays [trial, ...] by name.
        """
        context = Context.of(trials) if context is None else context
        arrays: dict[str, np.ndarray] = {}
        for block in (*self.chains, *self.effects):
            arrays |= block.covariates(trials, context)
        return arrays

    def emission(self, dynamics: Sequence[Dynamics]) -> Float[Array, "*time latent state"] | None:
        """H of all blocks together, x = H state (+ templates); None where the latents are the state."""
        if self.templates is None and all(each.emission is None for each in dynamics):
            return None
        dtype = dynamics[0].chain.initial_mean.dtype
        times = [each.emission.shape[0] for each in dynamics if each.emission is not None and each.emission.ndim == 3]
        emission = jnp.zeros((*times[:1], self.dim, self.n_states), dtype)
        start = 0
        for block, each in zip(self.chains, dynamics, strict=True):
            part = jnp.eye(block.n_latents, dtype=dtype) if each.emission is None else each.emission
            emission = emission.at[..., self.slices[block.name], start : start + block.n_states].set(part)
            start += block.n_states
        return emission

    def parameters(self, context: Context) -> Parameters:
        """Sample the parameters of all blocks, inside a NumPyro model or under a handler that substitutes them.

        Args:
            context: facts of the training data.

        Returns:
            The parameters at the sampled values.
        """
        dynamics = tuple(latent.prior(context) for latent in self.chains)
        mixture = None
        if self.templates is not None:
            columns = self.template_slice
            mixture = self.templates.prior(context, columns.stop - columns.start).embedded(self.dim, columns)
        location = self.observation.baseline_location(context)
        loadings, baseline = self.readout.parameters(context, self.dim, location)
        effects = tuple(effect.parameters(context) for effect in self.effects)
        return Parameters(dynamics, loadings, baseline, self.observation.parameters(context), mixture, effects)

    def offset(self, theta: Parameters, covariates, counts, seen):
        """The term of each predictor besides c'x: baselines plus effects.

        Args:
            theta: parameters of the model.
            covariates: arrays [trial, ...] by name.
            counts: [trial, time, neuron], spikes/bin.
            seen: [trial, time, neuron], which of the counts may be used.

        Returns:
            [neuron], or with effects [trial, time, neuron].
        """
        total: Any = theta.baseline
        for effect, parameters in zip(self.effects, theta.effects, strict=True):
            total = total + effect.offset(parameters, covariates, counts, seen)
        return total

    def __call__(self, trials: "Trials", observed: bool = True):
        """The generative model of all trials. observed=False draws the counts too (for NumPyro's Predictive)."""
        check_trials(trials, "Model(...)(trials)")
        observed = flag(observed, "Model(...)(trials)", "observed")
        model = self.resolve(trials)
        theta = model.parameters(Context.of(trials))
        x = [block.trajectories(each, trials) for block, each in zip(model.chains, theta.dynamics, strict=True)]
        x = model.assemble(dict(zip([block.name for block in model.chains], x, strict=True)), theta, trials)
        numpyro.deterministic("latents", x)
        covariates = {name: jnp.asarray(value) for name, value in model.covariates(trials).items()}
        offset = model.offset(theta, covariates, jnp.asarray(trials.counts), jnp.asarray(trials.seen))
        predictor = x @ theta.loadings.T + offset
        return spikes(self.observation.distribution(predictor, theta.observation), trials, observed)

    def closed_form(self, block: Latent) -> tuple[str, ...]:
        """The parameters of a block that EM updates in closed form.

        Such an update changes the basis of the latents; the loadings can be changed with it only where they are sites.

        Args:
            block: one of the chains.

        Returns:
            Names of parameters, without the block's name.
        """
        return block.closed_form if self.readout.names else ()

    def penalty(self, context: Context, theta: Parameters, values: dict[str, Any]):
        """The normal that stands for the prior of baselines and loadings in a Newton step; see `LinearReadout`.

        Args:
            context: facts of the training data.
            theta: parameters of the model.
            values: of all sites.

        Returns:
            Location and precision, [1 + latent] or [neuron, 1 + latent].
        """
        return self.readout.penalty(theta.loadings, values, self.observation.baseline_location(context))

    def start_readout(self, context: Context, values: dict[str, Any], baseline, loadings) -> dict[str, Any]:
        """Site values with given baselines and loadings, at which a fit starts.

        Args:
            context: facts of the training data.
            values: of the other sites.
            baseline: [neuron].
            loadings: [neuron, latent].

        Returns:
            Arrays by the names of the sites.
        """
        return self.readout.values(baseline, loadings)

    def assemble(self, parts: dict[str, Any], theta: Parameters, trials: "Trials"):
        """All latents from those of the chains, with the sampled template of each trial.

        Args:
            parts: latents [trial, time, latent] of each chain, by its name.
            theta: parameters of the model.
            trials: whose templates are sampled.

        Returns:
            x [trial, time, latent].
        """
        if self.templates is None or theta.mixture is None:
            return jnp.concatenate([parts[block.name] for block in self.latents], -1)
        zero = jnp.zeros((trials.n_trials, trials.n_bins, self.templates.n_latents))
        x = jnp.concatenate([parts.get(block.name, zero) for block in self.latents], -1)
        return x + self.templates.trajectories(theta.mixture, trials)
