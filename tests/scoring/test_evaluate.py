import json

import numpy as np
import pytest

from nlbprob.cli import main
from nlbprob.data.nlb import write_tensors
from nlbprob.errors import InputError
from nlbprob.scoring import ledger
from nlbprob.scoring.evaluate import evaluate
from nlbprob.scoring.metrics.likelihood import bits_per_spike, bits_per_spike_by_neuron
from nlbprob.scoring.metrics.psth_r2 import psth_r2
from nlbprob.scoring.metrics.scored import ProducedIntervals
from nlbprob.scoring.metrics.tp_corr import Timing, speed_tp_correlation
from nlbprob.scoring.metrics.velocity_r2 import Decoding
from tests.scoring.files import draw, write

GOLDEN = [f"{name}-{bin_ms}ms" for name in ("mc_maze_small", "mc_rtt", "area2_bump", "dmfc_rsg") for bin_ms in (5, 20)]


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_submissions_score_as_the_benchmark_has_it(shared, case):
    folder = shared / "golden" / "expected" / case
    expected = json.loads((folder / "metrics.json").read_text())["evaluate_h5"]
    found = evaluate(folder / "submission_val.h5", folder / "target.h5")
    assert [list(entry) for entry in found.results] == [list(entry) for entry in expected]
    for ours, theirs in zip(found.results, expected, strict=True):
        for name, values in theirs.items():
            assert list(ours[name]) == list(values)
            assert ours[name] == pytest.approx(values, abs=1e-9)
    assert found.notes == []


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_submissions_score_the_same_against_our_own_targets(shared, tmp_path, case):
    dataset, width = case.removesuffix("ms").split("-")
    write_tensors(shared / "golden" / "nwb", dataset, int(width), "val", tmp_path)
    folder = shared / "golden" / "expected" / case
    (expected,) = json.loads((folder / "metrics.json").read_text())["evaluate_h5"]
    (found,) = evaluate(folder / "submission_val.h5", tmp_path / "target.h5").results
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, abs=1e-6)


@pytest.fixture
def maze():
    rates, _, targets = draw("mc_maze_20")
    return {"mc_maze_20": rates}, {"mc_maze_20": targets}


def test_values_are_those_of_the_metrics(maze):
    rates, targets = maze
    (scores,) = evaluate(rates, targets).groups
    r, t = rates["mc_maze_20"], targets["mc_maze_20"]
    both = np.concatenate([r["eval_rates_heldin"], r["eval_rates_heldout"]], axis=2)
    forward = [
        np.concatenate([d[f"eval_{k}_heldin_forward"], d[f"eval_{k}_heldout_forward"]], axis=2)
        for d, k in ((r, "rates"), (t, "spikes"))
    ]
    assert list(scores.values) == ["co-bps", "vel R2", "psth R2", "fp-bps"]
    assert scores.values["co-bps"] == bits_per_spike(r["eval_rates_heldout"], t["eval_spikes_heldout"])
    assert scores.values["fp-bps"] == bits_per_spike(*forward)
    assert scores.values["psth R2"] == psth_r2(both, t["psth"], list(t["eval_cond_idx"]))
    assert 0.3 < scores.values["vel R2"] < 1
    assert (scores.dataset, scores.bin_ms, scores.split) == ("mc_maze", 20, "val")


def test_several_data_sets_come_in_the_benchmarks_order_with_its_prefixes(tmp_path):
    names = ["mc_maze_small", "mc_rtt_20", "mc_maze_large", "mc_rtt", "mc_maze_small_20"]
    drawn = {name: draw(name, trials=(6, 6), seed=number) for number, name in enumerate(names)}
    rates = write(tmp_path / "rates.h5", {name: parts[0] for name, parts in drawn.items()})
    targets = write(tmp_path / "targets.h5", {name: parts[2] for name, parts in drawn.items()})
    results = evaluate(rates, targets).results
    assert [name for entry in results for name in entry] == [
        "mc_rtt_split",
        "mc_rtt_20_split",
        "mc_maze_scaling_split",
        "mc_maze_scaling_20_split",
    ]
    assert list(results[2]["mc_maze_scaling_split"]) == [
        f"[{number}] {score}" for number in (500, 100) for score in ("co-bps", "vel R2", "psth R2", "fp-bps")
    ]
    assert list(results[0]["mc_rtt_split"]) == ["co-bps", "vel R2", "fp-bps"]


