"""How the examples of a page are run: recordings are cut to one small shape, and fits are cut short.

What takes the time is compilation. With one shape, and few models, most pages find compiled what they need.
"""

import collections
import re
import shutil

import numpy as np
import pytest

import nlbprob

#: A block with what a comment before it says of it, its kind, its title and its text.
BLOCK = re.compile(r'^(?:<!-- ([^\n]+?) -->\n\n)?```(\w+)(?: title="(.*?)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
#: What names a real recording that a page needs.
NEEDS = re.compile(r"^<!-- needs: (\S+) -->$", re.MULTILINE)
#: Options of the shortest fit from the command line.
SHORT_COMMAND = ["--em-iterations", "1", "--svi-steps", "0", "--posterior", "map", "--draws", "2"]
#: The title of output of which the numbers may differ.
ABOUT = "prints about"
#: The shortest fit there is, of how many trials; pages show what the usual one gives.
SHORT, FEW = {"em_iterations": 0, "svi_steps": 0, "posterior": "map", "progress": False}, 10
#: What a recording is cut to, once it is loaded and shown: two folds of `FEW` trials of each split.
BINS, FORWARD, NEURONS, BIN_MS = 12, 2, 48, 20.0


def prepare_recording(folder, name, root):
    """The real recording of that name; skips where it is absent."""
    path = root.parent / "shared" / "data" / name
    if not path.is_file():
        pytest.skip(f"needs the real recording {name} in a folder `shared` beside the project ({path} is not there)")
    shutil.copy(path, folder / name)


@pytest.fixture
def short(monkeypatch):
    """Fits without iterations."""
    shorten(monkeypatch)


def shorten(monkeypatch):
    """Replace the functions that fit by ones that do it without iterations."""
    whole = {name: getattr(nlbprob, name) for name in ("fit", "choose", "kfold")}

    def fit(model, trials, **options):
        every = np.linspace(0, trials.n_trials - 1, min(FEW, trials.n_trials)).astype(int)
        return whole["fit"](model, trials.select(trials=every), **(options | SHORT))

    def folds(name):
        options = {"folds": 2, "fit_options": SHORT, "progress": False}
        options |= {"draws": 100} if name == "kfold" else {}  # as many as elsewhere: they are in what is compiled
        return lambda model, trials, **given: whole[name](model, trials, **(given | options))

    monkeypatch.setattr(nlbprob, "fit", fit)
    for name in ("choose", "kfold"):
        monkeypatch.setattr(nlbprob, name, folds(name))
    monkeypatch.setattr("nlbprob.infer.start.warm_start.ITERATIONS", 0)


def cut(names):
    """Cut the recordings among a page's names, for what follows."""
    for name, value in names.items():
        if isinstance(value, nlbprob.Trials):
            names[name] = small(value)


def small(trials):
    """A few trials of each split, the first bins and some of the forward ones, some neurons of each kind."""
    forward = min(trials.forward_bins, FORWARD)
    bins = np.r_[: min(BINS - forward, trials.window_bins), trials.window_bins : trials.window_bins + forward]
    rows = in_turn(2 * FEW * len(trials.splits), trials.table, "split", "session")
    trials = trials.select(rows, in_turn(NEURONS, trials.neurons, "heldout", "area", "session"))
    behavior = None if trials.behavior is None else trials.behavior[:, bins]
    return trials.replace(
        counts=trials.counts[:, bins],
        seen=trials.seen[:, bins],
        bin_ms=BIN_MS,
        time_ms=BIN_MS * np.arange(len(bins)),
        forward_bins=forward,
        behavior=behavior,
        inputs={name: values[:, bins] for name, values in trials.inputs.items()},
    )


def in_turn(number, table, *columns):
    """The positions of so many rows of a table, taken in turn from each group of rows that the columns tell apart."""
    count, turns = collections.Counter(), []
    for group in zip(*(table[column] for column in columns if column in table), strict=True):
        turns.append(count[group])
        count[group] += 1
    return np.sort(np.argsort(turns, kind="stable")[:number])


def check_shown(text, printed, key):
    """Each line that is shown was printed."""
    known = set(map(key, printed))
    missing = [line for line in text.splitlines() if line and key(line) not in known]
    assert text.strip(), "an empty block of output"
    assert not missing, "\n".join([*missing, "are not among", *printed])


def spaced(line: str) -> str:
    """A line without what lines columns up."""
    return " ".join(line.split())


def form(line: str) -> str:
    """The same with every number, also one that a small recording does not have, and every percentage as 0."""
    return spaced(re.sub(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?%?|\bnan\b", "0", line))
