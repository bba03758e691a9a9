"""The files of `models/`: short, and models that run."""

import jax
import numpy as np
import numpyro
import pytest

import nlbprob as nlb
from tests.conftest import ROOT, SHORT

MODELS = sorted(path.stem for path in (ROOT / "models").glob("*.py"))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_file_is_short_and_its_model_runs_with_its_defaults(name, recording):
    assert len((ROOT / "models" / f"{name}.py").read_text().splitlines()) < 60
    model = nlb.load_model(name)

    def draw(key):
        traced = numpyro.handlers.trace(numpyro.handlers.seed(model, key)).get_trace(recording)
        return {name: site["value"] for name, site in traced.items() if name in ("spikes", "latents", "rates")}

    shapes = jax.eval_shape(draw, jax.random.key(0))
    assert shapes["rates"].shape == shapes["spikes"].shape == recording.counts.shape
    if isinstance(model, nlb.Model):
        assert shapes["latents"].shape == (*recording.counts.shape[:2], model.resolve(recording).dim)


def test_gpfa_is_fitted_and_scored_like_any_other_model(recording):
    """Its rates are positive counts per bin, of the right size, though its likelihood is that of square roots."""
    model, options = nlb.load_model("gpfa", dim=2), SHORT | {"posterior": "map", "svi_steps": 0}
    posterior = nlb.fit(model, recording.split("train"), **options)
    rates = posterior.rates(recording.hide_heldout("val"))
    assert float(rates.min()) > 0
    mean = recording.counts.mean((0, 1), where=recording.seen)
    np.testing.assert_allclose(np.asarray(rates).mean((0, 1)), mean, rtol=0.25)
    assert nlb.score(rates, recording, fit="train", on="val", bootstrap=0).values["co-bps"] > 0
    assert np.all(np.diff(posterior.elbo) > -0.5)
