"""Copy a model that comes with nlbprob to a file of your own, to read and edit."""

import pathlib
import shutil

from nlbprob.commands.terminal import say
from nlbprob.errors import InputError
from nlbprob.resources import model_names, model_path


def add_arguments(parser) -> None:
    """Add the model's name and the file to write."""
    parser.add_argument("name", metavar="NAME", help=f"one of: {', '.join(model_names())}")
    parser.add_argument("file", metavar="FILE", help="where to write it, such as my_model.py")


def run(arguments) -> int:
    """Copy, and say what to do next; InputError where the file exists or its name is no model file's."""
    source, target = model_path(arguments.name), pathlib.Path(arguments.file)
    if target.suffix != ".py":
        raise InputError(f"{target}: a model file ends in .py: call it {target}.py.")
    if target.exists():
        raise InputError(f"{target} exists already: choose another name, or remove it first.")
    if not target.parent.is_dir():
        raise InputError(f"There is no folder {target.parent} to write {target.name} in: make it first.")
    shutil.copyfile(source, target)
    say(
        f"Wrote {target}, a copy of the model {arguments.name}. Its function's keyword arguments are options:",
        f"  nlbprob fit {target} --help",
        f"  nlbprob fit {target} DATA.nwb --out runs/{target.stem}",
    )
    return 0
