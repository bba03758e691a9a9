"""DANDI's own client: it finds, fetches, resumes and verifies files; here its server is kept within bounds."""

import contextlib
import functools
import json
import os
import shutil
import threading
import urllib.error
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from nlbprob.data.places import refuse_links
from nlbprob.data.transfer import (
    CHUNK,
    PASSING,
    Pace,
    Slow,
    Source,
    check_room,
    checksum,
    is_there,
    kept,
    refusal,
    request,
    writing,
    wrong_content,
)
from nlbprob.errors import InputError, printable

DIGEST = "dandi:sha2-256"
REACH_S, TIMEOUT_S = 10.0, 60.0
#: The most bytes that an answer about files, and not with them, is read of.
MOST_BYTES = 64 << 20


@contextlib.contextmanager
def archive(api_url: str | None) -> Iterator[Any]:
    """DANDI's client. Raises InputError where it is not installed, the archive cannot be reached, or its API fails."""
    try:
        from dandi.consts import known_instances  # pyright: ignore[reportMissingImports]
        from dandi.dandiapi import DandiAPIClient  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            f"Downloads need DANDI's client, which is not installed ({error}): pip install 'nlbprob[download]'. "
            "Or get the files from https://dandiarchive.org yourself."
        ) from error
    url = api_url or known_instances["dandi"].api
    reach(url)
    try:
        with DandiAPIClient(url) as client:
            session: Any = client.session
            session.request = functools.partial(session.request, timeout=TIMEOUT_S)
            client.session.hooks["response"].append(watch)
            yield client
    except InputError:
        raise
    except (
        Exception
    ) as error:  # of the client, about whatever the server answered: not found, no JSON, other types, ...
        reason_text = printable((str(error) or type(error).__name__).splitlines()[0][:300])
        raise InputError(f"{url}: the archive's client cannot go on: {reason_text}. Try again later.") from error


def reach(url: str) -> None:
    """Raise InputError unless the archive answers; its client would try for minutes."""
    try:
        request(f"{url.rstrip('/')}/info/", {}, REACH_S).close()
    except urllib.error.HTTPError as error:
        error.close()
        raise InputError(f"{url}: the archive answers with HTTP status {error.code}; try again later.") from error
    except (OSError, ValueError) as error:  # the second of an address that is none
        reason = getattr(error, "reason", error)
        reason_text = printable(str(getattr(reason, "strerror", None) or reason))
        raise InputError(f"{url} cannot be reached ({reason_text}); is there a network connection?") from error


def watch(answer: Any, stream: bool = False, **_: Any) -> None:
    """Let an answer of `requests` come in no slower than the floor and, unless it is a file, no longer than it may."""
    answer.raw.stream = functools.partial(paced, answer.raw, None if stream else MOST_BYTES)
    if stream and not answer.ok:
        answer.close()  # nobody reads on


def paced(raw: Any, most: int | None, amt: int = CHUNK, decode_content: bool = True) -> Generator[bytes, None, None]:
    """What `raw.stream` of urllib3 gives, as it comes. Raises Slow, or InputError where it is longer than `most`."""
    pace, came = Pace(), 0
    try:
        while piece := raw.read1(amt, decode_content=decode_content):
            came += len(piece)
            if most is not None and came > most:
                raise InputError(f"The archive's answer is longer than {most} bytes; try again later.")
            yield piece
            pace.add(len(piece))
    except BaseException:  # the reader's leaving, too: the connection is of no use any more
        raw.close()
        raise


def digest(asset: Any) -> str:
    """The SHA-256 of a file of the archive. Raises InputError where it has none."""
    hex_digest = asset.get_raw_digest(DIGEST)
    if len(hex_digest) != 64 or not set(hex_digest) <= set("0123456789abcdef"):
        raise InputError(f"{printable(asset.path)}: the archive names no SHA-256 of the file; look on its page.")
    return hex_digest


