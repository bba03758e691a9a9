"""The summary takes its numbers from the fit, and says only what it has."""

import dataclasses

import numpy as np
import pytest
import xarray

from nlbprob.blocks.base import Context
from nlbprob.blocks.gain import Gain
from nlbprob.blocks.gp import GP
from nlbprob.blocks.kernels import Matern32
from nlbprob.blocks.lds import LDS
from nlbprob.blocks.slds import SwitchingLDS
from nlbprob.blocks.templates import Templates
from nlbprob.model import Model
from nlbprob.posterior.posterior import Posterior
from nlbprob.reporting import regimes
from nlbprob.reporting.dynamics import modes_of
from nlbprob.reporting.summary import areas, latents_of, replication, scores, summary, timescales
from nlbprob.reporting.view import View


@pytest.fixture
def view(case) -> View:
    return View(case.posterior, case.trials, case.rates, case.metrics, case.config)


def test_each_subject_that_the_fit_has_is_there_in_order(view):
    entries = summary(view)
    headings = ["Recording", "Model", "Prediction", "Behavior", "Averages", "Dynamics", "Shares"]
    headings += ["Fit", "Replication"]
    assert [heading for heading, _ in entries] == headings
    spikes = int(view.trials.counts.sum())
    assert f"9 neurons fired {spikes:,} spikes" in dict(entries)["Recording"]
    assert dict(entries)["Fit"].startswith("The fit has not converged. EM ran out of its 6 iterations")
    bare = view.trials.replace(behavior=None)
    values = view.metrics["val"] | {"vel R2": None, "co-bps": None}
    less = summary(dataclasses.replace(view, trials=bare, metrics=view.metrics | {"val": values}))
    assert [heading for heading, _ in less] == ["Recording", "Model", "Averages", "Dynamics", "Fit", "Replication"]


def test_the_difference_decides_what_is_beaten(view):
    (name,) = set(view.metrics["baselines"]) - {"mean rate"}
    for ends, words in (((0.01, 0.2), "This beats"), ((-0.01, 0.2), "This is not shown to beat")):
        metrics = view.metrics | {
            "differences": {name: {"co-bps": 0.1}},
            "difference_intervals": {name: {"co-bps": list(ends)}},
        }
        text = dict(scores(dataclasses.replace(view, metrics=metrics)))["Prediction"]
        assert f"{words} {name}" in text
        assert "difference 0.100" in text
        assert "mean rate (" not in text


def test_modes_are_those_of_the_posterior_with_their_part_of_the_variance(view):
    found, dynamics = modes_of(view), view.posterior.dynamics()
    assert [one.number for one in found] == list(range(1, dynamics.sizes["mode"] + 1))
    np.testing.assert_allclose([one.decay.value for one in found], dynamics["mean_decay_ms"])
    low, high = np.quantile(dynamics["decay_ms"], [0.05, 0.95], axis=0)
    np.testing.assert_allclose([one.decay.interval for one in found], np.stack([low, high], 1))
    assert all(0 < one.variance <= 1 for one in found)
    # Three latents, of which a pair of modes and a single one move the whole.
    assert sum(one.variance for one in found) >= 1 - 1e-6


def test_what_was_replicated_is_named(view):
    assert "was not tested" in replication(view)
    record = {"fits": 3, "recurs_in": [3, 1], "timescales": {"gp.lengthscale_ms[gp 1]": 2}, "fits_of_timescales": 2}
    config = view.posterior.config | {"replication": record}
    text = replication(dataclasses.replace(view, fit=dataclasses.replace(view.posterior, config=config)))
    assert "found mode 1 and gp.lengthscale_ms[gp 1] again. Not replicated: mode 2 (in 1 of 3)." in text


def test_areas_are_compared_by_draws_of_their_loadings(view):
    assert areas(view) == ""
    neurons = view.trials.neurons | {"area": np.array(["M1", "V1", "S1"] * 3)}
    view = dataclasses.replace(view, trials=view.trials.replace(neurons=neurons))
    random = np.random.default_rng(0)
    for size, words in ((2.0, "V1 loads most"), (1.0, "No area is shown to load most")):
        loadings = random.normal(size=(100, 9, 3)) * np.where(neurons["area"] == "V1", size**2, 1)[:, None]
        vars(view)["parameter_draws"] = {"loadings": loadings}
        text = areas(view)
        assert text.startswith(words)
        assert "root mean square loadings on the latents: " in text


def test_timescales_of_a_gp_are_named_by_block(view):
    random = np.random.default_rng(0)
    draws = {"gp.lengthscale_ms": np.array([50.0, 200.0]) * (1 + 0.01 * random.normal(size=(50, 2)))}
    values = {name: drawn.mean(0) for name, drawn in draws.items()}
    values |= {"loadings": random.normal(size=(9, 2)), "baseline": np.zeros(9)}
    draws |= {name: np.repeat(values[name][None], 50, 0) for name in ("loadings", "baseline")}
    model = Model(latents=[GP(Matern32(), 2)])
    config = view.posterior.config
    trials = view.trials
    fit = Posterior(model, Context.of(trials), values, draws, trials.neurons["id"], {}, config)
    text = timescales(dataclasses.replace(view, fit=fit))
    assert text.startswith("The lengthscales of gp: 50")
    assert " and 200 ms (" in text or " and 199 ms (" in text or " and 201 ms (" in text
    assert timescales(view) == ""


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (LDS(3), "3 latents with linear dynamics"),
        (SwitchingLDS(2, dim=3), "3 latents with linear dynamics that switch among 2 regimes"),
        (GP(Matern32(), 1), "1 latent that are Gaussian processes"),
        (Gain(1), "1 latent constant in each trial"),
        (Templates(4, on="lds"), "a course on one of 4 templates in each trial"),
        (type("Mine", (LDS,), {})(2), "2 latents of its own kind (Mine)"),
    ],
)
def test_blocks_are_described_by_their_latents(block, words):
    assert latents_of(block) == words


def test_a_regime_that_grows_or_is_never_left_is_over_all_times():
    found = xarray.Dataset(
        {
            "occupancy": ("sample", [0.2, 0.3, 0.4]),
            "dwell_ms": ("sample", [80.0, np.inf, np.inf]),
            "decay_ms": (("sample", "mode"), [[50.0, -900.0, np.nan], [50.0, 700.0, np.nan], [50.0, -800.0, np.nan]]),
            "frequency_hz": (("sample", "mode"), [[9.0, 2.0, np.nan], [9.0, 2.5, np.nan], [9.0, 3.0, np.nan]]),
        }
    )
    one = regimes.regime_of(found)
    assert one.fraction.value == pytest.approx(0.3)
    assert one.stay.value == one.decay.value == regimes.LONGEST
    assert one.frequency.value == 2.5
    (row,) = regimes.table("slds", [one], 1000.0).rows
    assert [cell.text for cell in row.cells] == ["30.0", "over 1000", "over 1000", "2.5"]
