"""An NWB file from whatever its user holds: a path, an address, an open file, or what pynwb made of it."""

import contextlib
import importlib.util
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlbprob.data.columns import without_index
from nlbprob.data.foreign import extension, with_reason
from nlbprob.data.heaps import refuse_endless_heaps
from nlbprob.data.remote import is_address, open_address
from nlbprob.errors import InputError, printable, suggestion

# pynwb makes the attributes of its classes at run time, so that no type checker knows them.
NWBFile = Any


@contextlib.contextmanager
def open_nwb(source: Any) -> Iterator[NWBFile]:
    """The file as pynwb reads it; nothing is loaded until it is asked for.

    Args:
        source: a path; an http(s) address; an open binary file, `h5py.File`, `NWBHDF5IO` or `NWBFile`, which stay open.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is no NWB file, or something that is read from it inside the block cannot be.
    """
    with contextlib.ExitStack() as opened, with_reason(""), quiet():
        yield nwb_of(source, opened)


def name_of(source: Any) -> str | None:
    """What to call a source in messages and in `Trials.source`; None for one that lies in memory alone."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    attributes = ("filename", "container_source", "source", *(("name",) if hasattr(source, "seek") else ()))
    with contextlib.suppress(ValueError):  # a closed h5py.File has no name
        if getattr(source, "driver", None) != "fileobj":
            names = (getattr(source, name, None) for name in attributes)
            return next((os.fspath(name) for name in names if isinstance(name, str | os.PathLike)), None)
    return None


def nwb_of(source: Any, opened: contextlib.ExitStack) -> NWBFile:
    """pynwb's form of a source; what has to be closed again is entered into `opened`."""
    import h5py
    from hdmf.backends.io import HDMFIO
    from pynwb import NWBFile

    if isinstance(source, NWBFile):
        return source
    if isinstance(source, HDMFIO):
        if not getattr(source, "is_open", lambda: True)():
            raise InputError(f"the {type(source).__name__} is closed; open it, or hand over its path.")
        return source.read()
    if isinstance(source, h5py.File):
        if not source:
            raise InputError("the h5py.File is closed; open it, or hand over its path.")
        return parsed(opened.enter_context(h5py.File(source.id.reopen())), opened)
    with contextlib.suppress(ImportError):
        importlib.import_module("hdf5plugin")  # registers the filters that it brings
    return parsed(opened.enter_context(h5py.File(binary(source, opened), "r")), opened)


def binary(source: Any, opened: contextlib.ExitStack) -> Any:
    """What h5py opens: the path of a file that is there, or a binary file. Raises what `open_nwb` does."""
    if isinstance(source, str) and is_address(source):
        return open_address(source, opened)
    if isinstance(source, str | os.PathLike):
        path = existing(source)
        refuse_endless_heaps(path)
        return path
    if not (hasattr(source, "read") and hasattr(source, "seek")):
        raise InputError(
            f"a recording is a path, an address, an open binary file, h5py.File, NWBHDF5IO or NWBFile, not a "
            f"{type(source).__name__}."
        )
    if isinstance(source, io.TextIOBase):
        raise InputError("the file is open as text; open it with mode 'rb'.")
    return source


def existing(path: str | os.PathLike) -> Path:
    """The path of a file. Raises FileNotFoundError where there is none, InputError where it is a folder."""
    file = Path(path)
    if file.is_dir():
        inside = sorted(p.name for p in file.glob("*.nwb"))
        raise InputError(f"{path}: is a folder; name a file in it. {suggestion(file.name, inside)}")
    if not file.is_file():
        beside = sorted(p.name for p in file.parent.glob("*.nwb")) if file.parent.is_dir() else []
        raise FileNotFoundError(printable(f"{path}: there is no such file. {suggestion(file.name, beside)}"))
    return file


def parsed(file: Any, opened: contextlib.ExitStack) -> NWBFile:
    """The whole tree of an open HDF5 file, which is closed with `opened`. Raises InputError where it is no NWB file."""
    kind = file.attrs.get("neurodata_type")
    kind = kind.decode("utf-8", "replace") if isinstance(kind, bytes) else kind
    if kind != "NWBFile":
        raise InputError("an HDF5 file, but no NWB 2 file; convert the recording to NWB first.")
    try:
        return read(file, opened)
    except Exception as error:
        if "units" in file and "spike_times" in file["units"] and "spike_times_index" not in file["units"]:
            raise InputError(without_index("units", "spike_times")) from error
        needed = (extension(error) or "").replace("-", "_")
        if not needed or importlib.util.find_spec(needed) is None:
            raise
        importlib.import_module(needed)  # which registers it with pynwb
        return read(file, opened)


def read(file: Any, opened: contextlib.ExitStack) -> NWBFile:
    """The NWBFile of an open HDF5 file, which is closed with `opened`."""
    from pynwb import NWBHDF5IO

    return opened.enter_context(contextlib.closing(NWBHDF5IO(file=file, mode="r"))).read()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warnings of pynwb and hdmf about a schema older or newer than theirs: who reads a file cannot change it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"(pynwb|hdmf)\b")
        yield


@contextlib.contextmanager
def naming(place: str) -> Iterator[None]:
    """Put the place, such as a file, before the message of an InputError that does not name it yet."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(place):
            raise
        raise InputError(f"{place}: {error}") from error.__cause__
