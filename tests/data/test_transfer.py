import errno
import hashlib
import io
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from nlbprob.data import transfer
from nlbprob.data.transfer import ATTEMPTS, CHUNK, fetch, from_url
from nlbprob.errors import InputError
from tests.data.loopback import serve

CONTENT = np.random.default_rng(0).bytes(3 * CHUNK + 12345)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def get(tmp_path):
    """Fetch /file from a server, and return where it lies."""

    def call(url, target=None):
        url = f"{url}/file"
        target = target or tmp_path / "data" / "file"
        return fetch(
            from_url(url, timeout_s=5.0),
            target,
            size=len(CONTENT),
            sha256=SHA256,
            origin=url,
            progress=False,
            wait_s=0.001,
        )

    return call


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_a_file_comes_whole_and_is_not_fetched_twice(get, tmp_path):
    with serve({"/file": CONTENT}) as site:
        assert get(site.url).read_bytes() == CONTENT
        assert left(tmp_path / "data") == {"file"}
        get(site.url)
        assert site.offsets() == [0]


def test_an_interruption_is_continued_by_itself(get):
    with serve({"/file": CONTENT}, break_after=CHUNK + 100, breaks=2) as site:
        assert get(site.url).read_bytes() == CONTENT
        first, second, third = site.offsets()
        assert first == 0 < second < third


def test_what_an_earlier_attempt_left_is_continued(get, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file.part").write_bytes(CONTENT[:1000])
    with serve({"/file": CONTENT}) as site:
        assert get(site.url).read_bytes() == CONTENT
        assert site.offsets() == [1000]
    assert left(tmp_path / "data") == {"file"}


def test_a_server_that_stays_away_is_given_up_and_the_rest_kept(get, tmp_path):
    with serve({"/file": CONTENT}, break_after=2000, breaks=1) as site:
        site.files["/file"] = [CONTENT, 503]
        with pytest.raises(InputError, match=r"file: cannot be fetched from .*HTTP status 503.* go(es)? on from there"):
            get(site.url)
        assert len(site.requests) == 1 + ATTEMPTS
        kept = (tmp_path / "data" / "file.part").read_bytes()
        assert CONTENT.startswith(kept)
        assert kept
        site.files["/file"] = CONTENT
        assert get(site.url).read_bytes() == CONTENT
        assert site.offsets()[-1] == len(kept)


def test_a_busy_server_is_asked_again(get):
    with serve({"/file": [503, 429, CONTENT]}) as site:
        assert get(site.url).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_of_it(get, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file.part").write_bytes(CONTENT[: CHUNK + 17])
    with serve({"/file": CONTENT}, ranges=False) as site:
        assert get(site.url).read_bytes() == CONTENT
        assert len(site.requests) == 1


@pytest.mark.parametrize("other", [b"\0" + CONTENT[1:], b"\0" + CONTENT])
def test_a_corrupted_file_is_removed_and_named(get, tmp_path, other):
    with (
        serve({"/file": other}) as site,
        pytest.raises(
            InputError, match=f"file: what came from .* is damaged: its SHA-256 is .*, {SHA256} was expected"
        ),
    ):
        get(site.url)
    assert left(tmp_path / "data") == set()


def test_what_comes_after_the_end_of_a_file_that_is_right_is_not_kept(get):
    with serve({"/file": CONTENT + b"more"}) as site:
        assert get(site.url).read_bytes() == CONTENT


def test_a_shorter_file_is_no_file(get, tmp_path):
    with serve({"/file": CONTENT[:-5]}) as site, pytest.raises(InputError, match="is shorter than it"):
        get(site.url)
    assert "file" not in left(tmp_path / "data")


@pytest.mark.parametrize("left_over", [b"other bytes", CONTENT + b"too long"])
def test_a_rest_of_another_file_is_thrown_away(get, tmp_path, left_over):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file.part").write_bytes(left_over)
    with serve({"/file": CONTENT}) as site:
        assert get(site.url).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, r"/file: there is no such file \(HTTP 404\)"), (403, "does not give this file out"), (400, "status 400")],
)
def test_a_refusal_is_final(get, tmp_path, status, message):
    with serve({"/file": status}) as site:
        with pytest.raises(InputError, match=message):
            get(site.url)
        assert len(site.requests) == 1
    assert left(tmp_path / "data") == set()


