import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from nlbprob.errors import InputError
from nlbprob.scoring.decoding import PENALTIES, fit_decoder, velocity_r2


def draw(seed, n_trials=17, n_bins=13, n_neurons=6, scale=0.05):
    generator = np.random.default_rng(seed)
    rates = scale * generator.gamma(2.0, size=(n_trials, n_bins, n_neurons))
    rates[..., -1] = rates[..., 0] + 1e-4 * rates[..., 1]  # nearly collinear
    behavior = 100 * rates @ generator.normal(size=(n_neurons, 2)) + generator.normal(size=(n_trials, n_bins, 2)) + 5
    behavior[generator.random((n_trials, n_bins)) < 0.1] = np.nan
    return rates, behavior


@pytest.mark.parametrize(("seed", "scale"), [(0, 0.05), (1, 0.01), (2, 1.0), (3, 0.002)])
def test_the_decoder_is_scikit_learns_grid_search(seed, scale):
    rates, behavior = draw(seed, scale=scale)
    others, target = draw(seed + 10, n_trials=5, scale=scale)
    seen, known = ~np.isnan(behavior[..., 0]), ~np.isnan(target[..., 0])
    search = GridSearchCV(Ridge(), {"alpha": np.logspace(-4, 0, 9)}).fit(rates[seen], behavior[seen])
    decoder = fit_decoder(rates, behavior)
    assert decoder.penalty == search.best_params_["alpha"]
    np.testing.assert_allclose(decoder.coefficients.T, search.best_estimator_.coef_, rtol=1e-6, atol=1e-9)
    expected = search.score(others[known], target[known])
    assert velocity_r2(rates, behavior, others, target) == pytest.approx(expected, abs=1e-9)


def test_the_penalty_is_in_the_units_of_the_rates_and_ties_go_to_the_smallest():
    rates, behavior = draw(0)
    assert fit_decoder(rates, np.zeros_like(behavior)).penalty == PENALTIES[0]
    assert fit_decoder(1e-3 * rates, behavior).penalty <= fit_decoder(rates, behavior).penalty


def test_behavior_missing_in_one_channel_alone_is_refused():
    rates, behavior = draw(0)
    behavior[3, 3, 1] = np.nan
    behavior[3, 3, 0] = 1
    with pytest.raises(InputError, match="a later channel is NaN"):
        fit_decoder(rates, behavior)


def test_too_few_bins_are_refused():
    rates, behavior = draw(0)
    behavior[:] = np.nan
    behavior[0, :4] = 1
    with pytest.raises(InputError, match="4 bins have a value"):
        fit_decoder(rates, behavior)
