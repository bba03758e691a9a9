"""A model is a NumPyro program: NumPyro's own tools see ordinary sites, and its samplers agree with the fit."""

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from numpyro.infer.autoguide import AutoNormal

import nlbprob as nlb
from nlbprob.blocks.readout import LinearReadout

MODEL = nlb.Model(latents=[nlb.LDS(1)])


@pytest.fixture(scope="module")
def tiny():
    """Twelve trials of ten bins of 20 ms, six neurons and one slow latent; a tenth of the entries is not seen."""
    loadings = np.array([[1.0], [-0.8], [0.9], [0.7], [-1.1], [0.6]])
    values = {"lds.decay_ms": np.array([150.0]), "loadings": loadings, "baseline": np.full(6, 0.4)}
    trials = nlb.simulate(MODEL, 12, neurons=6, bins=10, bin_ms=20.0, seed=3, values=values).trials
    return trials.replace(seen=np.random.default_rng(0).uniform(size=trials.seen.shape) > 0.1)


def sites_of(model, trials, **options):
    return handlers.trace(handlers.seed(model, 0)).get_trace(trials, **options)


def test_every_dimension_has_a_name(recording):
    two = nlb.Model(latents=[nlb.LDS(2, name="fast"), nlb.LDS(1, name="slow")], observation=nlb.Gaussian())
    sites = sites_of(two, recording)
    assert {name for name, site in sites.items() if site["type"] == "plate"} == {"trial", "time", "neuron"}
    for name, site in sites.items():
        if site["type"] != "sample":
            continue
        plates = [frame.name for frame in sorted(site["cond_indep_stack"], key=lambda frame: frame.dim)]
        named = [*plates, *site["infer"].get("event_dims", [])]
        assert len(named) == np.ndim(site["value"]), name
    assert sites["spikes"]["is_observed"]
    assert sites["rates"]["value"].shape == recording.counts.shape
    assert sites["fast"]["value"].shape == (30, 20, 2)
    assert sites["slow"]["infer"]["event_dims"] == ["time", "slow_latent"]


def test_only_what_is_seen_counts(recording):
    sites = sites_of(MODEL, recording)
    log_prob = np.asarray(sites["spikes"]["fn"].log_prob(sites["spikes"]["value"]))
    assert np.all(log_prob[~recording.seen] == 0)
    assert np.all(log_prob[recording.seen] < 0)


def test_predictive_draws_from_prior_and_posterior(recording, fitted):
    prior = Predictive(fitted.model, num_samples=3)(jax.random.key(0), recording, observed=False)
    assert prior["spikes"].shape == (3, *recording.counts.shape)
    assert prior["lds"].shape == (3, 30, 20, 2)
    assert np.issubdtype(prior["spikes"].dtype, np.integer)
    train = recording.split("train")
    parameters = fitted.parameter_sites(draws=200)
    latents = np.asarray(fitted.sample_latents(train, draws=200)) @ fitted.rotation.T
    posterior = Predictive(fitted.model, posterior_samples=parameters | {"lds": latents.astype(np.float32)})
    drawn = posterior(jax.random.key(1), train, observed=False)
    rates = np.asarray(fitted.rates(train))
    np.testing.assert_allclose(np.asarray(drawn["spikes"]).mean((0, 1, 2)), rates.mean((0, 1)), rtol=0.1)
    assert np.corrcoef(np.asarray(drawn["rates"]).mean(0).ravel(), rates.ravel())[0, 1] > 0.98


@pytest.mark.slow
def test_svi_with_an_autoguide_runs(tiny):
    svi = SVI(MODEL, AutoNormal(MODEL), numpyro.optim.Adam(0.02), Trace_ELBO())
    result = svi.run(jax.random.key(0), 500, tiny, progress_bar=False)
    losses = np.asarray(result.losses)
    assert np.isfinite(losses).all()
    assert losses[-100:].mean() < losses[:20].mean()


@pytest.fixture(scope="module")
def sampled(tiny):
    """NUTS draws of a tiny model's sites, each turned so that the loadings of the first neuron are positive."""
    mcmc = MCMC(NUTS(MODEL), num_warmup=400, num_samples=600, progress_bar=False)
    mcmc.run(jax.random.key(0), tiny)
    draws = {name: np.asarray(value, float) for name, value in mcmc.get_samples().items()}
    sign = np.sign((draws["loadings"] * np.array([[1], [-1], [1], [1], [-1], [1]])).sum((1, 2)))
    return draws | {"latents": draws["lds"][..., 0] * sign[:, None, None]}


@pytest.fixture(scope="module")
def structured(tiny):
    return nlb.fit(MODEL, tiny, em_iterations=30, svi_steps=300, progress=False)


