import itertools
import json

import h5py
import numpy as np
import pytest

from nlbprob.cli import main
from nlbprob.errors import InputError
from nlbprob.scoring.check import check_submission, passes
from nlbprob.scoring.check_group import FAILS
from nlbprob.scoring.order import best_of_all, neuron_pairs
from tests.scoring.files import draw, write

GROUP = "mc_rtt_20"


@pytest.mark.parametrize(
    "case", ["mc_maze_small-5ms", "mc_rtt-20ms", "area2_bump-5ms", "area2_bump-20ms", "dmfc_rsg-20ms"]
)
def test_golden_submissions_pass_in_both_phases(shared, case):
    folder = shared / "golden" / "expected" / case
    files = [folder / f"{part}_input.h5" for part in ("test_train", "test_eval")]
    for findings in (
        check_submission(folder / "submission_val.h5", folder),
        check_submission(folder / "submission_test.h5", *files),
    ):
        assert passes(findings), failures(findings)


@pytest.mark.parametrize("case", ["mc_rtt-20ms", "area2_bump-20ms", "dmfc_rsg-20ms"])
def test_golden_submissions_with_trials_of_one_array_permuted_fail(shared, case):
    folder = shared / "golden" / "expected" / case
    with h5py.File(folder / "submission_test.h5") as file:
        (group,) = file
        rates = {key: values[()] for key, values in file[group].items()}
    files = [folder / f"{part}_input.h5" for part in ("test_train", "test_eval")]
    for key in rates:
        if "forward" not in key:
            findings = check_submission({group: rates | {key: rates[key][::-1]}}, *files)
            assert f"trial order ({key})" in failures(findings)


def failures(findings):
    return "\n".join(str(finding) for finding in findings if finding.status == FAILS)


@pytest.fixture(params=["val", "test"])
def good(request):
    rates, inputs, _ = draw(GROUP, phase=request.param)
    return rates, inputs


def test_rates_that_are_right_pass_with_a_line_a_check(good):
    rates, inputs = good
    findings = check_submission({GROUP: rates}, inputs)
    assert passes(findings)
    phase = "val" if "eval_spikes_heldout" in inputs else "test"
    assert all(str(finding).startswith(f"ok     {GROUP}, {phase}, 20 ms bins: ") for finding in findings)
    checked = {finding.check.partition(" (")[0] for finding in findings}
    assert checked == {"arrays", "shapes", "values", "mean rates", "trial order", "neuron order"}


@pytest.mark.parametrize(
    "key", ["train_rates_heldin", "train_rates_heldout", "eval_rates_heldin", "eval_rates_heldout"]
)
@pytest.mark.parametrize(("axis", "what"), [(0, "trial"), (2, "neuron")])
def test_any_array_out_of_order_fails(good, key, axis, what):
    rates, inputs = good
    findings = check_submission({GROUP: rates | {key: np.flip(rates[key], axis)}}, inputs)
    assert f"{what} order ({key})" in failures(findings)


def changed(rates, key, index, value):
    values = rates[key].copy()
    values[index] = value
    return rates | {key: values}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: changed(r, "eval_rates_heldin", (0, 0, 0), np.nan), "eval_rates_heldin: 1 of 2400 rates are NaN"),
        (lambda r: changed(r, "eval_rates_heldout", (0, 0), -1), "eval_rates_heldout: 6 of 1800 rates are negative"),
        (lambda r: changed(r, "eval_rates_heldin_forward", (0, 0, 0), 0), "1 of 800 rates are exactly zero"),
        (lambda r: {k: 50 * v for k, v in r.items()}, "rates in Hz: divide them by 50 to get spikes per bin of 20 ms"),
        (lambda r: {k: v / 4 for k, v in r.items()}, "rates in spikes per bin of 5 ms? Here a bin is 20 ms wide"),
        (lambda r: {k: v * 11 for k, v in r.items()}, "rates are expected spikes per bin"),
        (lambda r: changed(r, "train_rates_heldin", np.s_[..., 3], 9), "far from the mean count in neurons 3 ("),
        (lambda r: r | {"eval_rates_heldin": r["eval_rates_heldin"][..., 1:]}, "has 7 neurons, 8 are needed"),
        (lambda r: r | {"train_rates_heldin": r["train_rates_heldin"][1:]}, "has 11 trials, 12 are needed (train"),
        (lambda r: r | {"eval_rates_heldout": r["eval_rates_heldout"][:, 1:]}, "has 29 bins, 30 are needed"),
        (lambda r: r | {"eval_rates_heldin_forward": r["eval_rates_heldin"]}, "has 30 bins, 10 are needed"),
        (lambda r: r | {"eval_rates_heldin": r["eval_rates_heldin"][0]}, "has 2 axes; it needs three"),
        (lambda r: r | {"eval_rates_heldin": r["eval_rates_heldin"].astype("S4")}, "not numbers"),
        (lambda r: {k: v for k, v in r.items() if k != "train_rates_heldout"}, "train_rates_heldout missing"),
        (lambda r: {k: v for k, v in r.items() if k != "eval_rates_heldin_forward"}, "heldout_forward alone"),
    ],
)
def test_what_is_wrong_is_named(good, change, message):
    rates, inputs = good
    found = failures(check_submission({GROUP: change(rates)}, inputs))
    assert message in found


