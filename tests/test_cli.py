"""The `nlbprob` command: verbs, options, errors and exit codes; what the verbs do is tested with `nlbprob.run`."""

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys

import pytest

from nlbprob import cli
from nlbprob.cli import VERBS, main
from nlbprob.commands import fit
from nlbprob.commands.options import data_options
from nlbprob.commands.parser import Parser
from nlbprob.data.nwb import load
from nlbprob.errors import InputError
from nlbprob.fit_config import FAMILIES, PRECISIONS, FitConfig
from nlbprob.options import DATA
from nlbprob.scoring import ledger
from nlbprob.settings import Settings

HEAVY = ("jax", "numpyro", "numpy", "pynwb", "xarray", "scipy", "matplotlib", "pandas", "arviz", "rich", "h5py")

MODEL = '''def model(*, dim: int = 12, link: str = "exp"):  # two on a line
    """A model of mine."""
'''


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODEL)
    return "mine.py"


def parsed(*words):
    parser = Parser(prog="nlbprob fit")
    fit.add_arguments(parser)
    return parser.parse_args(list(words))


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_imports_nothing_heavy(verb):
    code = (
        "import sys; from nlbprob.cli import main\n"
        f"try: main({[*verb.split(), '--help']})\n"
        "except SystemExit: pass\n"
        f"assert not set(sys.modules) & set({HEAVY}), set(sys.modules) & set({HEAVY})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"usage: nlbprob {verb}".strip() in done.stdout


def test_help_after_a_model_shows_its_options(model, capsys):
    for verb in ("fit", "simulate"):
        with pytest.raises(SystemExit, match="0"):
            main([verb, model, "--help"])
        text = capsys.readouterr().out
        assert "options of the model mine: A model of mine." in text
        assert re.search(r"--model.dim INT +\(default 12\)", text)
        assert re.search(r"--model.link STR +\(default 'exp'\)", text)


def test_overview_and_version(capsys):
    assert main([]) == 0
    assert all(verb in capsys.readouterr().out for verb in ["demo"])
    assert main(["--version"]) == 0
    assert re.match(r"nlbprob \d+\.\d+", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fti"], "There is no verb 'fti'. Did you mean 'fit'"),
        (["fit", "mine.py", "a.nwb", "--ot", "run"], "nlbprob fit has no option '--ot'. Did you mean '--out'"),
        (["fit", "mine.py", "--out", "run"], "DATA is missing after the MODEL mine.py: name it, or data below [fit]"),
        (["fit", "--out", "run"], "MODEL is missing"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--posterior", "nuts"], "--posterior: 'nuts' is not a form of"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--seed", "-1"], "--seed: [-1] is not a whole number from 0"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--seed", "1", "1"], "--seed: [1, 1] is not a whole number"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--seed", "one"], "argument --seed: invalid int value: 'one'"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--seed"], "argument --seed: expected one argument"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--em-iterations", "-3"], "--em-iterations: -3 is not a whole"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--batch-size", "0"], "--batch-size: 0 is not a whole number"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--precision", "half"], "--precision: 'half' is not a precision"),
        (
            ["fit", "mine.py", "a.nwb", "--out", "run", "--early-stopping", "1"],
            "--early-stopping: 1.0 is not a frac",
        ),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--fit-on", "train+"], "--fit-on: 'train+' is not a split"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--bin-ms", "nan"], "--bin-ms: nan is not a bin width"),
        (
            ["fit", "mine.py", "a.nwb", "--out", "run", "--model.dim", "3", "--data-seed", "-2"],
            "--data-seed: -2 is not",
        ),
        (["fit", "mine.py", "a.nwb", "a.nwb", "--bin-ms", "5", "--out", "run"], "a.nwb is named twice"),
        (["fit", "no\x1b[31mmodel.py", "a.nwb", "--out", "run"], r"There is no model file no\x1b[31mmodel.py"),
        (["choose", "mine.py", "a.nwb"], "nothing to choose from: give the values of an option, as in --model.dim 4 8"),
        (["choose", "mine.py", "a.nwb", "--model.dim", "4", "x"], "dim takes a value of type int, not 'x'"),
        (["choose", "mine.py", "a.nwb", "--model.dmi", "4", "8"], "no option 'dmi'. Did you mean 'dim'"),
        (["choose", "mine.py", "a.nwb", "--model.dim", "4", "8", "--rule", "first"], "--rule: 'first' is not a rule"),
        (["choose", "mine.py", "a.nwb", "--model.dim", "4", "8", "--seed", "0", "1"], "choose takes one seed"),
        (["choose", "mine.py", "a.nwb", "--model.dim", "4", "8", "--out", "mine.py"], "mine.py exists already"),
        (["compare", "run"], "Name two runs or more to compare"),
        (["compare", "run", "other"], "run holds no run (no manifest.json)"),
        (["simulate", "mine.py", "--out", "x", "--trials", "0"], "--trials: 0 is not a whole number, 1 or more"),
        (["simulate", "mine.py", "--out", "x", "--bin-ms", "-5"], "--bin-ms: -5.0 is not a bin width"),
        (["demo", "--seed", "-1"], "--seed: -1 is not a whole number from 0"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--model.dmi", "3"], "no option 'dmi'. Did you mean 'dim'"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--model.dim", "x"], "dim takes a value of type int, not 'x'"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--model.dim"], "--model.dim needs a value"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--model.dim", "--force"], "--model.dim needs a value"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--config", "none.toml"], "there is no file none.toml"),
        (["score", "run", "--model.dim", "3"], "takes no --model options"),
        (["score", "run"], "run holds no run (no manifest.json)"),
        (["report", "run"], "run holds no run (no manifest.json)"),
        (["new", "poison_lds", "a.py"], "No model is called 'poison_lds'. Did you mean 'poisson_lds'"),
        (["new", "poisson_lds", "mine.py"], "mine.py exists already"),
        (["new", "poisson_lds", "mine.txt"], "a model file ends in .py"),
        (["new", "poisson_lds", "nowhere/mine.py"], "There is no folder nowhere"),
    ],
)
def test_errors_are_one_clean_message(model, capsys, words, message):
    assert main(words) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert "Traceback" not in shown.err
    with pytest.raises((InputError, OSError)):
        main([*words, "--debug"])