def fetch_asset(asset: Any, target: Path, origin: str, progress: bool = True) -> None:
    """Write a file of the archive, by its own client; nothing that was not verified ever bears the name `target`.

    What has come so far stays beside it, and the next call goes on from there.

    Args:
        asset: the file of the archive, as its client has it.
        target: where to write it.
        origin: what messages call the place it comes from.
        progress: show a bar.

    Raises:
        InputError: the file exists with another content, does not come whole, right or fast enough, or cannot be
            written.
    """
    size, sha256 = asset.size, digest(asset)
    if size < 0:
        raise InputError(f"{origin}: is said to have {size} bytes; look on its page.")
    part = target.with_name(f"{target.name}.part")
    if is_there(target, size, sha256, origin):
        return
    for again in (False, True):
        with writing(target, size):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = prepare(part, size, sha256)
            continued = partial.exists()
            check_room(target.parent, size - (partial.stat().st_size if continued else 0))
            try:
                problem = run_client(asset, part, partial, origin, progress)
            except Slow as error:
                raise InputError(f"{target.name}: {origin} is too slow: {error}.{kept(partial, size)}") from error
            if not problem:
                os.replace(part, target)
                return
            if not part.exists():
                reason_text = printable(problem)
                raise InputError(
                    f"{target.name}: cannot be fetched from {origin} ({reason_text}).{kept(partial, size)}"
                )
            actual = checksum(part)
            part.unlink()
        # What was continued may have begun as another file; what came in one piece is simply wrong.
        if again or not continued:
            raise InputError(wrong_content(target.name, origin, actual, sha256))
    raise AssertionError("the second attempt returns or raises")


def prepare(part: Path, size: int, sha256: str) -> Path:
    """Make the client's folder fit to go on in.

    Returns:
        The file in it that holds what has come so far.

    Raises:
        InputError: something stands in the way that is not the client's.
    """
    from dandi.consts import DOWNLOAD_SUFFIX  # pyright: ignore[reportMissingImports]

    folder = part.with_name(part.name + DOWNLOAD_SUFFIX)
    partial, expected = folder / "file", folder / "checksum"
    refuse_links(part, folder, partial, expected, folder / "lock")
    if part.is_dir() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{part} or {folder} is in the way; remove it.")
    wanted = json.dumps({"sha256": sha256})
    if part.exists() and not folder.exists():  # of an earlier nlbprob
        folder.mkdir()
        os.replace(part, partial)
        expected.write_text(wanted, encoding="utf-8")
    part.unlink(missing_ok=True)  # what stands there after a failure is of this call
    there = expected.read_text(encoding="utf-8", errors="replace") if expected.is_file() else ""
    if folder.exists() and (there != wanted or (partial.exists() and partial.stat().st_size > size)):
        shutil.rmtree(folder)
    return partial


def run_client(asset: Any, part: Path, partial: Path, origin: str, progress: bool) -> str:
    """Let the client fetch a file into `part`, and verify it there; returns what went wrong, "" where nothing did."""
    from dandi.download import DownloadExisting, _download_file  # pyright: ignore[reportMissingImports]
    from tqdm import tqdm

    # The public function of the client takes the paths from the server, and puts a file in its place before it is
    # verified; this is the part of it that fetches one file to where it is told to.
    records = _download_file(
        bounded(asset, origin),
        part,
        toplevel_path=part.parent,
        lock=threading.Lock(),
        size=asset.size,
        existing=DownloadExisting.OVERWRITE,
        digests={"sha256": digest(asset)},
    )
    have = partial.stat().st_size if partial.exists() else 0
    name = part.name.removesuffix(".part")
    with (
        contextlib.closing(records),  # pyright: ignore[reportArgumentType] (it is a generator)
        tqdm(total=asset.size, initial=have, desc=name, unit="B", unit_scale=True, disable=not progress) as bar,
    ):
        for record in records:
            bar.update(max(record.get("done", 0) - bar.n, 0))
            if record.get("status") == "error":
                return str(record.get("message"))
    return ""


def bounded(asset: Any, origin: str) -> Source:
    """The bytes of a file of the archive from an offset on, and none after its end."""
    start = asset.get_download_file_iter(chunk_size=CHUNK)

    def pieces(offset: int) -> Generator[bytes, None, None]:
        from requests import ConnectionError

        have = offset
        try:
            with contextlib.closing(start(offset)) as answer:
                for piece in answer:
                    yield piece[: asset.size - have]
                    have += len(piece)
                    if have >= asset.size:
                        return
        except OSError as error:
            if isinstance(error, ValueError):  # an address that is none, or not of HTTP
                raise InputError(f"{origin}: {printable(str(error))}") from error
            status = getattr(getattr(error, "response", None), "status_code", None)
            if status is None or status in PASSING:
                raise
            raise InputError(refusal(status, origin)) from error
        raise ConnectionError("it ends early")  # the client tries again

    return pieces
