"""What can be handed to `load` in place of a path, and what is said of files that cannot be read."""

import datetime
import io
import os
import socket
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile, TimeSeries

from nlbprob.data import load, remote, transfer
from nlbprob.data.foreign import clause, remedy
from nlbprob.errors import InputError
from nlbprob.model_file import find_model
from tests.data.loopback import serve

OPTIONS = {"bin_ms": 10, "behavior": "hand_vel", "condition": "side"}


@pytest.fixture(scope="module")
def expected(example_nwb):
    return load(example_nwb, **OPTIONS)


def same(trials, expected):
    for name in ("counts", "seen", "behavior", "condition_index"):
        np.testing.assert_array_equal(getattr(trials, name), getattr(expected, name))
    for name, values in expected.table.items():
        np.testing.assert_array_equal(trials.table[name], values)


def test_an_open_nwb_file_stays_open(example_nwb, expected):
    with NWBHDF5IO(example_nwb, "r") as reader:
        file = reader.read()
        for source in (file, reader):
            trials = load(source, **OPTIONS)
            same(trials, expected)
            assert trials.source["file"] == str(example_nwb)
        assert len(file.units["spike_times"][0])
    with pytest.raises(InputError, match="the NWBHDF5IO is closed; open it, or hand over its path"):
        load(reader, **OPTIONS)
    with pytest.raises(InputError, match="Hand over the NWBFile that holds it"):
        load(file.units, **OPTIONS)


def test_a_file_that_was_never_written_loads(recipe, expected):
    file = NWBFile("a session", "identifier", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    for name in ("heldout", "area", "depth"):
        file.add_unit_column(name, name)
    for unit, times in enumerate(recipe.spikes):
        columns = {name: values[unit] for name, values in recipe.units.items()}
        file.add_unit(spike_times=times, obs_intervals=recipe.observed[unit], **columns)
    for name in ("split", "side", "contrast", "go_time"):
        file.add_trial_column(name, name)
    for row in range(12):
        file.add_trial(**{name: values[row] for name, values in recipe.trials.items()})
    module = file.create_processing_module("behavior", "signals")
    module.add(TimeSeries(name="hand_vel", unit="mm", **recipe.series["hand_vel"]))
    trials = load(file, **OPTIONS)
    same(trials, expected)
    assert trials.source["file"] is None
    with pytest.raises(InputError, match="^the recording: align: the trials have no column 'go'"):
        load(file, bin_ms=10, align="go")


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_an_open_h5py_file_stays_open(write_nwb, recipe, expected, mode):
    path = write_nwb(recipe)
    with h5py.File(path, mode) as file:
        units = file["units"]
        trials = load(file, **OPTIONS)
        same(trials, expected)
        assert trials.source["file"] == str(path)
        assert units["spike_times"].shape[0] > 0
    with pytest.raises(InputError, match="the h5py.File is closed"):
        load(file, **OPTIONS)


def test_an_open_binary_file_stays_open(example_nwb, expected):
    with open(example_nwb, "rb") as file:
        trials = load(file, **OPTIONS)
        same(trials, expected)
        assert trials.source["file"] == str(example_nwb)
        assert not file.closed
    memory = io.BytesIO(example_nwb.read_bytes())
    trials = load(memory, **OPTIONS)
    same(trials, expected)
    assert trials.source["file"] is None
    assert not memory.closed


def test_a_path_that_is_none_does_not_write_to_the_terminal():
    for read in (lambda path: load(path, bin_ms=10), lambda path: load("a.nwb", config=path)):
        with pytest.raises(FileNotFoundError, match=r"a\\x1b\[2Jb") as caught:
            read("a\x1b[2Jb")
        assert str(caught.value).isprintable()
    with pytest.raises(FileNotFoundError, match=r"a\\x1b\[2Jb"):
        load("a\x1b[2Jb", dataset="mc_maze_small", bin_ms=5)
    with pytest.raises(FileNotFoundError, match=r"a\\x1b\[2Jb"):
        find_model("./a\x1b[2Jb.py")


@pytest.mark.parametrize("source", [3, None, b"session.nwb", ["session.nwb"]])
def test_what_is_no_recording_is_told(source):
    with pytest.raises(InputError, match="a recording is a path, an address, an open binary file, .*, not a"):
        load(source, bin_ms=10)


def test_a_file_opened_as_text_is_told(example_nwb):
    with open(example_nwb, encoding="latin-1") as file, pytest.raises(InputError, match="open it with mode 'rb'"):
        load(file, bin_ms=10)


def test_an_address_is_read_in_parts(example_nwb, expected):
    with serve({"/session.nwb": example_nwb.read_bytes()}) as site:
        trials = load(f"{site.url}/session.nwb", **OPTIONS)
        same(trials, expected)
        assert trials.source["file"] == f"{site.url}/session.nwb"
        assert len(site.requests) > 1


def test_an_address_whose_server_tells_no_size_with_a_part_is_read(example_nwb, expected):
    with serve({"/session.nwb": example_nwb.read_bytes()}, sizes=False) as site:
        same(load(f"{site.url}/session.nwb", **OPTIONS), expected)


@pytest.mark.parametrize("prompt", [0, 1, 2])
def test_a_server_that_falls_silent_is_given_up(example_nwb, monkeypatch, prompt):
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.2)
    content = {"/session.nwb": example_nwb.read_bytes()}
    with serve(content, silent=("/session.nwb",), prompt=prompt, sizes=prompt < 2) as site:
        words = "does not answer" if prompt == 0 else "fell silent for 0.2 s, twice; try again later, or download"
        with pytest.raises(InputError, match=rf"^{site.url}/session.nwb: the server {words}"):
            load(f"{site.url}/session.nwb", bin_ms=10)
        assert len(site.requests) <= prompt + 2


