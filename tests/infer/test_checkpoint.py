"""A fit that was stopped anywhere goes on bit for bit from its checkpoint."""

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.infer.fit.checkpoint import NAMES, Checkpoints
from nlbprob.infer.fit.loop import steps

MODEL = nlb.Model(latents=[nlb.LDS(2, dynamics="modal")])
CONFIG = nlb.FitConfig(seed=(1, 2), em_iterations=4, svi_steps=20, early_stopping=0.2)


@pytest.fixture(scope="module")
def learned(recording):
    return recording.split("train")


@pytest.fixture(scope="module")
def whole(learned):
    """An unbroken fit, and after how many of its steps each stage ends."""
    running = steps(MODEL, learned, CONFIG)
    stages = [info.stage for _, info in running]
    return running.posterior(), stages


def stopped(learned, folder, after):
    """A fit that ends after so many steps, its state in the folder."""
    running = steps(MODEL, learned, CONFIG)
    kept = Checkpoints(running, folder)
    for _ in range(after):
        next(running)
    kept.write()


@pytest.mark.parametrize("part", [0.0, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0])
def test_a_resumed_fit_is_that_of_an_unbroken_one(learned, whole, tmp_path, part):
    posterior, stages = whole
    stopped(learned, tmp_path, round(part * len(stages)))
    again = nlb.fit(
        MODEL,
        learned,
        seed=[1, 2],
        em_iterations=4,
        svi_steps=20,
        early_stopping=0.2,
        progress=False,
        checkpoint=tmp_path,
    )
    for name in posterior.values:
        np.testing.assert_array_equal(again.values[name], posterior.values[name])
        np.testing.assert_array_equal(again.draws[name], posterior.draws[name])
    np.testing.assert_array_equal(again.elbo, posterior.elbo)
    assert again.config == posterior.config


def test_the_stages_are_those_of_the_model(whole):
    _, stages = whole
    assert sorted(set(stages), key=stages.index) == ["warm start", "em", "svi"]


def test_a_torn_checkpoint_is_passed_over_for_the_one_before(learned, whole, tmp_path):
    stopped(learned, tmp_path, 3)
    newest, previous = (tmp_path / name for name in NAMES)
    content = newest.read_bytes()
    previous.write_bytes(content)
    newest.write_bytes(content[: len(content) // 2])
    running = steps(MODEL, learned, CONFIG, checkpoint=tmp_path)
    assert len(running.state.log) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"svi_steps": 10}, "another configuration"), ({"model": nlb.Model(latents=[nlb.LDS(2)])}, "another model")],
)
def test_a_checkpoint_of_another_fit_is_refused(learned, tmp_path, changes, words):
    stopped(learned, tmp_path, 1)
    options = {"em_iterations": 4, "svi_steps": 20, "early_stopping": 0.2, "seed": (1, 2)} | changes
    model = options.pop("model", MODEL)
    with pytest.raises(nlb.InputError, match=words):
        steps(model, learned, nlb.FitConfig(**options), checkpoint=tmp_path)


def test_a_checkpoint_of_other_trials_is_refused(learned, tmp_path):
    stopped(learned, tmp_path, 1)
    with pytest.raises(nlb.InputError, match="other trials"):
        steps(MODEL, learned.replace(counts=learned.counts + 1), CONFIG, checkpoint=tmp_path)
