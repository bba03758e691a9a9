"""Which recording a run is of: its files, and whether they are still the ones that were fitted."""

import dataclasses
import hashlib
import os
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

from nlbprob.errors import InputError, printable


@dataclasses.dataclass(frozen=True)
class Source:
    """A file of the recording, as it was when it was read.

    Attributes:
        path: where it was, absolute.
        size: in bytes.
        stamps: when content and properties were last changed, in ns: while they are the same, so is the content.
        sha256: of the content; None where the run ended before it was known.
    """

    path: str
    size: int
    stamps: tuple[int, int]
    sha256: str | None = None

    @classmethod
    def of(cls, path: str | os.PathLike) -> "Source":
        """That of a file as it is, without its checksum."""
        place = pathlib.Path(path).resolve()
        stat = place.stat()
        return cls(str(place), stat.st_size, (stat.st_mtime_ns, stat.st_ctime_ns))

    @classmethod
    def parsed(cls, content: Any) -> "Source":
        """From JSON. Raises KeyError, TypeError or ValueError where it is none."""
        size, (changed, moved), digest = int(content["size"]), content["stamps"], content["sha256"]
        return cls(str(content["path"]), size, (int(changed), int(moved)), None if digest is None else str(digest))

    def hashed(self) -> "Source":
        """The same with its checksum; without where the file is no longer the same, or there."""
        try:
            with open(self.path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            return dataclasses.replace(self, sha256=digest) if Source.of(self.path) == self else self
        except OSError:
            return self

    def difference(self, path: str | os.PathLike | None = None) -> str | None:
        """How the file, or one at another place, differs from what was read; None where it does not.

        Its content is read only where its size is right and its time stamps are others.
        """
        place = self.path if path is None else path
        try:
            current = Source.of(place)
            if current.size != self.size:
                return f"it has {current.size} bytes, and had {self.size}"
            if current.stamps == self.stamps and current.path == self.path:
                return None
            if self.sha256 is None:
                return "it was written to since, and its checksum was not taken before the run ended"
            return None if current.hashed().sha256 == self.sha256 else "its content is another one (by its SHA-256)"
        except OSError as error:
            return "it is no longer there" if isinstance(error, FileNotFoundError) else f"{error.strerror}"


def files_of(data: str | Iterable[str], dataset: str | None = None) -> list[pathlib.Path]:
    """The files of a recording, of several, or of a data set of the benchmark in a folder; none for an address."""
    if not isinstance(data, str):
        return [path for each in data for path in files_of(each, dataset)]
    place = pathlib.Path(data)
    if place.is_file():
        return [place]
    if dataset is not None and place.is_dir():
        from nlbprob.data.nlb.facts import facts
        from nlbprob.data.nlb.files import find_pair

        return list(find_pair(place, facts(dataset)))
    return []


def note_unchecked(data: str | Iterable[str]) -> None:
    """Say of a recording at an address that nothing tells whether it is still the one that was fitted."""
    for address in [data] if isinstance(data, str) else data:
        if "://" in address:
            print(
                f"Note: {printable(address)} is not on this disk: whether it is still the recording that was "
                "fitted cannot be checked.",
                file=sys.stderr,
            )


def check_recording(sources: Iterable[Source], run: pathlib.Path, started: str) -> None:
    """See that the recording is still the one that was fitted.

    Raises:
        InputError: a file has another content, or is no longer where it was.
    """
    for source in sources:
        if (change := source.difference()) is not None:
            raise InputError(
                f"{printable(source.path)}: is not the recording that {run} was fitted to on {started[:10]}: {change}. "
                "Put that file back in its place, or fit again."
            )
