"""Recovery: recordings drawn with a known truth, at about 8 Hz a neuron, and how much of it a fit finds again.

Each study is a function of the seed (and of the size, so that a short form can be run) that draws a truth, simulates,
fits, and returns what it measured: name -> numbers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
from scipy.optimize import linear_sum_assignment

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.posterior.diagnostics import SMALL_LATENT, loading_fractions
from nlbprob.simulation import Simulated, blank

BIN_MS, MEAN_HZ = 25.0, 8.0
#: The verdict on a fit whose dynamics follow gradients asks for more than the default.
GRADIENT_ITERATIONS = 120
#: Labels are told on truths with which their own parameters are right in this share of cases; so many are drawn.
LEAST_RIGHT, MOST_RIGHT, TRIES = 0.86, 0.97, 30
#: Point estimates, for what a study wants no interval of.
POINT = {"posterior": "map", "svi_steps": 0, "progress": False}

Measured = dict[str, list[float]]


def readout(random: np.random.Generator, neurons: int, dim: int, size: float) -> dict[str, np.ndarray]:
    """Loadings of a size, and baselines at which unit-variance latents give every neuron its mean rate."""
    loadings = size * random.standard_normal((neurons, dim))
    return {"loadings": loadings, "baseline": np.log(MEAN_HZ * BIN_MS / 1000) - 0.5 * (loadings**2).sum(1)}


def relative(found: np.ndarray, true: np.ndarray) -> list[float]:
    """|found / true - 1|."""
    return np.abs(np.asarray(found) / np.asarray(true) - 1).tolist()


def modal(seed: int, trials: int = 80, bins: int = 100, neurons: int = 30, family: str = "neuron") -> Measured:
    """Two planes that turn: frequencies in Hz, decay times in ms, and their 95% intervals under the default posterior.

    The slowest decay is 200 ms, so that 80 trials of 2.5 s hold at least 1,000 decay times. The slowest plane turns by
    a seventh of a turn in a decay time: where it is much less, so many decay times do not tell its frequency to 10%.
    """
    random = np.random.default_rng(seed)
    model = nlb.Model(latents=[nlb.LDS(4, dynamics="modal")])
    values = readout(random, neurons, 4, 0.5) | {
        "lds.frequency_hz": np.array([random.uniform(1.2, 1.8), random.uniform(2.6, 4.0)]),
        "lds.decay_ms": random.uniform(120.0, 200.0, 2),
        "lds.initial_mean": np.zeros(4),
        "lds.initial_scale": np.ones(4),
    }
    truth = nlb.simulate(model, trials, neurons=neurons, bins=bins, bin_ms=BIN_MS, seed=seed, values=values)
    posterior = fitted(model, truth.trials, seed, family)
    order = np.argsort(posterior.values["lds.frequency_hz"])
    measured: Measured = {"decay_times_of_data": [float(trials * bins * BIN_MS / values["lds.decay_ms"].max())]}
    for name in ("frequency_hz", "decay_ms"):
        true, drawn = values[f"lds.{name}"], posterior.draws[f"lds.{name}"][:, order]
        low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
        measured[f"{name}_error"] = relative(posterior.values[f"lds.{name}"][order], true)
        measured[f"{name}_covered"] = ((low <= true) & (true <= high)).astype(float).tolist()
    return measured


def fitted(model: nlb.Model, trials: nlb.Trials, seed: int, family: str) -> nlb.Posterior:
    """The fit of a model whose dynamics follow gradients; "map" goes without the second stage."""
    rest = POINT if family == "map" else {"posterior": family, "progress": False}
    return nlb.fit(model, trials, seed=seed, em_iterations=GRADIENT_ITERATIONS, **rest)


def timescales(seed: int, trials: int = 150, bins: int = 100, neurons: int = 24) -> Measured:
    """Two Gaussian processes (Matern 3/2): their lengthscales in ms."""
    random = np.random.default_rng(seed)
    model = nlb.Model(latents=[nlb.GP(nlb.Matern32(), 2)])
    lengthscales = np.array([random.uniform(70.0, 120.0), random.uniform(250.0, 400.0)])
    values = readout(random, neurons, 2, 0.6) | {"gp.lengthscale_ms": lengthscales}
    truth = nlb.simulate(model, trials, neurons=neurons, bins=bins, bin_ms=BIN_MS, seed=seed, values=values)
    posterior = fitted(model, truth.trials, seed, "map")
    return {"lengthscale_error": relative(np.sort(posterior.values["gp.lengthscale_ms"]), lengthscales)}


def given_truth(model: nlb.Model, truth: Simulated) -> nlb.Posterior:
    """The posterior whose parameters are the true ones: its smoother is the best that a fit could have."""
    values = {name: np.asarray(value) for name, value in truth.parameters.items()}
    config = {"posterior": "map", "precision": "float32"}
    ids = np.asarray(truth.trials.neurons["id"])
    draws = {name: value[None] for name, value in values.items()}
    return nlb.Posterior(model, Context.of(truth.trials), values, draws, ids, {"elbo": np.zeros(0)}, config)


def accuracy(chance: np.ndarray, true: np.ndarray) -> float:
    """How often the likeliest of the labels in the last axis is the true one, labels matched by assignment."""
    found, count = chance.argmax(-1), chance.shape[-1]
    agree = [[((found == one) & (true == other)).mean() for other in range(count)] for one in range(count)]
    rows, columns = linear_sum_assignment(agree, maximize=True)
    return float(np.asarray(agree)[rows, columns].sum())


def regimes(posterior, trials):
    """The chances of the regimes of the block "slds"."""
    return posterior.regimes(trials)["slds"]


def labelled(draw: Callable[[int], Simulated], state: str, ask: Callable, model: nlb.Model, fitting: dict) -> Measured:
    """Accuracy of a fit's labels, that of the same smoother with the true parameters, and their ratio.

    draw: of a seed, a truth; the first is taken with whose parameters most labels, and not all, can be told. ask: the
    chance of each label under a posterior.
    """
    for number in range(TRIES):
        truth = draw(number)
        true = truth.states[state]
        oracle = float((ask(given_truth(model, truth), truth.trials).values.argmax(-1) == true).mean())
        if LEAST_RIGHT <= oracle <= MOST_RIGHT:
            break
    found = accuracy(ask(nlb.fit(model, truth.trials, **fitting, **POINT), truth.trials).values, true)
    return {"accuracy": [found], "oracle": [oracle], "ratio": [found / oracle]}


def switching(seed: int, trials: int = 60, bins: int = 80, neurons: int = 40, starts: int = 3) -> Measured:
    """Two regimes about different fixed points, one turning and slow, one fast: which regime each bin is in."""
    model = nlb.Model(latents=[nlb.SwitchingLDS(2, 2, dwell_ms=500.0)])

    def draw(number):
        random = np.random.default_rng([seed, number])
        angle = 2 * np.pi * random.uniform(1.2, 1.8) * BIN_MS / 1000
        matrix = np.stack([0.95 * turned(angle), 0.7 * np.eye(2)])
        fixed = np.array([[0.0, 0.0], [1.6, 0.0]]) @ turned(random.uniform(0, 2 * np.pi))
        values = readout(random, neurons, 2, 0.7) | {
            "slds.matrix": matrix,
            "slds.offset": np.einsum("sij,sj->si", np.eye(2) - matrix, fixed),
            "slds.noise": np.stack([0.05 * np.eye(2), 0.1 * np.eye(2)]),
            "slds.transition": np.array([[0.95, 0.05], [0.05, 0.95]]),
            "slds.initial": np.array([0.5, 0.5]),
            "slds.initial_mean": np.zeros(2),
            "slds.initial_covariance": np.eye(2),
        }
        own = 1000 * number + seed
        return nlb.simulate(model, trials, neurons=neurons, bins=bins, bin_ms=BIN_MS, seed=own, values=values)

    fitting = {"seed": list(range(starts)), "em_iterations": 60}
    return labelled(draw, "slds.regime", regimes, model, fitting)


def turned(angle: float) -> np.ndarray:
    """A rotation of the plane."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def templates(seed: int, trials: int = 600, bins: int = 16, neurons: int = 16, starts: int = 6) -> Measured:
    """Four templates, with a latent by which single trials deviate: which template each trial follows."""
    model = nlb.Model(latents=[nlb.Templates(4, 2), nlb.LDS(1)])

    def draw(number):
        values = readout(np.random.default_rng([seed, number]), neurons, 3, 0.4) | {
            "templates.weights": np.full(4, 0.25),
            "lds.decay_ms": np.array([150.0]),
            "lds.initial_mean": np.zeros(1),
            "lds.initial_covariance": np.eye(1),
        }
        own = 1000 * number + seed
        return nlb.simulate(model, trials, neurons=neurons, bins=bins, bin_ms=BIN_MS, seed=own, values=values)

    fitting = {"seed": list(range(starts)), "em_iterations": 60}
    return labelled(draw, "templates.component", nlb.Posterior.components, model, fitting)


