"""A small fit, its scores and its report, shared by the tests of this folder."""

import dataclasses
import functools

import numpy as np
import pytest
import xarray

from nlbprob.blocks.lds import LDS
from nlbprob.data.trials import Trials
from nlbprob.infer.fit import fit
from nlbprob.infer.posterior import Posterior
from nlbprob.model import Model
from nlbprob.reporting import write_report
from nlbprob.scoring.baselines import baselines
from nlbprob.scoring.scores import score


class Remembered(Posterior):
    """A posterior that compiles what the report asks for once, however many reports are written of it."""

    @functools.lru_cache  # noqa: B019 - lives as long as the tests
    def parameters(self, draws: int = 200, seed: int = 0):
        return super().parameters(draws, seed)

    @functools.lru_cache  # noqa: B019
    def dynamics(self, draws: int = 200, seed: int = 0):
        return super().dynamics(draws, seed)


def simulated() -> Trials:
    """Twelve trials of a rotating state that drives nine neurons and a two-channel behavior in three conditions."""
    random = np.random.default_rng(0)
    condition = np.arange(12) % 3
    angle = 2 * np.pi * (np.arange(20) / 20 + condition[:, None] / 3)
    state = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    counts = random.poisson(np.exp(state @ random.normal(size=(2, 9)) - 0.5))
    return Trials.from_arrays(
        counts,
        20.0,
        condition="turn",
        table={"turn": condition, "split": np.where(np.arange(12) < 8, "train", "val")},
        neurons={"heldout": np.arange(9) % 3 == 2},
        behavior=state + 0.1 * random.normal(size=state.shape),
        behavior_name="wheel",
        behavior_channels=("x", "y"),
    )


def fitted(trials: Trials, dim: int) -> Posterior:
    found = fit(Model(latents=[LDS(dim)]), trials.split("train"), em_iterations=3, svi_steps=10, progress=False)
    return Remembered(**{field.name: getattr(found, field.name) for field in dataclasses.fields(found)})


@dataclasses.dataclass(frozen=True)
class Case:
    """All that a report is written from."""

    posterior: Posterior
    trials: Trials
    metrics: dict
    config: dict
    rates: xarray.DataArray
    latents: xarray.Dataset

    def replace(self, **changes) -> "Case":
        return dataclasses.replace(self, **changes)

    def write(self, path) -> str:
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return write_report(path, **given).read_text(encoding="utf-8")


def metrics_of(rates, trials: Trials) -> dict:
    """What a run writes to metrics.json."""
    scores = score(rates, trials, bootstrap=50).to_dict()
    others = {name: score(guess, trials, bootstrap=50) for name, guess in baselines(trials).items()}
    return {
        "val": scores.pop("values"),
        "baselines": {name: other.values for name, other in others.items()},
        "baseline_intervals": {name: other.intervals for name, other in others.items()},
        "fit_on": "train",
        **scores,
    }


def case_of(trials: Trials, dim: int) -> Case:
    posterior, visible = fitted(trials, dim), trials.hide_heldout("val")
    rates = posterior.rates(visible)
    config = {
        "model": {"name": "my_lds", "options": {"dim": dim}},
        "started": "2025-01-02T03:04:05+00:00",
        "versions": {"nlbprob": "0.0.1", "jax": "0.12"},
    }
    return Case(posterior, trials, metrics_of(rates, trials), config, rates, posterior.latents(visible))


@pytest.fixture(scope="session")
def case() -> Case:
    return case_of(simulated(), dim=3)


@pytest.fixture(scope="session")
def single() -> Case:
    """One latent, and a recording without conditions, behavior or held-out neurons."""
    trials = simulated()
    neurons = trials.neurons | {"heldout": np.zeros(9, dtype=bool)}
    return case_of(trials.replace(condition=(), behavior=None, neurons=neurons), dim=1)


@pytest.fixture(scope="session")
def page(case, tmp_path_factory) -> str:
    return case.write(tmp_path_factory.mktemp("report") / "report.html")
