import contextlib
import gc
import hashlib
import json
import socket
import subprocess
import sys

import pytest

from nlbprob.cli import main
from nlbprob.data import archive, dandi, transfer
from nlbprob.data.dandi import VERSIONS, download, download_test_targets
from nlbprob.errors import InputError
from tests.data.loopback import serve

TRAIN = "sub-Indy/sub-Indy_desc-train_behavior+ecephys.nwb"
TEST = "sub-Indy/sub-Indy_desc-test_ecephys.nwb"
CONTENT = {TRAIN: b"train " * 5000, TEST: b"test " * 3000}
VERSION = "0.241017.1444"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("DANDI_NO_ET", "1")


def archive_files(dandiset="000129", version=VERSION, content=CONTENT):
    """What an archive's API answers, by path."""
    stamps = {"created": "2024-01-01T00:00:00Z", "modified": "2024-01-01T00:00:00Z"}
    published = {"version": version, "name": "x", "asset_count": 2, "size": 1, "status": "Valid", **stamps}
    draft = published | {"version": "draft"}
    results, files = [], {}
    for number, (path, data) in enumerate(content.items()):
        identity = f"0000000{number}"
        results.append({"asset_id": identity, "blob": "b", "zarr": None, "path": path, "size": len(data), **stamps})
        digest = {archive.DIGEST: hashlib.sha256(data).hexdigest()}
        place = f"/api/dandisets/{dandiset}/versions/{version}/assets/{identity}/"
        files[place] = encoded({"path": path, "digest": digest, "contentUrl": []})
        files[f"/api/assets/{identity}/download/"] = data
    files[f"/api/dandisets/{dandiset}/versions/{version}/assets/"] = encoded(
        {"count": 2, "next": None, "results": results}
    )
    files[f"/api/dandisets/{dandiset}/"] = encoded(
        {
            "identifier": dandiset,
            "contact_person": "x",
            "embargo_status": "OPEN",
            "most_recent_published_version": published,
            "draft_version": draft,
            **stamps,
        }
    )
    info = {"schema_version": "0.6.8", "version": "0.3.0", "cli-minimal-version": "0.14.2", "cli-bad-versions": []}
    services = {"api": {"url": "API"}, "webui": None, "jupyterhub": None}
    files["/api/info/"] = encoded(info | {"services": services})
    return files


def encoded(content):
    return json.dumps(content).encode()


@pytest.fixture
def client(monkeypatch):
    """DANDI's own client, which does not wait between attempts."""
    pytest.importorskip("dandi", reason="needs the extra nlbprob[download]")
    monkeypatch.setattr("dandi.download.random.random", lambda: 0.0)


@contextlib.contextmanager
def archive_at(files, **behavior):
    """A server that answers as an archive's API."""
    with serve(files, **behavior) as site:
        if isinstance(files["/api/info/"], bytes):
            services = {"api": {"url": f"{site.url}/api"}, "webui": None, "jupyterhub": None}
            files["/api/info/"] = encoded(json.loads(files["/api/info/"]) | {"services": services})
        yield site


def check_download(site, folder):
    files = download("mc_rtt", folder, api_url=f"{site.url}/api", progress=False)
    assert {str(path.relative_to(folder / "000129")): path.read_bytes() for path in files} == CONTENT
    noted = json.loads((folder / "000129" / "download.json").read_text())["mc_rtt"]
    assert (noted["dandiset"], noted["version"]) == ("000129", VERSION)
    assert {entry["path"] for entry in noted["files"]} == set(CONTENT)


def test_both_files_come_with_their_version_noted(client, tmp_path):
    with archive_at(archive_files()) as site:
        check_download(site, tmp_path)
        asked = len(site.requests)
        site.files["/api/dandisets/000129/"] = archive_files(version="0.0.1")["/api/dandisets/000129/"]
        check_download(site, tmp_path)  # the version noted is kept, and what is here not fetched again
        assert not [path for path, _ in site.requests[asked:] if path.endswith("/download/")]
    assert {path.name for path in (tmp_path / "000129").rglob("*") if path.is_file()} == {
        "download.json",
        *(path.rpartition("/")[2] for path in CONTENT),
    }


def test_an_interrupted_download_is_continued(client, tmp_path):
    files = archive_files()
    with archive_at(files) as site:
        site.files["/api/assets/00000000/download/"] = [CONTENT[TRAIN], 404]
        site.breaking, site.break_after, site.breaks = "/api/assets/00000000/download/", 1234, 1
        with pytest.raises(InputError, match="behavior.ecephys.nwb: there is no such file"):
            check_download(site, tmp_path)
        site.files["/api/assets/00000000/download/"] = CONTENT[TRAIN]
        asked = len(site.requests)
        check_download(site, tmp_path)
        assert ("/api/assets/00000000/download/", 1234) in site.requests[asked:]


