"""Promises about the project as a whole: import order, what importing does, sizes, packaging."""

import ast
import graphlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile

import pytest

import nlbprob

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "nlbprob"

#: From left to right: a room may import those to its left.
ROOMS = [
    "numerics",
    "data",
    "scoring",
    "blocks",
    "model",
    "functions",
    "simulation",
    "infer",
    "infer.runtime",
    "infer.parameters",
    "infer.trajectories",
    "infer.em",
    "infer.start",
    "infer.vi",
    "posterior",
    "infer.fit",
    "selection",
    "parsimony",
    "plot",
    "reporting",
    "sweep",
    "settings",
    "storage",
    "staged_fit",
    "run",
    "committee",
    "testphase",
    "replication",
    "comparison",
    "entry",
    "commands",
    "cli",
]
#: Usable by all; they import none but each other.
COMMON = {
    *("arguments", "errors", "files", "fit_config", "run_config", "resources", "model_file", "options"),
    *("configuration", "display"),
}

SETTINGS = """
import importlib, json, os, pkgutil, jax, numpyro
before = dict(jax.config.values), dict(os.environ), numpyro.settings() if hasattr(numpyro, "settings") else None
import nlbprob
names = [m.name for m in pkgutil.walk_packages(nlbprob.__path__, "nlbprob.") if not m.name.startswith("nlbprob.share")]
for name in names:
    importlib.import_module(name)
after = dict(jax.config.values), dict(os.environ), numpyro.settings() if hasattr(numpyro, "settings") else None
assert before == after, [key for a, b in zip(before, after) if a for key in a if a[key] != b.get(key)]
print(len(names))
"""


def sources():
    return sorted(path for path in PACKAGE.rglob("*.py") if "share" not in path.relative_to(PACKAGE).parts)


