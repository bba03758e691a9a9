"""What `make device-check` runs, in a small form, on the CPU."""

import json
import subprocess
import sys

from nlbprob.resources import folder

SCRIPT = folder("experiments") / "benchmark" / "device_check.py"
#: The largest difference of float32 from float64 on the CPU, in parts of the largest value.
MOST = 1e-4


def run(out, *options):
    """The results and the tables that it writes."""
    command = [sys.executable, str(SCRIPT), "--small", "--out", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((out / "device_check.json").read_text()), (out / "device_check.md").read_text()


def test_every_part_runs_and_numbers_are_those_of_float64(tmp_path):
    found, tables = run(tmp_path / "check")
    assert found["facts"]["platform"] == "cpu"
    parts = found["parts"]
    assert list(parts) == ["Numbers", "Fits", "Full size", "Recursions"]
    assert len(parts["Numbers"]) == 4
    for row in parts["Numbers"]:
        assert max(row["mean"], row["covariance"], row["log Z"]) < MOST, row
    assert any(row["mean"] > 0 for row in parts["Numbers"])  # of other digits
    (fit,) = parts["Fits"]
    assert min(fit["first_s"], fit["second_s"]) > 0
    (whole,) = parts["Full size"]
    assert whole["fraction_of_peak"] > 0
    assert {row["faster"] for row in parts["Recursions"]} <= {"sequential", "parallel"}
    assert all(f"## {part}" in tables for part in parts)
    assert tables.count("| demo |") == 1


def test_out_of_time_parts_are_left_out_and_said_to_be(tmp_path):
    found, tables = run(tmp_path / "check", "--minutes", "0")
    assert found["parts"] == {}
    assert tables.count("Left out: out of time.") == 4
