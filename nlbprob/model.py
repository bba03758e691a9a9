"""Latents, a readout and an observation make a generative model: a NumPyro callable with named dimensions."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array, Float

from nlbprob.arguments import checked_keywords, flag, instance_of, sequence_of
from nlbprob.blocks.base import Context
from nlbprob.blocks.calls import spikes
from nlbprob.blocks.effects import Effect
from nlbprob.blocks.identity import Identified
from nlbprob.blocks.latent import Dynamics, Latent
from nlbprob.blocks.observations import Observation, Poisson
from nlbprob.blocks.readout import SHRINKAGE, LinearReadout, Readout
from nlbprob.blocks.shrinkage.shrinkage import Shrinkage
from nlbprob.blocks.templates import Mixture, Templates
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


#: Names of sites and plates that are the model's own, which no block may have.
TAKEN = ("", "baseline", "latents", "loadings", "neuron", "rates", "spikes", "time", "trial")
#: The public blocks for each part of a model, which messages name.
LATENTS = ("LDS", "GP", "SwitchingLDS", "Flow", "Gain", "Templates")
OBSERVATIONS = ("Poisson", "NegativeBinomial", "ZeroInflatedPoisson", "Bernoulli", "Gaussian", "SqrtGaussian")
EFFECTS = ("InputEffect", "History")
#: What inference asks of a model; completion leaves it out.
INTERNAL = {
    *("assemble", "check", "check_inputs", "check_parts", "covariates", "emission", "n_states", "offset", "parameters"),
    *("penalty", "place", "resolve", "settled", "slice_of", "template_place"),
}


class Parameters(NamedTuple):
    """Everything the posterior of a trajectory depends on.

    Attributes:
        dynamics: of each latent block in turn.
        loadings: [neuron, latent].
        baseline: [neuron], predictor at latents of zero.
        observation: the observation's own parameters.
        mixture: of the templates, where there are some.
        effects: what each effect needs.
        uncertainty: the covariance of each neuron's (baseline, loadings) where predictions take it into account; None
            where the parameters are known, as at a draw.
    """

    dynamics: tuple[Dynamics, ...]
    loadings: Float[Array, "neuron latent"]
    baseline: Float[Array, " neuron"]
    observation: dict[str, Any]
    mixture: Mixture | None = None
    effects: tuple[Any, ...] = ()
    uncertainty: Float[Array, "neuron width width"] | None = None


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
        effects: what else adds to the predictor, such as InputEffect or History.

    Examples:
        >>> import nlbprob as nlb
        >>> nlb.Model(latents=[nlb.LDS(12)], observation=nlb.Poisson()).dim
        12
    """

    latents: Sequence[Latent | Templates]
    observation: Observation = dataclasses.field(default_factory=Poisson)
    readout: Readout = dataclasses.field(default_factory=LinearReadout)
    effects: Sequence[Effect] = ()

    def __post_init__(self):
        self.check_parts()
        if not self.chains:
            raise InputError("Model(latents=[...]): a model needs at least one latent block, such as LDS(12).")
        names = [block.name for block in (*self.latents, *self.effects)]
        for name in names:
            if name in TAKEN:
                raise InputError(f"Model: a block is named {name!r}, a name of the model's own; give it another one.")
            if names.count(name) > 1:
                raise InputError(f"Model: two blocks are named {name!r}; give each its own name, LDS(8, name='slow').")
        if len(self.latents) - len(self.chains) > 1:
            raise InputError("Model: two blocks of templates; a trial belongs to one template. Keep one block.")
        if self.templates is not None and self.templates.on is not None:
            self.slice_of(self.templates.on)
        self.check_inputs()

    def __dir__(self):
        return [name for name in super().__dir__() if name not in INTERNAL]

    def check_parts(self) -> None:
        """Raise InputError unless every part is a block of its kind; lists become tuples."""
        for place, one in enumerate(self.latents if isinstance(self.latents, list | tuple) else ()):
            if isinstance(one, Effect):
                kind = type(one).__name__
                raise InputError(f"Model: latents[{place}] is an effect; give it as effects=[nlb.{kind}(...)].")
        latents = sequence_of(self.latents, Latent | Templates, "Model", "latents", "", LATENTS)
        effects = sequence_of(self.effects, Effect, "Model", "effects", "", EFFECTS)
        object.__setattr__(self, "latents", latents)
        object.__setattr__(self, "effects", effects)
        instance_of(self.observation, Observation, "Model", "observation", "", OBSERVATIONS)
        remedy = "nlb.LinearReadout()"
        if isinstance(self.readout, str) and self.readout in SHRINKAGE:
            remedy = f"nlb.LinearReadout(shrinkage={self.readout!r})"
        if isinstance(self.readout, Shrinkage):
            remedy = f"nlb.LinearReadout(nlb.{type(self.readout).__name__}(...))"
        instance_of(self.readout, Readout, "Model", "readout", remedy, ("LinearReadout",))

    def check_inputs(self) -> None:
        """Raise InputError where two blocks have different inputs of one name, under which their values are kept."""
        known: dict[str, Any] = {}
        for block in (*self.latents, *self.effects):
            for one in getattr(block, "inputs", ()):
                if known.setdefault(one.name, one) != one:
                    raise InputError(
                        f"Model: two inputs are named {one.name!r} and differ; give one of them another name."
                    )
                if one.name == "condition" and getattr(block, "initial", "") == "condition":
                    raise InputError("Model: an input is named 'condition', as the trials' conditions are; rename it.")

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
        """Where each block's latents are among all, by its name."""
        ends = np.cumsum([block.n_latents for block in self.latents])
        return {
            block.name: slice(int(end) - block.n_latents, int(end))
            for block, end in zip(self.latents, ends, strict=True)
        }

    def slice_of(self, name: str) -> slice:
        """Where the latents of the chain named so are among all. Raises InputError where there is no such block."""
        chains = [block.name for block in self.chains]
        if name not in chains:
            raise InputError(f"Templates(on={name!r}): the model's latents are {', '.join(chains)}.")
        ends = np.cumsum([block.dim or 0 for block in self.latents])
        place = [block.name for block in self.latents].index(name)
        return slice(int(ends[place]) - (self.latents[place].dim or 0), int(ends[place]))

    @property
    def template_place(self) -> slice:
        """Which latents the templates add to."""
        assert self.templates is not None
        return self.slice_of(self.templates.on) if self.templates.on else self.slices[self.templates.name]

    @property
    def n_components(self) -> int:
        """How many templates a trial may follow; 1 where there are none."""
        return self.templates.n_components if self.templates is not None else 1

    @property
    def latent_names(self) -> list[str]:
        """What each latent is called in labels, such as "lds[0]"."""
        return [name for block in self.latents for name in block.latent_names]

    def resolve(self, trials: "Trials") -> "Model":
        """The same model with the number of latents settled for these trials.

        Raises:
            InputError: there would be more latents than neurons.
        """
        latents = tuple(block.resolve(trials) for block in self.latents)
        model = dataclasses.replace(self, latents=latents)
        model.check(trials)
        return model

    def check(self, trials: "Trials") -> None:
        """Raise InputError where the model cannot be fitted to these trials."""
        if self.dim > trials.n_neurons:
            raise InputError(
                f"The model has {self.dim} latents, the recording {trials.n_neurons} neurons: "
                "more latents than neurons cannot be told apart. Lower dim, or select more units."
            )
        for block in self.latents:
            block.check(trials)
        self.observation.check(trials)

    def covariates(self, trials: "Trials", context: Context | None = None) -> dict[str, np.ndarray]:
        """What the blocks have to know of each trial besides its counts, by name.

        Args:
            trials: whose covariates are wanted.
            context: the facts of the data of a fit; by default of these trials.
        """
        context = Context.of(trials) if context is None else context
        found: dict[str, np.ndarray] = {}
        for block in (*self.chains, *self.effects):
            found |= block.covariates(trials, context)
        return found

    def emission(self, dynamics: Sequence[Dynamics]) -> Float[Array, "*time latent state"] | None:
        """H of all blocks together, x = H state (+ templates); None where the latents are the state."""
        if self.templates is None and all(one.emission is None for one in dynamics):
            return None
        dtype = dynamics[0].chain.initial_mean.dtype
        times = [one.emission.shape[0] for one in dynamics if one.emission is not None and one.emission.ndim == 3]
        whole = jnp.zeros((*times[:1], self.dim, self.n_states), dtype)
        start = 0
        for block, one in zip(self.chains, dynamics, strict=True):
            own = jnp.eye(block.n_latents, dtype=dtype) if one.emission is None else one.emission
            whole = whole.at[..., self.slices[block.name], start : start + block.n_states].set(own)
            start += block.n_states
        return whole

    def parameters(self, context: Context) -> Parameters:
        """Sample the parameters of all blocks, inside a NumPyro model or under a handler that supplies them."""
        dynamics = tuple(latent.prior(context) for latent in self.chains)
        mixture = None
        if self.templates is not None:
            place = self.template_place
            mixture = self.templates.prior(context, place.stop - place.start).within(self.dim, place)
        location = self.observation.baseline_location(context)
        loadings, baseline = self.readout.parameters(context, self.dim, location)
        effects = tuple(effect.parameters(context) for effect in self.effects)
        return Parameters(dynamics, loadings, baseline, self.observation.parameters(context), mixture, effects)

    def offset(self, theta: Parameters, covariates, counts, seen):
        """What adds to c'x in each predictor: baselines [neuron], or with effects [trial, time, neuron]."""
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
        x = [block.trajectories(one, trials) for block, one in zip(model.chains, theta.dynamics, strict=True)]
        x = model.assemble(dict(zip([block.name for block in model.chains], x, strict=True)), theta, trials)
        numpyro.deterministic("latents", x)
        covariates = {name: jnp.asarray(value) for name, value in model.covariates(trials).items()}
        offset = model.offset(theta, covariates, jnp.asarray(trials.counts), jnp.asarray(trials.seen))
        predictor = x @ theta.loadings.T + offset
        return spikes(self.observation.distribution(predictor, theta.observation), trials, observed)

    def settled(self, block: Latent) -> tuple[str, ...]:
        """The parameters of a block that EM updates in closed form.

        Such an update changes the basis of the latents, which only loadings that are sites can follow.
        """
        return block.settled if self.readout.names else ()

    def penalty(self, context: Context, theta: Parameters, values: dict[str, Any]):
        """The normal that stands for the prior of baselines and loadings in a Newton step; see `LinearReadout`."""
        return self.readout.penalty(theta.loadings, values, self.observation.baseline_location(context))

    def place(self, context: Context, values: dict[str, Any], baseline, loadings) -> dict[str, Any]:
        """Site values at which baselines and loadings are as given, where a fit starts."""
        return self.readout.values(baseline, loadings)

    def assemble(self, parts: dict[str, Any], theta: Parameters, trials: "Trials"):
        """All latents [trial, time, latent] from those of the chains, and the template that each trial follows."""
        if self.templates is None or theta.mixture is None:
            return jnp.concatenate([parts[block.name] for block in self.latents], -1)
        zero = jnp.zeros((trials.n_trials, trials.n_bins, self.templates.n_latents))
        x = jnp.concatenate([parts.get(block.name, zero) for block in self.latents], -1)
        return x + self.templates.trajectories(theta.mixture, trials)