def module_of(path: pathlib.Path) -> str:
    """The name that a file is imported by."""
    return ".".join(["nlbprob", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")


def room_of(module: str) -> str:
    parts = [*module.split("."), "__init__"]
    return ".".join(parts[1:3]) if ".".join(parts[1:3]) in ROOMS else parts[1]


def imports_of(path: pathlib.Path):
    """Every nlbprob module that a file imports, at the top or inside a function, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name.split(".")[0] == "nlbprob")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import by the full name"
            if node.module == "nlbprob":
                yield from (
                    (f"nlbprob.{nlbprob.PUBLIC.get(a.name, a.name).removeprefix('nlbprob.')}", node.lineno)
                    for a in node.names
                )
            elif (node.module or "").startswith("nlbprob."):
                yield node.module, node.lineno


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    room = room_of(".".join(["nlbprob", *path.relative_to(PACKAGE).with_suffix("").parts]))
    if room in ("__init__", "__main__"):
        return
    assert room in {*ROOMS, *COMMON}, f"{path}: put this room in its place in ROOMS"
    for module, line in imports_of(path):
        target = room_of(module)
        allowed = COMMON if room in COMMON else {*COMMON, room, "__version__", *ROOMS[: ROOMS.index(room)]}
        if room == "data":
            allowed = allowed - {"numerics"}
        assert target in allowed, f"{path}:{line}: {room} may not import {module}"


def running(tree: ast.AST):
    """The nodes below one that run: all but those for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for other in node.orelse:
                yield other
                yield from running(other)
        else:
            yield node
            yield from running(node)


def files_imported(text: str, modules: set[str]) -> set[str]:
    """Those of the modules that a file imports when it runs, inside functions too.

    `from package import module` takes from both: the package's own file is one of them.
    """
    named = set()
    for node in running(ast.parse(text)):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            if node.module == "nlbprob":
                named |= {nlbprob.PUBLIC.get(alias.name) for alias in node.names}
    return named & modules


def circle(texts: dict[str, str]) -> list[str]:
    """The modules of one circle of imports, the first again at its end; none where there is no circle."""
    sorter = graphlib.TopologicalSorter({name: files_imported(text, set(texts)) for name, text in texts.items()})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize(
    ("first", "closed"),
    [
        ("from nlbprob.b import x", True),
        ("def f():\n    import nlbprob.b", True),
        ("from nlbprob import b", True),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nlbprob.b import x", False),
        ("import nlbprob.c", False),
    ],
)
def test_a_circle_is_found_inside_functions_and_not_among_types(first, closed):
    texts = {"nlbprob.a": first, "nlbprob.b": "from nlbprob.a import y", "nlbprob.c": ""}
    assert bool(circle(texts)) == closed


def test_no_circle_between_files():
    texts = {module_of(path): path.read_text() for path in sources()}
    assert " imports ".join(reversed(circle(texts))) == ""


def test_importing_changes_no_global_setting():
    done = subprocess.run([sys.executable, "-c", SETTINGS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_a_test_that_is_too_slow_fails_and_the_others_go_on(tmp_path, root):
    """With the options of this project's tests, in two workers."""
    slow = "import time\n\n\ndef test_before(): pass\n\n\ndef test_slow(): time.sleep(60)\n\n\ndef test_after(): pass\n"
    (tmp_path / "test_one.py").write_text(slow)
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    options = ["--timeout=3", "--numprocesses=2", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    command = [sys.executable, "-m", "pytest", "-c", str(root / "pyproject.toml"), *options, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    assert "1 failed, 3 passed" in done.stdout
    assert "Timeout (>3.0s)" in done.stdout


@pytest.mark.parametrize("before", [None, "1"])
def test_xla_tells_users_of_no_slow_compilation_unless_they_ask(before):
    """Importing sets that one variable of the environment, before JAX comes, and nothing else."""
    code = (
        "import os, sys; before = dict(os.environ); import nlbprob; name = 'TF_CPP_MIN_LOG_LEVEL'; "
        "assert not {'jax', 'jaxlib', 'numpy'} & set(sys.modules); level = os.environ.pop(name); "
        "before.pop(name, None); assert before == dict(os.environ); os.environ[name] = level; "
        "nlbprob.LDS; assert 'jaxlib' in sys.modules; print(os.environ[name])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment |= {} if before is None else {"TF_CPP_MIN_LOG_LEVEL": before}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (before or "3")


def test_public_names_are_there():
    for name in nlbprob.PUBLIC:
        assert getattr(nlbprob, name).__name__ == name
    assert set(nlbprob.PUBLIC) <= set(dir(nlbprob))
    for name in nlbprob.MODULES:
        assert getattr(nlbprob, name).__name__ == f"nlbprob.{name}"
        assert name in dir(nlbprob)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        nlbprob.lode  # noqa: B018


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_short(path):
    text = path.read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            told = node.body[0].end_lineno - node.body[0].lineno if ast.get_docstring(node) else 0
            assert node.end_lineno - node.lineno - told < 50, f"{path}:{node.lineno}: {node.name}"


@pytest.mark.parametrize("room", ["numerics", "infer", "data", "scoring", "selection"])
def test_arguments_and_results_are_annotated(room):
    """Arrays with their shapes, which the import hook of conftest.py checks in every test."""
    for path in (PACKAGE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                where = f"{path}:{node.lineno}: {node.name}"
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                bare = [each.arg for each in arguments if each.annotation is None]
                assert set(bare) <= {"self", "cls"}, where
                assert node.returns is not None or node.name == "__init__", where


@pytest.fixture
def make_environment(tmp_path, root):
    """Run the Makefile's choice of a Python among programs that claim the given versions; None: one that fails."""
    if shutil.which("make") is None:
        pytest.skip("needs make")

    def call(**versions):
        for name, version in versions.items():
            # Called to print its version, to compare it by its exit code, and to make an environment.
            answers = f'*print*) echo {version};; *exit*) exit {int(str(version) < "3.12")};; *) echo {name} > "$3";;'
            body = "exit 1" if version is None else f'case "$2" in {answers} esac'
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{body}\n")
            program.chmod(0o755)
        candidates = " ".join(str(tmp_path / name) for name in versions)
        target = tmp_path / "made"
        command = ["make", "-s", f"VENV={target}", f"PYTHON={candidates}", f"{target}/bin/python"]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False), target

    return call


def test_make_takes_the_first_python_that_is_new_enough(make_environment):
    done, made = make_environment(shim=None, old="3.11", new="3.13", newer="3.14")
    assert done.returncode == 0, done.stderr
    assert made.read_text() == "new\n"


def test_make_says_which_pythons_it_found(make_environment):
    done, made = make_environment(shim=None, old="3.11")
    assert done.returncode != 0
    assert not made.exists()
    sentence = done.stderr.splitlines()[0]
    assert "needs Python 3.12 or newer" in sentence
    assert "shim (does not run)" in sentence
    assert "old (3.11)" in sentence
    assert "make PYTHON=" in sentence


@pytest.fixture(scope="module")
def distributions(tmp_path_factory, root):
    """The folder with the sdist and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def install(folder: pathlib.Path, *what: str) -> pathlib.Path:
    """A new environment with nlbprob alone installed and what it needs in sight; returns its folder of programs."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    python = folder / "bin" / "python"
    purelib = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    )
    (pathlib.Path(purelib.strip()) / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    done = subprocess.run([*pip, "--no-build-isolation", *what], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return python.parent


def check_installed(programs: pathlib.Path, folder: pathlib.Path, root: pathlib.Path) -> pathlib.Path:
    """Use the installed command, and return where it finds its models."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def call(*command):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "usage: nlbprob" in call(programs / "nlbprob", "--help")
    call(programs / "nlbprob", "new", "poisson_lds", "my_model.py")
    assert (folder / "my_model.py").read_text() == (root / "models" / "poisson_lds.py").read_text()
    assert "--model." in call(programs / "nlbprob", "fit", "my_model.py", "--help")
    code = "from nlbprob.resources import folder; print(folder('models'), folder('experiments'))"
    models, experiments = map(pathlib.Path, call(programs / "python", "-c", code).split())
    assert {path.name for path in models.glob("*.py")} == {path.name for path in (root / "models").glob("*.py")}
    assert experiments == models.parent / "experiments"
    return models


def test_wheel_installs_and_carries_models(tmp_path, root, distributions):
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "nlbprob/share/models/poisson_lds.py" in archive.namelist()
    programs = install(tmp_path / "environment", str(wheel))
    models = check_installed(programs, tmp_path, root)
    assert models.is_relative_to(tmp_path / "environment")


def test_editable_install_uses_the_models_beside_it(tmp_path, root):
    programs = install(tmp_path / "environment", "--editable", str(root))
    assert check_installed(programs, tmp_path, root) == root / "models"


def test_sdist_carries_what_building_and_testing_need(distributions):
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "Makefile", "constraints.txt", "models/poisson_lds.py", "tests/conftest.py"} <= names
    assert not any(name.startswith((".venv", "runs/")) for name in names)


def test_continuous_integration_installs_a_browser_and_runs_the_tests(root):
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    text = script.read_text()
    assert re.search(r"^make test$", text, re.MULTILINE)
    assert re.search(r"command -v chromium.*apt-get install .*chromium chromium-driver", text, re.DOTALL)


def test_versions_agree_with_each_other(root):
    """The least Python and JAX, and the version that is cited, are said in several files."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">=3.12"
    assert (root / ".python-version").read_text().strip() == "3.12"
    assert "jax>=0.12" in project["project"]["dependencies"]
    pinned = re.search(r"^jaxlib==(\d+)\.(\d+)", (root / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert (int(pinned[1]), int(pinned[2])) >= (0, 12)
    assert project["project"]["license"] == "Apache-2.0"
    assert "license: Apache-2.0" in (root / "CITATION.cff").read_text()
    assert project["tool"]["pytest"]["ini_options"]["filterwarnings"][0] == "error"