def test_inputs_of_the_other_bin_width_are_named(good):
    rates, _ = good
    _, inputs, _ = draw("mc_rtt")
    found = failures(check_submission({GROUP: rates}, inputs))
    assert "has 120 bins a trial, mc_rtt has 30 of 20 ms; they are in bins of 5 ms" in found


def test_a_group_that_does_not_belong_fails(good):
    rates, inputs = good
    for name, message in {
        "mc_rt": "'mc_rt' is no data set of the benchmark. Did you mean 'mc_rtt'?",
        "mc_rtt_10": "the benchmark evaluates bins of 5 and 20 ms, not of 10 ms",
    }.items():
        assert message in failures(check_submission({name: rates}, inputs))
        assert message in failures(check_submission({GROUP: rates, name: rates}, inputs))
    assert "notes: group: is no group of arrays" in failures(
        check_submission({GROUP: rates, "notes": np.zeros(3)}, inputs)
    )


def test_notes_do_not_fail(good):
    rates, inputs = good
    fewer = {key: values for key, values in rates.items() if "forward" not in key} | {"eval_rates_heldinn": np.ones(1)}
    findings = check_submission({GROUP: fewer}, inputs)
    assert passes(findings)
    noted = "\n".join(str(finding) for finding in findings if finding.status == "note")
    assert "there are none, so there will be no fp-bps" in noted
    assert "'eval_rates_heldinn' is not read by the benchmark. Did you mean 'eval_rates_heldin'" in noted


def test_rates_that_are_the_same_for_all_trials_cannot_be_told(good):
    rates, inputs = good
    flat = {key: np.broadcast_to(values.mean(axis=(0, 1)), values.shape).copy() for key, values in rates.items()}
    findings = check_submission({GROUP: flat}, inputs)
    assert passes(findings)
    assert any("cannot be tested" in finding.text for finding in findings if finding.check.startswith("trial order"))


def test_few_neurons_in_another_order_fail_but_two_that_fire_alike_do_not():
    rates, inputs, _ = draw(GROUP, neurons=(8, 4), seed=2)
    heldout = rates["train_rates_heldout"]
    for first, second in itertools.combinations(range(4), 2):
        order = np.arange(4)
        order[[first, second]] = second, first
        found = failures(check_submission({GROUP: rates | {"train_rates_heldout": heldout[..., order]}}, inputs))
        assert "neuron order (train_rates_heldout): another order goes better with their own spikes" in found
    generator = np.random.default_rng(0)
    counts = generator.poisson(0.5, size=inputs["train_spikes_heldin"].shape)
    pairs = neuron_pairs(np.broadcast_to(0.5 + 0.01 * np.arange(4)[::-1], (*counts.shape[:2], 4)), counts[..., :4])
    assert best_of_all(pairs)
    assert not best_of_all(neuron_pairs(np.broadcast_to([0.5, 5.0], (*counts.shape[:2], 2)), counts[..., :2] * [4, 1]))


def test_train_rates_are_not_needed_where_nothing_is_decoded():
    rates, inputs, _ = draw("dmfc_rsg_20")
    fewer = {key: values for key, values in rates.items() if not key.startswith("train")}
    assert passes(check_submission({"dmfc_rsg_20": fewer}, inputs))


def test_several_groups_find_their_inputs_by_size_or_by_name(tmp_path):
    groups = {"mc_rtt_20": (8, 6), "mc_rtt": (8, 6), "mc_maze_20": (9, 6), "mc_maze_small_20": (9, 6)}
    rates, folders = {}, {}
    for seed, (group, neurons) in enumerate(groups.items()):
        rates[group], inputs, _ = draw(group, neurons=neurons, seed=seed)
        folders[group] = tmp_path / group
        folders[group].mkdir()
        for part in ("train", "eval"):
            own = {key: values for key, values in inputs.items() if key.startswith(part)}
            write(folders[group] / f"{part}_input.h5", own)
    found = failures(check_submission(rates, *folders.values()))
    assert found.count("none fit") == 2
    assert "mc_maze_20, 20 ms bins: inputs: none fit; name its folder by mc_maze_20=FOLDER" in found
    named = [f"mc_maze_20={folders['mc_maze_20']}", f"mc_maze_small_20={folders['mc_maze_small_20']}"]
    assert passes(check_submission(rates, *named, folders["mc_rtt"], folders["mc_rtt_20"]))
    swapped = [f"mc_maze_20={folders['mc_maze_small_20']}", f"mc_maze_small_20={folders['mc_maze_20']}"]
    assert not passes(check_submission(rates, *swapped, folders["mc_rtt"], folders["mc_rtt_20"]))
    unused = check_submission({"mc_rtt": rates["mc_rtt"]}, folders["mc_rtt"], folders["mc_maze_20"])
    assert any("belongs to no group" in finding.text for finding in unused)


