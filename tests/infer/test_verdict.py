"""A fit's verdict in words: what each state of a fit is told as, and what breaks down by name."""

import dataclasses
import re
import types

import numpy as np
import optax
import pytest

import nlbprob as nlb
from nlbprob.infer.em.convergence import converged, level
from nlbprob.infer.fit import errors as failures
from tests.conftest import SHORT

NOISE = np.random.default_rng(0).standard_normal(40)
RISING = -100.0 / np.arange(1, 31)


def told(fitted, em=RISING[:20], svi=NOISE, values=None, **config):
    """The verdict on a fit of 30 possible EM iterations and 40 SVI steps with these bounds and settings."""
    history = {
        "stage": np.array(["em"] * len(em) + ["svi"] * len(svi)),
        "elbo": np.concatenate([em, svi]),
        "iteration": np.arange(len(em) + len(svi)),
        "seconds": np.arange(len(em) + len(svi), dtype=float),
    }
    of_fit = {name: value for name, value in fitted.config.items() if name not in ("em_moved", "em_elbo")}
    config = of_fit | {"em_iterations": 30, "svi_steps": 40, "em_settled": True} | config
    values = fitted.values | (values or {})
    return dataclasses.replace(fitted, history=history, config=config, values=values).verdict


def test_a_fit_that_ended_by_itself_has_converged(fitted):
    words = told(fitted)
    assert words.startswith("Converged. EM converged after 20 iterations. The SVI bound was level at its end")
    assert fitted.verdict in repr(fitted)
    assert f"ELBO {fitted.config['em_elbo']:.1f} nats" in repr(fitted)


def test_a_last_step_that_was_taken_back_is_no_fall(fitted):
    assert told(fitted, em=np.append(RISING, -90.0), em_elbo=float(RISING[-1])).startswith("Converged.")


def test_priors_may_lower_the_bound_of_a_fit_that_is_settled(fitted):
    words = told(fitted, em=np.concatenate([RISING, np.linspace(-3.4, -9.0, 20), np.full(5, -9.0)]))
    assert words.startswith("Converged. EM converged after 55 iterations; its bound, which leaves out the priors, had")
    assert "5.67 nats higher" in words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"em": RISING, "em_settled": False}, "EM ran out of its 30 iterations.*0.12% of its.*em_iterations=60"),
        ({"em": RISING[:5], "em_settled": False}, "EM was interrupted after 5 of 30 iterations: continue with init="),
        ({"em": np.append(RISING, -90.0)}, "EM's bound ended 86.7 nats below its highest: try another seed"),
        ({"svi": NOISE + np.arange(40)}, "SVI bound still rose, by .* nats over the last quarter.*svi_steps=80"),
        ({"svi": NOISE - np.arange(40)}, "SVI bound fell, by .* nats.*smaller steps, optimizer="),
        ({"svi": NOISE[:7]}, "SVI was interrupted after 7 of 40 steps"),
        ({"svi": NOISE[:7], "svi_steps": 7}, "7 SVI steps are too few to see"),
    ],
)
def test_a_fit_that_has_not_converged_is_told_with_its_remedy(fitted, changes, words):
    found = told(fitted, **changes)
    assert found.startswith("Not converged.")
    assert re.search(words, found), found


def test_what_has_collapsed_is_told_with_its_remedy(fitted):
    model = nlb.Model(latents=[nlb.Templates(3, on="slds"), nlb.SwitchingLDS(2, 2)])
    posterior = dataclasses.replace(fitted, model=model)
    words = told(posterior, occupancy={"templates": [20.0, 9.6, 0.4], "slds": [0.996, 0.004]})
    assert words.startswith("Converged.")
    assert "1 of the 3 templates of 'templates' have hardly any trials: 2 (0.4); components=2 would be enough" in words
    assert "1 of the 2 regimes of 'slds' have hardly any bins: 1 (0.4%); states=1 would be enough" in words
    assert "hardly any" not in told(posterior, occupancy={"templates": [20.0, 8.0, 2.0], "slds": [0.9, 0.1]})


def test_pruned_latents_and_decay_times_at_an_end_are_told(fitted):
    loadings = np.outer(np.linspace(-1, 1, 10), [1.0, 0.0])
    assert "1 of 2 latents are pruned, with under 0.1% of the loadings' squares each (lds 2)" in told(
        fitted, values={"loadings": loadings}
    )
    slow, fast = 20 * fitted.context.mean_bins * 20.0, 4.0
    words = told(fitted, values={"lds.decay_ms": np.array([slow, fast])})
    assert "1 of the decay times lds.decay_ms are at the slow end" in words
    assert "1 of the decay times lds.decay_ms are under 0.33 of a bin" in words
    assert "decay" not in told(fitted, values={"lds.decay_ms": np.array([20.0, 2000.0])})


