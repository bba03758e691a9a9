"""Rates that were predicted from the spikes that they are scored on are told, never scored."""

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.errors import InputError
from nlbprob.scoring.submission import write_submission


@pytest.fixture(scope="module")
def halves(recording):
    """The recording with a val split, in which nothing is hidden."""
    split = np.where(np.arange(recording.n_trials) < 20, "train", "val")
    return recording.replace(table=recording.table | {"split": split})


@pytest.fixture(scope="module")
def rates(fitted, halves):
    """What the posterior predicts from everything, from held-in neurons, and from these without a forward window."""
    everything = fitted.rates(halves)
    with_forward = fitted.rates(halves.replace(seen=halves.seen & ~halves.heldout))
    return {"everything": everything, "with_forward": with_forward, "fair": fitted.rates(halves.hide_heldout())}


def test_rates_say_what_they_were_predicted_from(rates, fitted, halves):
    assert rates["everything"].saw_heldout.values.all()
    assert rates["everything"].saw_forward.values[:-1].all()
    assert not rates["with_forward"].saw_heldout.values.any()
    assert not rates["fair"].saw_heldout.values.any()
    assert not rates["fair"].saw_forward.values.any()
    mixed = fitted.rates(halves.hide_heldout("val"))
    np.testing.assert_array_equal(mixed.saw_heldout, np.arange(30) < 20)


@pytest.mark.parametrize(("kind", "spikes"), [("everything", "held-out neurons"), ("with_forward", "forward window")])
@pytest.mark.parametrize(
    "use",
    [
        lambda informed, fair, trials, folder: nlb.score(informed, trials),
        lambda informed, fair, trials, folder: nlb.compare(fair, informed, trials),
        lambda informed, fair, trials, folder: write_submission(folder / "submission.h5", informed, trials),
    ],
)
def test_rates_that_saw_what_is_scored_are_refused(rates, halves, tmp_path, kind, spikes, use):
    with pytest.raises(InputError, match=f"very spikes of .*{spikes}.*hide_heldout"):
        use(rates[kind], rates["fair"], halves, tmp_path)
    assert not list(tmp_path.iterdir())


def test_fair_rates_are_scored_and_training_trials_may_be_seen(fitted, rates, halves):
    fair = nlb.score(rates["fair"], halves, bootstrap=0)
    mixed = nlb.score(fitted.rates(halves.hide_heldout("val")), halves, bootstrap=0)
    assert fair.values["co-bps"] == pytest.approx(mixed.values["co-bps"], rel=1e-5)