def test_interrupt_ends_with_a_message(monkeypatch, capsys):
    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "dispatch", interrupted)
    assert main(["fit"]) == 130
    assert capsys.readouterr().err == "\nnlbprob: interrupted.\n"


def test_model_options_stand_anywhere(model):
    before = parsed("--model.dim", "16", model, "a.nwb", "--out", "run", "--model.link=softplus")
    assert before.model_options == {"dim": "16", "link": "softplus"}
    assert (before.model, before.data, before.out) == (model, ["a.nwb"], "run")
    negative = parsed(model, "a.nwb", "--out", "run", "--model.dim", "-3", "--window-ms", "-250", "450")
    assert negative.model_options == {"dim": "-3"}
    assert negative.data_window_ms == [-250.0, 450.0]


def test_recordings_and_seeds_stand_anywhere(model):
    found = parsed("--seed", "0", "1", model, "a.nwb", "--bin-ms", "5", "--out", "run", "b.nwb", "--seed=7", "8")
    assert (found.model, found.data, found.seed) == (model, ["a.nwb", "b.nwb"], [0, 1, 7, 8])
    assert parsed(model, "--out", "run", "--", "-a.nwb").data == ["-a.nwb"]


def test_data_flags_are_those_of_load(model):
    assert {"path", "trials", "neurons", "config", *DATA} == set(inspect.signature(load).parameters)
    plain = parsed(model, "a.nwb", "--out", "run")
    assert data_options(plain) == {}
    flags = ["--bin-ms", "5", "--condition", "a", "--condition", "b", "--join", "--data-seed", "3", "--lag-ms", "-20"]
    full = parsed(model, "a.nwb", "--out", "run", "--seed", "1", *flags)
    assert data_options(full) == {"bin_ms": 5.0, "condition": ["a", "b"], "join": True, "seed": 3, "lag_ms": -20.0}
    assert full.seed == [1]