def test_the_bound_is_level_where_it_hardly_rises():
    bounds = [-(0.5**k) for k in range(20)]
    shares = [(bounds[k] - bounds[k - 1]) / (bounds[k] - bounds[0]) for k in range(1, 20)]
    for count in range(2, 21):
        assert level(bounds[:count], "closed") == (count >= 10 and shares[count - 2] < 0.005)
        assert level(bounds[:count], "gradual") == (count >= 10 and shares[count - 2] < 0.00005)


def test_em_has_converged_where_no_parameter_moves_any_more():
    assert converged([None, 0.2, 0.04, 0.03, 0.02])
    assert not converged([None, 0.04, 0.03, 0.2])
    assert not converged([None, None, 0.04, 0.03])
    assert not converged([])


def test_the_verdict_says_what_moved_most(fitted):
    moved = ["lds.decay_ms", 0.5]
    words = told(fitted, em=RISING, em_settled=False, em_moved=moved)
    assert re.search(
        r"ran out.*moved no parameter by more than 0\.5 of its standard deviation \(lds\.decay_ms\)", words
    )


def test_several_seeds_keep_the_best_which_is_that_of_its_own_fit(fitted, recording):
    train = recording.split("train")
    several = nlb.fit(fitted.model, train, seed=[2, 1], **SHORT)
    tried = several.config["seeds"]
    assert [one["seed"] for one in tried] == [2, 1]
    best = max(tried, key=lambda one: one["elbo"])
    assert several.config["seed"] == best["seed"]
    alone = fitted if best["seed"] == 1 else nlb.fit(fitted.model, train, seed=best["seed"], **SHORT)
    np.testing.assert_array_equal(several.elbo, alone.elbo)
    assert best["elbo"] == pytest.approx(several.elbo[9], abs=1.0)  # of the concluding step, which is no iteration
    for name, value in alone.values.items():
        np.testing.assert_array_equal(several.values[name], value)
        np.testing.assert_array_equal(several.draws[name], alone.draws[name])
    assert f"Seed {best['seed']} is the best of 2" in several.verdict
    with pytest.raises(nlb.InputError, match=r"seed=\[1, 1\].*several that differ"):
        nlb.fit(fitted.model, train, seed=[1, 1])


@pytest.mark.parametrize("pace", ["closed", "mixture", "gradual"])
def test_a_bound_that_falls_is_not_level(pace):
    assert level(np.append(RISING[:12], RISING[11] + 0.001), pace)
    assert not level(np.append(RISING[:12], RISING[11] - 5.0), pace)


def test_a_fit_without_iterations_is_shown(fitted):
    history = {name: column[:0] for name, column in fitted.history.items()}
    assert "parameters 'neuron', not iterated" in repr(dataclasses.replace(fitted, history=history))


def test_a_value_that_is_not_finite_is_named(fitted, recording):
    values = fitted.values | {"lds.decay_ms": np.array([100.0, np.nan], np.float32)}
    broken = dataclasses.replace(fitted, values=values)
    with pytest.raises(nlb.InputError, match=r"lds\.decay_ms became NaN or infinite after 0 EM.*priors=\{'decay_ms'"):
        nlb.fit(fitted.model, recording.split("train"), init=broken, **SHORT | {"em_iterations": 1, "svi_steps": 0})


def test_svi_that_diverges_names_the_sites(fitted, recording):
    options = SHORT | {"em_iterations": 0, "svi_steps": 4, "optimizer": optax.sgd(1e30)}
    with pytest.raises(nlb.InputError, match="SVI stage diverged.*loadings.*not finite.*optimizer=optax.adam"):
        nlb.fit(fitted.model, recording.split("train"), init=fitted, **options)


def test_a_gradient_or_a_trial_that_is_not_finite_is_named(recording):
    trials = recording.select(trials=[3, 4])
    counts = trials.counts.astype(np.uint16)
    counts[0, 0, 6] = 60000
    trials = trials.replace(counts=counts, seen=np.ones_like(trials.seen))
    chunk = types.SimpleNamespace(
        elbo=np.array([-10.0, -20.0]),
        scores=types.SimpleNamespace(score={"a": np.ones(2), "gp.lengthscale_ms": np.nan}),
    )
    with pytest.raises(nlb.InputError, match=r"gradient of the bound in gp\.lengthscale_ms is not finite after 7 EM"):
        failures.check_expectation({"a": np.ones(2)}, [chunk], trials, 7)
    chunk.elbo[0] = -np.inf
    with pytest.raises(nlb.InputError, match=r"1 of 2 trials \(id 3\).*count is 60000 in one bin, of neuron 6: leave"):
        failures.check_expectation({"a": np.ones(2)}, [chunk], trials, 7)
