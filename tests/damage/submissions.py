"""Damages of a submission, by seed, and what the product makes of a damaged one."""

import contextlib
import io
import json
import pathlib
import resource

import h5py
import numpy as np

from nlbprob.cli import main
from nlbprob.errors import InputError
from nlbprob.scoring.check import check_submission
from nlbprob.scoring.combine import combine
from nlbprob.scoring.evaluate import evaluate
from nlbprob.scoring.submission import with_group
from tests.scoring.files import draw, write

GROUP = "mc_maze_20"
KEYS = [
    "train_rates_heldin",
    "train_rates_heldout",
    "eval_rates_heldin",
    "eval_rates_heldout",
    "eval_rates_heldin_forward",
    "eval_rates_heldout_forward",
]
#: No damaged file may make a process ask for more memory than this.
MOST_MEMORY = 8 * 2**30


def files(folder):
    """(submission, targets, inputs) of one group in a folder; what stands in the submission carries checksums."""
    rates, inputs, targets = draw(GROUP)
    submission = folder / "submission.h5"
    submission.write_bytes(with_group(submission, GROUP, rates))
    parts = {name: {k: v for k, v in inputs.items() if k.startswith(name)} for name in ("train", "eval")}
    places = [write(folder / f"{name}_input.h5", arrays) for name, arrays in parts.items()]
    return submission, write(folder / "targets.h5", {GROUP: targets}), places


def damage(content: bytes, folder: pathlib.Path, seed: int) -> pathlib.Path:
    """A damaged copy of a submission: in every third its bytes, in the others what stands in it."""
    path = folder / f"damaged_{seed}.h5"
    random = np.random.default_rng(seed)
    if seed % 3 == 0:
        path.write_bytes(disfigured(bytearray(content), random))
        return path
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        FORGERIES[seed % len(FORGERIES)](file[GROUP], KEYS[random.integers(len(KEYS))], folder)
    return path


def disfigured(content, random):
    """Bytes flipped, zeroed, cut off, doubled or moved."""
    first = int(random.integers(len(content)))
    length = int(random.integers(1, 64))
    match random.integers(5):
        case 0:
            for place in random.integers(len(content), size=8):
                content[place] ^= 1 << int(random.integers(8))
        case 1:
            content[first : first + length] = bytes(len(content[first : first + length]))
        case 2:
            del content[first:]
        case 3:
            content[first:first] = content[:length]
        case 4:
            content[first : first + length] = random.bytes(len(content[first : first + length]))
    return bytes(content)


def forged(make):
    """Something else in the place of an array."""

    def replace(group, key, folder):
        del group[key]
        make(group, key, folder)

    return replace


def elsewhere(group, key, folder):
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = np.ones((10, 35, 6))
    group[key] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def virtual(group, key, folder):
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = np.ones((10, 35, 6))
    layout = h5py.VirtualLayout((10, 35, 6), dtype="f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", shape=(10, 35, 6))
    group.create_virtual_dataset(key, layout)


def outside(group, key, folder):
    (folder / "raw").write_bytes(np.ones((10, 35, 6), dtype="f4").tobytes())
    group.create_dataset(key, shape=(10, 35, 6), dtype="f4", external=[(str(folder / "raw"), 0, 8400)])


def circle(group, key, folder):
    group[key], group["round"] = h5py.SoftLink(f"/{GROUP}/round"), h5py.SoftLink(key)


def records(group, key, folder):
    group[key] = np.zeros((10, 35, 6), dtype=[("rate", "f4"), ("unit", "S3")])


def terabytes(group, key, folder):
    group.create_dataset(key, shape=(10, 35, 10**10), chunks=(10, 35, 6), dtype="f4")


def terabyte_of_zeros(group, key, folder):
    group.create_dataset(key, shape=(10**6, 10**3, 10**3), chunks=(10, 100, 100), dtype="f4")[0, 0, 0] = 1


def opaque(group, key, folder):
    group[key] = np.zeros((10, 35, 6), dtype="V4")


def coded(group, key, folder):
    group.create_dataset(key, data=np.ones((10, 35, 6), "i4"), dtype=h5py.enum_dtype({"low": 0, "high": 1}, "i4"))


def referring(group, key, folder):
    group.create_dataset(key, data=[group.ref] * 3, dtype=h5py.ref_dtype)


def texts(group, key, folder):
    group.create_dataset(key, data=["fast", "slow"], dtype=h5py.string_dtype())


def rows_of_arrays(group, key, folder):
    group.create_dataset(key, shape=(10, 35), dtype=np.dtype(("f4", (6,))))[:] = np.ones((10, 35, 6))


def never_written(group, key, folder):
    group.create_dataset(key, shape=(10, 35, 6), dtype="f4", chunks=(10, 35, 6))


def itself(group, key, folder):
    group[key] = group


def empty_group(group, key, folder):
    group.create_group(key)


def put(value):
    """An h5py object or array in the place of an array."""
    return forged(lambda group, key, folder: group.__setitem__(key, value))


def missing(group, key, folder):
    del group[key.removesuffix("_forward")]


def named_by_controls(group, key, folder):
    group["\x1b[2J\u202eextra"] = np.ones(3, dtype="S2")
    group.parent["\x1b]0;title\x07"] = h5py.ExternalLink("/dev/zero", "/")


def moved(group, key, folder):
    group.parent.move(f"{GROUP}/{key}", "moved")
    group[key] = h5py.SoftLink("/moved")


PUT = [elsewhere, virtual, outside, circle, records, terabytes, terabyte_of_zeros, opaque, coded, referring, texts]
FORGERIES = [
    *map(forged, [*PUT, rows_of_arrays, never_written, itself, empty_group]),
    put(np.ones((10, 35, 6)) * 1j),
    put(np.full((10, 35, 6), np.nan)),
    put(np.ones((0, 35, 6))),
    put(h5py.Empty("f4")),
    put(0.5),
    put(np.dtype("f4")),
    put(h5py.SoftLink("/nowhere/at/all")),
    missing,
    named_by_controls,
    moved,
]


def limited(function):
    """Call a function with little memory."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, before[1]))
    try:
        return function()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def scored(path, target):
    """The benchmark's results."""
    return limited(lambda: evaluate(path, target).results)


def checked(path, places):
    """The lines of all that fails, and of the rest."""
    return limited(lambda: [str(finding) for finding in check_submission(path, *places)])


def combined(path, out, target):
    """The results of what was combined."""
    with contextlib.suppress(FileNotFoundError):
        out.unlink()
    try:
        limited(lambda: combine(out, path))
    except InputError:
        assert not out.exists()
        raise
    return scored(out, target)


def commanded(path, target, places):
    """The exit status, what is printed on both streams, and the results of `nlbprob score`; and the same of `check`."""
    said = []
    for words in (["score", path, target, "--json"], ["check", path, *places]):
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as error:
            status = limited(lambda words=words: main([str(word) for word in words]))
        said.append((status, out.getvalue(), error.getvalue()))
    results = json.loads(said[0][1]) if said[0][0] == 0 else None
    return said, results