def test_what_an_earlier_version_left_is_continued(client, tmp_path):
    part = tmp_path / "000129" / f"{TRAIN}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[TRAIN][:1234])
    with archive_at(archive_files()) as site:
        check_download(site, tmp_path)
        assert ("/api/assets/00000000/download/", 1234) in site.requests


@pytest.mark.parametrize("rest", [b"of another file", b"x" * 10**6, b""])
@pytest.mark.parametrize("checksum", [None, "[1]", "{", json.dumps({"sha256": "0" * 64})])
def test_what_cannot_be_continued_is_thrown_away(client, tmp_path, rest, checksum):
    folder = tmp_path / "000129" / f"{TRAIN}.part.dandidownload"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(rest)
    right = json.dumps({"sha256": hashlib.sha256(CONTENT[TRAIN]).hexdigest()})
    (folder / "checksum").write_text(right if checksum is None else checksum)
    with archive_at(archive_files()) as site:
        check_download(site, tmp_path)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["file", "checksum", "lock", ""])
def test_nothing_is_written_through_a_link(client, tmp_path, name):
    folder = tmp_path / "000129" / f"{TRAIN}.part.dandidownload"
    (folder if name else folder.parent).mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (folder / name if name else folder).symlink_to(tmp_path / "mine")
    with archive_at(archive_files()) as site, pytest.raises(InputError, match="is a link.*remove it"):
        check_download(site, tmp_path)
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("path", ["/../../../outside.nwb", "\\..\\outside.nwb", "\x1b[2J.nwb", "//outside.nwb"])
def test_a_path_of_the_server_stays_in_the_folder(client, tmp_path, path):
    files = archive_files(content={f"sub-Indy/sub-Indy_desc-{path}": b"x", TEST: b"y"})
    with archive_at(files) as site, pytest.raises(InputError, match="which is no path in a folder; nothing is written"):
        download("mc_rtt", tmp_path / "data", api_url=f"{site.url}/api", progress=False)
    assert not [entry for entry in tmp_path.rglob("*") if entry.is_file()]


def test_a_connection_slower_than_the_floor_ends_and_the_rest_is_kept(client, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "WINDOW_S", 0.2)
    with archive_at(archive_files()) as site:
        site.trickle = ("/api/assets/00000000/download/",)
        with pytest.raises(InputError, match="too slow: it brought .* of 30000 bytes are in .* goes on"):
            check_download(site, tmp_path)
        site.trickle = ()
        check_download(site, tmp_path)
        assert any(site.offsets())


def test_more_bytes_than_declared_are_not_written(client, tmp_path):
    files = archive_files()
    files["/api/assets/00000000/download/"] = CONTENT[TRAIN] + b"more" * 10**5
    with archive_at(files) as site:
        check_download(site, tmp_path)


def test_a_redirect_to_another_kind_of_address_is_not_followed(client, tmp_path):
    moved = {"/api/assets/00000000/download/": "file:///etc/passwd"}
    with (
        archive_at(archive_files(), redirects=moved) as site,
        pytest.raises(InputError, match="No connection adapters"),
    ):
        check_download(site, tmp_path)
    assert not (tmp_path / "000129" / TRAIN).exists()


def test_an_answer_without_an_end_is_not_read(client, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 1000)
    files = archive_files()
    files["/api/dandisets/000129/"] = b" " * 10**5
    with archive_at(files) as site, pytest.raises(InputError, match="The archive's answer is longer than 1000 bytes"):
        check_download(site, tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaves its lock open
def test_a_client_that_fetches_the_same_file_at_once_is_named(client, tmp_path):
    folder = tmp_path / "000129" / f"{TRAIN}.part.dandidownload"
    folder.mkdir(parents=True)
    right = json.dumps({"sha256": hashlib.sha256(CONTENT[TRAIN]).hexdigest()})
    (folder / "checksum").write_text(right)
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, 2); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folder / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with archive_at(archive_files()) as site, pytest.raises(InputError, match="Could not acquire download lock"):
            check_download(site, tmp_path)
        other.communicate("\n")
    gc.collect()


@pytest.mark.parametrize("content", ["[]", "{", '{"mc_rtt": 5}', '{"mc_rtt": {"version": [1]}}'])
def test_notes_that_cannot_be_read_are_written_again(client, tmp_path, content):
    (tmp_path / "000129").mkdir()
    (tmp_path / "000129" / "download.json").write_text(content)
    with archive_at(archive_files()) as site:
        check_download(site, tmp_path)