def test_all_that_a_fit_takes_is_declared():
    from nlbprob.infer.fit.fit import fit as function

    for_python_alone = {"model", "trials", "guide", "optimizer", "init", "progress", "checkpoint"}
    parameters = inspect.signature(function).parameters
    assert {field.name for field in dataclasses.fields(FitConfig)} == set(parameters) - for_python_alone
    for field in dataclasses.fields(FitConfig):
        assert field.default in (None, parameters[field.name].default)
    assert (FAMILIES, PRECISIONS) == (("neuron", "normal", "lowrank", "map"), ("float32", "float64"))


def settings_of(*words):
    return fit.read_settings(parsed(*words, "--out", "run"))[0]


def test_a_configuration_sets_everything_and_flags_come_first(model, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "own.py").write_text(MODEL)
    (tmp_path / "sub" / "all.toml").write_text(
        """[fit]
model = "own.py"
data = ["a.nwb", "/b.nwb"]
seed = [0, 1]
posterior = "map"
em-iterations = 5
svi_steps = 0
batch-size = 8
precision = "float64"
early-stopping = 0.1
init = "../before"
draws = 10
fit-on = ["train", "val"]
score-on = "test"
shared = true
[data]
bin-ms = 5
lag-ms = 20
[model]
dim = 4
"""
    )
    expected = Settings(
        "sub/own.py",
        ["sub/a.nwb", "/b.nwb"],
        {"dim": 4},
        {"bin_ms": 5.0, "lag_ms": 20.0},
        seed=[0, 1],
        posterior="map",
        em_iterations=5,
        svi_steps=0,
        batch_size=8,
        precision="float64",
        early_stopping=0.1,
        init="sub/../before",
        draws=10,
        fit_on="train+val",
        score_on="test",
        shared=True,
    )
    config = ["--config", "sub/all.toml"]
    assert settings_of(*config) == expected
    assert settings_of("c.nwb", *config) == dataclasses.replace(expected, data="c.nwb")
    assert settings_of(model, *config) == dataclasses.replace(expected, model=model)
    flags = ["--seed", "3", "--bin-ms", "10", "--model.dim", "6", "--draws", "2"]
    assert settings_of(model, "c.nwb", *config, *flags) == dataclasses.replace(
        expected,
        model=model,
        data="c.nwb",
        seed=3,
        draws=2,
        model_options={"dim": 6},
        data_options={"bin_ms": 10.0, "lag_ms": 20.0},
    )


