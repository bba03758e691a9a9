import hashlib
import json
import socket
import sys
import urllib.error
import urllib.request

import pytest

from nlbprob.cli import main
from nlbprob.data import dandi
from nlbprob.data.dandi import VERSIONS, download, download_test_targets
from nlbprob.data.transfer import Refusal
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
        digest = {dandi.DIGEST: hashlib.sha256(data).hexdigest()}
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
    """In the place of DANDI's client, one of a few lines; the tests named `really` use the true one."""

    class Asset:
        def __init__(self, url, path, size, identity, digest):
            self.url, self.path, self.size, self.identity, self.digest = url, path, size, identity, digest

        def get_raw_digest(self, kind):
            assert kind == "dandi:sha2-256"
            return self.digest

        def get_download_file_iter(self, chunk_size):
            from nlbprob.data.transfer import from_url

            def start(offset):
                try:
                    yield from from_url(f"{self.url}/assets/{self.identity}/download/")(offset)
                except Refusal as refusal:  # as `requests` has it
                    error = OSError("refused")
                    error.response = type(
                        "Response", (), {"status_code": refusal.status, "__bool__": lambda _: False}
                    )()
                    raise error from None

            return start

    class Client:
        def __init__(self, url):
            self.url = url

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def get(self, path):
            try:
                with urllib.request.urlopen(self.url + path) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as error:
                error.close()
                raise

        def get_dandiset(self, dandiset, version=None):
            self.dandiset, self.version = dandiset, version
            return self

        @property
        def most_recent_published_version(self):
            known = self.get(f"/dandisets/{self.dandiset}/")["most_recent_published_version"]
            return known and type("Version", (), {"identifier": known["version"]})

        def get_assets_with_path_prefix(self, prefix, order):
            place = f"/dandisets/{self.dandiset}/versions/{self.version}/assets/"
            for entry in sorted(self.get(place)["results"], key=lambda entry: entry["path"]):
                assert entry["path"].startswith(prefix) or "other" in entry["path"]
                if entry["path"].startswith(prefix):
                    digest = self.get(f"{place}{entry['asset_id']}/")["digest"][dandi.DIGEST]
                    yield Asset(self.url, entry["path"], entry["size"], entry["asset_id"], digest)

    known = {"dandi": type("Instance", (), {"api": "http://127.0.0.1:9"})}
    monkeypatch.setitem(sys.modules, "dandi", type(sys)("dandi"))
    monkeypatch.setitem(sys.modules, "dandi.consts", type("M", (), {"known_instances": known}))
    monkeypatch.setitem(sys.modules, "dandi.dandiapi", type("M", (), {"DandiAPIClient": Client}))


def check_download(site, folder):
    files = download("mc_rtt", folder, api_url=f"{site.url}/api", progress=False)
    assert {str(path.relative_to(folder / "000129")): path.read_bytes() for path in files} == CONTENT
    noted = json.loads((folder / "000129" / "download.json").read_text())["mc_rtt"]
    assert (noted["dandiset"], noted["version"]) == ("000129", VERSION)
    assert {entry["path"] for entry in noted["files"]} == set(CONTENT)


def test_both_files_come_with_their_version_noted(client, tmp_path):
    with serve(archive_files()) as site:
        check_download(site, tmp_path)
        asked = len(site.requests)
        site.files["/api/dandisets/000129/"] = 500  # the version noted is kept, and what is here not fetched again
        check_download(site, tmp_path)
        assert not [path for path, _ in site.requests[asked:] if path.endswith("/download/")]


def test_an_interrupted_download_is_continued(client, tmp_path):
    part = tmp_path / "000129" / f"{TRAIN}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[TRAIN][:1234])
    with serve(archive_files()) as site:
        check_download(site, tmp_path)
        assert ("/api/assets/00000000/download/", 1234) in site.requests


def test_really_with_the_client_of_dandi(tmp_path):
    pytest.importorskip("dandi", reason="needs the extra nlbprob[download]")
    part = tmp_path / "000129" / f"{TRAIN}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[TRAIN][:1234])
    with serve(archive_files()) as site:
        services = {"api": {"url": f"{site.url}/api"}, "webui": None, "jupyterhub": None}
        site.files["/api/info/"] = encoded(json.loads(site.files["/api/info/"]) | {"services": services})
        check_download(site, tmp_path)
        assert ("/api/assets/00000000/download/", 1234) in site.requests
        (tmp_path / "000129" / TEST).unlink()
        site.files["/api/assets/00000001/download/"] = 404
        with pytest.raises(InputError, match=f"DANDI:000129/{VERSION}, {TEST}: there is no such file"):
            check_download(site, tmp_path)


def test_pinned_versions_are_asked_for(client, tmp_path):
    content = {f"sub-Jenkins/sub-Jenkins_ses-small_desc-{kind}.nwb": b"x" for kind in ("test_a", "train_b")}
    content["sub-Jenkins/other.nwb"] = b"y"
    with serve(archive_files("000140", VERSIONS["000140"], content)) as site:
        files = download("mc_maze_small", tmp_path, api_url=f"{site.url}/api", progress=False)
    assert [path.name for path in files] == [
        "sub-Jenkins_ses-small_desc-test_a.nwb",
        "sub-Jenkins_ses-small_desc-train_b.nwb",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"/api/assets/00000000/download/": 404}, f"DANDI:000129/{VERSION}, sub-Indy/.*: there is no such file"),
        ({"/api/assets/00000000/download/": b"!" * 30000}, "is damaged: its SHA-256 is"),
        ({"/api/dandisets/000129/": 404}, "the archive's client cannot go on: HTTP Error 404"),
        ({"/api/info/": 503}, "the archive answers with HTTP status 503"),
        (
            {f"/api/dandisets/000129/versions/{VERSION}/assets/": encoded({"results": []})},
            "a train and a test file of mc_rtt were expected, none found",
        ),
        (
            {"/api/dandisets/000129/": encoded({"most_recent_published_version": None})},
            "DANDI:000129 of mc_rtt has no published version",
        ),
    ],
)
def test_what_goes_wrong_is_said(client, tmp_path, change, message):
    with serve(archive_files() | change) as site, pytest.raises(InputError, match=message):
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
