"""The `nlbprob` command: verbs, options, errors and exit codes; what the verbs do is tested with `nlbprob.run`."""

import inspect
import os
import re
import subprocess
import sys
import time

import pytest

from nlbprob import cli
from nlbprob.cli import VERBS, main
from nlbprob.commands import fit
from nlbprob.commands.data_options import FLAGS, data_options, read_config
from nlbprob.commands.parser import Parser
from nlbprob.data.nwb import load
from nlbprob.errors import InputError
from nlbprob.scoring import ledger

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
def test_help_is_quick_and_imports_nothing_heavy(verb):
    code = (
        "import sys; from nlbprob.cli import main\n"
        f"try: main({[*verb.split(), '--help']})\n"
        "except SystemExit: pass\n"
        f"assert not set(sys.modules) & set({HEAVY}), set(sys.modules) & set({HEAVY})"
    )
    seconds = []
    for _ in range(3):  # the machine may be busy: the quickest of three counts
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
        assert f"usage: nlbprob {verb}".strip() in done.stdout
    assert min(seconds) < 0.5


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
        (["fit", "mine.py", "--out", "run"], "the following arguments are required: DATA"),
        (["fit", "mine.py", "a.nwb", "--out", "run", "--posterior", "nuts"], "invalid choice: 'nuts'"),
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
    assert (before.model, before.data, before.out) == (model, "a.nwb", "run")
    negative = parsed(model, "a.nwb", "--out", "run", "--model.dim", "-3", "--window-ms", "-250", "450")
    assert negative.model_options == {"dim": "-3"}
    assert negative.data_window_ms == [-250.0, 450.0]


def test_data_flags_are_those_of_load(model):
    assert {"path", "config", *FLAGS} == set(inspect.signature(load).parameters)
    plain = parsed(model, "a.nwb", "--out", "run")
    assert data_options(plain) == {}
    flags = ["--bin-ms", "5", "--condition", "a", "--condition", "b", "--join", "--data-seed", "3", "--lag-ms", "-20"]
    full = parsed(model, "a.nwb", "--out", "run", "--seed", "1", *flags)
    assert data_options(full) == {"bin_ms": 5.0, "condition": ["a", "b"], "join": True, "seed": 3, "lag_ms": -20.0}
    assert full.seed == 1


def test_config_file(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("[model]\ndim = 16\n[data]\nbin-ms = 5\n")
    assert read_config(str(file)) == ({"dim": 16}, {"data": {"bin-ms": 5}})
    assert read_config(None) == ({}, {})
    file.write_text("[model\n")
    with pytest.raises(InputError, match="run.toml: not valid TOML"):
        read_config(str(file))
    file.write_text("model = 3")
    with pytest.raises(InputError, match="'model' is no table"):
        read_config(str(file))


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


def test_alarms_of_the_compiler_do_not_reach_the_terminal(monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    main(["--version"])
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