def test_without_a_network_the_place_is_named(get):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(
        InputError, match=rf"file: cannot be fetched from http://127.0.0.1:{port}/file \(Connection refused"
    ):
        get(f"http://127.0.0.1:{port}")


def test_another_file_of_that_name_is_left_alone(get, tmp_path):
    target = tmp_path / "file"
    target.write_text("mine")
    with serve({"/file": CONTENT}) as site, pytest.raises(InputError, match="file exists, and is not the file at"):
        get(site.url, target)
    assert target.read_text() == "mine"


def test_a_disk_that_fills_up_is_said_and_the_rest_kept(get, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, piece):
            raise OSError(errno.ENOSPC, "No space left on device")

    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode="r", **o: Full() if mode == "ab" else opened(path, mode, **o))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file.part").write_bytes(CONTENT[:1000])
    with serve({"/file": CONTENT}) as site:
        message = f"file.part: the disk is full; {len(CONTENT) - 1000} more bytes are needed. Make room"
        with pytest.raises(InputError, match=message):
            get(site.url)
        monkeypatch.setattr(Path, "open", opened)
        assert get(site.url).read_bytes() == CONTENT


def test_a_real_disk_that_fills_up(get, tmp_path, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("needs the right to mount a small disk")
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True)
    if mount.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        with serve({"/file": CONTENT}) as site:
            with pytest.raises(
                InputError, match="small: [0-9]+ bytes are free, and [0-9]+ are needed; make room first"
            ):
                get(site.url, small / "file")
            assert site.requests == []
            monkeypatch.setattr(transfer, "check_room", lambda *_: None)  # others write to the disk meanwhile
            with pytest.raises(InputError, match="file.part: the disk is full"):
                get(site.url, small / "file")
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_connection_slower_than_the_floor_ends_and_the_rest_is_kept(get, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "WINDOW_S", 0.2)
    with serve({"/file": CONTENT}, trickle=("/file",)) as site:
        with pytest.raises(InputError, match=r"file: .*/file is too slow: it brought \d+ bytes in .* goes on"):
            get(site.url)
        assert len(site.requests) == 1
        site.trickle = ()
        assert get(site.url).read_bytes() == CONTENT
        assert site.offsets()[1] > 0


def test_a_server_that_gives_a_few_bytes_a_connection_is_given_up(get):
    with (
        serve({"/file": CONTENT}, break_after=1, breaks=1000) as site,
        pytest.raises(InputError, match="4 of .* bytes"),
    ):
        get(site.url)
    assert len(site.requests) == ATTEMPTS


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/file", "data:,x"])
def test_a_redirect_to_another_kind_of_address_is_not_followed(get, tmp_path, address):
    with serve({}, redirects={"/file": address}) as site:
        with pytest.raises(InputError, match=r"/file: the server sends to an address that is not followed"):
            get(site.url)
        assert len(site.requests) == 1
    assert left(tmp_path / "data") == set()


def test_a_redirect_from_an_encrypted_address_to_an_open_one_is_not_followed():
    request = urllib.request.Request("https://archive.example/file")
    with pytest.raises(urllib.error.HTTPError, match="not followed"):
        transfer.Redirects().redirect_request(request, None, 302, "Found", {}, "http://archive.example/file")


def test_a_redirect_of_http_is_followed(get):
    with serve({"/other": CONTENT}, redirects={"/file": "/other"}) as site:
        assert get(site.url).read_bytes() == CONTENT


def test_nothing_is_written_through_a_link(get, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "data" / "file.part").symlink_to(tmp_path / "mine")
    with serve({"/file": CONTENT}) as site, pytest.raises(InputError, match="file.part is a link.*remove it"):
        get(site.url)
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(get, tmp_path):
    (tmp_path / "data").write_text("a file")
    with (
        serve({"/file": CONTENT}) as site,
        pytest.raises(InputError, match="cannot be written .*; choose another folder"),
    ):
        get(site.url, tmp_path / "data" / "deeper" / "file")


def test_progress_is_shown(tmp_path, capsys):
    with serve({"/file": CONTENT}) as site:
        fetch(from_url(f"{site.url}/file"), tmp_path / "file", size=len(CONTENT), sha256=SHA256, origin="there")
    shown = capsys.readouterr().err
    assert "file" in shown
    assert "100%" in shown