@pytest.mark.parametrize("prompt", [0, 1])
def test_a_server_that_gives_byte_after_byte_is_given_up(example_nwb, monkeypatch, prompt):
    monkeypatch.setattr(transfer, "WINDOW_S", 0.3)
    with serve({"/session.nwb": example_nwb.read_bytes()}, trickle=("/session.nwb",), prompt=prompt) as site:
        with pytest.raises(InputError, match=r"the server is too slow: it brought \d+ bytes in .*; try again later"):
            load(f"{site.url}/session.nwb", bin_ms=10)
        assert len(site.requests) == 2


def test_headers_that_come_by_the_byte_are_not_waited_for(monkeypatch):
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.2)
    over = threading.Event()

    def drip(listener):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 206 Partial Content\r\n")
            while not over.wait(0.05):
                connection.sendall(b"X-Header: 1\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        with pytest.raises(InputError, match=r"the server does not answer \(timed out\)"):
            load(f"http://127.0.0.1:{listener.getsockname()[1]}/session.nwb", bin_ms=10)
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("content", "ranges", "message"),
    [
        (404, True, "the server answers 404; there is no such file: check the address"),
        (403, True, "the server answers 403; it is not public"),
        (500, True, "the server answers 500; try again later"),
        (b"<html>a page</html>", True, "gives no HDF5 file, but perhaps a page about one"),
        (b"\x89HDF\r\n\x1a\n" + bytes(1000), False, "the server gives the file as a whole only; download it"),
        (b"\x89HDF\r\n\x1a\n" + bytes(1000), True, "cannot be read"),
    ],
)
def test_an_address_that_gives_no_recording_is_told(content, ranges, message):
    with serve({"/session.nwb": content}, ranges=ranges) as site, pytest.raises(InputError) as caught:
        load(f"{site.url}/session.nwb", bin_ms=10)
    assert str(caught.value).startswith(f"{site.url}/session.nwb: {message}")


def test_a_server_that_is_not_there_and_other_schemes_are_told():
    with serve({}) as site:
        gone = f"{site.url}/session.nwb"
    with pytest.raises(InputError, match="the server does not answer .*refused.*; check the address and the network"):
        load(gone, bin_ms=10)
    with pytest.raises(InputError, match="addresses of 's3' are not read; .* hand over the open file"):
        load("s3://bucket/session.nwb", bin_ms=10)


def test_an_address_without_remfile_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "remfile", None)
    with pytest.raises(InputError, match=r"pip install 'nlbprob\[remote\]'"):
        load("http://127.0.0.1:9/session.nwb", bin_ms=10)


