"""What every model must do, whatever blocks it is made of: one line in MODELS gives a model the whole suite."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import Predictive

import nlbprob as nlb
from nlbprob.blocks.base import Context
from nlbprob.blocks.latent import Dynamics, Latent
from nlbprob.infer.em import steps as em
from nlbprob.infer.em.fisher import FisherScoring
from nlbprob.infer.parameters import sites as parameters
from nlbprob.infer.parameters.flat import Entries
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.trajectories import cvi
from nlbprob.infer.trajectories.problem import SiteState, combined, trial_problem
from nlbprob.infer.vi import widths as information
from nlbprob.numerics.gaussian import Chain
from nlbprob.simulation import simulate
from tests.conftest import holes


def pendulum(x):
    """What a step of 20 ms adds to an angle and its velocity."""
    stiffness = numpyro.sample("stiffness", dist.LogNormal(-1.0, 0.5))
    return 0.3 * jnp.stack([x[1], -stiffness * jnp.sin(x[0])])


@dataclasses.dataclass(frozen=True, eq=False)
class Fading(Latent):
    """x_t = exp(-fade t / T) s_t, s_t = .9 s_{t-1} + N(0, .19): an emission that varies in time."""

    name: str = "fading"
    priors: dict = dataclasses.field(default_factory=dict)

    dim = 1

    def prior(self, context):
        fade = self.sample("fade", dist.Normal(1.0, 0.5), ())
        zero, eye = jnp.zeros(1), jnp.eye(1)
        time = jnp.arange(context.n_bins) / context.n_bins
        return Dynamics(Chain(zero, eye, 0.9 * eye, zero, 0.19 * eye), jnp.exp(-fade * time)[:, None, None])

    def start(self, initial, context):
        return {self.site("fade"): jnp.asarray(1.0)}, jnp.eye(1)


MODELS = {
    "dense": lambda: nlb.Model(latents=[nlb.LDS(2, inputs=[nlb.TrialTime(3)], initial="condition")]),
    "stacked": lambda: nlb.Model(
        latents=[nlb.LDS(3, name="slow", dynamics="modal"), nlb.GP(nlb.Matern32(), 1), nlb.Gain()],
        readout=nlb.LinearReadout("ard"),
    ),
    "switching": lambda: nlb.Model(latents=[nlb.SwitchingLDS(2, 2)]),
    "recurrent": lambda: nlb.Model(latents=[nlb.SwitchingLDS(2, 1, recurrent=True), nlb.LDS(1, dynamics="diagonal")]),
    "templates": lambda: nlb.Model(
        latents=[nlb.Templates(2, on="lds"), nlb.LDS(2)], readout=nlb.LinearReadout("horseshoe")
    ),
    "effects": lambda: nlb.Model(
        latents=[nlb.Templates(2, dim=1), nlb.LDS(1)],
        effects=[nlb.InputEffect([nlb.Covariate("stimulus")]), nlb.History(coupling=True)],
        readout=nlb.LinearReadout("laplace"),
        observation=nlb.NegativeBinomial(),
    ),
    "flow": lambda: nlb.Model(latents=[nlb.Flow(pendulum, 2), nlb.GP(nlb.Matern32(), 1)]),
    "factors": lambda: nlb.Model(latents=[nlb.TrialFactors(2, 2), nlb.LDS(1)]),
    "fading": lambda: nlb.Model(latents=[Fading(), nlb.LDS(1)]),
}
#: Models with something that is not saved: it has to be handed over.
OWN = ("flow", "fading")
#: Models all of whose parameters have updates in closed form: their bound rises in every iteration.
MONOTONE = ("switching",)
#: Models that go through the second stage, too: it takes longest to compile, and these two have all that it meets.
BOTH_STAGES = ("switching", "templates")


@functools.cache
def recording():
    """A small recording with conditions, an input, holes, and a last trial that ends early."""
    values = {"baseline": np.zeros(8)}
    made = simulate(nlb.Model(latents=[nlb.LDS(2)]), 12, neurons=8, bins=10, bin_ms=20.0, values=values)
    condition = np.arange(12) % 2
    stimulus = np.random.default_rng(0).standard_normal((12, 10, 2))
    table = made.trials.table | {"condition": condition}
    return holes(made.trials.replace(table=table, condition=("condition",), inputs={"stimulus": stimulus}))


#: Models whose blocks are those of others, or have tests of their own.
COVERED = ("stacked", "switching", "recurrent", "templates", "flow", "effects")


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow if name in COVERED else ()) for name in MODELS])
def name(request):
    return request.param


@functools.cache
def fitted(name):
    steps = 10 if name in BOTH_STAGES else 0
    iterations = 25 if name == "flow" else 6  # its sites follow gradients: the bound falls before it rises
    return nlb.fit(MODELS[name](), recording(), em_iterations=iterations, svi_steps=steps, progress=False)


def test_it_is_a_numpyro_model_with_named_dimensions(name):
    model, trials = MODELS[name](), recording()
    predictive = Predictive(model, num_samples=2)
    drawn = jax.eval_shape(lambda key: predictive(key, trials, observed=False), jax.random.key(0))
    assert drawn["spikes"].shape == (2, 12, 10, 8)
    assert drawn["latents"].shape == (2, 12, 10, model.dim)

    def log_probs(key):
        traced = numpyro.handlers.trace(numpyro.handlers.seed(model, key)).get_trace(trials)
        sites = [site for site in traced.values() if site["type"] == "sample" and not site["is_observed"]]
        assert all(len(site["infer"].get("event_dims", [])) == len(site["fn"].event_shape) for site in sites)
        return [site["fn"].log_prob(site["value"]) for site in sites]

    assert all(np.isfinite(value).all() for value in jax.jit(log_probs)(jax.random.key(0)))


def test_the_fit_raises_the_bound_and_predicts(name):
    posterior = fitted(name)
    elbo = posterior.elbo[posterior.history["stage"] == "em"]
    assert elbo[-1] > elbo[0]
    if name in MONOTONE:
        assert np.all(np.diff(elbo) > -1e-4 * abs(elbo[0]))
    for block, shares in posterior.config["occupancy"].items():
        assert sum(shares) == pytest.approx(12 if block == "templates" else 1, rel=1e-5)
    rates = posterior.rates(recording().hide_heldout("val"), beyond_ms=40)
    assert rates.shape == (12, 12, 8)
    assert np.isfinite(rates).all()
    assert (rates > 0).all()


def test_what_is_not_seen_changes_nothing(name):
    trials = recording()
    counts = np.where(trials.seen, trials.counts, 7)
    posterior = fitted(name)
    np.testing.assert_array_equal(posterior.rates(trials), posterior.rates(trials.replace(counts=counts)))


def test_a_saved_posterior_is_the_same(name, tmp_path):
    posterior = fitted(name)
    saved = posterior.save(tmp_path)  # no function and no class is saved
    found = nlb.Posterior.load(saved, model=MODELS[name]()) if name in OWN else nlb.Posterior.load(saved)
    assert found.model == posterior.model
    np.testing.assert_array_equal(found.rates(recording()), posterior.rates(recording()))


def test_arviz_gets_labelled_draws(name):
    tree = fitted(name).to_arviz(recording(), draws=5)
    posterior = tree["posterior"]
    assert posterior["latents"].dims == ("chain", "draw", "trial", "time", "latent")
    assert np.isfinite(posterior["latents"]).all()
    if name in ("switching", "recurrent"):
        assert posterior["slds.regime"].dims == ("chain", "draw", "trial", "time")
        chance = fitted(name).regimes(recording())["slds"]
        assert chance.dims == ("trial", "time", "slds_regime")
        np.testing.assert_allclose(chance.sum("slds_regime"), 1, atol=1e-4)
        numbers = np.arange(1, chance.sizes["slds_regime"] + 1)
        np.testing.assert_array_equal(chance["slds_regime"], numbers)
        assert set(np.unique(posterior["slds.regime"])) <= set(numbers)
    if name in ("templates", "effects"):
        assert posterior["component"].dims == ("chain", "draw", "trial")
        numbers = fitted(name).components(recording())["component"].values
        np.testing.assert_array_equal(numbers, np.arange(1, len(numbers) + 1))
        assert set(np.unique(posterior["component"])) <= set(numbers)


def test_timescales_are_those_of_the_gp_and_have_their_units():
    found = fitted("flow").timescales(7, seed=2)
    assert found["timescale"].values.tolist() == ["gp.lengthscale_ms[gp 1]"]
    assert found["units"].values.tolist() == ["ms"]
    assert found["block"].values.tolist() == ["gp"]
    drawn = fitted("flow").parameter_draws(7, seed=2)["gp.lengthscale_ms"]
    np.testing.assert_array_equal(found["value"], drawn)


def test_trials_that_lack_a_condition_keep_the_meaning_of_the_others():
    posterior, trials = fitted("dense"), recording()
    later = np.flatnonzero(trials.condition_index == 1)
    alone = np.asarray(posterior.rates(trials.select(trials=later)))
    np.testing.assert_allclose(alone, np.asarray(posterior.rates(trials))[later], rtol=2e-3)


@pytest.mark.parametrize(
    "name",
    ["dense", "stacked", *(pytest.param(name, marks=pytest.mark.slow) for name in ("templates", "effects", "flow"))],
)
def test_slopes_match_finite_differences_of_the_optimised_bound(name):
    """Those that EM and the posterior's scales are made of: of each trial's bound, in the latents' scales too."""
    trials = recording()
    with jax.enable_x64(True):
        model = MODELS[name]().resolve(trials)
        context = Context.of(trials)
        entries = Entries(parameters.parameter_sites(model, context))
        scoring = FisherScoring(model, context, entries, np.arange(model.dim))
        traced = numpyro.handlers.trace(numpyro.handlers.seed(model.parameters, 1)).get_trace(context)
        raw = 0.3 * entries.of({site: traced[site]["value"] for site in entries.sites})  # nothing extreme
        covariates = jax.tree.map(jnp.asarray, model.covariates(trials))
        batch = Batch(jnp.asarray(trials.counts), jnp.asarray(trials.seen), covariates)
        direction, scale = jnp.split(jax.random.normal(jax.random.key(2), (raw.size + model.dim,)), [raw.size])

        @jax.jit
        def converged(step):
            theta = parameters.parameters_at(model, context, entries.into({}, raw + step * direction))
            theta = theta._replace(loadings=theta.loadings * scoring.factors(step * scale))
            problem, rows = trial_problem(model, theta, batch)
            sites = cvi.empty_sites(len(rows.counts), trials.n_bins, model.dim, problem.loadings.dtype)
            begun = cvi.init(problem, sites)
            local = cvi.iterate(problem, model.observation, rows, begun, 300)
            return local, *combined(theta, local.elbo)

        @jax.jit
        def slopes(local, responsibility):
            rows = SiteState(local.sites, local.step_size, local.auxiliary)
            moments = local.smoothed.mean, local.smoothed.covariance
            found = scoring.scores(entries.into({}, raw), batch, rows, responsibility.reshape(-1), moments)
            chunk = em.EStep(rows, local.elbo, responsibility.reshape(-1), moments, (), None, None)
            return found, information.readout(scoring, entries.into({}, raw), batch, chunk)

        local, _, responsibility = converged(0.0)
        found, readout = slopes(local, responsibility)
        slope = entries.join(found.score) @ direction + found.scale @ scale
        difference = (converged(1e-4)[1].sum() - converged(-1e-4)[1].sum()) / 2e-4
    assert float(slope) == pytest.approx(float(difference), rel=1e-3)
    assert found.information.shape == (raw.size + model.dim,) * 2
    # The readout's own outer products are those of its entries among all.
    places = jax.tree.map(np.asarray, entries.split(jnp.arange(raw.size)))
    own = np.concatenate([places["baseline"][:, None], places["loadings"]], 1)
    expected = np.asarray(found.information)[own[:, :, None], own[:, None, :]]
    np.testing.assert_allclose(readout.products, expected, rtol=1e-6, atol=1e-8 * expected.max())