def test_a_zero_rate_is_scored_as_a_billionth_with_a_warning(maze):
    rates, targets = maze
    heldout = rates["mc_maze_20"]["eval_rates_heldout"]
    heldout[0, 0, 0] = 1e-9
    expected = evaluate(rates, targets).results
    heldout[0, 0, 0] = 0
    with pytest.warns(UserWarning, match="mc_maze_20: 1 rates are exactly 0; each is scored as 1e-09"):
        found = evaluate(rates, targets)
    assert found.results == [{"mc_maze_20_split": pytest.approx(expected[0]["mc_maze_20_split"])}]
    assert heldout[0, 0, 0] == 0
    assert any("exactly 0" in note for note in found.notes)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("eval_rates_heldout", -0.1, "NaN or negative"),
        ("eval_rates_heldout", np.nan, "NaN or negative"),
        ("eval_rates_heldout", np.inf, "infinite"),
        ("eval_rates_heldin", np.nan, "eval rates are NaN in bins where the behavior is known"),
        ("train_rates_heldin", np.nan, "train rates are NaN"),
        ("eval_rates_heldin_forward", np.nan, "NaN or negative"),
    ],
)
def test_impossible_rates_are_refused_by_name(maze, key, value, message):
    rates, targets = maze
    rates["mc_maze_20"][key][1, 2, 0] = value
    with pytest.raises(InputError, match=f"the submission: mc_maze_20: .*{message}"):
        evaluate(rates, targets)


def test_a_missing_array_and_a_wrong_shape_are_named(maze):
    rates, targets = maze
    own = rates["mc_maze_20"]
    shorter = own | {"train_rates_heldin": own["train_rates_heldin"][:-1]}
    with pytest.raises(InputError, match="mc_maze_20: train_rates_heldin has shape .* the targets need .12, 35, any"):
        evaluate({"mc_maze_20": shorter}, targets)
    fewer = own | {"eval_rates_heldout": own["eval_rates_heldout"][..., 1:]}
    with pytest.raises(InputError, match="mc_maze_20: eval_rates_heldout has shape .10, 35, 5., the targets need"):
        evaluate({"mc_maze_20": fewer}, targets)
    del rates["mc_maze_20"]["train_rates_heldout"]
    with pytest.raises(InputError, match="mc_maze_20: train_rates_heldout is missing"):
        evaluate(rates, targets)


def test_groups_of_one_file_alone_are_left_out_and_named(maze):
    rates, targets = maze
    plain = evaluate(rates, targets)
    rates |= {
        "reach": {"eval_rates_heldout": np.ones((1, 1, 1))},
        "mc_rtt": {},
        "mc_maze_10": {},
        "area2_bump": rates["mc_maze_20"],
    }
    targets |= {"dmfc_rsg": targets["mc_maze_20"], "area2_bump_20": targets["mc_maze_20"]}
    found = evaluate(rates, targets)
    assert found.results == plain.results
    said = "\n".join(found.notes)
    for text in (
        "'reach' is no data set of the benchmark",
        "mc_rtt: the submission has no eval_rates_heldout",
        "'mc_maze_10': the benchmark evaluates bins of 5 and 20 ms, not of 10 ms",
        "area2_bump: not in the targets, which are of the other bin width, area2_bump_20",
        "dmfc_rsg: not in the submission",
    ):
        assert text in said


def test_targets_of_the_other_bin_width_or_of_no_kind_are_refused(maze, tmp_path):
    rates, targets = maze
    with pytest.raises(InputError, match="no group to score in common: mc_maze_20: .* other bin width, mc_maze;"):
        evaluate(rates, {"mc_maze": targets["mc_maze_20"]})
    inputs = write(tmp_path / "train_input.h5", draw()[1])
    with pytest.raises(InputError, match="train_input.h5 have no group to score in common"):
        evaluate(rates, inputs)


def test_forward_rates_are_optional(maze):
    rates, targets = maze
    known = evaluate(rates, targets).results[0]["mc_maze_20_split"]
    kept = {key: values for key, values in rates["mc_maze_20"].items() if "forward" not in key}
    found = evaluate({"mc_maze_20": kept}, targets)
    assert found.results[0]["mc_maze_20_split"] == {name: known[name] for name in ("co-bps", "vel R2", "psth R2")}
    assert found.notes == ["mc_maze_20: no fp-bps: the submission has no forward rates."]


@pytest.mark.parametrize("group", ["mc_maze_20", "area2_bump_20", "dmfc_rsg_20", "mc_rtt_20"])
def test_what_the_benchmark_does_not_give(group):
    rates, _, targets = draw(group, trials=(24, 20), seed=3)
    found = evaluate({group: rates}, {group: targets}, by_neuron=True, by_condition=True, bootstrap=200)
    (scores,) = found.groups
    each = bits_per_spike_by_neuron(rates["eval_rates_heldout"], targets["eval_spikes_heldout"])
    np.testing.assert_allclose(scores.by_neuron, each)
    for name, pair in scores.intervals.items():
        assert pair is not None, name
        assert pair[0] < scores.values[name] < pair[1]
    if group == "mc_rtt_20":
        assert scores.by_condition is None
        assert found.notes == ["mc_rtt_20: has no conditions."]
    else:
        assert [row["condition"] for row in scores.by_condition] == [0, 2]
        assert [row["trials"] for row in scores.by_condition] == [4, 16]
        weights = [row["spikes"] for row in scores.by_condition]
        total = np.average([row["co-bps"] for row in scores.by_condition], weights=weights)
        assert total == pytest.approx(scores.values["co-bps"])


