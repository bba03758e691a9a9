"""What type checkers and editors are told of the public names."""

import ast
import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import pytest

import nlbprob

PROBE = """
import nlbprob as nlb

reveal_type(nlb.fit)
reveal_type(nlb.LDS(8))
reveal_type(nlb.load("a.nwb", bin_ms=5))
reveal_type(nlb.Trials.from_arrays([], 5.0))
nlb.fitt
nlb.LDS(dims=8)
"""


def test_a_type_checker_knows_public_names_and_flags_others(tmp_path, root):
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("needs the extra `lint`: pip install 'nlbprob[lint]'")
    (tmp_path / "probe.py").write_text(PROBE)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(root)]}))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "probe.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not run here: {(done.stderr or done.stdout)[:200]}")
    found = json.loads(done.stdout)["generalDiagnostics"]
    told = {entry["range"]["start"]["line"] - 3: entry["message"] for entry in found}
    assert re.search(r'"\(model: .*trials: Trials, \*, seed: int \| Sequence\[int\].*-> Posterior"', told[0], re.DOTALL)
    assert told[1] == 'Type of "nlb.LDS(8)" is "LDS"'
    assert told[2].endswith('is "Trials"')
    assert told[3].endswith('is "Trials"')
    assert '"fitt" is not a known attribute' in told[4]
    assert 'No parameter named "dims"' in told[5]


def test_type_checkers_are_told_of_the_names_that_are_public():
    package = pathlib.Path(nlbprob.__file__)
    assert (package.parent / "py.typed").is_file()
    branches = [node for node in ast.parse(package.read_text()).body if isinstance(node, ast.If)]
    (block,) = (node for node in branches if ast.unparse(node.test).endswith("TYPE_CHECKING"))
    told = {
        (alias.asname, node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert told == {*nlbprob.PUBLIC.items(), *((name, "nlbprob") for name in nlbprob.MODULES)}


def test_completion_shows_public_names_alone(fitted, recording):
    named = [name for name in dir(nlbprob) if not name.startswith("__")]
    assert sorted(named) == sorted([*nlbprob.PUBLIC, *nlbprob.MODULES])
    names: dict = {}
    exec("from nlbprob import *", names)
    assert names.keys() - {"__builtins__"} == {*nlbprob.PUBLIC, *nlbprob.MODULES}
    shown = {name for name in dir(fitted) if not name.startswith("_")}
    assert shown.isdisjoint({"moments", "causal_moments", "own_loadings", "draw_trials"})
    assert {"rates", "latents", "elbo", "save", "config", "values"} <= shown
    shown = {name for name in dir(fitted.model) if not name.startswith("_")}
    assert shown == {
        "chains",
        "dim",
        "effects",
        "latent_names",
        "latents",
        "n_components",
        "observation",
        "readout",
    } | {
        "slices",
        "templates",
    }
    assert {"counts", "split", "hide_heldout"} <= set(dir(recording))
