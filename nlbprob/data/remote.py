"""A recording at an http(s) address, read in parts as they are needed."""

import contextlib
import functools
import http.client
import queue
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from nlbprob import __version__
from nlbprob.data.foreign import clause
from nlbprob.data.transfer import Pace, Slow
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
        InputError: the package remfile is missing, or the address does not give an HDF5 file in parts. Reading the
            file raises it, too, where the server falls silent or is slower than the floor of downloads.
    """
    try:
        import remfile
    except ImportError:
        raise InputError(
            "reading from an address needs the package remfile: pip install 'nlbprob[remote]', or download the file."
        ) from None
    size = probe(url)
    file = remfile.File(url, _size=length(url) if size is None else size)  # it would ask for that without a time limit
    session: Any = file.session
    opened.enter_context(contextlib.closing(session))
    session.request = Patience(session.request).request
    file.read = telling(file.read)
    return file


class GivenUp(BaseException):
    """A server is not waited for any longer. No `Exception`: remfile would ask again after each of these."""


class Patience:
    """Sends requests, and gives the server up that is silent twice in a row, or slower than the floor.

    Args:
        send: as `requests.Session.request`.
    """

    def __init__(self, send: Callable[..., Any]) -> None:
        self.send, self.silent = send, 0

    def request(self, method: str, url: str, **options: Any) -> Any:
        """The whole answer to a request. Raises GivenUp where it does not come, or too slowly."""
        try:
            answer = within(TIMEOUT_S, self.send, method, url, **options, timeout=TIMEOUT_S, stream=True)
            answer.raw.stream = functools.partial(paced, answer.raw)
            _ = answer.content  # which reads it
        except Slow as error:
            raise GivenUp(f"is too slow: {error}") from error
        except Exception as error:
            self.silent = self.silent + 1 if "timed out" in str(error) else 0
            if self.silent == 2:
                raise GivenUp(f"fell silent for {TIMEOUT_S:g} s, twice") from error
            raise
        self.silent = 0
        return answer


def paced(raw: Any, amt: int, decode_content: bool = True) -> Iterator[bytes]:
    """What `raw.stream` of urllib3 gives, as it comes. Raises Slow where it comes too slowly."""
    pace = Pace()
    try:
        while piece := raw.read1(amt, decode_content=decode_content):
            yield piece
            pace.add(len(piece))
    except BaseException:  # the connection is of no use any more
        raw.close()
        raise


def telling(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """The same function, which raises InputError where the server is given up."""

    def call(size: int) -> bytes:
        try:
            return read(size)
        except GivenUp as error:
            raise InputError(f"the server {error}; try again later, or download the file.") from error

    return call


def within[T](seconds: float, function: Callable[..., T], *arguments: Any, **keywords: Any) -> T:
    """What a function returns. Raises TimeoutError where it takes longer; it is left to itself then.

    A time limit of a socket is one for each piece: against a server whose headers come by the byte it is none.
    """
    done: queue.SimpleQueue = queue.SimpleQueue()

    def work() -> None:
        try:
            done.put((function(*arguments, **keywords), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        value, error = done.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("timed out") from None
    if error is not None:
        raise error
    return value


def probe(url: str) -> int | None:
    """Read the first bytes.

    Returns:
        The file's size in bytes, where the server says it with these.

    Raises:
        InputError: they do not come, not in parts, or are of no HDF5 file.
    """
    status, headers, begin = asked(url, {"Range": f"bytes=0-{len(SIGNATURE) - 1}"})
    if begin != SIGNATURE:
        raise InputError("gives no HDF5 file, but perhaps a page about one; give the address of the file itself.")
    if status != 206:
        raise InputError("the server gives the file as a whole only; download it, and give its path.")
    size = re.fullmatch(r"bytes \d+-\d+/(\d{1,18})", headers.get("Content-Range") or "")
    return int(size[1]) if size else None


def length(url: str) -> int:
    """The size of a file in bytes, as an answer that holds it all says. Raises InputError where none does."""
    size = asked(url, {})[1].get("Content-Length") or ""
    if not re.fullmatch(r"\d{1,18}", size):
        raise InputError("the server does not say how long the file is; download it, and give its path.")
    return int(size)


def asked(url: str, headers: dict[str, str]) -> tuple[int, Any, bytes]:
    """Status, headers and first bytes of an answer. Raises InputError where there is none, or a refusal."""

    def ask() -> tuple[int, Any, bytes]:
        wanted = urllib.request.Request(url, headers={"User-Agent": f"nlbprob/{__version__}"} | headers)
        with urllib.request.urlopen(wanted, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.headers, answer.read(len(SIGNATURE))

    try:
        return within(TIMEOUT_S, ask)
    except urllib.error.HTTPError as error:
        error.close()
        advice = REFUSALS.get(error.code, "try again later, or download the file")
        raise InputError(f"the server answers {error.code}; {advice}.") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise InputError(f"the server does not answer ({clause(error)}); check the address and the network.") from None