def test_a_file_open_for_writing_elsewhere_is_told(write_nwb, recipe):
    path = write_nwb(recipe)
    code = f"import h5py, sys; f = h5py.File({str(path)!r}, 'a'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(InputError, match="close it there, or set HDF5_USE_FILE_LOCKING=FALSE"):
            load(path, bin_ms=10)
        other.stdin.close()
    assert load(path, bin_ms=10).n_trials == 12


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(write_nwb, recipe):
    path = write_nwb(recipe)
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied.*; ask for the permission"):
        load(path, bin_ms=10)


def test_a_filter_that_is_not_installed_is_told(write_nwb, recipe):
    path = write_nwb(recipe)
    with h5py.File(path, "a") as file:
        values, attributes = (
            file["processing/behavior/hand_vel/data"][()],
            file["processing/behavior/hand_vel/data"].attrs,
        )
        attributes = dict(attributes)
        del file["processing/behavior/hand_vel/data"]
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk(values.shape)
        plan.set_filter(32999, h5py.h5z.FLAG_OPTIONAL)
        kind, space = h5py.h5t.py_create(values.dtype), h5py.h5s.create_simple(values.shape)
        made = h5py.h5d.create(file.id, b"processing/behavior/hand_vel/data", kind, space, plan)
        made.write_direct_chunk((0, 0), values.tobytes(), filter_mask=0)
        file["processing/behavior/hand_vel/data"].attrs.update(attributes)
    assert load(path, bin_ms=10).n_trials == 12
    with pytest.raises(InputError, match="behavior 'hand_vel' cannot be read .*filter.*pip install hdf5plugin"):
        load(path, bin_ms=10, behavior="hand_vel")


def test_an_extension_that_is_not_installed_is_told(write_nwb, recipe):
    path = write_nwb(recipe)
    with h5py.File(path, "a") as file:
        series = file["processing/behavior/hand_vel"]
        series.attrs["neurodata_type"], series.attrs["namespace"] = "PoseSeries", "ndx-pose"
    with pytest.raises(InputError, match="it needs the extension ndx-pose: pip install ndx-pose"):
        load(path, bin_ms=10)


def test_a_dump_of_pynwb_is_cut_to_its_reason(write_nwb, recipe):
    path = write_nwb(recipe)
    with h5py.File(path, "a") as file:
        del file["units/spike_times_index"].attrs["target"]
    with pytest.raises(InputError, match="missing argument 'target'") as caught:
        load(path, bin_ms=10)
    assert len(str(caught.value)) - len(str(path)) < 300


def test_a_heap_that_the_library_would_turn_in_for_ever_is_refused(write_nwb, recipe):
    path = write_nwb(recipe)
    content = bytearray(path.read_bytes())
    heap = content.find(b"GCOL\x01")
    content[heap + 16 : heap + 32] = bytes(16)
    path.write_bytes(content)
    with pytest.raises(InputError, match="a heap of its texts is damaged"):
        load(path, bin_ms=10)


@pytest.mark.parametrize(
    ("error", "words", "advice"),
    [
        (
            OSError("Unable to synchronously open file (truncated file: eof = 1)"),
            "truncated file: eof = 1",
            "cut short",
        ),
        (PermissionError(13, "Permission denied"), "Permission denied", "ask for the permission"),
        (MemoryError(), "MemoryError", "more memory than there is"),
        (KeyError("'ndx-events' not a namespace"), "'ndx-events' not a namespace", "pip install ndx-events"),
        (ValueError("x" * 1500), "x" * 157 + "...", "damaged or not valid NWB"),
        (TypeError("NWB version 1.0.6 not supported."), "NWB version 1.0.6 not supported.", "convert it to NWB 2"),
        (KeyError("area"), "area is missing", "damaged or not valid NWB"),
        (
            UnicodeDecodeError("utf-8", b"m\xfc", 1, 2, "invalid start byte"),
            "'utf-8' codec can't decode byte 0xfc in position 1: invalid start byte",
            "a text in it is not UTF-8",
        ),
        (ValueError("a\n b\n  due to: no c"), "no c", "damaged"),
    ],
)
def test_errors_of_others_have_a_clause_and_a_remedy(error, words, advice):
    assert clause(error) == words
    assert advice in remedy(error)