def test_timing_draws_are_the_score_of_the_repeated_trials():
    rates, _, targets = draw("dmfc_rsg_20", trials=(6, 9), seed=1)
    both = np.concatenate([rates["eval_rates_heldin"], rates["eval_rates_heldout"]], axis=2)
    timing = Timing.from_intervals(ProducedIntervals(both, targets["eval_spikes_heldout"], targets["eval_behavior"]))
    weights = np.array([[1.0] * 9, [2, 1, 1, 0, 3, 1, 1, 0, 0]])
    found = timing.draws(weights)
    assert found[0] == pytest.approx(timing.value)
    chosen = np.repeat(np.arange(9), weights[1].astype(int))[:-1]  # one trial of the last group has no other beside it
    counts, behavior = targets["eval_spikes_heldout"][chosen], targets["eval_behavior"][chosen]
    assert found[1] == pytest.approx(speed_tp_correlation(both[chosen], counts, behavior))


def test_what_stops_the_benchmark_is_left_out_and_said():
    rates, _, targets = draw("dmfc_rsg_20", trials=(6, 7))
    found = evaluate({"dmfc_rsg_20": rates}, {"dmfc_rsg_20": targets})
    assert np.isfinite(found.groups[0].values["tp corr"])
    assert "1 trials alone in their group are left out of tp corr" in found.notes[0]
    rates, _, targets = draw("area2_bump_20")
    targets["eval_decode_mask"][:, 1] = False
    found = evaluate({"area2_bump_20": rates}, {"area2_bump_20": targets})
    assert np.isfinite(found.groups[0].values["vel R2"])
    assert "1 of 2 decoders have no trials" in found.notes[0]


def test_silent_neurons_score_minus_infinity_and_that_is_said(maze):
    rates, targets = maze
    targets["mc_maze_20"]["eval_spikes_heldout"] = np.zeros_like(targets["mc_maze_20"]["eval_spikes_heldout"])
    found = evaluate(rates, targets)
    assert found.groups[0].values["co-bps"] == -np.inf
    assert "no finite co-bps" in found.notes[0]


def test_decoders_with_few_trials_have_no_interval():
    few = Decoding(np.zeros((4, 2, 2)), np.zeros((4, 2, 2)), np.ones((4, 2), dtype=bool))
    assert np.isnan(few.draws(np.ones((3, 4)))).all()


def test_a_damaged_file_is_named(maze, tmp_path):
    rates, targets = maze
    path = write(tmp_path / "rates.h5", rates)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="rates.h5: cannot be read as HDF5 .it ends too early.; write or download"):
        evaluate(path, targets)
    path.write_text("no HDF5 at all")
    with pytest.raises(InputError, match="rates.h5: cannot be read as HDF5"):
        evaluate(path, targets)
    with pytest.raises(FileNotFoundError, match="none.h5: there is no such file"):
        evaluate(tmp_path / "none.h5", targets)


@pytest.fixture
def files(maze, tmp_path, monkeypatch):
    monkeypatch.setenv("NLBPROB_DATA", str(tmp_path / "ledger"))
    rates, targets = maze
    return [str(write(tmp_path / "rates.h5", rates)), str(write(tmp_path / "targets.h5", targets))]


def test_the_command_prints_bins_and_split_in_every_line(files, maze, capsys):
    assert main(["score", *files, "--by-neuron", "--by-condition", "--intervals"]) == 0
    shown = capsys.readouterr().out
    lines = [line for line in shown.splitlines() if line.startswith("mc_maze ")]
    assert len(lines) == 4 + 6 + 2
    assert all(line.split()[1:4] == ["val", "20", "ms"] for line in lines)
    assert "is taken for targets of val" in shown
    assert ledger.entries("mc_maze") == []


def test_the_command_gives_the_benchmarks_results_as_json(files, maze, capsys):
    assert main(["score", *files, "--json", "--split", "val"]) == 0
    shown = capsys.readouterr()
    (expected,) = evaluate(*maze).results
    (found,) = json.loads(shown.out)
    assert found == {"mc_maze_20_split": pytest.approx(expected["mc_maze_20_split"])}
    assert shown.err == ""
    assert main(["score", *files, "--json", "--by-neuron"]) == 0
    (group,) = json.loads(capsys.readouterr().out)
    assert (group["bin_ms"], group["split"], len(group["by_neuron"])) == (20, "val", 6)


def test_scores_on_test_are_counted(files, capsys):
    for number in (1, 2):
        assert main(["score", *files, "--split", "test"]) == 0
        assert ("This is test evaluation 2 of mc_maze" in capsys.readouterr().out) == (number == 2)
    assert [entry["split"] for entry in ledger.entries("mc_maze")] == ["test", "test"]


def test_the_command_wants_a_run_or_two_files(files, capsys, tmp_path):
    assert main(["score", files[0]]) == 2
    assert "is a file: name the targets" in capsys.readouterr().err
    assert main(["score", str(tmp_path), "--by-neuron"]) == 2
    assert "are for a submission and its targets" in capsys.readouterr().err
