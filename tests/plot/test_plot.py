"""Every figure shows the numbers that it is drawn from, on the axes that were handed over."""

import itertools
import subprocess
import sys
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import xarray
from matplotlib import pyplot
from matplotlib.figure import Figure
from scipy import stats

import nlbprob as nlb
from nlbprob import plot
from nlbprob.plot import style
from nlbprob.plot.courses import leading
from nlbprob.plot.readout import name_latents

#: Text at the width of a column is not smaller than this, in points.
SMALLEST = 7


def axes_of(number: int) -> list:
    return [Figure().add_subplot() for _ in range(number)]


def line_of(axes, label: str):
    (line,) = (line for line in axes.lines if line.get_label() == label)
    return line


def mean_of(values, rows):
    return values[np.asarray(rows)].mean(0)


def test_the_module_is_imported_when_it_is_asked_for():
    code = (
        "import sys, nlbprob; assert 'matplotlib' not in sys.modules; plot = nlbprob.plot; "
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules; print(*plot.__all__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == plot.__all__


def test_modes_stand_at_their_frequency_and_decay_time(case):
    dynamics = case.posterior.dynamics()
    (given,) = axes_of(1)
    axes = plot.modes(case.posterior, given, longest_ms=123)
    assert axes is given
    (points,) = (line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_xdata(), dynamics["mean_frequency_hz"])
    np.testing.assert_array_equal(points.get_ydata(), dynamics["mean_decay_ms"])
    assert [text.get_text() for text in axes.texts] == [f"{mode}" for mode in dynamics["mode"].values]
    assert any(list(line.get_ydata()) == [123, 123] for line in axes.lines)
    low, high = np.quantile(dynamics["decay_ms"].values, [0.05, 0.95], axis=0)
    bars = [line for line in axes.lines if line.get_color() == points.get_color() and line is not points]
    ends = np.concatenate([np.asarray(line.get_ydata(), float) for line in bars])
    assert np.isin(np.concatenate([low, high]), ends).all()


def test_modes_of_point_estimates_have_no_bars(case):
    axes = plot.modes(case.posterior, axes_of(1)[0], dynamics=case.posterior.dynamics().isel(sample=[0]))
    assert len(axes.lines) == 2


def dashes_of(line):
    """How a line is dashed."""
    return line._unscaled_dash_pattern  # matplotlib gives it nowhere else


@pytest.mark.parametrize("name", ["latents", "trajectories", "psths"])
def test_conditions_are_told_apart_without_color(name, case):
    first = np.atleast_1d(FIGURES[name](case)).ravel()[0]
    pyplot.close("all")
    assert len({str(dashes_of(line_of(first, f"turn {condition}"))) for condition in range(3)}) == 3


def test_as_many_conditions_have_dashes_marks_and_hatches_as_have_colors():
    for looks in (style.DASHES, style.MARKERS, style.HATCHES):
        assert len(set(looks)) == len(style.CONDITIONS)


def test_latents_are_averaged_by_condition(case):
    given = axes_of(3)
    array = plot.latents(case.posterior, case.trials, given, latents=case.latents)
    assert list(array) == given
    mean, turn = case.latents["mean"].values, case.trials.table["turn"]
    shares = (case.posterior.parameter_draws()["loadings"].mean(0) ** 2).sum(0)
    for latent, axes in enumerate(array):
        for condition in range(3):
            drawn = line_of(axes, f"turn {condition}").get_ydata()
            np.testing.assert_allclose(drawn, mean_of(mean[..., latent], turn == condition))
        faint = [line for line in axes.lines if line.get_label().startswith("_")]
        assert len(faint) == 12
        assert {tuple(line.get_ydata()) for line in faint} == {tuple(row) for row in mean[..., latent]}
        np.testing.assert_array_equal(faint[0].get_xdata(), 10 + 20 * np.arange(20))
        fraction = 100 * shares[latent] / shares.sum()
        assert axes.get_title(loc="left") == f"lds {latent + 1} · {fraction:.0f}% · ±0.20"


def test_the_latents_that_carry_most_are_drawn_under_their_names():
    model = nlb.Model(latents=[nlb.LDS(2, name="weak"), nlb.GP(nlb.Matern32(), 6), nlb.LDS(2, name="strong")])
    size = np.array([0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1])
    fit = SimpleNamespace(model=model, parameter_draws=lambda: {"loadings": np.ones((3, 12, 1)) * size})
    assert leading(fit, 6) == [4, 5, 6, 7, 8, 9]
    assert [model.latent_names[place] for place in leading(fit, 3)] == ["gp 6", "strong 1", "strong 2"]
    axes = axes_of(1)[0]
    name_latents(axes, fit)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["weak", "gp", "strong"]
    narrow = style.single(200, 200)[1]  # of little room
    name_latents(narrow, fit)
    assert [label.get_text() for label in narrow.get_xticklabels()] == ["weak", "\ngp", "strong"]
    np.testing.assert_allclose(axes.get_xticks(), [1.5, 5.5, 9.5])


def test_conditions_are_those_that_have_a_color(case):
    axes = plot.latents(case.posterior, case.trials, axes_of(3), latents=case.latents, colors={"2": "red", "0": "k"})[0]
    assert line_of(axes, "turn 2").get_color() == "red"
    assert {line.get_label() for line in axes.lines if not line.get_label().startswith("_")} == {"turn 0", "turn 2"}


def test_without_conditions_single_trials_have_their_intervals(case):
    seen = case.trials.seen.copy()
    seen[4, 12:] = False
    trials = case.trials.replace(condition=(), seen=seen)
    axes = plot.latents(case.posterior, trials, axes_of(3), latents=case.latents, which=[4, 7])[1]
    mean = case.latents["mean"].values[..., 1]
    np.testing.assert_array_equal(line_of(axes, "trial 7").get_ydata(), mean[7])
    np.testing.assert_array_equal(line_of(axes, "trial 4").get_ydata(), np.where(np.arange(20) < 12, mean[4], np.nan))
    np.testing.assert_allclose(line_of(axes, "average").get_ydata()[:12], mean.mean(0)[:12])
    heights = axes.collections[1].get_paths()[0].vertices[:, 1]
    half = stats.norm.ppf(0.95) * 0.2
    np.testing.assert_allclose([heights.min(), heights.max()], [mean[7].min() - half, mean[7].max() + half], atol=1e-3)


def test_what_is_not_handed_over_is_inferred(case, monkeypatch):
    asked = []
    monkeypatch.setattr(type(case.posterior), "latents", lambda _, trials: asked.append(trials) or case.latents)
    plot.latents(case.posterior, case.trials, axes_of(3))
    assert asked == [case.trials]


def test_trajectories_draw_two_latents_on_equal_scales(case):
    given = axes_of(2)
    array = plot.trajectories(case.posterior, case.trials, given, latents=case.latents, pairs=[(0, 1), (2, 0)])
    assert list(array) == given
    mean = mean_of(case.latents["mean"].values, case.trials.table["turn"] == 1)
    for axes, pair in zip(array, [(0, 1), (2, 0)], strict=True):
        np.testing.assert_allclose(np.stack(line_of(axes, "turn 1").get_data(), 1), mean[:, list(pair)])
        assert axes.get_aspect() == 1
        assert (axes.get_xlabel(), axes.get_ylabel()) == (f"lds {pair[0] + 1}", f"lds {pair[1] + 1}")
    with pytest.raises(nlb.InputError, match=r"pairs \[\(0, 3\)\] are no pairs of 3 latents"):
        plot.trajectories(case.posterior, case.trials, latents=case.latents, pairs=[(0, 3)])


def test_rasters_are_the_counts_and_the_rates_of_the_same_neurons(case):
    given = axes_of(4)
    array = plot.rasters(case.posterior, case.trials, given, rates=case.rates, which=[3, 5])
    assert list(array.ravel()) == given
    counts, rates = (values[[3, 5]].astype(float) for values in (case.trials.counts, case.rates))
    for place, (above, below) in enumerate(array):
        spikes, inferred = (axes.images[0].get_array()[..., 3] for axes in (above, below))
        assert spikes.shape == inferred.shape == (9 + 2, 20)
        assert not spikes[3:5].any()
        for part, among in ((slice(0, 3), case.trials.heldout), (slice(5, 11), case.trials.heldin)):
            neurons = np.flatnonzero(among)
            early = neurons[np.argsort(rates[..., neurons].mean(0).argmax(0), kind="stable")]
            np.testing.assert_allclose(spikes[part], (counts[place] / np.maximum(counts.max((0, 1)), 1)).T[early])
            np.testing.assert_allclose(inferred[part], (rates[place] / rates.max((0, 1))).T[early])
        assert above.get_title(loc="left") == f"trial {(3, 5)[place]}, turn {(0, 2)[place]}"


def smoothing():
    """Weights of a Gaussian of 50 ms in bins of 20 ms, cut at four standard deviations, whose rows sum to 1."""
    distance = np.abs(np.arange(20)[:, None] - np.arange(20))
    weights = np.where(distance <= 10, np.exp(-0.5 * (distance / 2.5) ** 2), 0)
    return weights / weights.sum(1, keepdims=True)


def test_psths_are_smoothed_averages_in_hz(case):
    given = axes_of(4)
    array = plot.psths(case.posterior, case.trials, given, rates=case.rates, on="val", neurons=[2, 8])
    assert array.shape == (2, 2)
    turn, val = case.trials.table["turn"], case.trials.table["split"] == "val"
    for neuron, (recorded, model) in zip((2, 8), array, strict=True):
        for condition in range(3):
            for axes, values, rows in (
                (recorded, case.trials.counts, turn == condition),
                (model, case.rates, (turn == condition) & val),
            ):
                drawn = line_of(axes, f"turn {condition}").get_ydata()
                np.testing.assert_allclose(drawn, smoothing() @ mean_of(values[..., neuron], rows) * 50, rtol=1e-5)
        assert recorded.get_ylim() == model.get_ylim()
        assert recorded.get_title(loc="left") == f"neuron {neuron}\nrecorded"


def test_psths_without_conditions_are_of_the_busiest_held_out_neurons(case, monkeypatch):
    asked = []

    def rates(_, trials):
        asked.append(trials)
        return xarray.DataArray(case.rates[8:], dims=("trial", "time", "neuron"))

    monkeypatch.setattr(type(case.posterior), "rates", rates)
    trials = case.trials.replace(condition=())
    array = plot.psths(case.posterior, trials, axes_of(3), on="val")
    (hidden,) = asked
    assert not hidden.seen[..., trials.heldout].any()
    np.testing.assert_array_equal(hidden.table["id"], trials.split("val").table["id"])
    spikes = trials.counts.sum((0, 1))
    assert [axes.get_title(loc="left") for axes in array] == [
        f"neuron {neuron}" for neuron in sorted(np.flatnonzero(trials.heldout), key=lambda n: -int(spikes[n]))
    ]
    neuron = int(array[0].get_title(loc="left").split()[1])
    for label, values in (("recorded", trials.counts), ("model", case.rates)):
        expected = smoothing() @ values[8:, :, neuron].mean(0) * 50
        np.testing.assert_allclose(line_of(array[0], label).get_ydata(), expected, rtol=1e-5)


def with_areas(case):
    return case.trials.replace(neurons=case.trials.neurons | {"area": np.array(["M1", "PMd", "V1"] * 3)})


def test_loadings_are_colored_by_sign_and_paled_where_uncertain(case):
    axes = plot.loadings(case.posterior, with_areas(case), axes_of(1)[0])
    draws = case.posterior.parameter_draws()["loadings"]
    mean, (low, high) = draws.mean(0), np.quantile(draws, [0.05, 0.95], axis=0)
    image = axes.images[0].get_array()
    scale = np.quantile(np.abs(mean), 0.98)
    strength = np.clip(np.abs(mean) / scale, 0, 1) * np.where((low > 0) | (high < 0), 1, 0.35)
    assert sorted(map(tuple, np.round(image[..., 3], 6))) == sorted(map(tuple, np.round(strength, 6)))
    rows = [int(np.abs(image[..., 3] - strength[neuron]).sum(1).argmin()) for neuron in range(9)]
    red_wins = image[..., 0] > image[..., 2]
    np.testing.assert_array_equal(red_wins[rows], mean > 0)
    assert sorted(rows[::3]) == [0, 1, 2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["M1", "PMd", "V1"]


def test_loadings_by_area_are_dots_of_their_mean_square(case):
    trials = with_areas(case)
    axes = plot.loadings_by_area(case.posterior, trials, axes_of(1)[0])
    mean = case.posterior.parameter_draws()["loadings"].mean(0)
    square = np.stack([(mean[place::3] ** 2).mean(0) for place in range(3)])
    sizes = axes.collections[0].get_sizes()
    np.testing.assert_allclose(sizes / sizes.max(), square.ravel() / square.max())
    assert [label.get_text() for label in axes.get_yticklabels()] == ["M1 (3)", "PMd (3)", "V1 (3)"]
    with pytest.raises(nlb.InputError, match="no column 'area' with at least two areas"):
        plot.loadings_by_area(case.posterior, case.trials)
    with pytest.raises(nlb.InputError, match="not the neurons of the posterior"):
        plot.loadings(case.posterior, case.trials.select(neurons=[1, 0]))


def test_loadings_of_a_latent_are_sorted_with_their_intervals(case):
    axes = plot.loadings_of_latent(case.posterior, case.trials, 2, axes_of(1)[0])
    draws = case.posterior.parameter_draws()["loadings"][..., 2]
    for label, among in (("held-in neurons", case.trials.heldin), ("held-out neurons", case.trials.heldout)):
        x, y = line_of(axes, label).get_data()
        np.testing.assert_array_equal(y, draws.mean(0)[among])
        np.testing.assert_array_equal(x, 1 + stats.rankdata(draws.mean(0))[among] - 1)
    bars = next(line for line in axes.lines if len(line.get_ydata()) == 3 * 6)
    np.testing.assert_array_equal(bars.get_ydata()[::3], np.quantile(draws, 0.05, axis=0)[case.trials.heldin])
    with pytest.raises(nlb.InputError, match=r"loadings_of_latent\(latent=3\).*from 0 to 2"):
        plot.loadings_of_latent(case.posterior, latent=3)


def test_loadings_of_a_mode_are_sorted_with_their_intervals(case):
    found = case.posterior.dynamics()
    axes = plot.loadings_of_mode(case.posterior, case.trials, 2, axes_of(1)[0], dynamics=found)
    draws = found["loading"].sel(mode=2).values
    x, y = line_of(axes, "held-out neurons").get_data()
    np.testing.assert_array_equal(y, draws.mean(0)[case.trials.heldout])
    np.testing.assert_array_equal(x, stats.rankdata(draws.mean(0))[case.trials.heldout])
    assert axes.get_title(loc="left") == "loadings on mode 2"
    with pytest.raises(nlb.InputError, match=r"loadings_of_mode\(mode=0\).*from 1 to 2"):
        plot.loadings_of_mode(case.posterior, mode=0)


def test_learning_shows_the_bound_of_both_stages(case):
    given = axes_of(2)
    array = plot.learning(case.posterior, given)
    assert list(array) == given
    elbo = case.posterior.elbo / 1000
    np.testing.assert_array_equal(array[0].lines[0].get_ydata(), elbo[:6])
    dots, mean = array[1].lines
    np.testing.assert_array_equal(dots.get_ydata(), elbo[6:])
    reach = [elbo[6:][max(0, step - 1) : step + 2].mean() for step in range(12)]
    np.testing.assert_allclose(mean.get_ydata(), reach)
    assert array[0].get_title(loc="left") == "Variational EM, 6 s"
    still = mpl.figure.Figure().add_subplot()
    history = {name: values[:0] for name, values in case.posterior.history.items()}
    with pytest.raises(nlb.InputError, match="was not iterated"):
        plot.learning(type(case.posterior)(**vars_of(case.posterior) | {"history": history}), still)


def vars_of(posterior):
    return {name: getattr(posterior, name) for name in type(posterior).__dataclass_fields__}


def test_regimes_are_strips_of_trials_and_their_average(case):
    first = np.random.default_rng(0).uniform(size=(12, 20))
    dims = ("trial", "time", "slds_regime")
    regimes = xarray.Dataset({"slds": (dims, np.stack([first, 0.25 * (1 - first), 0.75 * (1 - first)], -1))})
    given = axes_of(2)
    ((above, below),) = plot.regimes(case.posterior, case.trials, given, regimes=regimes)
    assert [above, below] == given
    for regime, line in enumerate(below.lines):
        np.testing.assert_allclose(line.get_ydata(), regimes["slds"].values.mean(0)[:, regime])
        assert line.get_label() == f"regime {regime + 1}"
    assert len({dashes_of(line) for line in below.lines}) == 3
    assert len(above.collections) == 12 * 3
    assert len({area.get_hatch() for area in above.collections[:3]}) == 3
    lowest = above.collections[3 * 5].get_paths()[0].vertices
    tops = {x: lowest[lowest[:, 0] == x, 1].max() for x in 10.0 + 20 * np.arange(20)}
    np.testing.assert_allclose(list(tops.values()), 5 + 0.9 * first[5])


def measured(values, name, reach=0.01):
    """A variable with intervals of the same width."""
    values = np.asarray(values, float)
    return {name: values, f"{name}_low": values - reach, f"{name}_high": values + reach}


def shares():
    """What `contributions` gives for the case, made by hand."""
    parts = measured([0.2, -0.02], "bits") | measured([0.25, np.nan], "lost") | measured([1.0, np.nan], "variance")
    latents = {}
    for name, values in (("bits", [0.15, 0.04, 0.01]), ("lost", [0.2, 0.1, 0.0]), ("variance", [0.7, 0.2, 0.1])):
        latents |= measured(values, f"latent_{name}")
    variables = {name: ("part", value) for name, value in parts.items()}
    variables |= {name: ("latent", value) for name, value in latents.items()}
    variables |= {name: ((), value) for name, value in measured(0.18, "score").items()}
    return xarray.Dataset(variables, {"part": ["lds", "mean rate"], "latent": ["lds 1", "lds 2", "lds 3"]})


def test_contributions_are_dots_with_their_intervals(case):
    given, found = axes_of(2), shares()
    array = plot.contributions(case.posterior, case.trials, given, contributions=found)
    assert list(array) == given
    for axes, prefix in zip(array, ("", "latent_"), strict=True):
        for label, name in (("share of the score", "bits"), ("lost without it", "lost")):
            values = found[f"{prefix}{name}"].values
            drawn = line_of(axes, label)
            np.testing.assert_array_equal(drawn.get_xdata(), values[np.isfinite(values)])
    assert [text.get_text() for text in array[0].get_yticklabels()] == ["lds", "mean rate"]
    assert array[0].get_title(loc="left") == "co-bps 0.180 [0.170, 0.190]"


def test_the_flow_has_lines_and_its_fixed_point(case):
    (axes,) = plot.flow(case.posterior, axes_of(1))
    found = case.posterior.flow()
    (point,) = (line for line in axes.lines if line.get_label() == "stable fixed point")
    np.testing.assert_allclose(np.ravel(point.get_data()), found["fixed_point"].values[0, 0, :2])
    assert axes.get_xlabel() == "lds 1"
    assert axes.collections


def degrees():
    """Angles of three subspaces, made by hand."""
    dims = ("subspace", "subspace_2", "angle")
    angle = np.arange(18.0).reshape(3, 3, 2) * 4
    keys = {"angle_deg": angle, "low_deg": angle - 3, "high_deg": angle + 3, "chance_deg": angle + 20}
    variables = {name: (dims, value) for name, value in keys.items()}
    return xarray.Dataset(variables, {"subspace": list("abc"), "subspace_2": list("abc"), "angle": [0, 1]})


def test_angles_are_dots_of_each_pair_or_an_image_of_many(case):
    axes = plot.subspace_angles(case.posterior, ax=axes_of(1)[0], angles=degrees())
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a, b", "a, c", "b, c"]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_array_equal(
        [line.get_xdata() for line in dots], degrees()["angle_deg"].values[[0, 0, 1], [1, 2, 2]]
    )
    names = [f"area {number}" for number in range(6)]
    many = xarray.concat([degrees().isel(subspace=[0])] * 6, "subspace")
    many = xarray.concat([many.isel(subspace_2=[0])] * 6, "subspace_2")
    many = many.assign_coords(subspace=names, subspace_2=names)
    axes = plot.subspace_angles(case.posterior, ax=axes_of(1)[0], angles=many)
    assert axes.images[0].get_array().shape == (6, 6, 4)
    assert [text.get_text() for text in axes.get_xticklabels()] == names


def hand(case):
    """Decoded behavior of the case, made by hand."""
    dims, values = ("trial", "time", "channel"), case.trials.behavior + 0.1
    variables = {"mean": (dims, values), "low": (dims, values - 0.2), "high": (dims, values + 0.2)}
    return xarray.Dataset(variables, {"channel": ["x", "y"]}, {"behavior": "wheel", "interval": 0.9})


def test_decoded_behavior_is_beside_the_recorded(case):
    given = axes_of(2)
    array = plot.decoded(case.posterior, case.trials, given, decoded=hand(case), which=[3])
    assert list(array) == given
    for channel, axes in enumerate(array):
        mean, recorded = axes.lines[:2]
        np.testing.assert_allclose(mean.get_ydata(), case.trials.behavior[3, :, channel] + 0.1)
        np.testing.assert_allclose(recorded.get_ydata(), case.trials.behavior[3, :, channel])
        assert axes.get_title(loc="left") == f"wheel {'xy'[channel]}"
    with pytest.raises(nlb.InputError, match="give the trials that were decoded"):
        plot.decoded(case.posterior, case.trials[:3], axes_of(2), decoded=hand(case))


def tuned():
    """Fractions of two variables, made by hand; the second is not significant."""
    dims = ("variable", "latent")
    values = {"fraction": [[0.5, 0.2, 0.1], [0.1, 0.08, 0.02]], "chance": np.full((2, 3), 0.05)}
    values["p"] = [[0.01, 0.01, 0.2], [0.3, 0.4, 0.5]]
    variables = {name: (dims, np.asarray(value)) for name, value in values.items()}
    return xarray.Dataset(variables, {"variable": ["turn", "block"], "latent": ["lds 1", "lds 2", "lds 3"]})


def test_tuning_is_full_where_it_is_significant(case):
    axes = plot.tuning(case.posterior, case.trials, axes_of(1)[0], tuning=tuned())
    dots = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    full = [line for line in dots if line.get_markerfacecolor() != "none"]
    np.testing.assert_array_equal(np.concatenate([line.get_xdata() for line in full]), [0.5, 0.2])
    assert {line.get_label() for line in axes.lines} >= {"turn", "block"}


def switched():
    random = np.random.default_rng(0)
    return xarray.Dataset(
        {
            "occupancy": (("sample", "regime"), np.tile([0.5, 0.3, 0.2], (20, 1))),
            "dwell_ms": (("sample", "regime"), np.stack([*random.uniform(80, 200, (2, 20)), np.full(20, np.inf)], 1)),
            "next_probability": (
                ("sample", "regime", "next_regime"),
                np.tile([[0, 1, 0], [0.6, 0, 0.4], [0, 0, 0]], (20, 1, 1)),
            ),
            "probability": (("sample", "regime", "lag"), random.dirichlet(np.ones(3), (20, 9)).transpose(0, 2, 1)),
        },
        {"lag": 20.0 * np.arange(-4, 5)},
        {"event": "go"},
    )


def test_regimes_that_last_lead_and_come_are_drawn(case):
    found = switched()
    stays, _, around = plot.switching(case.posterior, case.trials, axes_of(3), switching=found)
    labels = [text.get_text() for text in stays.get_yticklabels()]
    assert labels == ["regime 1, 50%", "regime 2, 30%", "regime 3, 20%"]
    assert "not left" in [text.get_text() for text in stays.texts]
    np.testing.assert_allclose(around.lines[0].get_ydata(), np.median(found["probability"].values[:, 0], axis=0))
    assert around.get_xlabel() == "time from go (ms)"


def scales():
    """What `timescales` gives for two GPs, made by hand."""
    draws = np.random.default_rng(0).uniform([300.0, 20.0, 1.0], [400.0, 30.0, 2.0], (50, 3))
    labels = ["gp.lengthscale_ms[gp 1]", "gp.lengthscale_ms[gp 2]", "own.rate_hz"]
    coords = {"timescale": labels, "units": ("timescale", ["ms", "ms", "Hz"])}
    return xarray.Dataset({"value": (("sample", "timescale"), draws)}, coords)


def test_timescales_are_drawn_from_the_shortest(case):
    found = scales()
    axes = plot.timescales(case.posterior, axes_of(1)[0], timescales=found)
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "gp.lengthscale_ms[gp 2]",
        "gp.lengthscale_ms[gp 1]",
    ]
    dots = next(line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_allclose(dots.get_xdata(), np.median(found["value"].values[:, [1, 0]], axis=0))
    assert axes.get_xscale() == "log"
    with pytest.raises(nlb.InputError, match="no timescale is in ms"):
        plot.timescales(case.posterior, timescales=found.isel(timescale=[2]))
    with pytest.raises(nlb.InputError, match="no block has timescales of its own"):
        plot.timescales(case.posterior)


def with_templates(case):
    """The posterior with four templates on its three latents, made by hand; none differs in the second latent."""
    time = np.linspace(0, 1, case.trials.n_bins)
    courses = np.stack([[number * time, 0 * time, -number + time] for number in range(4)]).transpose(0, 2, 1)
    drawn = courses + 0.1 * np.random.default_rng(0).standard_normal((60, 1, 1, 1))

    class WithTemplates(type(case.posterior)):
        def parameter_draws(self, draws=200, seed=0):
            return {"templates": drawn}

    model = nlb.Model(latents=[nlb.LDS(3), nlb.Templates(4, on="lds")])
    values = case.posterior.values | {"templates.weights": np.array([0.1, 0.2, 0.3, 0.4])}
    return WithTemplates(**vars_of(case.posterior) | {"model": model, "values": values}), drawn


def test_templates_are_drawn_where_they_differ(case):
    posterior, drawn = with_templates(case)
    array = plot.templates(posterior, case.trials, axes_of(2))
    assert [axes.get_title(loc="left") for axes in array] == ["lds 1", "lds 3"]
    for axes, latent in zip(array, (0, 2), strict=True):
        for template in range(4):
            shown = line_of(axes, f"template {template + 1}").get_ydata()
            np.testing.assert_allclose(shown, np.median(drawn[:, template, :, latent], axis=0))
    with pytest.raises(nlb.InputError, match="the model has no templates"):
        plot.templates(case.posterior, case.trials)


def weighed(case):
    """What `factors` gives for three factors, made by hand; the second moves latents most."""
    random, trials = np.random.default_rng(0), case.trials
    size = np.array([0.2, 3.0, 1.0])[:, None, None]
    variables = {
        "own": (("trial", "own_factor"), random.standard_normal((12, 3))),
        "own_covariance": (("trial", "own_factor", "own_factor_2"), np.tile(0.04 * np.eye(3), (12, 1, 1))),
        "own_trajectories": (
            ("own_factor", "time", "latent"),
            size * random.standard_normal((3, trials.n_bins, 3)).cumsum(1),
        ),
    }
    return xarray.Dataset(variables, {"trial": trials.table["id"], "time": trials.time_ms})


def test_factors_are_dots_and_a_trajectory(case):
    found = weighed(case)
    trials, trajectory = plot.factors(case.posterior, case.trials, axes_of(2), factors=found)
    assert (trials.get_xlabel(), trials.get_ylabel()) == ("own 2", "own 3")
    dots = [line for line in trials.lines if line.get_label().startswith("turn")]
    assert len({line.get_marker() for line in dots}) == 3
    shown = np.concatenate([np.stack(line.get_data(), 1) for line in dots])
    expected = found["own"].values[:, [1, 2]]
    np.testing.assert_allclose(np.sort(shown, 0), np.sort(expected, 0))
    np.testing.assert_allclose(line_of(trajectory, "lds 2").get_ydata(), found["own_trajectories"].values[1, :, 1])
    with pytest.raises(nlb.InputError, match="no block of the model is TrialFactors"):
        plot.factors(case.posterior, case.trials)


def turned(case):
    """What `orthonormal_latents` gives for the case's three latents, made by hand."""
    mean = case.latents["mean"].values * np.array([3.0, 2.0, 1.0])
    variables = {"mean": (("trial", "time", "direction"), mean), "variance": ("direction", [0.6, 0.3, 0.1])}
    variables |= {"used": ((), 2.17)}
    return xarray.Dataset(variables, {"trial": case.trials.table["id"], "direction": [1, 2, 3]})


def test_orthonormal_directions_have_their_variance_and_how_many_are_used(case):
    found = turned(case)
    axes = plot.orthonormal_latents(case.posterior, case.trials, axes_of(1)[0], orthonormal_latents=found)
    np.testing.assert_array_equal(line_of(axes, "by the model").get_ydata(), [0.6, 0.3, 0.1])
    spread = found["mean"].values.reshape(-1, 3).var(0)
    np.testing.assert_allclose(line_of(axes, "of means over trials").get_ydata(), spread / spread.sum())
    assert axes.get_title(loc="left") == "2.2 of 3 latents used"


FIGURES = {
    "orthonormal_latents": lambda case, **options: plot.orthonormal_latents(
        case.posterior, case.trials, orthonormal_latents=turned(case), **options
    ),
    "templates": lambda case, **options: plot.templates(with_templates(case)[0], case.trials, **options),
    "factors": lambda case, **options: plot.factors(case.posterior, case.trials, factors=weighed(case), **options),
    "timescales": lambda case, **options: plot.timescales(case.posterior, timescales=scales(), **options),
    "switching": lambda case, **options: plot.switching(case.posterior, case.trials, switching=switched(), **options),
    "contributions": lambda case, **options: plot.contributions(
        case.posterior, case.trials, contributions=shares(), **options
    ),
    "flow": lambda case, **options: plot.flow(case.posterior, **options),
    "subspace_angles": lambda case, **options: plot.subspace_angles(
        case.posterior, case.trials, angles=degrees(), **options
    ),
    "decoded": lambda case, **options: plot.decoded(case.posterior, case.trials, decoded=hand(case), **options),
    "tuning": lambda case, **options: plot.tuning(case.posterior, case.trials, tuning=tuned(), **options),
    "modes": lambda case, **options: plot.modes(case.posterior, **options),
    "latents": lambda case, **options: plot.latents(case.posterior, case.trials, latents=case.latents, **options),
    "trajectories": lambda case, **options: plot.trajectories(
        case.posterior, case.trials, latents=case.latents, **options
    ),
    "rasters": lambda case, **options: plot.rasters(case.posterior, case.trials, rates=case.rates, **options),
    "psths": lambda case, **options: plot.psths(case.posterior, case.trials, rates=case.rates, **options),
    "loadings": lambda case, **options: plot.loadings(case.posterior, case.trials, **options),
    "loadings_by_area": lambda case, **options: plot.loadings_by_area(case.posterior, with_areas(case), **options),
    "loadings_of_latent": lambda case, **options: plot.loadings_of_latent(case.posterior, case.trials, **options),
    "loadings_of_mode": lambda case, **options: plot.loadings_of_mode(case.posterior, case.trials, **options),
    "learning": lambda case, **options: plot.learning(case.posterior, **options),
    "regimes": lambda case, **options: plot.regimes(
        case.posterior,
        case.trials,
        regimes=xarray.Dataset({"slds": (("trial", "time", "slds_regime"), np.full((12, 20, 2), 0.5))}),
        **options,
    ),
}


#: Figures of other things than a fit of these trials, which have tests of their own.
ELSEWHERE = {"pareto", "plates"}


def test_every_figure_is_tested():
    assert set(FIGURES) | ELSEWHERE == set(plot.__all__)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_its_own_is_as_wide_as_a_column_and_its_text_is_legible_and_inside(case, name):
    before = dict(mpl.rcParams)
    axes = np.atleast_1d(np.asarray(FIGURES[name](case), dtype=object)).ravel()
    assert {key: value for key, value in mpl.rcParams.items() if key != "backend"} == {
        key: value for key, value in before.items() if key != "backend"
    }
    figure = axes[0].figure
    assert pyplot.get_fignums() == [figure.number]
    assert figure.get_figwidth() == 3.5
    figure.canvas.draw()
    texts = [text for text in figure.findobj(mpl.text.Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= SMALLEST
    drawn = figure.get_tightbbox()  # in inches
    assert drawn.x0 > -0.01
    assert drawn.y0 > -0.01
    assert drawn.x1 < 3.51
    assert drawn.y1 < figure.get_figheight() + 0.01
    titles = {one.get_title(loc="left") for one in axes} - {""}
    boxes = [text.get_window_extent() for text in texts if text.get_text() in titles]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    with_legend = ("latents", "trajectories", "psths", "regimes", "loadings_of_latent", "loadings_of_mode")
    with_legend += (
        "orthonormal_latents",
        "templates",
        "factors",
        "contributions",
        "flow",
        "switching",
        "subspace_angles",
        "decoded",
        "tuning",
    )
    assert bool(figure.legends) == (name in with_legend)


@pytest.mark.parametrize("name", FIGURES)
def test_axes_that_are_none_or_too_many_are_refused(case, name):
    for wrong, number in (("axes", "none"), (axes_of(19), "19")):
        with pytest.raises(nlb.InputError, match=rf"plot.{name}: needs \d+ Axes of matplotlib as ax=, got {number}"):
            FIGURES[name](case, ax=wrong)


@pytest.mark.parametrize("name", plot.__all__)
def test_unknown_keywords_are_refused(name):
    with pytest.raises(nlb.InputError, match=f"^{name}: there is no argument 'axs'. Did you mean 'ax'"):
        getattr(plot, name)(axs=3)


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_no_posterior_is_named(case, name):
    with pytest.raises(nlb.InputError, match=f"plot.{name}: posterior is of type Trials: give a fit"):
        getattr(plot, name)(case.trials, *[case.trials] * (name not in ("modes", "learning", "flow")))


def other_trials(case):
    latents = case.latents.isel(trial=slice(None, None, -1))
    return latents.assign_coords(trial=case.trials.table["id"][::-1])


LATENTS = {"latents", "trajectories"}
WRONG = {
    "a dataset of nothing": ("latents", xarray.Dataset(), LATENTS, "give what posterior.latents"),
    "a flow of nothing": ("flow", xarray.Dataset(), {"flow"}, "give what posterior.flow"),
    "contributions of nothing": ("contributions", 3, {"contributions"}, "give what posterior.contributions"),
    "tuning of another kind": ("tuning", xarray.Dataset({"a": 1}), {"tuning"}, "give what posterior.tuning"),
    "no decoded trial": ("which", [12], {"decoded"}, "whole numbers below 12"),
    "no color": ("colors", {"0": "rde"}, LATENTS | {"psths"}, r"colors\['0'\] is no color of matplotlib"),
    "no trial": ("which", [], LATENTS | {"rasters"}, "none of the 12 trials is selected"),
    "a trial that is not there": ("which", [12], LATENTS | {"rasters"}, "whole numbers below 12"),
    "a neuron that is not there": ("neurons", [9], {"psths"}, "neurons is of type list; neurons: expected a mask or"),
    "dynamics of another kind": ("dynamics", xarray.Dataset({"a": 1}), {"modes"}, "give what posterior.dynamics"),
    "no length": ("longest_ms", float("nan"), {"modes"}, "longest_ms=nan.*finite number, above zero"),
    "a length of nothing": ("longest_ms", 0, {"modes"}, "longest_ms=0.*above zero"),
}
CASES = [(name, figure) for name, (_, _, figures, _) in WRONG.items() for figure in sorted(figures)]


@pytest.mark.parametrize(("name", "figure"), CASES, ids=[f"{figure}: {name}" for name, figure in CASES])
def test_what_is_of_the_wrong_kind_is_told_with_the_remedy(case, name, figure):
    argument, value, _, message = WRONG[name]
    trials = [] if figure in ("modes", "flow") else [case.trials]
    known = {"latents": case.latents} if figure in LATENTS else {"rates": case.rates} if figure == "psths" else {}
    with pytest.raises(nlb.InputError, match=f"plot.{figure}.*{message}"):
        getattr(plot, figure)(case.posterior, *trials, **known | {argument: value})


@pytest.mark.parametrize("figure", sorted(LATENTS))
def test_latents_of_other_trials_are_refused(case, figure):
    for latents in (other_trials(case), case.latents.isel(trial=slice(5))):
        with pytest.raises(nlb.InputError, match=f"plot.{figure}: latents are of other trials than those handed over"):
            getattr(plot, figure)(case.posterior, case.trials, latents=latents)