def pruning(seed: int, trials: int = 80, bins: int = 60, neurons: int = 30, true: int = 2, dim: int = 5) -> Measured:
    """The ARD readout of a model with too many latents, each with its decay time: how many it leaves.

    A latent counts as left unless `posterior.verdict` calls it pruned: under a thousandth of the loadings' squares.
    """
    random = np.random.default_rng(seed)
    values = readout(random, neurons, true, 0.6) | {
        "lds.decay_ms": np.array([random.uniform(80.0, 120.0), random.uniform(250.0, 400.0)]),
        "lds.initial_mean": np.zeros(true),
        "lds.initial_scale": np.ones(true),
    }
    drawn = nlb.Model(latents=[nlb.LDS(true, dynamics="diagonal")])
    truth = nlb.simulate(drawn, trials, neurons=neurons, bins=bins, bin_ms=BIN_MS, seed=seed, values=values)
    model = nlb.Model(latents=[nlb.LDS(dim, dynamics="diagonal")], readout=nlb.LinearReadout(shrinkage="ard"))
    posterior = nlb.fit(model, truth.trials, seed=seed, em_iterations=GRADIENT_ITERATIONS, **POINT)
    share = np.sort(loading_fractions(posterior))[::-1]
    left = int((share >= SMALL_LATENT).sum())
    return {"left": [float(left)], "too_many": [float(left - true)], "next_share": [float(share[true])]}


