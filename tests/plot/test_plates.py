"""The graph of a model: what depends on what, in which boxes, as the model's program has it."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

import nlbprob as nlb
from nlbprob import plot
from nlbprob.functions.graph import variables
from nlbprob.plot.plates import layout

TRIALS = nlb.Trials.from_arrays(np.random.default_rng(0).poisson(0.5, (6, 5, 8)), 20.0)
TEMPLATES = nlb.Model(
    latents=[nlb.Templates(2, dim=2), nlb.LDS(2, dynamics="modal")],
    observation=nlb.NegativeBinomial(),
    readout=nlb.LinearReadout("ard"),
    effects=[nlb.History()],
)
MODELS = {
    "blocks": nlb.Model(latents=[nlb.LDS(2)]),
    "templates": TEMPLATES,
    "function": nlb.load_model("custom_numpyro", dim=2),
    "regimes": nlb.load_model("switching_lds", dim=2),
}


def test_the_graph_is_that_of_the_program():
    graph = variables(MODELS["blocks"], TRIALS)
    parents = {name: set(each.parents) for name, each in graph.items()}
    sites = {"lds.decay_ms", "lds.rotation_hz", "lds.initial_mean", "lds.initial_covariance"}
    assert parents == {
        **{key: set() for key in [*sites, "loadings", "baseline"]},
        "lds": sites,
        "rates": {"lds", "loadings", "baseline"},
        "spikes": {"rates"},
    }
    assert graph["lds"].plates == ("trial", "time")
    assert (graph["lds"].block, graph["lds"].observed) == ("LDS", False)
    assert (graph["loadings"].plates, graph["loadings"].axes) == (("neuron",), ("latent",))
    assert graph["lds.initial_covariance"].axes == ("latent", "latent_2")
    assert [name for name, each in graph.items() if each.observed] == ["spikes"]
    assert graph["spikes"].distribution == "Poisson"


def test_what_sets_the_counts_beside_the_rates_leads_to_them():
    graph = variables(TEMPLATES, TRIALS)
    assert set(graph["spikes"].parents) == {"rates", "dispersion"}
    assert graph["spikes"].distribution == "NegativeBinomial"
    assert graph["templates.component"].plates == ("trial",)
    assert graph["templates.component"].parents == ("templates.weights",)
    assert graph["loadings"].parents == ("latent_scale",)
    assert {"templates.coefficients", "history.own"} <= set(graph["rates"].parents)


def test_a_function_has_its_own_sites():
    graph = variables(MODELS["function"], TRIALS)
    assert set(graph["baseline"].parents) == {"baseline_mean", "baseline_width"}
    assert graph["baseline"].plates == ("neuron",)


@pytest.mark.parametrize("name", MODELS)
def test_each_variable_is_drawn_once_in_the_boxes_of_its_plates(name):
    graph = variables(MODELS[name], TRIALS)
    (given,) = (Figure(figsize=(4, 5)).add_subplot() for _ in range(1))
    axes = plot.plates(MODELS[name], TRIALS, given)
    assert axes is given
    places = layout(list(graph.values())).places
    circles = [tuple(circle.get_offsets()[0]) for circle in axes.collections]
    assert sorted(circles) == sorted(places.values())
    assert all(np.hypot(*np.subtract(*pair)) > 20 for pair in itertools.combinations(circles, 2))
    boxes = dict(zip(("trial", "time", "neuron"), (p for p in axes.patches if isinstance(p, Rectangle)), strict=True))
    for variable, (x, y) in places.items():
        inside = {
            plate
            for plate, box in boxes.items()
            if box.get_x() < x < box.get_x() + box.get_width() and box.get_y() < y < box.get_y() + box.get_height()
        }
        assert inside == set(graph[variable].plates), variable
    loops = sum(bool(each.block) and "time" in each.plates for each in graph.values())
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == loops + sum(len(each.parents) for each in graph.values())
    texts = [text.get_text() for text in axes.texts]
    assert {*graph, "6 trials", "5 bins", "8 neurons"} <= set(texts)


def test_a_figure_of_its_own_is_as_large_as_it_needs():
    before = dict(mpl.rcParams)
    axes = plot.plates(TEMPLATES, TRIALS)
    low, high = axes.get_xlim()
    assert axes.figure.get_size_inches()[0] * 72 >= high - low
    figure = axes.figure
    figure.canvas.draw()
    edges = figure.bbox
    for text in axes.texts:
        box = text.get_window_extent()
        assert edges.x0 <= box.x0, text.get_text()
        assert box.x1 <= edges.x1, text.get_text()
    assert dict(mpl.rcParams) == before


def test_trials_are_asked_for():
    with pytest.raises(nlb.InputError, match="plates"):
        plot.plates(MODELS["blocks"], "trials")
