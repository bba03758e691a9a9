"""The benchmark's files: recordings from the DANDI archive by its own client, test targets from where they were put."""

import contextlib
import datetime
import itertools
import json
import os
from pathlib import Path
from typing import Any

from nlbprob.arguments import flag
from nlbprob.data.archive import archive, digest, fetch_asset
from nlbprob.data.nlb.facts import DATASETS, Dataset, facts
from nlbprob.data.places import inside
from nlbprob.data.transfer import fetch, from_url, writing
from nlbprob.errors import InputError, printable, suggestion
from nlbprob.files import write_text

#: Published versions that the benchmark's numbers are known of. Of other dandisets the latest is taken, and noted.
VERSIONS = {"000128": "0.220113.0400", "000140": "0.220113.0408"}
#: The targets of the test phase of all data sets, public since the challenge ended in January 2026.
TEST_TARGETS = "eval_data_test.h5"
TEST_TARGETS_URL = f"https://media.githubusercontent.com/media/neurallatents/nlb_tools/main/data/{TEST_TARGETS}"
TEST_TARGETS_SIZE = 105_927_616
TEST_TARGETS_SHA256 = "f2f434d30193251b58e6a693381fdd185c8fbc0e47d38f8810e65295bc42c865"
#: The source of the files in a folder of a dandiset, by the name of the data set.
NOTES = "download.json"
#: How many files of a list from the server are looked at.
MOST_FILES = 1000


def download(dataset: str, to: str | os.PathLike, api_url: str | None = None, progress: bool = True) -> list[Path]:
    """Fetch the train and the test file of a data set into {to}/{dandiset}/{subject}.

    Broken downloads are continued, files are checked against the archive's SHA-256, and the version of the dandiset is
    noted in {to}/{dandiset}/download.json.

    Args:
        dataset: name of the data set.
        to: the folder.
        api_url: of another DANDI server.
        progress: show a bar.

    Returns:
        The paths of the files.

    Raises:
        InputError: there is no such data set, the client is not installed, the archive cannot be reached, does not have
            the files or names a place outside the folder; and as `fetch_asset` does.
    """
    if dataset not in DATASETS:
        raise InputError(f"{dataset!r} cannot be downloaded. {suggestion(dataset, [*DATASETS, 'test-targets'])}")
    dataset_facts, progress = facts(dataset), flag(progress, "download", "progress")
    folder = Path(to) / dataset_facts.dandiset
    with archive(api_url) as client:
        version = VERSIONS.get(dataset_facts.dandiset) or noted(folder, dataset) or latest(client, dataset_facts)
        assets = find_assets(client, dataset_facts, version)
        targets = [inside(folder, asset.path) for asset in assets]
        details = [{"path": asset.path, "size": asset.size, "sha256": digest(asset)} for asset in assets]
        origin = f"DANDI:{dataset_facts.dandiset}/{printable(version)}"
        for asset, target in zip(assets, targets, strict=True):
            fetch_asset(asset, target, f"{origin}, {asset.path}", progress)
    note(folder, dataset, {"dandiset": dataset_facts.dandiset, "version": version, "files": details})
    return targets


def download_test_targets(to: str | os.PathLike, url: str = TEST_TARGETS_URL, progress: bool = True) -> Path:
    """Fetch the targets of the test phase into a folder, checked against their SHA-256.

    Args:
        to: the folder.
        url: where they are.
        progress: show a bar.

    Returns:
        Their path.

    Raises:
        InputError: as `fetch` does.
    """
    progress = flag(progress, "download_test_targets", "progress")
    return fetch(
        from_url(url),
        Path(to) / TEST_TARGETS,
        size=TEST_TARGETS_SIZE,
        sha256=TEST_TARGETS_SHA256,
        origin=url,
        progress=progress,
    )


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
    prefix = f"{subject}/{dataset.files}_desc-"
    listed = itertools.islice(dandiset.get_assets_with_path_prefix(prefix, order="path"), MOST_FILES)
    matching = sorted((asset for asset in listed if asset.path.startswith(prefix)), key=lambda asset: asset.path)
    if len(matching) != 2:
        names = printable(", ".join(asset.path for asset in matching[:5])) or "none"
        raise InputError(
            f"DANDI:{dataset.dandiset}/{printable(version)}: a train and a test file of {dataset.name} were expected, "
            f"{names} found; look on the dandiset's page."
        )
    return matching


def noted(folder: Path, dataset: str) -> str | None:
    """The version that an earlier download took, so that what it left is continued and not mixed with another's."""
    version = notes(folder).get(dataset, {}).get("version")
    return version if isinstance(version, str) else None


def notes(folder: Path) -> dict[str, dict[str, Any]]:
    """What is noted of the data sets in a folder; nothing where that cannot be read."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return {name: entry for name, entry in content.items() if isinstance(entry, dict)}
    return {}


def note(folder: Path, dataset: str, entry: dict[str, Any]) -> None:
    """Write where the files of a data set come from, beside what is noted of others in the folder."""
    when = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    content = json.dumps(notes(folder) | {dataset: entry | {"date": when}}, indent=2) + "\n"
    with writing(folder / NOTES, len(content)):
        write_text(folder / NOTES, content)
