"""What the JSON files of a run have to hold."""

import contextlib
import copy
import re

import pytest

from nlbprob.errors import InputError
from nlbprob.storage import manifest
from nlbprob.storage.forms import METRICS, conform, shown
from tests import runs

#: Metrics with every key that may be absent, and one that no form knows.
FULL = runs.METRICS | {
    "baseline_intervals": {"mean rate": {"co-bps": [-0.1, 0.1]}},
    "differences": {"mean rate": {"co-bps": 0.2}},
    "difference_intervals": {"mean rate": {"co-bps": [0.1, 0.3]}},
    "by_neuron": [{"id": 3, "co-bps": None}],
    "baseline_settings": {"smoothing": {"width_ms": 40.0}},
    "units": {"co-bps": "bits/spike"},
    "meanings": {"co-bps": "bits per spike of held-out neurons"},
    "verdict": "Converged.",
    "members": {"lds": {"weight": 0.5, "adds": None}},
    "more": [1],
}


def test_the_metrics_of_a_run_conform_and_stay_as_they_are():
    metrics = copy.deepcopy(FULL)
    conform(metrics, METRICS, "metrics.json")
    assert metrics == FULL


@pytest.mark.parametrize("key", METRICS)
def test_only_keys_with_a_question_mark_may_be_absent(key):
    name = key.removesuffix("?")
    less = {other: value for other, value in FULL.items() if other != name}
    assert len(less) == len(FULL) - 1
    refused = pytest.raises(InputError, match=f"^metrics.json lacks '{name}'$")
    with contextlib.nullcontext() if key.endswith("?") else refused:
        conform(less, METRICS, "metrics.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bin_ms": "5"}, "metrics.json: bin_ms holds '5' in the place of a number"),
        ({"bin_ms": True}, "bin_ms holds 'True' in the place of a number"),
        ({"bin_ms": float("inf")}, "bin_ms holds 'inf' in the place of a number"),
        ({"bin_ms": 10**400}, "bin_ms holds '1000"),
        ({"split": None}, "split holds 'None' in the place of a text"),
        ({"baselines": {"mean rate": 3}}, "baselines: mean rate holds '3' in the place of a table"),
        ({"by_neuron": [{"id": 3}]}, r"by_neuron\[0\] lacks 'co-bps'"),
        ({"intervals": {"co-bps": [0.1, None]}}, r"intervals: co-bps\[1\] holds 'None' in the place of a number"),
    ],
)
def test_what_does_not_conform_is_named_with_its_place(change, message):
    with pytest.raises(InputError, match=message):
        conform(runs.METRICS | change, METRICS, "metrics.json")
    with pytest.raises(InputError, match="metrics.json lacks 'split'"):
        conform({}, METRICS, "metrics.json")


def test_texts_are_shown_without_control_characters():
    assert shown({"a\x1b": ["\x9b", 1, None]}) == {"a\\x1b": ["\\x9b", 1, None]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("null", "it holds 'None' in the place of a table"),
        ("{}", "it lacks 'format'"),
        ('{"format": 1, "state": 3}', "it: state holds '3' in the place of a text"),
    ],
)
def test_a_manifest_of_another_form_is_told_in_words(tmp_path, content, message):
    (tmp_path / manifest.NAME).write_text(content)
    with pytest.raises(InputError, match=re.escape(f"manifest.json: the run's manifest is damaged ({message});")):
        manifest.read(tmp_path)
