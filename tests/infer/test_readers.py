"""Blocks that the neurons of an area alone read."""

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.blocks import spec
from nlbprob.blocks.shrinkage.restricted import ZERO, RestrictedLoadings
from nlbprob.posterior.store import CLASSES

AREAS = np.repeat(["M1", "PMd"], 12)
#: Neurons that are fitted; the others are added.
FEW = np.flatnonzero(np.arange(24) % 12 < 10)


#: Latents of each area.
DIMS = {"M1": 2, "PMd": 3}


def blocks(**options):
    """Latents of each area."""
    return [nlb.LDS(dim, name=area, neurons={"area": area}, **options) for area, dim in DIMS.items()]


def latents_of(posterior, area):
    """Where the latents of an area are among all."""
    return posterior.model.slices[area]


def recording(model, seed=1, trials=40):
    """Drawn from the model, with two areas."""
    plain = nlb.Model(latents=[nlb.LDS(2)])
    design = nlb.simulate(plain, trials, neurons=len(AREAS), bins=30, bin_ms=20.0, seed=seed).trials
    design = design.replace(neurons=design.neurons | {"area": AREAS})
    return nlb.simulate(model, design, seed=seed, values={"baseline": np.full(len(AREAS), np.log(0.5))})


@pytest.fixture(scope="module")
def made():
    return recording(nlb.Model(latents=blocks()))


@pytest.fixture(scope="module")
def train(made):
    return made.trials.split("train").select(neurons=FEW)


@pytest.fixture(scope="module")
def fitted(train):
    return nlb.fit(nlb.Model(latents=blocks()), train, seed=0, progress=False)


def test_no_neuron_of_another_area_reads_a_block(made, fitted):
    drawn, found = made.parameters["loadings"], fitted.parameter_draws()["loadings"]
    for loadings, each in ((drawn[None], 12), (fitted.parameter_mean["loadings"][None], 10), (found, 10)):
        assert np.abs(loadings[:, each:, :2]).max() < 10 * ZERO
        assert np.abs(loadings[:, :each, 2:]).max() < 10 * ZERO
        assert (np.abs(loadings[:, :each, :2]).max((1, 2)) > 0.2).all()
    assert not found[:, 10:, :2].any()


def test_areas_that_share_nothing_are_fitted_as_each_alone(train, fitted):
    bounds = []
    for area, dim in DIMS.items():
        rows = np.flatnonzero(area == AREAS[FEW])
        alone = nlb.Model(latents=[nlb.LDS(dim, name=area)])
        alone = nlb.fit(alone, train.select(neurons=rows), seed=0, progress=False)
        bounds.append(alone.config["em_elbo"])
        together = fitted.parameter_mean["loadings"][rows, latents_of(fitted, area)]
        by_itself = alone.parameter_mean["loadings"]
        np.testing.assert_allclose(together @ together.T, by_itself @ by_itself.T, atol=0.05)
    assert fitted.config["em_elbo"] == pytest.approx(sum(bounds), abs=1.0)


def test_axes_of_blocks_that_differ_in_size_are_named_after_them(train, fitted):
    found = fitted.to_arviz(train, draws=3)["posterior"]
    assert found["M1.rotation_hz"].dims[2:] == ("M1_pair",)
    assert found["PMd.rotation_hz"].dims[2:] == ("PMd_pair",)
    assert found["M1.initial_covariance"].dims[2:] == ("M1_direction", "M1_direction_2")
    assert found["loadings"].dims[2:] == ("neuron", "latent")
    assert found["latent"].values.tolist() == ["M1 1", "M1 2", "PMd 1", "PMd 2", "PMd 3"]


def test_it_is_saved_and_given_more_neurons(made, train, fitted, tmp_path):
    loaded = nlb.Posterior.load(fitted.save(tmp_path))
    assert loaded.model == fitted.model
    np.testing.assert_array_equal(loaded.rates(train), fitted.rates(train))
    wide = fitted.add_neurons(made.trials.split("train"), progress=False)
    loadings = wide.parameter_draws()["loadings"]
    assert not loadings[:, 12:, :2].any()
    assert not loadings[:, :12, 2:].any()
    assert np.abs(wide.parameter_mean["loadings"][[10, 11], :2]).max() > 0.05


def test_rates_from_roots_of_counts_read_the_same_blocks(train):
    model = nlb.Model(latents=blocks(), observation=nlb.SqrtGaussian())
    posterior = nlb.fit(model, train, em_iterations=1, svi_steps=0, posterior="map", progress=False)
    loadings = posterior.centre.count_readout.loadings
    assert not np.asarray(loadings[10:, :2]).any()
    assert np.abs(loadings[:10, :2]).max() > 0.05


