"""Recordings drawn from models, with their truth: to check a fit, to plan an experiment, to try everything without a
download.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro  # before its parts: see nlbprob.blocks
import numpyro.handlers
from jaxtyping import Float

from nlbprob import display
from nlbprob.arguments import checked_keywords, instance_of, nearest, real_number, seed_number, whole_number
from nlbprob.data.handed import check_trials
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError, suggestion
from nlbprob.files import path_of
from nlbprob.functions.model import resolve_model
from nlbprob.model import Model

if TYPE_CHECKING:
    from pathlib import Path


@dataclasses.dataclass(frozen=True, eq=False)
class Simulated:
    """Trials, and what they were drawn from.

    Attributes:
        trials: with the drawn counts.
        rates: [trial, time, neuron], expected spikes per bin.
        latents: [trial, time, latent], of all blocks, in the model's basis.
        parameters: the value of every parameter site, and of nothing else.
        states: what is discrete, "templates.component" [trial] and "slds.regime" [trial, time].
    """

    trials: Trials
    rates: Float[np.ndarray, "trial time neuron"]
    latents: Float[np.ndarray, "trial time latent"]
    parameters: dict[str, np.ndarray]
    states: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def _repr_html_(self) -> str:
        mean_hz = float(self.rates.mean()) / self.trials.bin_ms * 1000
        arrays = {"rates": self.rates, "latents": self.latents} | self.parameters | self.states
        kinds = {"rates": f"mean {mean_hz:.3g} Hz", **dict.fromkeys(self.parameters, "parameter")}
        kinds |= dict.fromkeys(self.states, "state")
        rows = [(name, " x ".join(map(str, np.shape(a))) or "one", kinds.get(name, "")) for name, a in arrays.items()]
        return self.trials._repr_html_() + display.table("drawn from", rows, ("", "shape", ""))


@checked_keywords
def simulate(
    model: Model | Callable,
    trials: int | Trials = 100,
    *,
    neurons: int = 100,
    bins: int = 100,
    bin_ms: float | int = 5.0,
    seed: int = 0,
    values: dict[str, Any] | None = None,
) -> Simulated:
    """Draw parameters from the model's priors, trajectories from its latents, and counts from its observation.

    Args:
        model: a Model, or a NumPyro function that calls blocks and `nlb.observe`.
        trials: how many to draw, or `Trials` whose design (bins, ids, splits, what is seen) to keep and whose counts to
            replace.
        neurons: how many, where `trials` is a number; a quarter of them is held out, and a fifth of the trials is
            "val".
        bins: how many in a trial, where `trials` is a number.
        bin_ms: bin width in ms, where `trials` is a number.
        seed: of all that is drawn.
        values: parameter sites to fix, by name, instead of drawing them, such as {"lds.decay_ms": [...]}.

    Raises:
        InputError: there is no such site, or its value has another shape, or the drawn counts are not whole numbers
            that a recording could hold.
    """
    seed = seed_number(seed, "simulate")
    design = trials if isinstance(trials, Trials) else new_design(trials, bins, neurons, bin_ms, seed)
    model = resolve_model(model, design)
    fixed = fixed_sites(model, design, values)

    @jax.jit
    def draw(key, fixed):
        program = numpyro.handlers.substitute(numpyro.handlers.seed(model, key), data=fixed)
        sites_in_trace = numpyro.handlers.trace(program).get_trace(design, observed=False)
        values = {
            name: site["value"] for name, site in sites_in_trace.items() if site["type"] in ("sample", "deterministic")
        }
        return values | regimes(jax.random.fold_in(key, 1), model, sites_in_trace)

    sites = jax.tree.map(np.asarray, draw(jax.random.key(seed), fixed))
    counts = sites["spikes"]
    if not np.array_equal(counts, np.round(np.clip(counts, 0, 2**31))):
        raise InputError(
            f"simulate: {type(model.observation).__name__} draws counts that are negative, fractional or huge."
        )
    drawn = design.replace(counts=np.where(design.seen, counts, 0).astype(np.int64))
    local = {block.name for block in model.chains}
    states = {name: value for name, value in sites.items() if name.endswith((".component", ".regime"))}
    other = {*local, *states, "spikes", "rates", "latents"}
    parameters = {name: value for name, value in sites.items() if name not in other}
    return Simulated(drawn, sites["rates"], sites["latents"], parameters, states)


def new_design(trials: Any, bins: Any, neurons: Any, bin_ms: Any, seed: int) -> Trials:
    """The trials that `simulate` fills. Raises InputError where a number of them is none."""
    if not np.isscalar(trials):
        check_trials(trials, "simulate")
    trials, bins = whole_number(trials, "simulate", "trials", 1), whole_number(bins, "simulate", "bins", 1)
    neurons = whole_number(neurons, "simulate", "neurons", 1)
    return blank(trials, bins, neurons, real_number(bin_ms, "simulate", "bin_ms", above=0), seed)


def fixed_sites(model: Model, design: Trials, values: Any) -> dict[str, Any]:
    """The values to fix, in the shapes of their sites. Raises InputError where there is no such site, or none such."""
    instance_of(values, Mapping | None, "simulate", "values", "values by site, such as {'lds.decay_ms': [80.0, 200.0]}")
    if not values:
        return {}

    def sample(key):
        sites = numpyro.handlers.trace(numpyro.handlers.seed(model, key)).get_trace(design, observed=False)
        return {name: site["value"] for name, site in sites.items() if site["type"] == "sample" and name != "spikes"}

    shapes, fixed = jax.eval_shape(sample, jax.random.key(0)), {}
    for name, value in values.items():
        if name not in shapes:
            close = suggestion(nearest(str(name), shapes), shapes)
            raise InputError(f"simulate(values=...): the model has no site {name!r}. {close}")
        try:
            fixed[name] = jnp.broadcast_to(jnp.asarray(value, shapes[name].dtype), shapes[name].shape)
        except (TypeError, ValueError):
            raise InputError(
                f"simulate(values=...): {name!r} takes numbers of shape {shapes[name].shape}, got {np.shape(value)}."
            ) from None
    return fixed


def regimes(key, model, sites: dict[str, Any]) -> dict[str, Any]:
    """The regime of each bin [trial, time] of every block that switches, drawn given its trajectories.

    The model sums over regimes, so that any sampler works on it.
    """
    switching = [block.name for block in model.chains if block.n_regimes]
    priors = {name: getattr(sites[name]["fn"], "base_dist", sites[name]["fn"]) for name in switching}
    return {f"{name}.regime": prior.regimes(key, sites[name]["value"]) for name, prior in priors.items()}


def blank(trials: int, bins: int, neurons: int, bin_ms: float, seed: int, **fields: Any) -> Trials:
    """Trials of which everything is seen and nothing has fired."""
    shape = (trials, bins, neurons)
    random = np.random.default_rng(seed)
    heldout, val = np.zeros(neurons, bool), np.zeros(trials, bool)
    heldout[random.choice(neurons, neurons // 4, replace=False)] = True
    val[random.choice(trials, trials // 5, replace=False)] = True
    table = {"id": np.arange(trials), "split": np.where(val, "val", "train")}
    return Trials(
        np.zeros(shape, np.uint8),
        np.ones(shape, bool),
        bin_ms,
        {"id": np.arange(neurons), "heldout": heldout},
        table | fields.pop("table", {}),
        np.arange(bins) * bin_ms,
        source={"simulated": True, "seed": seed, "notes": []},
        **fields,
    )


@checked_keywords
def reaches(
    trials: int = 150,
    neurons: int = 120,
    conditions: int = 8,
    bin_ms: float | int = 5.0,
    lag_ms: float = 100.0,
    seed: int = 0,
) -> Simulated:
    """A recording that looks like an instructed reaching task, drawn from a Poisson LDS with condition-dependent
    starts.

    Four latents, two planes that rotate at 1.2 and 2.4 Hz; each reach direction starts them elsewhere, noise makes
    every trial its own. The hand's velocity is a linear function of the first plane, in mm/s, and the mean rate is
    about 8 Hz. Trials are 500 ms from 100 ms before movement, with a forward window of 200 ms.

    Args:
        trials: how many.
        neurons: how many.
        conditions: number of reach directions.
        bin_ms: bin width in ms.
        lag_ms: how much later than the spikes the hand moves.
        seed: of all that is drawn.
    """
    sizes = {"trials": trials, "neurons": neurons, "conditions": conditions}
    trials, neurons, conditions = (whole_number(value, "reaches", name, 1) for name, value in sizes.items())
    bin_ms = real_number(bin_ms, "reaches", "bin_ms", above=0, below=500)
    lag_ms, seed = real_number(lag_ms, "reaches", "lag_ms", least=0, below=1e5), seed_number(seed, "reaches")
    random = np.random.default_rng(seed)
    window, forward, late = (round(ms / bin_ms) for ms in (500, 200, lag_ms))
    bins = window + forward
    direction = random.permutation(np.arange(trials) % conditions)
    latents = rotations(random, 2 * np.pi * direction / conditions, bins + late, float(bin_ms) / 1000)
    loadings = 0.6 * random.standard_normal((neurons, 4))
    baseline_hz = np.exp(random.normal(np.log(10.0), 0.6, neurons))
    rates = baseline_hz * bin_ms / 1000 * np.exp(latents @ loadings.T - 0.5 * (loadings**2).sum(1))
    velocity = 150.0 * latents[:, :, :2] + random.normal(0, 8.0, (trials, bins + late, 2))
    design = blank(
        trials,
        bins,
        neurons,
        float(bin_ms),
        seed,
        table={"condition": direction},
        forward_bins=forward,
        condition=("condition",),
        behavior=velocity[:, :bins],
        behavior_name="hand_vel",
        behavior_channels=("x", "y"),
        lag_ms=float(lag_ms),
    )
    drawn = design.replace(counts=random.poisson(rates[:, :bins]), time_ms=design.time_ms - 100.0)
    parameters = {"loadings": loadings, "baseline": np.log(baseline_hz * bin_ms / 1000) - 0.5 * (loadings**2).sum(1)}
    return Simulated(drawn, rates[:, :bins], latents[:, :bins], parameters)


def rotations(random, angle: np.ndarray, bins: int, bin_s: float) -> np.ndarray:
    """Latents [trial, time, 4]: two noisy planes, each started at a point that the trial's reach angle sets."""
    planes = []
    for frequency_hz, decay_s, turns in ((1.2, 0.6, 1), (2.4, 0.4, 2)):
        kept = np.exp(-bin_s / decay_s + 2j * np.pi * frequency_hz * bin_s)
        spread = np.sqrt(1 - np.abs(kept) ** 2)
        shocks = (
            0.3
            * spread
            * (random.standard_normal((bins, len(angle))) + 1j * random.standard_normal((bins, len(angle))))
        )
        state = 1.5 * np.exp(1j * turns * angle) + 0.3 * (random.standard_normal(len(angle)) + 0j)
        states = []
        for shock in shocks:
            states.append(state)
            state = kept * state + shock
        planes += [np.real(states).T, np.imag(states).T]
    return np.stack(planes, -1)


@checked_keywords
def write_nwb(folder: "str | Path", simulated: Simulated) -> tuple["Path", "Path"]:
    """Write the trials as a pair of NWB files in the benchmark's form; see `nlbprob.data.write.write_pair`.

    Args:
        folder: where the files are written.
        simulated: what `nlbprob.simulate` returned.

    Returns:
        The paths of the two files.
    """
    from nlbprob.data.write import write_pair

    instance_of(simulated, Simulated, "write_nwb", "simulated", "what nlb.simulate returned")
    return write_pair(path_of(folder, "write_nwb", "folder", "recording"), simulated.trials)
