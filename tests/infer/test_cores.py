"""A fit ends on one core and on two: a dead-lock of the linear algebra under a loop over time would never return."""

import os
import shutil
import subprocess
import sys

import pytest

PROGRAM = """
import os
import nlbprob as nlb

model = nlb.Model(latents=[nlb.LDS(3)])
trials = nlb.simulate(model, 16, neurons=8, bins=20, bin_ms=10, seed=0).trials
posterior = nlb.fit(model, trials.split("train"), em_iterations=3, svi_steps=10, progress=False)
print(len(os.sched_getaffinity(0)), posterior.rates(trials.hide_heldout("val")).shape)
"""


@pytest.mark.parametrize("cores", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_fit_ends_on_few_cores(cores):
    if shutil.which("taskset") is None:
        pytest.skip("needs taskset")
    there = sorted(os.sched_getaffinity(0))
    if len(there) < cores:
        pytest.skip(f"needs {cores} cores")
    chosen = ",".join(map(str, there[:cores]))
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = ["taskset", "--cpu-list", chosen, sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=1) == [str(cores), "(16, 20, 8)\n"]
