"""`replicate`: which parts of a fit come again in others, what is fitted to what, and what a posterior says of it."""

import dataclasses

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.selection import recurrence, replicate
from nlbprob.selection.recurrence import overlaps, subspace_angles

FIT = {"em_iterations": 3, "svi_steps": 0}


@pytest.fixture(scope="module")
def found(recording):
    train = recording.split("train")
    return nlb.replicate(nlb.Model(latents=[nlb.LDS(3)]), train, seeds=2, bin_ms=2 * train.bin_ms, fit_options=FIT)


def test_it_fits_other_starts_halves_and_wider_bins(recording, found, monkeypatch):
    calls = []

    def fit_fold(model, trials, learned, room, options):
        calls.append((trials.bin_ms, set(trials.table["id"][learned]), options["seed"], options.get("init")))
        return found.posterior

    monkeypatch.setattr(replicate, "fit_fold", fit_fold)
    train = recording.split("train")
    wider = {"wide": replicate.merge_bins(train, 2 * train.bin_ms)}
    fits = dict(replicate.others(found.posterior.model, train, "first", (3, 4, 5), wider, {}))
    assert list(fits) == ["seed 6", "seed 7", "half 1a", "half 1b", "half 2a", "half 2b", "wide"]
    everything = set(train.table["id"])
    assert [call[1:] for call in calls[:2]] == [(everything, 6, None), (everything, 7, None)]
    for a, b in (calls[2:4], calls[4:6]):
        assert a[1] | b[1] == everything
        assert not a[1] & b[1]
        assert (a[3], b[3]) == ("first", "first")
    assert calls[2][1] != calls[4][1]
    assert calls[6][0] == 2 * train.bin_ms


def test_the_table_and_the_posterior_say_how_often_each_mode_recurs(found, tmp_path):
    modes, others = found.modes, ["seed 1", "half 1a", "half 1b", f"{2 * found.posterior.context.bin_ms:g} ms"]
    assert list(modes["fit"].values) == others
    np.testing.assert_array_equal(modes["recurs_in"], modes["recurs"].sum("fit"))
    np.testing.assert_array_equal(modes["replicated"], modes["recurs_in"] == 4)
    assert modes["mode"].values.tolist() == list(range(1, modes.sizes["mode"] + 1))
    assert found.posterior.config["replication"] == {"fits": 4, "recurs_in": modes["recurs_in"].values.tolist()}
    assert (modes["decay_ms_within_sd"] > 0).all()
    assert found.angles_deg.shape == (4, 3)
    assert list(found.agreement["loadings_r2"]["fit"].values) == others[:3]
    dynamics = nlb.Posterior.load(found.posterior.save(tmp_path / "posterior")).dynamics()
    np.testing.assert_array_equal(dynamics["recurs_in"], modes["recurs_in"])
    assert dynamics.attrs["fits"] == 4
    config = {name: value for name, value in found.posterior.config.items() if name != "replication"}
    first = dataclasses.replace(found.posterior, config=config)
    assert "recurs_in" not in first.dynamics()
    assert "not replicated" in first.dynamics().attrs["replication"]
    assert repr(found).startswith("Replication: ")
    assert found.to_dict()["modes"]["recurs_in"] == modes["recurs_in"].values.tolist()


def test_a_fit_recurs_in_itself_and_not_in_one_of_other_loadings(found):
    posterior = found.posterior
    table = recurrence.recurrence(posterior, {"same": posterior}, 100, 0)
    assert table["replicated"].values.all()
    np.testing.assert_allclose(table["overlap"], 1.0, atol=1e-6)
    np.testing.assert_allclose(table["decay_ms_between_sd"], 0.0, atol=1e-9)
    site = posterior.model.readout.names[1]
    random = np.random.default_rng(0).normal(size=posterior.values[site].shape)
    other = dataclasses.replace(posterior, values=posterior.values | {site: random})
    assert not recurrence.recurrence(posterior, {"other": other}, 100, 0)["recurs"].values.any()
    assert subspace_angles(posterior, posterior).max() < 0.1 < subspace_angles(posterior, other).max()


def test_overlaps_are_squared_cosines_and_a_line_covers_half_a_plane():
    x, y, z = np.eye(3)
    plane, slanted = np.stack([x, y], 1), np.stack([x, (y + z) / np.sqrt(2)], 1)
    found = overlaps([plane, x[:, None]], [plane, slanted, z[:, None]])
    np.testing.assert_allclose(found, [[1.0, 0.75, 0.0], [0.5, 0.5, 0.0]], atol=1e-12)


@pytest.mark.slow
def test_the_timescales_of_a_gp_are_compared_once_aligned(recording):
    train, model = recording.split("train"), nlb.Model(latents=[nlb.GP(nlb.Matern32(), 2)])
    found = nlb.replicate(model, train, seeds=2, halves=0, fit_options={"em_iterations": 2, "svi_steps": 2})
    assert found.modes is None
    assert list(found.timescales["timescale"].values) == ["gp.lengthscale_ms[gp 1]", "gp.lengthscale_ms[gp 2]"]
    assert (found.timescales["within_sd"] > 0).all()
    assert found.timescales["recurs"].shape == (1, 2)
    assert "gp.lengthscale_ms[gp 2]" in repr(found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 1, "halves": 0}, "nothing to compare"),
        ({"halves": 3}, "even number"),
        ({"seeds": 0}, "seeds"),
        ({"bin_ms": 7.5}, "multiple"),
        ({"posterior": 3}, "posterior"),
        ({"fit_options": {"iterations": 3}}, "no such argument"),
    ],
)
def test_what_cannot_be_meant_is_refused(recording, options, message):
    with pytest.raises(nlb.InputError, match=message):
        nlb.replicate(nlb.Model(latents=[nlb.LDS(2)]), recording.split("train"), **options)
