"""Templates: what their priors do in EM."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.infer.em import templates as updates
from nlbprob.infer.fit.loop import steps
from tests.conftest import SHORT


def test_without_data_an_update_goes_to_the_priors(recording):
    priors = {"coefficients": dist.Normal(0.3, 0.5), "weights": dist.Dirichlet(jnp.array([1.0, 3.0]))}
    model = nlb.Model(latents=[nlb.Templates(2, on="lds", priors=priors), nlb.LDS(2)]).resolve(recording)
    context = Context.of(recording)
    values = {name: jnp.asarray(value) for name, value in model.templates.start(context, 2).items()}
    bins = context.n_bins
    nothing = updates.TemplateStatistics(jnp.zeros((2, bins, 2)), jnp.zeros((2, bins, 2, 2)), jnp.zeros(2))
    for _ in range(20):  # whole steps, once they are short enough
        values = updates.update(model, context, values, (nothing,))
    np.testing.assert_allclose(values["templates.coefficients"], 0.3, rtol=1e-4)
    np.testing.assert_allclose(values["templates.weights"], [0.25, 0.75], rtol=1e-5)


def test_a_prior_of_another_kind_is_refused():
    with pytest.raises(nlb.InputError, match="'coefficients'.*numpyro Normal"):
        nlb.Templates(2, priors={"coefficients": dist.Laplace(0.0, 1.0)})


def test_a_temperature_makes_predicted_components_less_certain_and_leaves_the_fit_as_it_is(recording):
    train, seen = recording.split("train"), recording.hide_heldout("val").split("val")
    posteriors = {
        temperature: nlb.fit(
            nlb.Model(latents=[nlb.Templates(2, dim=1, temperature=temperature), nlb.LDS(1)]), train, **SHORT
        )
        for temperature in (1.0, 4.0)
    }
    one, four = posteriors.values()
    for name, value in one.values.items():
        np.testing.assert_array_equal(value, four.values[name])
    weights = np.asarray(one.centre.mixture.log_weights)
    logs = weights + (np.log(one.components(seen).values) - weights) / 4
    expected = np.exp(logs) / np.exp(logs).sum(1, keepdims=True)
    np.testing.assert_allclose(four.components(seen).values, expected, rtol=1e-3, atol=1e-6)
    assert not np.allclose(one.rates(seen), four.rates(seen), rtol=1e-3)
    with pytest.raises(nlb.InputError, match="temperature"):
        nlb.Templates(2, temperature=0.0)


@pytest.mark.slow
def test_choose_and_kfold_take_numpyro_functions(recording):
    """Sizes of the custom model are chosen, and it is compared, like any other."""
    trials, options = recording.split("train"), SHORT | {"em_iterations": 2, "svi_steps": 0}
    options.pop("progress")
    choice = nlb.choose("custom_numpyro", trials, folds=2, dim=[1], fit_options=options, progress=False)
    assert callable(choice.model)
    assert not isinstance(choice.model, nlb.Model)
    found = nlb.kfold(choice.model, trials, folds=2, draws=10, fit_options=options, progress=False)
    assert np.isfinite(found.elpd)


def test_a_shift_of_all_latents_is_not_counted_twice(shared):
    """Templates move the mean of the latents, and so do baselines: where both went all the way, gains rose in turn."""
    trials = nlb.load(shared / "data" / "maze_large_subset.nwb", bin_ms=50, condition=("condition",)).split("train")
    model = nlb.Model(latents=[nlb.Templates(4, dim=3), nlb.LDS(2)])
    running = steps(model, trials, nlb.FitConfig(em_iterations=12, svi_steps=0))
    gains = np.diff([info.elbo for _, info in running])
    assert len(gains) >= 8
    assert (gains[2:] < gains[1:-1]).all()
