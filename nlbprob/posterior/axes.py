"""Names of the axes of parameters, so that those of one name have one length."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def told_apart(variables: Mapping[str, tuple[tuple[str, ...], Any]]) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Dimensions and arrays by site, where axes of one name that differ in length are named after their blocks.

    Two dense `LDS` of different sizes have different numbers of "pair", which become "fast_pair" and "slow_pair".

    Args:
        variables: (dimensions, array) by the name of a site, "fast.rotation_hz".
    """
    lengths: dict[str, set[int]] = {}
    for dims, value in variables.values():
        for dim, length in zip(dims, np.shape(value), strict=True):
            lengths.setdefault(dim, set()).add(length)
    several = {dim for dim, found in lengths.items() if len(found) > 1}
    blocks = {name: name.rpartition(".")[0] or "own" for name in variables}
    return {
        name: (tuple(f"{blocks[name]}_{dim}" if dim in several else dim for dim in dims), value)
        for name, (dims, value) in variables.items()
    }
