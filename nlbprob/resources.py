"""The models and experiments that come with nlbprob: inside an installed package, beside it in a working copy."""

import importlib.resources
import pathlib

from nlbprob.errors import InputError, suggestion


def folder(kind: str) -> pathlib.Path:
    """The folder of the `"models"` or the `"experiments"` that come with nlbprob.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    package = pathlib.Path(str(importlib.resources.files("nlbprob")))
    for candidate in (package / "share" / kind, package.parent / kind):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"This installation of nlbprob in {package} carries no {kind}: install it again.")


def model_names() -> list[str]:
    """The names of the models that come with nlbprob, sorted."""
    return sorted(path.stem for path in folder("models").glob("*.py") if not path.stem.startswith("_"))


def model_path(name: str) -> pathlib.Path:
    """The file of the model called `name`.

    Raises:
        InputError: there is none; the message has the closest name and the list of all.
    """
    names = model_names()
    if name not in names:
        raise InputError(f"No model is called {name!r}. {suggestion(name, names)} A file of your own ends in .py.")
    return folder("models") / f"{name}.py"
