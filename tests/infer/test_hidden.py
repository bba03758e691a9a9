"""Early stopping: what EM does not see, how well it predicts it, and where it goes back to."""

import jax
import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.em.early_stopping import PATIENCE, Hidden
from nlbprob.infer.em.steps import EM, e_step, empty_site_state
from nlbprob.infer.runtime.batch import chunks
from nlbprob.infer.trajectories.marginals import COLD_STEPS

MODEL = nlb.Model(latents=[nlb.LDS(2)])


@pytest.fixture(scope="module")
def made():
    return nlb.simulate(MODEL, 20, neurons=10, bins=12, bin_ms=20.0, values={"baseline": np.zeros(10)})


def batches_of(trials):
    return tuple(batch for _, batch in chunks(MODEL, Context.of(trials), trials, 12))  # the last is padded


def test_what_is_hidden_is_scored_as_a_prediction(made):
    trials, context = made.trials, Context.of(made.trials)
    hidden, values = Hidden(MODEL, context, batches_of(trials), 0.3, 0), jax.tree.map(np.asarray, made.parameters)
    em = EM(MODEL, context)
    rows = empty_site_state(em, hidden.batches[0])
    found = [e_step(em, values, batch, rows, COLD_STEPS, True, True) for batch in hidden.batches]
    bits = hidden.score(values, found)
    shown = np.concatenate([batch.seen for batch in hidden.batches])[:20]
    gone = np.concatenate(hidden.targets)[:20]
    np.testing.assert_array_equal(shown ^ gone, trials.seen)
    assert gone.any(1).mean() == pytest.approx(0.3, abs=0.1)
    np.testing.assert_array_equal(gone.any(1), gone.all(1))  # a neuron is hidden for the whole of a trial

    draws = {name: value[None] for name, value in values.items()}
    config = {"posterior": "map", "precision": "float32"}
    posterior = nlb.Posterior(MODEL, context, values, draws, trials.neurons["id"], {"elbo": np.zeros(0)}, config)
    rates = np.asarray(posterior.rates(trials.replace(seen=shown)))
    mean = (trials.counts * shown).sum((0, 1)) / shown.sum((0, 1))
    nats = np.where(gone, trials.counts * np.log(rates / mean) - rates + mean, 0.0).sum()
    assert bits == pytest.approx(nats / np.log(2) / trials.counts[gone].sum(), rel=1e-3)


def test_em_goes_back_to_its_best_and_takes_everything_in(made):
    options = {"em_iterations": 25, "posterior": "map", "svi_steps": 0, "progress": False}
    posterior = nlb.fit(MODEL, made.trials, early_stopping=0.2, **options)
    bits = posterior.config["heldout_bits"]
    assert len(bits) == len(posterior.elbo) <= int(np.argmax(bits)) + 1 + PATIENCE
    assert "EM predicted the hidden counts best" in posterior.verdict
    assert np.isfinite(posterior.rates(made.trials)).all()
    again = nlb.fit(MODEL, made.trials, early_stopping=0.2, **options)
    np.testing.assert_array_equal(posterior.values["loadings"], again.values["loadings"])


@pytest.mark.parametrize(("share", "words"), [(1.5, "early_stopping=1.5"), (1e-9, "no spike")])
def test_a_share_that_hides_nothing_or_all_is_an_error(made, share, words):
    with pytest.raises(nlb.InputError, match=words):
        nlb.fit(MODEL, made.trials, early_stopping=share, progress=False)