def test_pinned_versions_are_asked_for(client, tmp_path):
    content = {f"sub-Jenkins/sub-Jenkins_ses-small_desc-{kind}.nwb": b"x" for kind in ("test_a", "train_b")}
    content["sub-Jenkins/other.nwb"] = b"y"
    with archive_at(archive_files("000140", VERSIONS["000140"], content)) as site:
        files = download("mc_maze_small", tmp_path, api_url=f"{site.url}/api", progress=False)
    assert [path.name for path in files] == [
        "sub-Jenkins_ses-small_desc-test_a.nwb",
        "sub-Jenkins_ses-small_desc-train_b.nwb",
    ]


DANDISET = json.loads(archive_files()["/api/dandisets/000129/"])
ASSET = f"/api/dandisets/000129/versions/{VERSION}/assets/00000000/"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"/api/assets/00000000/download/": 404}, f"DANDI:000129/{VERSION}, sub-Indy/.*: there is no such file"),
        ({"/api/assets/00000000/download/": b"!" * 30000}, "is damaged: its SHA-256 is"),
        ({"/api/dandisets/000129/": 404}, "the archive's client cannot go on: No such Dandiset"),
        ({"/api/info/": 503}, "the archive answers with HTTP status 503"),
        (
            {f"/api/dandisets/000129/versions/{VERSION}/assets/": encoded({"results": [], "next": None, "count": 0})},
            "a train and a test file of mc_rtt were expected, none found",
        ),
        (
            {"/api/dandisets/000129/": encoded(DANDISET | {"most_recent_published_version": None})},
            "DANDI:000129 of mc_rtt has no published version",
        ),
        ({"/api/dandisets/000129/": b"[" * 10**5}, "the archive's client cannot go on"),
        ({"/api/dandisets/000129/": encoded({"identifier": 5})}, "cannot go on: .* validation errors"),
        ({f"/api/dandisets/000129/versions/{VERSION}/assets/": encoded([1])}, "the archive's client cannot go on"),
        ({ASSET: encoded({"digest": {archive.DIGEST: "../x"}})}, "the archive names no SHA-256 of the file"),
        ({ASSET: encoded({"digest": [5]})}, "the archive's client cannot go on"),
    ],
)
def test_what_goes_wrong_is_said(client, tmp_path, change, message):
    with archive_at(archive_files() | change) as site, pytest.raises(InputError, match=message):
        download("mc_rtt", tmp_path, api_url=f"{site.url}/api", progress=False)


def test_without_a_network_the_archive_is_named(client, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/api"
    with pytest.raises(InputError, match=rf"{url} cannot be reached \(Connection refused\); is there a network"):
        download("mc_rtt", tmp_path, api_url=url)


def test_the_command_without_the_extra_or_with_a_wrong_name(tmp_path, monkeypatch, capsys):
    for module in ("dandi", "dandi.consts", "dandi.dandiapi"):
        monkeypatch.setitem(sys.modules, module, None)
    assert main(["download", "mc_rtt", "--to", str(tmp_path)]) == 2
    assert "pip install 'nlbprob[download]'" in capsys.readouterr().err
    assert main(["download", "mc_rt", "--to", str(tmp_path)]) == 2
    assert "'mc_rt' cannot be downloaded. Did you mean 'mc_rtt'" in capsys.readouterr().err
    assert main(["download", "test_targets"]) == 2
    assert "Did you mean 'test-targets'" in capsys.readouterr().err


def test_test_targets_are_checked(tmp_path, monkeypatch, capsys):
    content = b"targets" * 1000
    monkeypatch.setattr(dandi, "TEST_TARGETS_SIZE", len(content))
    monkeypatch.setattr(dandi, "TEST_TARGETS_SHA256", hashlib.sha256(content).hexdigest())
    with serve({"/eval_data_test.h5": content}) as site:
        path = download_test_targets(tmp_path, f"{site.url}/eval_data_test.h5", progress=False)
        assert path.read_bytes() == content
        assert main(["download", "test-targets", "--to", str(tmp_path)]) == 0  # it is there already
        assert "nlbprob test RUN" in capsys.readouterr().out
        site.files["/eval_data_test.h5"] = b"Targets" * 1000
        with pytest.raises(InputError, match="eval_data_test.h5: what came from .* is damaged"):
            download_test_targets(tmp_path / "again", f"{site.url}/eval_data_test.h5", progress=False)
