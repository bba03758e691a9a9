"""Plain NumPyro functions that call blocks: the bound of a model of blocks, the same `fit`, NumPyro's own tools."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS, Predictive

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.functions.model import resolve_model
from nlbprob.functions.readout import tangent_normal
from nlbprob.infer.em import steps as em
from nlbprob.infer.parameters import sites as parameters
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import marginals
from nlbprob.infer.trajectories.problem import combined
from nlbprob.posterior.arviz import parameter_variables
from tests.conftest import EM_ALONE, SHORT
from tests.infer.conftest import Case, drawn

PRIOR_LEVEL = math.log(5 * 0.02)  # 5 Hz in bins of 20 ms


def plain_predictor(trials):
    """c_n'x(t) + d_n."""
    x = nlb.LDS(2)(trials)
    loadings = numpyro.sample("loadings", dist.Normal(0.0, 0.5).expand([trials.n_neurons, 2]).to_event(2))
    baseline = numpyro.sample("baseline", dist.Normal(PRIOR_LEVEL, 2.0).expand([trials.n_neurons]).to_event(1))
    return x @ loadings.T + baseline


def plain(trials):
    """y_n(t) ~ Poisson(exp(c_n'x(t) + d_n))."""
    nlb.observe(nlb.Poisson(), plain_predictor(trials), trials)


def scaled_predictor(trials):
    """The predictor of an LDS with loadings that are no site of their own."""
    x = nlb.LDS(2)(trials)
    size = numpyro.sample("size", dist.HalfNormal(1.0))
    with numpyro.plate("neuron", trials.n_neurons):
        weights = numpyro.sample("weights", dist.Normal(0.0, 0.5).expand([2]).to_event(1))
        level = numpyro.sample("level", dist.Normal(PRIOR_LEVEL, 2.0))
    return x @ (size * weights).T + level


def scaled(trials):
    """Loadings that are no site of their own."""
    nlb.observe(nlb.Poisson(), scaled_predictor(trials), trials)


def driven(trials):
    """Two blocks with loadings of their own, and an input."""
    slow, fast = nlb.LDS(1, name="slow")(trials), nlb.GP(nlb.Matern32(), 1, name="fast")(trials)
    with numpyro.plate("neuron", trials.n_neurons):
        first = numpyro.sample("first", dist.Normal(0.0, 0.5).expand([1]).to_event(1))
        second = numpyro.sample("second", dist.Normal(0.0, 0.5).expand([1]).to_event(1))
        level = numpyro.sample("level", dist.Normal(PRIOR_LEVEL, 2.0))
        gains = numpyro.sample("gains", dist.Normal(0.0, 0.3).expand([2]).to_event(1))
    predictor = slow @ first.T + fast @ second.T + level + trials.inputs["stimulus"] @ gains.T
    nlb.observe(nlb.NegativeBinomial(), predictor, trials)


def mixed(trials):
    """Templates and how single trials deviate from them, with one site of loadings."""
    latents = jnp.concatenate([nlb.LDS(2)(trials), nlb.Templates(3, 1)(trials)], -1)
    loadings = numpyro.sample("loadings", dist.Normal(0.0, 0.5).expand([trials.n_neurons, 3]).to_event(2))
    baseline = numpyro.sample("baseline", dist.Normal(PRIOR_LEVEL, 2.0).expand([trials.n_neurons]).to_event(1))
    nlb.observe(nlb.Poisson(), latents @ loadings.T + baseline, trials)


def apart(trials):
    """The same with loadings of each block."""
    template, x = nlb.Templates(3, 1)(trials), nlb.LDS(2)(trials)
    with numpyro.plate("neuron", trials.n_neurons):
        first = numpyro.sample("first", dist.Normal(0.0, 0.5).expand([1]).to_event(1))
        second = numpyro.sample("second", dist.Normal(0.0, 0.5).expand([2]).to_event(1))
        level = numpyro.sample("level", dist.Normal(PRIOR_LEVEL, 2.0))
    nlb.observe(nlb.Poisson(), template @ first.T + x @ second.T + level, trials)


def written(trials):
    """`plain` with the likelihood written out."""
    nlb.observe(lambda eta: dist.Poisson(jnp.exp(eta)), plain_predictor(trials), trials)