def two_sessions(seed: int, neurons: int = 12, trials: int = 150, bins: int = 40, bin_ms: float = 20.0) -> Simulated:
    """Two sessions without a common neuron or trial, drawn from one plane that turns, at 8 Hz a neuron."""
    random = np.random.default_rng(seed)
    design = nlb.stitch({f"day{day}": blank(trials, bins, neurons, bin_ms, seed + day) for day in (1, 2)})
    loadings = 0.6 * random.standard_normal((2 * neurons, 2))
    start = random.standard_normal(2)
    values = {
        "lds.frequency_hz": [1.5],
        "lds.decay_ms": [400.0],
        "lds.initial_mean": 1.5 * start / np.linalg.norm(start),
        "lds.initial_scale": np.full(2, 0.5),
        "loadings": loadings,
        "baseline": np.log(MEAN_HZ * bin_ms / 1000) - 0.5 * (loadings**2).sum(1),
    }
    return nlb.simulate(nlb.Model(latents=[nlb.LDS(2, dynamics="modal")]), design, seed=seed, values=values)


def angle(one: Any, other: Any) -> float:
    """The largest angle between the spaces of the columns, in degrees."""
    return float(np.degrees(scipy.linalg.subspace_angles(np.asarray(one, float), np.asarray(other, float)).max()))


def stitching(seed: int) -> Measured:
    """The space of the loadings of both sessions' neurons, fitted as one recording, against the true one."""
    truth = two_sessions(seed)
    posterior = nlb.fit(nlb.load_model("multisession_lds", dim=2), truth.trials, seed=seed, **POINT)
    return {"angle_degrees": [angle(posterior.values["loadings"], truth.parameters["loadings"])]}