def test_a_model_that_was_saved_before_blocks_had_neurons_is_read():
    text = spec.to_json(nlb.Model(latents=[nlb.LDS(2)]))
    del text["latents"][0]["neurons"], text["readout"]["reads"]
    assert spec.from_json(text, CLASSES) == nlb.Model(latents=[nlb.LDS(2)])
    del text["latents"][0]["dynamics"]
    with pytest.raises(nlb.InputError, match="LDS lacks the field 'dynamics'"):
        spec.from_json(text, CLASSES)


@pytest.mark.slow
def test_scales_are_learned_from_the_loadings_that_are_read(train):
    readout = nlb.LinearReadout("ard")
    options = {"seed": 0, "progress": False, "posterior": "map"}
    together = nlb.fit(nlb.Model(latents=blocks(dynamics="diagonal"), readout=readout), train, **options)
    for area, dim in DIMS.items():
        own = train.select(neurons=np.flatnonzero(area == AREAS[FEW]))
        model = nlb.Model(latents=[nlb.LDS(dim, dynamics="diagonal", name=area)], readout=readout)
        alone = nlb.fit(model, own, **options).values["latent_scale"]
        block = latents_of(together, area)
        np.testing.assert_allclose(np.sort(together.values["latent_scale"][block]), np.sort(alone), rtol=0.1)


def test_a_restricted_prior_is_its_base_where_neurons_read():
    import jax
    import numpyro.distributions as dist

    reads = np.array([[True, False], [True, True]])
    prior = RestrictedLoadings(dist.Laplace(0.0, 0.3).expand((2, 2)), reads)
    value = np.array([[0.2, 1e-4], [-0.4, 0.1]])
    expected = np.where(reads, dist.Laplace(0.0, 0.3).log_prob(value), dist.Normal(0.0, ZERO).log_prob(value))
    np.testing.assert_allclose(prior.log_prob(value), expected, rtol=1e-5)
    drawn = np.asarray(prior.sample(jax.random.key(0), (500,)))
    assert np.abs(drawn[:, 0, 1]).max() < 6 * ZERO
    assert drawn[:, 1, 1].std() == pytest.approx(0.3 * np.sqrt(2), rel=0.2)


@pytest.mark.parametrize(
    ("neurons", "words"),
    [
        ("M1", r"LDS\(neurons=...\): 'M1' is no mapping"),
        ({}, "is no mapping of columns"),
        ({"area": []}, "names no values"),
        ({"aera": "M1"}, "no column 'aera'. Did you mean 'area'"),
        ({"area": "M2"}, "no neuron has the area 'M2'. There are: 'M1', 'PMd'"),
        ({"area": "M1", "heldout": "none"}, "no neuron has the heldout 'none'"),
    ],
)
def test_neurons_that_cannot_be_meant_are_told(made, neurons, words):
    with pytest.raises(nlb.InputError, match=words):
        nlb.Model(latents=[nlb.LDS(2, neurons=neurons)]).resolve(made.trials)


def test_the_default_number_of_latents_follows_the_neurons_that_read(made):
    own = made.trials.select(neurons=np.flatnonzero(AREAS == "M1"))
    chosen = nlb.Model(latents=[nlb.LDS(neurons={"area": "M1"}), nlb.GP(dim=1)]).resolve(made.trials)
    assert chosen.latents[0].dim == nlb.LDS().resolve(own).dim
    with pytest.raises(nlb.InputError, match="has 13 latents, and 12 neurons read it"):
        nlb.Model(latents=[nlb.LDS(13, neurons={"area": "M1"})]).resolve(made.trials)
    several = nlb.Model(latents=[nlb.LDS(13, neurons={"area": ["M1", "PMd"]})]).resolve(made.trials)
    assert several.readout.readers(slice(0, 13), 24).all()


def test_what_cannot_leave_neurons_out_says_so(made):
    with pytest.raises(nlb.InputError, match=r"Horseshoe learns one scale.*\"ridge\", \"ard\" or \"laplace\""):
        nlb.Model(latents=blocks(), readout=nlb.LinearReadout("horseshoe")).resolve(made.trials)

    def function(trials):
        x = nlb.LDS(2, neurons={"area": "M1"})(trials)
        return nlb.observe(nlb.Poisson(), x.sum(-1, keepdims=True), trials)

    with pytest.raises(nlb.InputError, match="in a NumPyro function the readout is its own"):
        nlb.fit(function, made.trials, progress=False)


def test_the_model_says_which_neurons_read_a_block():
    shown = nlb.Model(latents=blocks())._repr_html_()
    assert "read by neurons of area M1" in shown
    assert "read by neurons of area PMd" in shown