def written_scaled(trials):
    """`scaled` with the size of the rates in the likelihood, and one more site there."""
    size = numpyro.sample("boost", dist.LogNormal(0.0, 0.3))
    spread = numpyro.sample("spread", dist.HalfNormal(1.0).expand([trials.n_neurons]).to_event(1))
    nlb.observe(
        lambda eta: dist.NegativeBinomial2(size * jnp.exp(eta), 1 / (0.01 + spread)), scaled_predictor(trials), trials
    )


def with_stimulus(trials):
    stimulus = np.random.default_rng(0).standard_normal((*trials.counts.shape[:2], 2)).astype(np.float32)
    return trials.replace(inputs={"stimulus": stimulus})


@pytest.mark.parametrize("function", [plain, scaled, written])
def test_the_bound_is_that_of_the_same_model_of_blocks(function):
    case = drawn(repr(nlb.Poisson()))
    model = resolve_model(function, case.trials)
    values = dict(case.values)
    if function is scaled:
        values |= {"size": 2.0, "weights": values.pop("loadings") / 2.0, "level": values.pop("baseline")}
    assert parameters.parameter_sites(model, case.context).keys() == values.keys()
    same = Case(model, case.trials, values, case.context)
    np.testing.assert_allclose(same.converged().elbo, case.converged().elbo, rtol=1e-5)


@pytest.mark.slow
def test_a_fit_with_a_written_likelihood_is_that_of_poisson(fitted, recording, tmp_path):
    posterior = nlb.fit(written, recording.split("train"), seed=1, **EM_ALONE)
    np.testing.assert_allclose(posterior.elbo, fitted.elbo[fitted.history["stage"] == "em"], rtol=1e-4)
    visible = recording.hide_heldout("val")
    found = nlb.Posterior.load(posterior.save(tmp_path), written)
    np.testing.assert_array_equal(found.rates(visible), posterior.rates(visible))


@pytest.mark.slow
def test_sites_of_a_written_likelihood_are_fitted(recording):
    trials = recording.split("train")
    model = resolve_model(written_scaled, trials)
    assert set(model.observation.medians) == {"boost", "spread"}
    posterior = nlb.fit(written_scaled, trials, **EM_ALONE)
    elbo = posterior.elbo[posterior.history["stage"] == "em"]
    assert elbo[-1] > elbo[0]
    drawn = posterior.parameter_draws()
    assert drawn["spread"].shape[1:] == (trials.n_neurons,)
    for name, median in model.observation.medians.items():
        assert np.abs(np.mean(drawn[name], 0) - median).max() > 1e-3
    tree = posterior.to_arviz(recording, draws=3)
    assert np.isfinite(tree["log_likelihood"]["spikes"]).any()


def test_what_a_likelihood_and_the_predictor_share_follows_gradients():
    def function(trials):
        x = nlb.LDS(1)(trials)
        loadings = numpyro.sample("loadings", dist.Normal(0.0, 0.5).expand([trials.n_neurons, 1]).to_event(2))
        level = numpyro.sample("level", dist.Normal(0.0, 1.0).expand([trials.n_neurons]).to_event(1))
        nlb.observe(lambda eta: dist.Normal(eta, jnp.exp(level)), x @ loadings.T + level, trials)

    model = resolve_model(function, trials_of())
    assert set(model.observation.medians) == {"level"}
    assert model.readout.names == ()


@pytest.mark.parametrize(
    ("likelihood", "known"),
    [
        (lambda eta: dist.Poisson(jnp.exp(eta)), nlb.Poisson()),
        (lambda eta: dist.Poisson(jax.nn.softplus(eta)), nlb.Poisson(link="softplus")),
        (dist.BernoulliLogits, nlb.Bernoulli()),
    ],
)
def test_the_link_of_a_written_likelihood_is_inverted(likelihood, known):
    def function(trials):
        nlb.observe(likelihood, nlb.LDS(1)(trials), trials)

    trials = trials_of()
    observation = resolve_model(function, trials.replace(counts=np.minimum(trials.counts, 1))).observation
    mean = jnp.asarray([0.01, 0.1, 0.4, 0.9, 0.98])
    found, expected = (jax.jvp(one.predictor_of_mean, (mean,), (mean,)) for one in (observation, known))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_written_likelihood_is_an_ordinary_numpyro_model():
    made = nlb.simulate(written_scaled, 3, neurons=4, bins=5, bin_ms=20.0)
    assert {"boost", "spread"} <= set(made.parameters)
    prior = Predictive(written_scaled, num_samples=2)(jax.random.key(0), made.trials)
    assert prior["rates"].shape == (2, 3, 5, 4)


