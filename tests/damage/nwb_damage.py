"""Ways in which an NWB file can be damaged, each drawn from a seed."""

import pathlib

import h5py
import numpy as np

HUGE = 10**12


def damage(path: pathlib.Path, seed: int) -> str:
    """Damage a file in one way, or a few; returns which, for the messages of tests."""
    rng = np.random.default_rng(seed)
    ways = [BYTES, STRUCTURE][int(seed % 4 != 0)]
    chosen = [ways[index] for index in rng.choice(len(ways), size=rng.integers(1, 3), replace=False)]
    for way in chosen:
        if ways is BYTES:
            way(path, rng)
        else:
            with h5py.File(path, "a") as file:
                way(file, rng)
    return " and ".join(way.__name__ for way in chosen)


def flip_bits(path, rng):
    content = bytearray(path.read_bytes())
    for at in rng.integers(0, len(content), size=rng.integers(1, 40)):
        content[at] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def flip_bits_at_the_front(path, rng):
    """Where the tables of HDF5 itself stand."""
    content = bytearray(path.read_bytes())
    for at in rng.integers(0, min(4000, len(content)), size=rng.integers(1, 6)):
        content[at] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def truncate(path, rng):
    content = path.read_bytes()
    path.write_bytes(content[: rng.integers(0, len(content))])


def truncate_and_fill(path, rng):
    content = path.read_bytes()
    kept = int(rng.integers(0, len(content)))
    path.write_bytes(content[:kept] + bytes(len(content) - kept))


def overwrite_a_block(path, rng):
    content = bytearray(path.read_bytes())
    at, length = int(rng.integers(0, len(content))), int(rng.integers(1, 4000))
    content[at : at + length] = rng.bytes(min(length, len(content) - at))
    path.write_bytes(content)


def swap_blocks(path, rng):
    content = bytearray(path.read_bytes())
    one, other = (int(at) for at in rng.integers(0, len(content) - 512, size=2))
    content[one : one + 512], content[other : other + 512] = content[other : other + 512], content[one : one + 512]
    path.write_bytes(content[: path.stat().st_size])


BYTES = [flip_bits, flip_bits_at_the_front, truncate, truncate_and_fill, overwrite_a_block, swap_blocks]


def objects(file, kind=h5py.HLObject):
    """The names of what is in the file, the cached specifications left out."""
    names = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, kind) else None)
    return [name for name in names if not name.startswith("specifications")]


def pick(file, rng, kind=h5py.HLObject):
    return str(rng.choice(objects(file, kind)))


def data_set(file, rng):
    """A data set, more often one of those that hold spikes, trials and behavior."""
    if rng.uniform() < 0.3:
        return pick(file, rng, h5py.Dataset)
    names = [name for name in objects(file, h5py.Dataset) if name.split("/")[0] in ("units", "intervals", "processing")]
    return str(rng.choice(names))


def rewrite(file, name, values, **keywords):
    """Put other values in the place of a data set, with its attributes, and mend the references to it."""
    attributes = dict(file[name].attrs)
    del file[name]
    made = file.create_dataset(name, data=values, **keywords)
    made.attrs.update(attributes)
    for other in objects(file, h5py.Dataset):
        if other == f"{name}_index":
            file[other].attrs["target"] = made.ref


def delete(file, rng):
    del file[pick(file, rng)]


def rename(file, rng):
    name = pick(file, rng)
    file.move(name, f"{name}{rng.choice(['_2', ' ', 'é', chr(27) + '[2J'])}")


def exchange(file, rng):
    """Two data sets change places."""
    one, other = data_set(file, rng), data_set(file, rng)
    if one != other and "kept" not in file:
        file.move(one, "kept")
        file.move(other, one)
        file.move("kept", other)


def delete_attribute(file, rng):
    item = file[pick(file, rng)] if rng.uniform() < 0.8 else file
    if len(item.attrs):
        del item.attrs[str(rng.choice(list(item.attrs)))]


def change_attribute(file, rng):
    item = file[pick(file, rng)] if rng.uniform() < 0.8 else file
    if len(item.attrs):
        values = [
            "",
            "x",
            b"\xff\xfe",
            0,
            -1,
            1e308,
            np.nan,
            np.arange(3),
            np.bytes_(b"m\xfc"),
            "VectorData",
            h5py.Empty("f"),
        ]
        item.attrs[str(rng.choice(list(item.attrs)))] = values[rng.integers(len(values))]


def impossible_values(file, rng):
    name = data_set(file, rng)
    values = np.array(file[name][()])
    if values.dtype.kind == "f" and values.size:
        bad = [np.nan, np.inf, -np.inf, -1.0, 1e300, -1e300, 1e9, 0.0]
        values.ravel()[rng.integers(values.size, size=rng.integers(1, 5))] = bad[rng.integers(len(bad))]
    elif values.dtype.kind in "iu" and values.size:
        ends = np.iinfo(values.dtype)
        values.ravel()[rng.integers(values.size, size=rng.integers(1, 3))] = rng.choice([ends.max, ends.min, 1])
    rewrite(file, name, values)


