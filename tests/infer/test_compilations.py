"""What has been compiled for a model is not compiled again for an equal one."""

import contextlib

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from nlbprob.infer.runtime import programs

SHORT = {"em_iterations": 3, "svi_steps": 10, "progress": False}
READINGS = {
    "rates": lambda posterior, trials: posterior.rates(trials),
    "causal rates": lambda posterior, trials: posterior.rates(trials, causal=True),
    "latents": lambda posterior, trials: posterior.latents(trials),
    "sample_latents": lambda posterior, trials: posterior.sample_latents(trials, 8),
    "to_arviz": lambda posterior, trials: posterior.to_arviz(trials, draws=8),
    "log_evidence": lambda posterior, trials: nlb.log_evidence(posterior, trials, draws=8, progress=False),
    "parameters": lambda posterior, trials: posterior.parameters(8),
}


@contextlib.contextmanager
def compilations():
    """The programs that XLA compiles, or reads from its cache on disk, for what is called inside the block."""
    background_done()
    found = []

    def listen(event, duration, fun_name=None, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
        background_done()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def background_done():
    """Wait for what fits compile for their posterior's readings, which may go on when they have ended."""
    programs.compilers().shutdown(wait=True)
    programs.compilers.cache_clear()


def model():
    """Made anew each time, with a prior that holds arrays."""
    return nlb.Model(latents=[nlb.LDS(2, priors={"decay_ms": dist.LogNormal(np.array([5.0, 6.0]), 1.0)})])


@pytest.fixture(scope="module")
def learned(recording):
    return recording.split("train")


@pytest.fixture(scope="module")
def first(learned):
    return nlb.fit(model(), learned, seed=3, **SHORT)


def test_that_compilations_are_counted():
    with compilations() as found:
        jax.jit(lambda x: x * 3.25 + 1)(np.arange(7.0))
    assert found


def test_a_second_fit_of_an_equal_model_compiles_nothing(first, learned):
    with compilations() as found:
        again = nlb.fit(model(), learned.replace(counts=learned.counts[::-1]), seed=4, **SHORT)
    assert not found
    assert np.isfinite(again.elbo).all()


@pytest.mark.parametrize("reading", READINGS)
def test_a_second_reading_compiles_nothing(first, learned, recording, reading):
    read = READINGS[reading]
    read(first, learned)
    other = nlb.fit(model(), learned, seed=5, **SHORT)
    with compilations() as found:
        read(other, learned)
    assert not found


def test_seeds_share_what_is_compiled(first, learned):
    with compilations() as found:
        nlb.fit(model(), learned, seed=[7, 8, 9], **SHORT)
    assert not found


def test_folds_share_what_is_compiled(learned):
    options = {"folds": 5, "draws": 8, "progress": False, "fit_options": SHORT | {"posterior": "map"}}
    nlb.kfold(model(), learned, **options)
    with compilations() as found:
        nlb.kfold(model(), learned, **options, seed=1)
    assert not found


@pytest.mark.slow
def test_a_grid_compiles_once_for_each_model(learned):
    def build(dim=1, scale=0.5):
        return nlb.Model(latents=[nlb.LDS(dim)], readout=nlb.LinearReadout(loading_scale=scale))

    options = {"fit_options": {"em_iterations": 2, "svi_steps": 0}, "progress": False, "dim": [1, 2]}
    nlb.choose(build, learned, folds=4, **options)
    with compilations() as found:
        nlb.choose(build, learned, folds=4, seed=1, **options)
    assert not found


@pytest.mark.slow
def test_another_model_or_shape_is_compiled(first, learned):
    with compilations() as found:
        nlb.fit(nlb.Model(latents=[nlb.LDS(1)]), learned, **SHORT)
    assert found
    with compilations() as found:
        nlb.fit(model(), learned.select(trials=np.arange(10)), **SHORT)
    assert found


def test_models_are_equal_by_what_they_are():
    assert model() == model()
    assert hash(model()) == hash(model())
    other = nlb.Model(latents=[nlb.LDS(2, priors={"decay_ms": dist.LogNormal(np.array([5.0, 6.5]), 1.0)})])
    assert model() != other
    assert nlb.LDS(2) != nlb.LDS(2, dynamics="modal")
    assert nlb.Matern32() == nlb.Matern32()
    assert nlb.Matern32(lengthscale_ms=50.0) != nlb.Matern32()


def test_programs_are_let_go_before_a_process_holds_too_many(monkeypatch):
    scaled = jax.jit(lambda x: x * 1.75 + 3)
    scaled(np.arange(3.0))
    with compilations() as found:
        programs.make_room()
        scaled(np.arange(3.0))
    assert not found
    monkeypatch.setattr(programs, "FULL", 0.0)
    with compilations() as found:
        programs.make_room()
        scaled(np.arange(3.0))
    assert bool(found) == programs.MAPPINGS.exists()
