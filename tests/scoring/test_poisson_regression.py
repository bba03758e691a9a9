import numpy as np
import pytest
from sklearn.linear_model import PoissonRegressor

from nlbprob.scoring.poisson_regression import PoissonRegression, fit_poisson


def draw(seed=0, rows=300, n_features=5, n_neurons=4):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(rows, n_features)) * np.array([3.0, 1, 1, 0.3, 0.1])[:n_features]
    features -= features.mean(axis=0)
    counts = generator.poisson(np.exp(0.4 * features @ generator.normal(size=(n_features, n_neurons)) - 1))
    return features, counts.astype(float), generator.random(counts.shape) > 0.2


@pytest.mark.parametrize("penalty", [0.5, 10.0, 300.0])
def test_every_neuron_agrees_with_scikit_learn(penalty):
    features, counts, seen = draw()
    found = fit_poisson(features, counts, seen, penalty, tolerance=1e-13)
    for neuron in range(counts.shape[1]):
        rows = seen[:, neuron]
        oracle = PoissonRegressor(alpha=penalty / rows.sum(), tol=1e-9, max_iter=1000)
        oracle.fit(features[rows], counts[rows, neuron])
        np.testing.assert_allclose(found.weights[:, neuron], oracle.coef_, atol=1e-5)
        assert found.intercept[neuron] == pytest.approx(oracle.intercept_, abs=1e-5)


def test_the_start_changes_the_way_and_not_the_end():
    features, counts, seen = draw(1)
    cold = fit_poisson(features, counts, seen, 3.0, tolerance=1e-13)
    far = PoissonRegression(np.full_like(cold.weights, 2.0), np.full_like(cold.intercept, 3.0))
    warm = fit_poisson(features, counts, seen, 3.0, start=far, tolerance=1e-13)
    np.testing.assert_allclose(warm.weights, cold.weights, atol=1e-3)


def test_neurons_share_nothing_and_unseen_counts_change_nothing():
    features, counts, seen = draw(2)
    together = fit_poisson(features, counts, seen, 3.0, tolerance=1e-13)
    alone = fit_poisson(features, np.where(seen, counts, 50)[:, [2]], seen[:, [2]], 3.0, tolerance=1e-13)
    np.testing.assert_allclose(alone.weights[:, 0], together.weights[:, 2], atol=1e-5)


def test_a_silent_neuron_has_half_a_spike_and_a_strong_penalty_leaves_the_mean():
    features, counts, seen = draw(3)
    counts[:, 1] = 0
    found = fit_poisson(features, counts, seen, 1e9, tolerance=1e-13)
    np.testing.assert_allclose(found.weights, 0, atol=1e-6)
    means = np.maximum((counts * seen).sum(axis=0), 0.5) / seen.sum(axis=0)
    np.testing.assert_allclose(np.exp(found.intercept), means, rtol=1e-6)


def test_rates_that_explode_on_the_way_do_not_stop_it():
    generator = np.random.default_rng(4)
    features = generator.standard_t(1.5, size=(400, 3)) * 20
    features -= features.mean(axis=0)
    counts = generator.poisson(np.exp(np.clip(0.1 * features[:, :2], -3, 5)))
    found = fit_poisson(features, counts, np.ones(counts.shape, dtype=bool), 0.1, tolerance=1e-12)
    rates = np.exp(found.log_rates(features))
    gradient = features.T @ (rates - counts) + 0.1 * found.weights
    assert np.abs(gradient).max() < 1e-2 * np.abs(features).T.sum(axis=1).max()
    np.testing.assert_allclose(rates.sum(axis=0), counts.sum(axis=0), rtol=1e-3)
