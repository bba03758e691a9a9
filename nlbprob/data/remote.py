"""A recording at an http(s) address, read in parts as they are needed."""

import contextlib
import functools
import re
import urllib.error
import urllib.request
from typing import Any

from nlbprob import __version__
from nlbprob.data.foreign import clause
from nlbprob.errors import InputError

#: How every HDF5 file begins.
SIGNATURE = b"\x89HDF\r\n\x1a\n"
TIMEOUT_S = 30.0
REFUSALS = {
    401: "it is not public: give an address that holds the permission, or download the file",
    403: "it is not public, or the address has expired: ask for a new one, or download the file",
    404: "there is no such file: check the address",
}


def is_address(source: str) -> bool:
    """Whether a source is an address and no path. Raises InputError where it is one that cannot be read."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", source)
    if scheme and scheme[1].lower() not in ("http", "https"):
        raise InputError(
            f"addresses of {scheme[1]!r} are not read; give its http(s) address, or open it (with fsspec, say) and "
            "hand over the open file."
        )
    return scheme is not None


def open_address(url: str, opened: contextlib.ExitStack) -> Any:
    """The file at an address, as an open binary file, which is closed with `opened`.

    An address of the archive DANDI ends in assets/.../download/; it is public, as is the one on S3 behind it.

    Raises:
        InputError: the package remfile is missing, or the address does not give an HDF5 file in parts.
    """
    try:
        import remfile
    except ImportError:
        raise InputError(
            "reading from an address needs the package remfile: pip install 'nlbprob[remote]', or download the file."
        ) from None
    probe(url)
    file = remfile.File(url)
    session: Any = file.session
    opened.enter_context(contextlib.closing(session))
    session.request = functools.partial(session.request, timeout=TIMEOUT_S)  # it would wait for ever
    return file


def probe(url: str) -> None:
    """Read the first bytes. Raises InputError where they do not come, not in parts, or are of no HDF5 file."""
    headers = {"User-Agent": f"nlbprob/{__version__}", "Range": f"bytes=0-{len(SIGNATURE) - 1}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S) as answer:
            status, begin = answer.status, answer.read(len(SIGNATURE))
    except urllib.error.HTTPError as error:
        error.close()
        advice = REFUSALS.get(error.code, "try again later, or download the file")
        raise InputError(f"the server answers {error.code}; {advice}.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"the server does not answer ({clause(error)}); check the address and the network.") from None
    if begin != SIGNATURE:
        raise InputError("gives no HDF5 file, but perhaps a page about one; give the address of the file itself.")
    if status != 206:
        raise InputError("the server gives the file as a whole only; download it, and give its path.")
