"""The Pareto front of fits, beside the benchmark's published entries."""

import csv
import importlib.resources
import json
import math

import numpy as np
import pytest
import xarray

import nlbprob as nlb
from nlbprob.files import plain
from nlbprob.parsimony.classes import CLASSES, NOT_STATED, ORACLE, published_classes
from nlbprob.parsimony.dimension import effective_dimension
from nlbprob.parsimony.front import MEASURES, FrontEntry, front_of, measured, published_entries
from nlbprob.scoring.metrics.scored import DoesNotApply


def entry(name, bits, dimension=None, split="test", bin_ms=5.0):
    measures = {} if dimension is None else {"effective_dimension": dimension}
    return FrontEntry(name, bits, None, split, bin_ms, "linear", measures=measures)


def test_every_class_is_known_and_has_a_paper():
    text = importlib.resources.files("nlbprob.scoring").joinpath("leaderboard.csv").read_text(encoding="utf-8")
    names = {line["model"] for line in csv.DictReader(text.splitlines())}
    for name, found in published_classes().items():
        assert name in names
        assert found.dynamics in {*CLASSES, ORACLE} - {NOT_STATED}
        assert found.reason
        assert bool(found.paper) == (found.dynamics != ORACLE)


def test_published_entries_are_those_on_test_in_bins_of_the_runs():
    fine, coarse = (published_entries("mc_maze", width) for width in (5.0, 20.0))
    assert {each.bin_ms for each in fine} == {5.0}
    assert {each.bin_ms for each in coarse} == {20.0}
    assert published_entries("mc_maze", 10.0) == fine
    by_name = {each.name: each for each in fine}
    assert (by_name["MINT"].dynamics, by_name["MINT"].co_bps) == ("templates", 0.3304)
    assert "eLife" in by_name["MINT"].paper
    assert (by_name["AESMTE3"].dynamics, by_name["AESMTE3"].paper) == ("not stated", "")
    assert not {"true-condition PSTH oracle", "lagged PCA"} & by_name.keys()
    assert [each.co_bps for each in fine] == sorted((each.co_bps for each in fine), reverse=True)
    with pytest.raises(nlb.InputError, match="Did you mean 'mc_maze'"):
        published_entries("mc_mazes", 5.0)


def test_the_front_is_what_no_other_exceeds():
    front = front_of(
        [entry("a", 0.3, 5.0), entry("b", 0.2, 3.0), entry("c", 0.25, 6.0), entry("d", None, 1.0), entry("e", 0.4)]
    )
    assert front.efficient() == ["a", "b"]
    assert front.efficient("stability") == []
    with pytest.raises(nlb.InputError, match="Did you mean 'stability'"):
        front.efficient("stabilty")
    assert front.to_dataframe()["effective_dimension"].fillna(0).tolist() == [5, 3, 6, 1, 0]
    lines = [line for line in str(front).splitlines() if "co-bps" in line and "few-shot" not in line]
    assert [line[:3] for line in lines] == ["  e", "* a", "  c", "* b", "  d"]


def test_a_front_is_json_with_its_sources_and_says_what_differs():
    front = front_of([entry("mine", 0.3, 5.0, split="val")], "mc_maze")
    written = json.loads(json.dumps(plain(front.to_dict()), allow_nan=False))
    assert written["efficient"]["effective_dimension"] == ["mine"]
    assert written["measures"].keys() == MEASURES.keys()
    assert any("[S] Le & Shlizerman" in line for line in written["sources"])
    assert any("templates: Perkins" in line for line in written["sources"])
    (note,) = front.notes
    assert "scored on val" in note
    assert front_of([entry("mine", 0.3)], "mc_maze").notes == []


def test_what_is_no_number_is_left_out_with_the_reason():
    def none():
        raise DoesNotApply("no neuron is held out")

    values, reasons = measured({"stability": lambda: 0.5, "few_shot": lambda: -math.inf, "cycle_consistency": none})
    assert values == {"stability": 0.5}
    assert reasons["cycle_consistency"] == "no neuron is held out"
    assert "no finite number" in reasons["few_shot"]


def test_fits_are_measured(fitted, recording):
    angles = xarray.DataArray(np.array([[0.0, 90.0], [0.0, 0.0]]), dims=("fit", "latent"))
    repeated = nlb.Replication(fitted, {}, None, xarray.Dataset(), xarray.Dataset(), angles)
    both = nlb.average({"one": fitted, "two": fitted})
    front = nlb.pareto({"lds": repeated, "both": both}, recording, shots=4, bootstrap=50, progress=False)
    lds, average = front.fits
    rates = fitted.rates(recording.hide_heldout("val"))
    scores = nlb.score(rates, recording, bootstrap=50)
    assert lds.co_bps == scores.values["co-bps"] == pytest.approx(average.co_bps)
    assert lds.interval == scores.intervals["co-bps"]
    assert (lds.dynamics, lds.blocks, average.dynamics) == ("linear", {"lds": "linear"}, "average of models")
    assert lds.measures.keys() == MEASURES.keys()
    assert lds.measures["stability"] == pytest.approx(0.75)
    assert lds.measures["effective_dimension"] == pytest.approx(
        effective_dimension(rates.values.astype(float), recording, "val")
    )
    assert average.measures.keys() == {"effective_dimension"}
    assert "see its members" in average.reasons["few_shot"]
    alone = nlb.pareto({"lds": fitted}, recording, shots=25, bootstrap=0, progress=False).fits[0]
    assert alone.reasons.keys() == {"stability", "few_shot"}
    assert alone.interval is None


def test_what_cannot_be_measured_is_refused(fitted, recording):
    for arguments, message in (
        ([[fitted], recording], "pareto: fits is of type list: give fits by name"),
        ([{"a": 3}, recording], r"pareto\(fits\['a'\]=3\): give a fit"),
        ([{}, recording], "fits is empty"),
        ([{"a": fitted}, fitted], "pareto: trials is of type Posterior"),
    ):
        with pytest.raises(nlb.InputError, match=message):
            nlb.pareto(*arguments)
    with pytest.raises(nlb.InputError, match="Did you mean 'mc_maze'"):
        nlb.pareto({"a": fitted}, recording, dataset="mc_mazes")
    with pytest.raises(nlb.InputError, match="no trial is in split 'test'"):
        nlb.pareto({"a": fitted}, recording, on="test")
