"""A small recording, a posterior, their scores and report, shared by the tests of this folder."""

import dataclasses
import functools

import numpy as np
import pytest
import xarray

from nlbprob.blocks.base import Context
from nlbprob.blocks.lds import LDS
from nlbprob.data.trials import Trials
from nlbprob.model import Model
from nlbprob.posterior.posterior import Posterior
from nlbprob.reporting.page import write_report
from nlbprob.scoring.baselines import CONDITION_PSTH
from nlbprob.scoring.scores import score


class Remembered(Posterior):
    """A posterior that compiles what the report asks for once, however many reports are written of it."""

    @functools.lru_cache  # noqa: B019 - lives as long as the tests
    def parameter_draws(self, draws: int = 200, seed: int = 0):
        return super().parameter_draws(draws, seed)

    @functools.lru_cache  # noqa: B019
    def dynamics(self, draws: int = 200, seed: int = 0):
        return super().dynamics(draws, seed)


def simulated() -> tuple[Trials, np.ndarray, np.ndarray]:
    """Twelve trials of a rotating state that drives nine neurons and a two-channel behavior in three conditions.

    Returns the trials, the true rates and the states [trial, time, 2].
    """
    random = np.random.default_rng(0)
    condition = np.arange(12) % 3
    angle = 2 * np.pi * (np.arange(20) / 20 + condition[:, None] / 3)
    state = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    rates = np.exp(state @ random.normal(size=(2, 9)) - 0.5)
    trials = Trials.from_arrays(
        random.poisson(rates),
        20.0,
        condition="turn",
        table={"turn": condition, "split": np.where(np.arange(12) < 8, "train", "val")},
        neurons={"heldout": np.arange(9) % 3 == 2},
        behavior=state + 0.1 * random.normal(size=state.shape),
        behavior_name="wheel",
        behavior_channels=("x", "y"),
    )
    return trials, rates, state


@dataclasses.dataclass(frozen=True)
class Case:
    """All that a report is written from."""

    posterior: Posterior
    trials: Trials
    metrics: dict
    config: dict
    rates: np.ndarray
    latents: xarray.Dataset
    tested: dict | None = None

    def replace(self, **changes) -> "Case":
        return dataclasses.replace(self, **changes)

    def write(self, path) -> str:
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return write_report(path, **given).read_text(encoding="utf-8")


def metrics_of(rates, trials: Trials) -> dict:
    """What a run writes to metrics.json, with the mean rate and the condition's rate as baselines."""
    average = np.broadcast_to(rates.mean(axis=(0, 1)), rates.shape)
    guesses = {"mean rate": average, CONDITION_PSTH: 0.2 * average + 0.8 * rates}
    others = {name: score(guess, trials, bootstrap=50) for name, guess in guesses.items()}
    scores = score(rates, trials, bootstrap=50).to_dict()
    return {
        "val": scores.pop("values"),
        "baselines": {name: other.values for name, other in others.items()},
        "baseline_intervals": {name: other.intervals for name, other in others.items()},
        "baseline_settings": {CONDITION_PSTH: {"width_ms": 40.0, "pseudo_trials": 8.0}},
        "fit_on": "train",
        **scores,
    }


def case_of(trials: Trials, rates: np.ndarray, state: np.ndarray, dim: int) -> Case:
    """A case whose rates are the true ones, and whose latents are the state and its products."""
    config = {
        "model": {"name": "my_lds", "options": {"dim": dim}},
        "started": "2025-01-02T03:04:05+00:00",
        "versions": {"nlbprob": "0.0.1", "jax": "0.12"},
    }
    mean = np.concatenate([state, state[..., :1] * state[..., 1:]], axis=-1)[..., :dim]
    covariance = np.broadcast_to(0.04 * np.eye(dim), (*mean.shape, dim))
    dims = ("trial", "time", "latent")
    latents = xarray.Dataset({"mean": (dims, mean), "covariance": ((*dims, "latent_2"), covariance)})
    return Case(posterior_of(trials, dim), trials, metrics_of(rates, trials), config, rates, latents)


def posterior_of(trials: Trials, dim: int) -> Remembered:
    """A posterior of `LDS(dim)` as `fit` leaves it, made by hand: compiling a fit would take longer than all tests."""
    random = np.random.default_rng(1)
    values = {
        "lds.decay_ms": np.linspace(60.0, 300.0, dim),
        "lds.rotation_hz": np.linspace(0.5, 2.5, dim * (dim - 1) // 2),
        "lds.initial_mean": np.zeros(dim),
        "lds.initial_covariance": np.eye(dim),
        "loadings": 0.5 * random.normal(size=(trials.n_neurons, dim)),
        "baseline": np.log(trials.counts.mean(axis=(0, 1)) + 0.1),
    }
    draws = {name: value * (1 + 0.1 * random.normal(size=(60, *value.shape))) for name, value in values.items()}
    draws["lds.initial_covariance"] = np.broadcast_to(np.eye(dim), (60, dim, dim))
    if dim == 1:
        del values["lds.rotation_hz"], draws["lds.rotation_hz"]
    rise = -2000 + 300 * (1 - np.exp(-np.arange(6.0)))
    history = {
        "stage": np.repeat(["em", "svi"], [6, 12]),
        "iteration": np.arange(1, 19),
        "elbo": np.concatenate([rise, -1720 + 20 * random.normal(size=12)]),
        "seconds": np.arange(1.0, 19.0),
    }
    config = {"posterior": "neuron", "seed": 7, "precision": "float32"}
    model, ids = Model(latents=[LDS(dim)]), trials.neurons["id"]
    return Remembered(model, Context.of(trials.split("train")), values, draws, ids, history, config)


@pytest.fixture(scope="session")
def case() -> Case:
    """Three latents, and a recording with everything that a report can show."""
    return case_of(*simulated(), dim=3)


@pytest.fixture(scope="session")
def single() -> Case:
    """One latent, and a recording without conditions, behavior or held-out neurons."""
    trials, rates, state = simulated()
    neurons = trials.neurons | {"heldout": np.zeros(9, dtype=bool)}
    return case_of(trials.replace(condition=(), behavior=None, neurons=neurons), rates, state, dim=1)


@pytest.fixture(scope="session")
def page(case, tmp_path_factory) -> str:
    return case.write(tmp_path_factory.mktemp("report") / "report.html")