@pytest.mark.slow
def test_nuts_and_the_fit_agree_on_latents_and_rates(tiny, sampled, structured):
    latents = structured.latents(tiny)
    mean = np.asarray(latents["mean"])[..., 0]
    mean *= np.sign((mean * sampled["latents"].mean(0)).sum())
    # Up to their intervals: apart by a share of a posterior standard deviation, which the two estimate alike.
    spread = sampled["latents"].std(0)
    assert np.sqrt((((mean - sampled["latents"].mean(0)) / spread) ** 2).mean()) < 0.5
    assert np.median(np.sqrt(np.asarray(latents["covariance"])[..., 0, 0]) / spread) == pytest.approx(1.0, abs=0.25)
    rates, drawn = np.asarray(structured.rates(tiny)), sampled["rates"]
    assert np.sqrt((((rates - drawn.mean(0)) / drawn.std(0)) ** 2).mean()) < 0.5


@pytest.mark.slow
def test_nuts_and_the_fit_agree_on_what_is_identified_of_the_parameters(sampled, structured):
    fitted = structured.parameter_draws(400)
    decay = np.log(sampled["lds.decay_ms"][:, 0])
    modulus = np.asarray(structured.dynamics()["modulus"])[:, 0]
    exact = np.exp(-20.0 / np.exp(decay))
    assert abs(modulus.mean() - exact.mean()) < 2 * np.hypot(modulus.std(), exact.std())
    pairs = [
        (fitted["baseline"], sampled["baseline"]),
        (np.abs(fitted["loadings"][..., 0]), np.abs(sampled["loadings"][..., 0])),
    ]
    for found, exact in pairs:
        assert np.all(np.abs(found.mean(0) - exact.mean(0)) < 2 * np.hypot(found.std(0), exact.std(0)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nlb.Model(latents=[]), "at least one latent block, such as LDS"),
        (lambda: nlb.Model(latents=[nlb.LDS(1), nlb.LDS(2)]), "two blocks are named 'lds'.*name="),
        (
            lambda: nlb.Model(latents=[nlb.LDS(1, name="x")], effects=[nlb.History(name="x")]),
            "two blocks are named 'x'.*name=",
        ),
        (lambda: nlb.Model(latents=[nlb.LDS(1, name="spikes")]), "named 'spikes'.*give it another"),
        (lambda: nlb.LDS(0), r"LDS\(dim=0\).*at least 1"),
        (lambda: nlb.GP(nlb.Matern32(), -1), r"GP\(dim=-1\).*at least 1"),
        (lambda: nlb.SwitchingLDS(2, 0), r"SwitchingLDS\(dim=0\).*at least 1"),
        (lambda: nlb.SwitchingLDS(0, 2), r"SwitchingLDS\(states=0\).*at least 1"),
        (lambda: nlb.Templates(2, dim=0), r"Templates\(dim=0\).*at least 1"),
        (lambda: nlb.Templates(0), r"Templates\(components=0\).*at least 1"),
    ],
)
def test_blocks_that_make_no_model_are_named(make, message):
    with pytest.raises(nlb.InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("latents", "message"),
    [
        ([nlb.LDS(7)], "7 latents.*6 neurons.*Lower dim"),
        ([nlb.LDS(4), nlb.Templates(2, dim=3)], "7 latents.*6 neurons.*Lower dim"),
        ([nlb.SwitchingLDS(11, 1)], "states=11.*more states than the 10 bins.*Lower states"),
        ([nlb.GP(nlb.Matern32(lengthscale_ms=15.0), 1)], "lengthscale_ms is 15 ms, below the 20 ms.*smaller bins"),
        ([nlb.LDS(1), nlb.Templates(13, dim=1)], "13.*more templates than the 12 trials.*Lower components"),
    ],
)
def test_models_that_do_not_fit_the_trials_are_named(tiny, latents, message):
    model = nlb.Model(latents=latents)
    for use in (model, lambda trials: nlb.fit(model, trials), lambda trials: nlb.simulate(model, trials)):
        with pytest.raises(nlb.InputError, match=message):
            use(tiny)


def test_a_prior_of_the_readout_reaches_the_model(tiny):
    readout = LinearReadout(priors={"baseline": dist.Normal(-3.0, 1e-3)})
    sites = sites_of(nlb.Model(latents=[nlb.LDS(1)], readout=readout), tiny)
    np.testing.assert_allclose(sites["baseline"]["value"], -3.0, atol=0.01)
    with pytest.raises(nlb.InputError, match="no parameter 'loading'.*Did you mean 'loadings'"):
        LinearReadout(priors={"loading": dist.Normal(0.0, 1.0)})