def test_inputs_that_are_missing_or_no_inputs(good, tmp_path):
    rates, inputs = good
    with pytest.raises(InputError, match="There are no inputs to check against"):
        check_submission({GROUP: rates})
    train = write(tmp_path / "train.h5", {key: values for key, values in inputs.items() if key.startswith("train")})
    with pytest.raises(InputError, match="train.h5: give the eval_input.h5 that belongs to it too"):
        check_submission({GROUP: rates}, train)
    with pytest.raises(InputError, match="rates.h5: holds no input spikes"):
        check_submission({GROUP: rates}, write(tmp_path / "rates.h5", {GROUP: rates}))
    with pytest.raises(FileNotFoundError, match="train_input.h5: there is no such file"):
        check_submission({GROUP: rates}, tmp_path)
    with pytest.raises(InputError, match="the inputs: has no train_spikes_heldout"):
        check_submission(
            {GROUP: rates}, {key: values for key, values in inputs.items() if key != "train_spikes_heldout"}
        )
    with pytest.raises(InputError, match="the submission: holds no group"):
        check_submission({}, inputs)


def test_the_command_tells_by_its_exit_status(good, tmp_path, capsys):
    rates, inputs = good
    files = [str(write(tmp_path / "rates.h5", {GROUP: rates})), str(write(tmp_path / "inputs.h5", inputs))]
    assert main(["check", *files]) == 0
    assert "rates.h5 passes." in capsys.readouterr().out
    (tmp_path / "rates.h5").unlink()
    write(tmp_path / "rates.h5", {GROUP: {key: 50 * values for key, values in rates.items()}})
    assert main(["check", *files]) == 1
    shown = capsys.readouterr().out
    assert "FAILS" in shown
    assert "rates in Hz" in shown
    assert "rates.h5 does not pass." in shown
    assert main(["check", *files, "--json"]) == 1
    assert {"group", "check", "status", "text"} == set(json.loads(capsys.readouterr().out)[0])
    content = (tmp_path / "rates.h5").read_bytes()
    (tmp_path / "rates.h5").write_bytes(content[: len(content) // 2])
    assert main(["check", *files]) == 2
    assert "cannot be read as HDF5 (it ends too early)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_spikes_heldin": np.zeros((12, 30))}, "train_spikes_heldin has shape .12, 30."),
        (
            {"train_spikes_heldout": np.zeros((11, 30, 6))},
            "train_spikes_heldout has the shape .* does not fit the others",
        ),
        ({"eval_spikes_heldin": np.zeros((0, 30, 8))}, "eval_spikes_heldin has the shape .0, 30, 8., which is empty"),
        ({"train_spikes_heldin": np.full((12, 30, 8), -1)}, "train_spikes_heldin holds counts that are negative"),
        ({"train_spikes_heldin": np.full((12, 30, 8), "x")}, "train_spikes_heldin holds text, not numbers"),
        ({"eval_spikes_heldin": np.ones((10, 30, 8)) * 1j}, "eval_spikes_heldin holds complex values"),
    ],
)
def test_inputs_that_are_none_are_refused_by_name(change, message):
    rates, inputs, _ = draw(GROUP)
    with pytest.raises(InputError, match=f"the inputs: {message}"):
        check_submission({GROUP: rates}, inputs | change)


def test_a_submission_of_odd_names_and_kinds_has_a_line_for_each(good):
    rates, inputs = good
    odd = rates | {
        "\x1b[2J": np.ones(1),
        "eval_rates_heldin": None,
        "eval_rates_heldout": rates["eval_rates_heldout"] * 1j,
    }
    lines = [str(finding) for finding in check_submission({GROUP: odd, "\x1b]0;x\x07": np.ones(1)}, inputs)]
    assert all(line.isprintable() for line in lines)
    assert any("eval_rates_heldin holds objects, not numbers" in line for line in lines)
    assert any("eval_rates_heldout holds complex values, not numbers" in line for line in lines)