def test_the_configuration_of_a_run_repeats_it(model, tmp_path, capsys):
    settings = settings_of(model, "a.nwb", "b.nwb", "--seed", "0", "1", "--bin-ms", "5", "--model.dim", "6")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.py").write_text(MODEL)
    record = {"settings": dataclasses.asdict(settings.absolute()), "model": {"name": "mine", "options": {"dim": 6}}}
    (tmp_path / "run" / "config.json").write_text(json.dumps(record))
    assert settings.absolute().data == [str(tmp_path / "a.nwb"), str(tmp_path / "b.nwb")]
    for config in ("run", "run/config.json"):
        assert settings_of("--config", config) == settings.absolute()
        assert settings_of("--config", config, "--seed", "2").seed == 2
    assert Settings.of_run(record["settings"], "config.json") == settings.absolute()
    assert capsys.readouterr().out == ""
    (tmp_path / model).write_text(MODEL + "    # changed\n")
    assert settings_of("--config", "run") == settings.absolute()
    assert f"{tmp_path / model} has changed since the run; to fit the model as it was, name run/model.py as MODEL" in (
        capsys.readouterr().out
    )
    (tmp_path / model).unlink()
    with pytest.raises(InputError, match="There is no model file .* name that as MODEL"):
        settings_of("--config", "run")
    assert settings_of("run/model.py", "--config", "run").model_options == {"dim": 6}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fit]\nem-iteration = 5", r"all.toml, \[fit\]: no option of the fit 'em_iteration'. Did you mean 'em_iter"),
        ("[fit]\nseed = -1", r"all.toml, \[fit\]: seed: -1 is not a whole number"),
        ("[fit]\nseed = 0.5", r"\[fit\]: seed: 0.5 is not a whole number"),
        ("[fit]\nseed = true", r"\[fit\]: seed: True is not a whole number"),
        ("[fit]\nseed = []", r"\[fit\]: seed: \[\] is not a whole number"),
        ("[fit]\nposterior = 'nuts'", r"\[fit\]: posterior: 'nuts' is not a form of posterior: neuron"),
        ("[fit]\ndata = 5", r"\[fit\]: data: 5 is not the path of a recording"),
        ("[fit]\nout = 'run'", r"\[fit\]: no option of the fit 'out'"),
        ("seed = 3", r"all.toml: seed stands in no table; write it below \[fit\], or below \[data\]"),
        ("[model]\ndmi = 3", r"all.toml, \[model\]: .*no option 'dmi'. Did you mean 'dim'"),
        ("[model]\ndim = '3'", r"all.toml, \[model\]: dim takes a value of type int, not '3'"),
        ("[model]\ndim = true", r"all.toml, \[model\]: dim takes a value of type int, not True"),
        ("[model]\nlink = 3", r"all.toml, \[model\]: link takes a value of type str, not 3"),
        ("[data]\nbin-ms = '5'", r"all.toml, \[data\]: bin-ms: '5' is not a bin width"),
        ("[fit]\nbin-ms = 5", r"all.toml, \[fit\]: no option of the fit 'bin_ms'; it is one of \[data\]"),
        ("[data]\nsvi-steps = 5", r"all.toml, \[data\]: no data option 'svi_steps'; it is one of \[fit\]: write it"),
        ("[modle]\ndim = 3", "all.toml: no table 'modle'. Did you mean 'model'"),
    ],
)
def test_what_is_wrong_in_a_configuration_is_named(model, tmp_path, text, message):
    (tmp_path / "all.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        settings_of(model, "a.nwb", "--config", "all.toml")


def test_new_copies_a_model(model, tmp_path, capsys, root):
    assert main(["new", "poisson_lds", "my_model.py"]) == 0
    assert (tmp_path / "my_model.py").read_text() == (root / "models" / "poisson_lds.py").read_text()
    assert "nlbprob fit my_model.py --help" in capsys.readouterr().out


@pytest.fixture
def homeless(monkeypatch):
    """A user without an entry in the password file and without HOME, as in containers and batch systems."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in (
        "HOME",
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
        "NLBPROB_CACHE",
        "NLBPROB_DATA",
        "JAX_COMPILATION_CACHE_DIR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_without_a_home_there_is_no_cache_and_the_ledger_asks_for_a_folder(homeless, capsys):
    assert cli.cache_folder() is None
    assert main(["--version"]) == 0
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    with pytest.raises(InputError, match="no home.*NLBPROB_DATA"):
        ledger.data_folder()


@pytest.mark.parametrize("blocked", ["file", "inside a file"])
def test_where_no_cache_can_be_written_there_is_none(tmp_path, monkeypatch, blocked):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NLBPROB_CACHE", str(tmp_path / "file" / ("" if blocked == "file" else "cache")))
    assert cli.cache_folder() is None
    monkeypatch.setenv("NLBPROB_CACHE", str(tmp_path / "a" / "b"))
    assert cli.cache_folder() == tmp_path / "a" / "b"
