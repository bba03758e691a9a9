"""Messages about errors that HDF5, pynwb or the system raised on a file: the reason in a clause, and the remedy."""

import contextlib
import errno
import re
from collections.abc import Iterator

from nlbprob.data.tables import shortened
from nlbprob.errors import InputError

#: The name of an NWB extension, which is that of its package.
EXTENSION = re.compile(r"ndx-[A-Za-z0-9][A-Za-z0-9_-]*")
#: What stands in an error -> what to do about it; the first that fits.
REMEDIES = {
    r"lock file|Resource temporarily unavailable": "another program has it open for writing: close it there, or set "
    "HDF5_USE_FILE_LOCKING=FALSE to read it all the same",
    r"Permission denied": "ask for the permission to read it",
    r"filter.* (not registered|not available|unavailable)|not registered|open directory .*plugin|filter plugin": (
        "its data are compressed by a filter that is not installed: pip install hdf5plugin"
    ),
    r"closed|[Ii]nvalid \w+ identifier|[Nn]ot a \w+ id|[Nn]ot a dataset": "it was closed: open it, and load "
    "before it is closed",
    r"truncated|file signature not found|addr overflow|bad superblock": "it is cut short or of another format: fetch "
    "or write it again",
    r"[Mm]emory|[Uu]nable to allocate": "it needs more memory than there is: select less, or write the file again "
    "if it should be small",
    r"codec can't decode": "a text in it is not UTF-8: write that text again",
    r"NWB version|neurodata_type|data_type found": "convert it to NWB 2 first",
}
OTHERWISE = "it is damaged or not valid NWB: fetch or write it again, or look at it with `pynwb-validate`"


@contextlib.contextmanager
def with_reason(what: str) -> Iterator[None]:
    """Turn any error that another library raises in the block into an InputError.

    Whatever part of a library gives up on a file, the file is at fault, and its user reads one line.

    Args:
        what: the part of the file that is read, which the message begins with.
    """
    try:
        yield
    except (InputError, FileNotFoundError):
        raise
    except Exception as error:
        raise InputError(f"{what} cannot be read ({clause(error)}); {remedy(error)}.".lstrip()) from error


def clause(error: BaseException) -> str:
    """The reason that an error gives last, which is the innermost, on one line of at most 160 characters."""
    words = " ".join(reason(error).split()) or type(error).__name__
    words = words.rsplit("due to: ", 1)[-1]
    if re.fullmatch(r"'[^']*'|\w+", words) and words != type(error).__name__:
        words = f"{words} is missing"  # a KeyError has no more text
    inner = re.fullmatch(r"(?:Can't|Unable to) [\w ]+ \((.*)\)", words)
    return shortened(inner[1] if inner else words, 160)


def reason(error: BaseException) -> str:
    """The text of an error, without the dump of a part of the file that pynwb puts before it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if isinstance(error, UnicodeError) or not error.args else str(error.args[-1])


def remedy(error: BaseException) -> str:
    """What the user can do about an error."""
    words = reason(error)
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM):
        words = "Permission denied"
    if isinstance(error, MemoryError):
        words = "memory"
    if package := extension(error):
        return f"it needs the extension {package}: pip install {package}"
    return next((advice for pattern, advice in REMEDIES.items() if re.search(pattern, words)), OTHERWISE)


def extension(error: BaseException) -> str | None:
    """The NWB extension that pynwb misses, if that is the error."""
    words = reason(error)
    match = EXTENSION.search(words) if re.search("namespace|specification", words) else None
    return match[0] if match else None