@pytest.mark.parametrize("function", [pytest.param(mixed, marks=pytest.mark.slow), apart])
def test_templates_are_summed_out(function):
    trials = drawn(repr(nlb.Poisson())).trials
    latents = [nlb.LDS(2), nlb.Templates(3, 1)] if function is mixed else [nlb.Templates(3, 1), nlb.LDS(2)]
    context, blocks = Context.of(trials), nlb.Model(latents=latents).resolve(trials)
    made = numpyro.handlers.trace(numpyro.handlers.seed(blocks.parameters, 0)).get_trace(context)
    values = {name: jnp.asarray(site["value"]) for name, site in made.items()}
    own, model = dict(values), resolve_model(function, trials)
    if function is apart:
        loadings = own.pop("loadings")
        own |= {"first": loadings[:, :1], "second": loadings[:, 1:], "level": own.pop("baseline")}
    assert model.readout.names == (("baseline", "loadings") if function is mixed else ("level", "first", "second"))

    def bounds(model, values):
        theta = parameters.parameters_at(model, context, values)
        batch = Batch(trials.counts, trials.seen, model.covariates(trials, context))
        _, _, local = marginals.infer(model, theta, jax.tree.map(jnp.asarray, batch))
        return combined(theta, local.elbo)

    (found, share), (expected, known) = bounds(model, own), bounds(blocks, values)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(share, known, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_fitted_templates_are_those_of_blocks(recording, tmp_path):
    options = EM_ALONE | {"em_iterations": 4}
    trials, blocks = recording.split("train"), nlb.Model(latents=[nlb.LDS(2), nlb.Templates(3, 1)])
    posterior, expected = (nlb.fit(model, trials, **options) for model in (mixed, blocks))
    np.testing.assert_allclose(posterior.elbo, expected.elbo, rtol=1e-4)
    share = posterior.components(recording)
    np.testing.assert_allclose(share, expected.components(recording), atol=1e-3)
    found = nlb.Posterior.load(posterior.save(tmp_path), mixed)
    np.testing.assert_array_equal(found.components(recording), share)
    assert posterior.to_arviz(recording, draws=2)["posterior"]["templates"].dims[2:] == ("component", "time", "latent")


@pytest.mark.slow
def test_templates_are_part_of_an_ordinary_numpyro_model():
    made = nlb.simulate(mixed, 6, neurons=4, bins=5, bin_ms=20.0)
    assert made.latents.shape == (6, 5, 3)
    assert made.states["templates.component"].shape == (6,)
    assert set(made.parameters) >= {"templates.weights", "templates.coefficients", "loadings", "baseline"}
    prior = Predictive(mixed, num_samples=2)(jax.random.key(0), made.trials)
    assert prior["templates.component"].shape == (2, 6)
    assert prior["rates"].shape == (2, 6, 5, 4)


def test_as_many_templates_as_conditions():
    def function(trials):
        t, x = nlb.Templates(dim=1)(trials), nlb.LDS(1)(trials)
        nlb.observe(nlb.Poisson(), (t + x) * numpyro.sample("scale", dist.Normal(0.0, 1.0)), trials)

    trials = trials_of()
    assert resolve_model(function, trials_of(trials=8)).n_components == 8
    trials = trials.replace(table=trials.table | {"side": np.array(["l", "r", "l", "m"])}, condition=("side",))
    assert resolve_model(function, trials).n_components == 3


def test_shared_loadings_are_no_readout():
    def function(trials):
        x = nlb.LDS(2, name="slow")(trials) + nlb.LDS(2, name="fast")(trials)
        loadings = numpyro.sample("loadings", dist.Normal(0.0, 0.5).expand([trials.n_neurons, 2]).to_event(2))
        baseline = numpyro.sample("baseline", dist.Normal(0.0, 2.0).expand([trials.n_neurons]).to_event(1))
        nlb.observe(nlb.Poisson(), x @ loadings.T + baseline, trials)

    assert resolve_model(function, trials_of()).readout.names == ()


def test_blocks_loadings_and_inputs_find_their_places():
    trials = with_stimulus(drawn(repr(nlb.Poisson())).trials)
    model, context = resolve_model(driven, trials), Context.of(trials)
    assert model.readout.names == ("level", "first", "second")
    blocks = nlb.Model(
        latents=[nlb.LDS(1, name="slow"), nlb.GP(nlb.Matern32(), 1, name="fast")],
        effects=[nlb.InputEffect([nlb.Covariate("stimulus")])],
        observation=nlb.NegativeBinomial(),
    ).resolve(trials)
    seeded = numpyro.handlers.trace(numpyro.handlers.seed(blocks.parameters, 0)).get_trace(context)
    values = {name: np.asarray(site["value"]) for name, site in seeded.items()}
    own = dict(values)
    loadings = own.pop("loadings")
    own |= {"first": loadings[:, :1], "second": loadings[:, 1:]}
    own |= {"level": own.pop("baseline"), "gains": own.pop("inputs.weights")}
    found, expected = (Case(one, trials, at, context) for one, at in ((model, own), (blocks, values)))
    np.testing.assert_allclose(found.given().offset, expected.given().offset, rtol=1e-5)
    np.testing.assert_allclose(found.converged(5).elbo, expected.converged(5).elbo, rtol=1e-5)


def test_the_prior_of_readout_sites_is_the_blocks():
    """The quadratic that a Newton step uses equals that of LinearReadout, whose prior the function repeats."""
    case = drawn(repr(nlb.Poisson()))
    values = jax.tree.map(jnp.asarray, case.values)
    found, expected = (
        model.penalty(case.context, parameters.parameters_at(model, case.context, values), values)
        for model in (resolve_model(plain, case.trials), case.model)
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, jnp.broadcast_to(other, one.shape), rtol=1e-4, atol=1e-5)


def test_a_prior_without_curvature_gets_its_tangent_quadratic():
    values = {"c": jnp.asarray([2.0, -0.5])}
    location, precision = tangent_normal(lambda at: dist.Laplace(0.0, 0.4).log_prob(at["c"]).sum(), values)
    np.testing.assert_allclose(precision["c"], 1 / (0.4 * np.abs(values["c"])), rtol=1e-5)
    np.testing.assert_allclose(location["c"], 0.0, atol=1e-6)


@functools.cache
def fitted_driven():
    trials = with_stimulus(drawn(repr(nlb.Poisson()), trials=8, neurons=6).trials)

    def function(trials):
        """Loadings that are no site, and an input."""
        predictor = scaled_predictor(trials)
        with numpyro.plate("neuron", trials.n_neurons):
            gain = numpyro.sample("gain", dist.Normal(0.0, 0.3))
        nlb.observe(nlb.Poisson(), predictor + gain * trials.inputs["stimulus"][..., :1], trials)

    return function, trials, nlb.fit(function, trials, em_iterations=6, svi_steps=0, progress=False)


def test_a_fitted_function_is_the_fitted_model(fitted, recording, tmp_path):
    posterior = nlb.fit(plain, recording.split("train"), seed=1, **SHORT)
    np.testing.assert_allclose(posterior.elbo, fitted.elbo, rtol=1e-5)
    visible = recording.hide_heldout("val")
    np.testing.assert_allclose(posterior.rates(visible), fitted.rates(visible), rtol=1e-3)
    tree = posterior.to_arviz(recording, draws=3)["posterior"]
    assert tree["loadings"].dims == ("chain", "draw", "neuron", "latent")
    assert tree["baseline"].dims == ("chain", "draw", "neuron")
    folder = posterior.save(tmp_path)
    found = nlb.Posterior.load(folder, plain)
    np.testing.assert_array_equal(found.rates(visible), posterior.rates(visible))
    with pytest.raises(nlb.InputError, match=r"uses the function 'plain'.*model=\.\.\."):
        nlb.Posterior.load(folder)
    with pytest.raises(nlb.InputError, match="another function: the sites baseline, level, loadings, size, weights"):
        nlb.Posterior.load(folder, scaled)


@pytest.mark.slow
def test_sites_of_any_kind_are_fitted(tmp_path):
    function, trials, posterior = fitted_driven()
    elbo = posterior.elbo[posterior.history["stage"] == "em"]
    assert elbo[-1] > elbo[0]
    rates = posterior.rates(trials)
    assert (rates > 0).all()
    unseen = np.where(trials.seen, trials.counts, 7)
    np.testing.assert_array_equal(rates, posterior.rates(trials.replace(counts=unseen)))
    assert np.abs(rates - posterior.rates(trials.replace(inputs={"stimulus": -trials.inputs["stimulus"]}))).max() > 1e-4
    variables = parameter_variables(posterior, np.arange(trials.n_neurons), draws=3, seed=0)
    assert {name: variables[name][0][2:] for name in ("level", "weights", "loadings")} == {
        "level": ("neuron",), "weights": ("neuron", "weights_dim_1"), "loadings": ("neuron", "latent"),
    }  # fmt: skip
    assert np.ptp(posterior.draws["size"]) > 0
    found = nlb.Posterior.load(posterior.save(tmp_path), function)
    np.testing.assert_array_equal(found.rates(trials), rates)


@pytest.mark.slow
def test_numpyros_own_tools_work_on_a_function():
    def smooth(trials):
        x = nlb.GP(nlb.Matern12(), 1)(trials)
        loadings = numpyro.sample("loadings", dist.Normal(0.0, 0.5).expand([trials.n_neurons, 1]).to_event(2))
        nlb.observe(nlb.Poisson(), x @ loadings.T, trials)

    made = nlb.simulate(smooth, 3, neurons=4, bins=5, bin_ms=20.0)
    assert made.latents.shape == (3, 5, 1)
    assert set(made.parameters) == {"gp.lengthscale_ms", "loadings"}
    prior = Predictive(smooth, num_samples=2)(jax.random.key(0), made.trials)
    assert prior["rates"].shape == (2, 3, 5, 4)
    np.testing.assert_allclose(prior["rates"], np.exp(prior["gp"] @ prior["loadings"][:, None].mT), rtol=1e-5)
    sampler = MCMC(NUTS(smooth, max_tree_depth=3), num_warmup=5, num_samples=4, progress_bar=False)
    sampler.run(jax.random.key(1), made.trials)
    drawn = sampler.get_samples()
    assert drawn["gp"].shape == (4, 3, 5, 1)
    assert np.ptp(drawn["loadings"], axis=0).min() > 0


def trials_of(neurons=5, trials=4):
    counts = np.random.default_rng(0).poisson(1.0, (trials, 6, neurons))
    return nlb.Trials.from_arrays(counts, 20.0)


def ending(predictor, *, block=None, observation=None):
    """A function whose predictor is `predictor(x, loadings)`."""

    def function(trials):
        x = (block or nlb.LDS(1))(trials)
        loadings = numpyro.sample("loadings", dist.Normal(0.0, 0.5).expand([trials.n_neurons, 1]).to_event(2))
        nlb.observe(observation or nlb.Poisson(), predictor(x, loadings), trials)

    return function


def likely(likelihood):
    """A function with such a likelihood."""
    return lambda trials: nlb.observe(likelihood, nlb.LDS(1)(trials), trials)


def no_block(trials):
    nlb.observe(nlb.Poisson(), numpyro.sample("baseline", dist.Normal(0.0, 1.0)), trials)


def no_observation(trials):
    nlb.LDS(1)(trials)


def two_observations(trials):
    x = nlb.LDS(1)(trials)
    nlb.observe(nlb.Poisson(), x, trials)
    nlb.observe(nlb.Poisson(), x, trials)


def one_name_twice(trials):
    nlb.observe(nlb.Poisson(), nlb.LDS(1)(trials) + nlb.LDS(1)(trials), trials)


def templates_alone(trials):
    nlb.observe(nlb.Poisson(), nlb.Templates(2, 1)(trials), trials)


def too_many_templates(trials):
    nlb.observe(nlb.Poisson(), nlb.LDS(1)(trials) + nlb.Templates(9, 1)(trials), trials)


def templates_twice(trials):
    first, second = nlb.Templates(2, 1)(trials), nlb.Templates(2, 1, name="more")(trials)
    nlb.observe(nlb.Poisson(), nlb.LDS(1)(trials) + first + second, trials)


def discrete_site(trials):
    jump = numpyro.sample("jump", dist.Bernoulli(0.5))
    nlb.observe(nlb.Poisson(), nlb.LDS(1)(trials) + jump, trials)


def other_likelihood(trials):
    numpyro.sample("y", dist.Poisson(jnp.exp(nlb.LDS(1)(trials))), obs=trials.counts)


def coupling_factor(trials):
    x = nlb.LDS(1)(trials)
    numpyro.factor("smooth", -jnp.sum(jnp.diff(x, axis=1) ** 2))
    nlb.observe(nlb.Poisson(), x, trials)


def by_latents(trials):
    x = nlb.LDS(1)(trials)
    nlb.observe(lambda eta: dist.Normal(eta, jnp.exp(x)), x, trials)


def by_inputs(trials):
    times = trials.time_ms[:, None]
    nlb.observe(lambda eta: dist.Normal(eta, 1 + times), nlb.LDS(1)(trials), trials)


def sampling_inside(trials):
    nlb.observe(lambda eta: dist.Normal(eta, numpyro.sample("width", dist.HalfNormal(1.0))), nlb.LDS(1)(trials), trials)


def trial_gain(trials):
    gain = numpyro.sample("gain", dist.Normal(0.0, 1.0).expand([trials.n_trials, 1, 1]).to_event(3))
    nlb.observe(nlb.Poisson(), nlb.LDS(1)(trials) + gain, trials)


def numpy_inside(trials):
    weight = numpyro.sample("weight", dist.Normal(0.0, 1.0))
    nlb.observe(nlb.Poisson(), nlb.LDS(1)(trials) + weight * np.asarray(trials.counts), trials)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_block, "calls no block"),
        (no_observation, "observes no counts"),
        (two_observations, "calls nlb.observe more than once"),
        (one_name_twice, "two blocks named 'lds'"),
        (templates_alone, "needs at least one latent block, such as LDS"),
        (templates_twice, "two blocks of templates"),
        (lambda trials: nlb.Templates(2, on="lds")(trials), r"Templates\(on='lds'\): in a function"),
        (too_many_templates, "more templates than the 4 trials"),
        (discrete_site, "site 'jump' is discrete, Bernoulli"),
        (other_likelihood, "observes 'y' by numpyro.sample or numpyro.factor. Use nlb.observe"),
        (coupling_factor, "observes 'smooth' by numpyro.sample or numpyro.factor"),
        (by_latents, "likelihood of nlb.observe depends on latents other than by the predictor"),
        (by_inputs, "likelihood of nlb.observe differs between trials or bins"),
        (sampling_inside, "likelihood of nlb.observe samples 'width'"),
        (likely(lambda eta: dist.Poisson(jnp.exp(jnp.cumsum(eta, 1)))), "mixes entries. Given the predictor it has to"),
        (likely(lambda eta: dist.Normal(eta, 1.0).to_event(1)), r"makes Independent of .* without to_event"),
        (likely(lambda eta: eta), "makes .* of None of predictors"),
        (likely(lambda eta: dist.Poisson(jnp.exp(-eta))), "has to rise with the predictor"),
        (likely(lambda eta: dist.Normal(0.0, jnp.exp(eta))), "has to rise with the predictor"),
        (likely(nlb.Poisson), "observe: .*Poisson.* is no observation"),
        (likely(3), "observe: 3 is no observation"),
        (likely(dist.BernoulliLogits), "log likelihood of 2 spikes in a bin is not finite"),
        (trial_gain, "site 'gain' has one value for each trial"),
        (numpy_inside, "into a NumPy array. Write its mathematics with jax.numpy"),
        (ending(lambda x, loadings: jnp.tanh(x) @ loadings.T), "not affine in the latents"),
        (ending(lambda x, loadings: jnp.cumsum(x, 1) @ loadings.T), "mixes bins or trials"),
        (ending(lambda x, loadings: x[::-1] @ loadings.T), "mixes bins or trials"),
        (ending(lambda x, loadings: jnp.arange(x.shape[1])[:, None] * (x @ loadings.T)), "differently from bin to bin"),
        (ending(lambda x, loadings: jnp.log(-(loadings[:, 0] ** 2)) + x), "not finite at a draw from its priors"),
        (ending(lambda x, loadings: x[:, :-1] @ loadings.T), r"of shape \(.*\) is not \[trial, time, neuron\]"),
        (ending(lambda x, loadings: x[..., :1] @ loadings.T, block=nlb.LDS(9)), "9 latents, the recording 5 neurons"),
        (ending(lambda x, loadings: x, observation=nlb.Bernoulli()), "Bernoulli: neuron"),
        (lambda trials: trials.behavior, "cannot read trials.behavior"),
        (3, "a NumPyro function of trials, not int"),
    ],
)
def test_what_cannot_be_fitted_is_told(function, message):
    with pytest.raises(nlb.InputError, match=message):
        resolve_model(function, trials_of())


def test_the_ready_made_function_is_a_model_of_its_recording(root):
    assert (root / "models" / "custom_numpyro.py").read_text().count("\n") < 60
    function = nlb.load_model("custom_numpyro", dim=2)
    made = nlb.simulate(function, 6, neurons=8, bins=5, bin_ms=20.0, values={"baseline": np.zeros(8)})
    model = resolve_model(function, made.trials)
    assert model.readout.names == ("baseline", "loadings")
    assert em.free_sites(
        model, Context.of(made.trials), dict(parameters.parameter_sites(model, Context.of(made.trials)))
    ) == [
        "baseline_mean",
        "baseline_width",
    ]
