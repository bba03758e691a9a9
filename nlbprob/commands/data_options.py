"""The options that say how a recording is read: flags, over a TOML file, over the defaults of `load`."""

import argparse
import pathlib
import tomllib

from nlbprob.errors import InputError

#: Keyword argument of `nlbprob.load` -> its flag's settings; `window_ms` is `--window-ms`, and so on.
FLAGS = {
    "bin_ms": {"type": float, "metavar": "MS", "help": "bin width"},
    "align": {"metavar": "COLUMN", "help": "trials column of the event at 0 ms (default: the start of the trial)"},
    "window_ms": {
        "type": float,
        "nargs": 2,
        "metavar": ("FROM", "TO"),
        "help": "window about that event (default: the whole trial)",
    },
    "forward_ms": {"type": float, "metavar": "MS", "help": "time after the window, to be forecast (default 0)"},
    "behavior": {"metavar": "SERIES", "help": "behavior series to decode, such as hand_vel"},
    "lag_ms": {"type": float, "metavar": "MS", "help": "how far the behavior lags the spikes (default 0)"},
    "condition": {
        "action": "append",
        "metavar": "COLUMN",
        "help": "trials column that sets a trial's condition; repeat it for several",
    },
    "heldout": {"metavar": "COLUMN", "help": "units column of held-out neurons (default: heldout, or drawn)"},
    "split": {"metavar": "COLUMN", "help": "trials column of the splits (default: split, or drawn)"},
    "units": {"metavar": "WHERE", "help": "units to keep, such as 'area == \"MOs\" and rate > 0.5'"},
    "intervals": {"metavar": "TABLE", "help": "intervals table to use as trials (default: trials)"},
    "chunk_ms": {"type": float, "metavar": "MS", "help": "cut a recording without trials into pieces this long"},
    "join": {"action": "store_const", "const": True, "help": "make pieces that follow without a gap one trial"},
    "seed": {"type": int, "metavar": "N", "help": "seed of held-out units and splits that are drawn (default 0)"},
    "dataset": {"metavar": "NAME", "help": "a data set of NLB'21; DATA is then the folder with its files"},
    "phase": {"metavar": "PHASE", "help": "of that data set: val (default) or test"},
}


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `nlbprob.load` takes as keyword arguments; None where a flag is not given."""
    group = parser.add_argument_group("how to read the recording")
    for name, settings in FLAGS.items():
        flag = "--data-seed" if name == "seed" else "--" + name.replace("_", "-")  # --seed is the fit's
        group.add_argument(flag, dest=f"data_{name}", **settings)


def data_options(arguments: argparse.Namespace) -> dict:
    """The keyword arguments of `nlbprob.load` that the command line gives."""
    return {name: value for name in FLAGS if (value := getattr(arguments, f"data_{name}")) is not None}


def read_config(path: str | pathlib.Path | None) -> tuple[dict, dict]:
    """A TOML file's table `[model]`, and what else it says: options of `nlbprob.load`, in a table `[data]` or in none.

    Both are empty where `path` is None. Raises InputError for a file that is no TOML, FileNotFoundError without it.
    """
    if path is None:
        return {}, {}
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"--config: there is no file {path}. Name a TOML file with options such as bin-ms = 5.")
    try:
        content = tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}.") from None
    model = content.pop("model", {})
    if not isinstance(model, dict):
        raise InputError(f"{path}: 'model' is no table: write [model], and the options of the model below it.")
    return model, content