def all_values_replaced(file, rng):
    name = data_set(file, rng)
    values = np.array(file[name][()])
    if values.dtype.kind in "iuf":
        values = np.full_like(values, rng.choice([0, 1, 100]))
    rewrite(file, name, values)


def shuffle(file, rng):
    name = data_set(file, rng)
    values = np.array(file[name][()])
    rewrite(file, name, rng.permutation(values) if values.ndim else values)


def disorder_an_index(file, rng):
    name = str(rng.choice([name for name in objects(file, h5py.Dataset) if name.endswith("_index")]))
    index = file[name][()].astype(np.int64)
    row = rng.integers(len(index))
    index[row] = rng.choice([index[row] + 10**6, -1, 0, 2**40, index[row] - 5])
    rewrite(file, name, index)


def retype(file, rng):
    name = data_set(file, rng)
    values = np.array(file[name][()])
    kinds = [np.float32, np.int8, np.uint8, np.complex128, np.bool_, "S3", np.float16, ">f8", np.int64]
    kind = kinds[rng.integers(len(kinds))]
    with np.errstate(all="ignore"):
        try:
            changed = values.astype(kind)
        except (TypeError, ValueError):
            changed = np.zeros(values.shape, kind)
    rewrite(file, name, changed)


def text_for_numbers(file, rng):
    name = data_set(file, rng)
    words = np.full(np.shape(file[name]), rng.choice(["1.5", "x", "\x1b]0;owned\x07", ""]), dtype=object)
    rewrite(file, name, words, dtype=h5py.string_dtype())


def text_of_another_encoding(file, rng):
    name = data_set(file, rng)
    rewrite(file, name, np.full(np.shape(file[name]), b"m\xfc\xff", dtype=object), dtype=h5py.string_dtype())


def reshape(file, rng):
    name = data_set(file, rng)
    values = np.array(file[name][()])
    row = np.atleast_1d(values)
    shapes = [values[None], values[..., None], values.T, row[:0], row[: len(row) // 2], np.concatenate([row, row])]
    rewrite(file, name, shapes[rng.integers(len(shapes))])


def declare_much(file, rng):
    """A size of terabytes, of which nothing is stored."""
    name = data_set(file, rng)
    values = file[name]
    if values.dtype.kind in "iuf" and values.ndim:
        shape = (HUGE, *values.shape[1:])
        content = values[()]
        attributes = dict(values.attrs)
        del file[name]
        made = file.create_dataset(name, shape, content.dtype, chunks=(1024, *content.shape[1:]), maxshape=shape)
        made[: len(content)] = content
        made.attrs.update(attributes)
        if f"{name}_index" in file:
            file[f"{name}_index"].attrs["target"] = made.ref


def break_a_reference(file, rng):
    holders = [name for name in objects(file, h5py.Dataset) if "target" in file[name].attrs]
    file[str(rng.choice(holders))].attrs["target"] = file[pick(file, rng)].ref


def link_in_circles(file, rng):
    group = pick(file, rng, h5py.Group)
    file[f"{group}/again"] = file[group] if rng.uniform() < 0.5 else h5py.SoftLink(f"/{group}/again")


def link_to_nowhere(file, rng):
    name = pick(file, rng)
    del file[name]
    file[name] = h5py.SoftLink("/nowhere") if rng.uniform() < 0.5 else h5py.ExternalLink("nowhere.nwb", "/x")


def records(file, rng):
    name = data_set(file, rng)
    rewrite(file, name, np.zeros(np.shape(file[name]), dtype=[("start", "f8"), ("stop", "i4")]))


def group_for_data(file, rng):
    name = data_set(file, rng)
    attributes = dict(file[name].attrs)
    del file[name]
    file.create_group(name).attrs.update(attributes)


def empty(file, rng):
    name = data_set(file, rng)
    attributes = dict(file[name].attrs)
    del file[name]
    file[name] = h5py.Empty("f8")
    file[name].attrs.update(attributes)


def unknown_filter(file, rng):
    name = data_set(file, rng)
    values = file[name]
    if values.dtype.kind in "iuf" and values.ndim and values.size:
        content, attributes = values[()], dict(values.attrs)
        del file[name]
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk(content.shape)
        plan.set_filter(32999, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple(content.shape)
        made = h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(content.dtype), space, plan)
        made.write_direct_chunk((0,) * content.ndim, content.tobytes(), filter_mask=0)
        file[name].attrs.update(attributes)


STRUCTURE = [
    delete,
    rename,
    exchange,
    delete_attribute,
    change_attribute,
    impossible_values,
    all_values_replaced,
    shuffle,
    disorder_an_index,
    retype,
    text_for_numbers,
    text_of_another_encoding,
    reshape,
    declare_much,
    break_a_reference,
    link_in_circles,
    link_to_nowhere,
    records,
    group_for_data,
    empty,
    unknown_filter,
]
