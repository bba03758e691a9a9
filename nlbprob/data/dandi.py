"""The benchmark's files: recordings from the DANDI archive by its own client, test targets from where they were put."""

import contextlib
import datetime
import json
import os
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from nlbprob.data.nlb.facts import DATASETS, Dataset, facts
from nlbprob.data.transfer import CHUNK, Refusal, Source, fetch, from_url
from nlbprob.errors import InputError, suggestion

#: Published versions that the benchmark's numbers are known of. Of other dandisets the latest is taken, and noted.
VERSIONS = {"000128": "0.220113.0400", "000140": "0.220113.0408"}
#: The targets of the test phase of all data sets, public since the challenge ended in January 2026.
TEST_TARGETS = "eval_data_test.h5"
TEST_TARGETS_URL = f"https://media.githubusercontent.com/media/neurallatents/nlb_tools/main/data/{TEST_TARGETS}"
TEST_TARGETS_SIZE = 105_927_616
TEST_TARGETS_SHA256 = "f2f434d30193251b58e6a693381fdd185c8fbc0e47d38f8810e65295bc42c865"
#: What a folder of a dandiset says about where its files come from, by the name of the data set.
NOTES = "download.json"
DIGEST = "dandi:sha2-256"
REACH_S = 10.0


def download(dataset: str, to: str | os.PathLike, api_url: str | None = None, progress: bool = True) -> list[Path]:
    """Fetch the train and the test file of a data set into {to}/{dandiset}/{subject}; returns their paths.

    Broken downloads are continued, files are checked against the archive's SHA-256, and the version of the dandiset
    is noted in {to}/{dandiset}/download.json. api_url: of another DANDI server.
    Raises InputError where there is no such data set, the client is not installed, the archive cannot be reached or
    does not have the files, and as `fetch` does.
    """
    if dataset not in DATASETS:
        raise InputError(f"{dataset!r} cannot be downloaded. {suggestion(dataset, [*DATASETS, 'test-targets'])}")
    known = facts(dataset)
    folder = Path(to) / known.dandiset
    with archive(api_url) as client:
        version = VERSIONS.get(known.dandiset) or noted(folder, dataset) or latest(client, known)
        assets = find_assets(client, known, version)
        files = [
            fetch(
                from_asset(asset),
                folder / asset.path,
                size=asset.size,
                sha256=asset.get_raw_digest(DIGEST),
                origin=f"DANDI:{known.dandiset}/{version}, {asset.path}",
                progress=progress,
            )
            for asset in assets
        ]
        details = [{"path": a.path, "size": a.size, "sha256": a.get_raw_digest(DIGEST)} for a in assets]
    note(folder, dataset, {"dandiset": known.dandiset, "version": version, "files": details})
    return files


def download_test_targets(to: str | os.PathLike, url: str = TEST_TARGETS_URL, progress: bool = True) -> Path:
    """Fetch the targets of the test phase into a folder, checked against their SHA-256; returns their path.

    Raises InputError as `fetch` does.
    """
    return fetch(
        from_url(url),
        Path(to) / TEST_TARGETS,
        size=TEST_TARGETS_SIZE,
        sha256=TEST_TARGETS_SHA256,
        origin=url,
        progress=progress,
    )


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
            yield client
    except (OSError, RuntimeError) as error:  # of requests, and of the client: not found, too old, ...
        raise InputError(f"{url}: the archive's client cannot go on: {error}. Try again later.") from error


def reach(url: str) -> None:
    """Raise InputError unless the archive answers; its client would try for minutes."""
    try:
        urllib.request.urlopen(f"{url.rstrip('/')}/info/", timeout=REACH_S).close()
    except urllib.error.HTTPError as error:
        error.close()
        raise InputError(f"{url}: the archive answers with HTTP status {error.code}; try again later.") from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"{url} cannot be reached ({getattr(reason, 'strerror', None) or reason}); is there a network connection?"
        ) from error


def latest(client: Any, dataset: Dataset) -> str:
    """The version of the dandiset that was published last."""
    version = client.get_dandiset(dataset.dandiset).most_recent_published_version
    if version is None:
        raise InputError(f"DANDI:{dataset.dandiset} of {dataset.name} has no published version; look on its page.")
    return version.identifier


def find_assets(client: Any, dataset: Dataset, version: str) -> list[Any]:
    """The train and the test file in a version of the dandiset."""
    subject = dataset.files.partition("_")[0]
    dandiset = client.get_dandiset(dataset.dandiset, version)
    found = list(dandiset.get_assets_with_path_prefix(f"{subject}/{dataset.files}_desc-", order="path"))
    if len(found) != 2:
        listed = ", ".join(asset.path for asset in found) or "none"
        raise InputError(
            f"DANDI:{dataset.dandiset}/{version}: a train and a test file of {dataset.name} were expected, "
            f"{listed} found; look on the dandiset's page."
        )
    return found


def from_asset(asset: Any) -> Source:
    """A file of the archive, through its client."""
    start = asset.get_download_file_iter(chunk_size=CHUNK)

    def pieces(offset: int) -> Generator[bytes, None, None]:
        try:
            yield from start(offset)
        except OSError as error:
            response = getattr(error, "response", None)
            if response is None:
                raise
            raise Refusal(response.status_code) from error

    return pieces


def noted(folder: Path, dataset: str) -> str | None:
    """The version that an earlier download took, so that what it left is continued and not mixed with another's."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return json.loads((folder / NOTES).read_text(encoding="utf-8"))[dataset]["version"]
    return None


def note(folder: Path, dataset: str, entry: dict[str, Any]) -> None:
    """Write where the files of a data set come from, beside what is noted of others in the folder."""
    path, others = folder / NOTES, {}
    with contextlib.suppress(OSError, ValueError):
        others = json.loads(path.read_text(encoding="utf-8"))
    when = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    path.write_text(json.dumps(others | {dataset: entry | {"date": when}}, indent=2) + "\n", encoding="utf-8")
