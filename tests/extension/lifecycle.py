"""What every part of a user's own has to go through: scored, saved, loaded, reported."""

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.reporting.page import write_report

#: A fit that ends in seconds; the second stage takes longest to compile.
BRIEF = {"seed": 1, "em_iterations": 8, "svi_steps": 0, "progress": False}


def check_life(posterior, trials, folder):
    """Score, save, load and report a fit to the training trials; returns the loaded posterior and the page."""
    rates = posterior.rates(trials.hide_heldout("val"))
    scores = nlb.score(rates, trials, fit="train", on="val", bootstrap=20)
    assert scores.values["co-bps"] > 0.05
    saved = posterior.save(folder / "posterior")
    again = nlb.Posterior.load(saved, model=posterior.model)
    assert again.model == posterior.model
    np.testing.assert_array_equal(again.rates(trials.hide_heldout("val")), rates)
    metrics = scores.to_dict()
    metrics |= {"val": metrics.pop("values"), "baselines": {}, "baseline_intervals": {}, "fit_on": "train"}
    page = write_report(folder / "report.html", posterior=again, trials=trials, metrics=metrics, rates=rates)
    return again, page.read_text(encoding="utf-8")


def check_needs_its_class(folder, name):
    """Without the model a saved posterior tells which class it lacks."""
    with pytest.raises(nlb.InputError, match=f"{name}.*not part of nlbprob; load it with model="):
        nlb.Posterior.load(folder / "posterior")
