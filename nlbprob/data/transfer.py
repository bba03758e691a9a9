"""A file from an address: fetched in pieces, continued where it broke off, checked before it gets its name."""

import contextlib
import errno
import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from nlbprob import __version__
from nlbprob.data.places import refuse_links
from nlbprob.errors import InputError, printable

#: The bytes of a file from an offset on.
Source = Callable[[int], Generator[bytes, None, None]]
CHUNK = 1 << 20
TIMEOUT_S = 60.0
#: Attempts that bring nothing, in a row, after which a transfer is given up; and the wait after the first, doubled.
ATTEMPTS = 4
WAIT_S = 1.0
#: A connection that brings less than so many bytes a second, on average over so many seconds, is given up.
FLOOR, WINDOW_S = 1024, 60.0
#: Answers of a server that may be another one a little later.
PASSING = {408, 425, 429, 500, 502, 503, 504}


class Refusal(Exception):
    """A server's answer that is not the file. status: of HTTP."""

    def __init__(self, status: int):
        super().__init__(f"HTTP status {status}")
        self.status = status


class Slow(Exception):
    """A connection brings too little to be waited for."""


class Pace:
    """Watches over what a connection brings."""

    def __init__(self) -> None:
        self.since, self.came = time.monotonic(), 0

    def add(self, number: int) -> None:
        """Count bytes that came. Raises Slow where they are too few for the time."""
        self.came += number
        seconds = time.monotonic() - self.since
        if seconds < WINDOW_S:
            return
        if self.came < FLOOR * seconds:
            raise Slow(f"it brought {self.came} bytes in {seconds:.0f} s")
        self.since, self.came = time.monotonic(), 0


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address of HTTP, and never from an encrypted to an open one."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The request to make, as urllib has it. Raises HTTPError where none is made."""
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urllib.parse.urlsplit(newurl).scheme not in allowed:
            raise urllib.error.HTTPError(req.full_url, code, "not followed", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def request(url: str, headers: dict[str, str], timeout_s: float) -> Any:
    """The open answer to a request. Raises as `urllib.request.urlopen`."""
    wanted = urllib.request.Request(url, headers={"User-Agent": f"nlbprob/{__version__}"} | headers)
    return urllib.request.build_opener(Redirects).open(wanted, timeout=timeout_s)


def from_url(url: str, timeout_s: float = TIMEOUT_S) -> Source:
    """The file at an address. A server that knows no ranges sends all of it, and what is here already is skipped."""

    def pieces(offset: int) -> Generator[bytes, None, None]:
        try:
            with request(url, {"Range": f"bytes={offset}-"} if offset else {}, timeout_s) as answer:
                skip, pace = 0 if answer.status == 206 else offset, Pace()
                while piece := answer.read1(CHUNK):
                    if len(piece) > skip:
                        yield piece[skip:]
                    skip = max(skip - len(piece), 0)
                    pace.add(len(piece))
        except urllib.error.HTTPError as error:
            error.close()
            raise Refusal(error.code) from error

    return pieces


def fetch(
    source: Source,
    target: Path,
    *,
    size: int,
    sha256: str,
    origin: str,
    progress: bool = True,
    wait_s: float = WAIT_S,
) -> Path:
    """Write the file `target`, checked against its size and SHA-256; nothing else ever bears that name.

    What has come so far is in `target` + ".part", and the next call goes on from there. A file that is there and right
    is left as it is.

    Args:
        source: where it comes from.
        target: where to write it.
        size: in bytes.
        sha256: of its content.
        origin: what messages call the place it comes from.
        progress: show a bar.
        wait_s: the wait after the first attempt that brought nothing, in s; doubled after each.

    Raises:
        InputError: the file exists with another content, the place does not have it or cannot be reached, what comes is
            not what was expected, or it cannot be written.
    """
    part = target.with_name(target.name + ".part")
    if is_there(target, size, sha256, origin):
        return target
    refuse_links(part)
    with writing(target, size):
        target.parent.mkdir(parents=True, exist_ok=True)
        check_room(part.parent, size - (part.stat().st_size if part.exists() else 0))
    for again in (False, True):
        continued = part.exists()
        receive(source, part, size, origin, progress, wait_s)
        actual = checksum(part)
        if actual == sha256:
            os.replace(part, target)
            return target
        part.unlink()
        # What was continued may have begun as another file; what came in one piece is simply wrong.
        if again or not continued:
            raise InputError(wrong_content(target.name, origin, actual, sha256))
    raise AssertionError("the second attempt returns or raises")


def is_there(target: Path, size: int, sha256: str, origin: str) -> bool:
    """Whether the file is there already. Raises InputError where another one is."""
    with writing(target, size):
        if not os.path.lexists(target):
            return False
        if target.is_file() and target.stat().st_size == size and checksum(target) == sha256:
            return True
    raise InputError(f"{target} exists, and is not the file at {origin}; move it away, or choose another folder.")


def wrong_content(name: str, origin: str, actual: str, sha256: str) -> str:
    """The message about a file that is not the expected one."""
    return (
        f"{name}: what came from {origin} is damaged: its SHA-256 is {actual}, {sha256} was expected. It was removed; "
        "try again later."
    )


def kept(part: Path, size: int) -> str:
    """The message about the part of a file that was received."""
    have = part.stat().st_size if part.exists() else 0
    return f" {have} of {size} bytes are in {part}; the same command goes on from there." if have else ""


def receive(source: Source, part: Path, size: int, origin: str, progress: bool, wait_s: float) -> None:
    """Fetch into `part` until it has `size` bytes, again and again as long as bytes come. Raises InputError."""
    from tqdm import tqdm

    if part.exists() and part.stat().st_size > size:
        part.unlink()
    have = part.stat().st_size if part.exists() else 0
    fruitless, emptied, problem = 0, False, ""
    name = part.name.removesuffix(".part")
    with tqdm(total=size, initial=have, desc=name, unit="B", unit_scale=True, disable=not progress) as bar:
        while have < size:
            before = have
            try:
                append(source, part, have, size, bar)
            except Refusal as error:
                if error.status == 416 and not emptied:  # there is more here than there: not of the same file
                    part.unlink(missing_ok=True)
                    emptied = True
                elif error.status not in PASSING:
                    raise InputError(refusal(error.status, origin)) from error
                problem = str(error)
            except Slow as error:
                raise InputError(f"{name}: {origin} is too slow: {error}.{kept(part, size)}") from error
            except Lost as error:
                problem = str(error)
            have = part.stat().st_size if part.exists() else 0
            fruitless = 0 if have == size or have - before >= FLOOR else fruitless + 1
            if fruitless == ATTEMPTS:
                why = problem or "it ends early"
                raise InputError(f"{name}: cannot be fetched from {origin} ({why}).{kept(part, size)}")
            if fruitless:
                time.sleep(wait_s * 2 ** (fruitless - 1))


def append(source: Source, part: Path, have: int, size: int, bar: Any) -> None:
    """Write what comes from byte `have` on to the end of `part`, up to `size` bytes in all; no empty file stays."""
    try:
        # Closed here and not by the garbage collector: an error holds on to its frames, and they to the connection.
        with (
            contextlib.closing(from_elsewhere(source, have)) as pieces,
            writing(part, size - have),
            part.open("ab") as file,
        ):
            for piece in pieces:
                wanted = piece[: size - have]
                file.write(wanted)
                bar.update(len(wanted))
                have += len(wanted)
                if len(wanted) < len(piece):
                    break
    finally:
        if part.exists() and not part.stat().st_size:
            part.unlink()


class Lost(Exception):
    """A connection that could not be made, or broke."""


def from_elsewhere(source: Source, offset: int) -> Generator[bytes, None, None]:
    """The pieces of a source, its network errors separated from those of writing."""
    try:
        yield from source(offset)
    except urllib.error.URLError as error:
        reason = error.reason
        raise Lost(printable(getattr(reason, "strerror", None) or str(reason))) from error
    except (OSError, http.client.HTTPException) as error:
        raise Lost(printable(str(error) or type(error).__name__)) from error


def refusal(status: int, origin: str) -> str:
    """The message about an answer that will not change."""
    if status in (404, 410):
        return f"{origin}: there is no such file (HTTP {status}); it may have moved. Look for a newer nlbprob."
    if status in (401, 403):
        return f"{origin}: the server does not give this file out (HTTP {status})."
    if 300 <= status < 400:
        return f"{origin}: the server sends to an address that is not followed (HTTP {status})."
    if status == 416:
        return f"{origin}: the file there is shorter than it should be; try again later."
    return f"{origin}: the server answers with HTTP status {status}; try again later."


@contextlib.contextmanager
def writing(path: Path, needed: int) -> Iterator[None]:
    """Turn an error of the disk into one that names the remedy.

    Args:
        path: of the file that is written.
        needed: bytes still to come.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"{path}: the disk is full; {needed} more bytes are needed. Make room, and the same command goes on "
                "from what is there."
            ) from error
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder.") from error


def check_room(folder: Path, needed: int) -> None:
    """Raise InputError where the disk of a folder has less room than is needed, before anything is fetched."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(f"{folder}: {free} bytes are free, and {needed} are needed; make room first.")


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
