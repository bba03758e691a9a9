"""A look at the text heaps of an HDF5 file, in one damage of which the HDF5 library turns in circles for ever."""

import mmap
import struct
from pathlib import Path

from nlbprob.errors import InputError

#: How a heap begins, where its size stands, and how long its head and that of each of its objects are, in bytes.
SIGNATURE, SIZE_AT, HEAD = b"GCOL\x01\x00\x00\x00", 8, 16
#: A larger file is not searched through, which would take longer than to read what is asked for.
LARGEST = 1 << 28


def refuse_endless_heaps(path: Path) -> None:
    """Raise InputError where a heap's free space has the length 0: the library steps over it for ever, HDF5 2.0 too.

    https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html (global heap)
    """
    if not 0 < path.stat().st_size <= LARGEST:
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(SIGNATURE)
        while at >= 0:
            if is_endless(content, at):
                raise InputError("cannot be read (a heap of its texts is damaged); fetch or write it again.")
            at = content.find(SIGNATURE, at + HEAD)


def is_endless(content: mmap.mmap, heap: int) -> bool:
    """Whether stepping from object to object never leaves the heap that begins there."""
    if heap + HEAD > len(content):
        return False
    end = min(heap + struct.unpack_from("<Q", content, heap + SIZE_AT)[0], len(content))
    at = heap + HEAD
    while at + HEAD <= end:
        index, length = struct.unpack_from("<H6xQ", content, at)
        if index == 0 and length == 0:
            return True
        at += length if index == 0 else HEAD + -(-length // 8) * 8
    return False
