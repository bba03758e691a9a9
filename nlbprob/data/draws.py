"""Draws of held-out neurons and of validation trials, for files that do not name them."""

import numpy as np
from jaxtyping import Bool, Int

HELDOUT_SHARE = 0.25
VAL_SHARE = 0.2


def stratified(
    strata: Int[np.ndarray, " item"], fraction: float, rng: np.random.Generator
) -> Bool[np.ndarray, " item"]:
    """A random fraction of the items, spread over the strata in proportion to their sizes.

    The items, shuffled within shuffled strata, stand in a row, and every (1/fraction)-th is taken: the total is rounded
    to a whole number, each stratum's part up or down. At least one of two or more items is taken.
    """
    row = rng.permutation(len(strata))
    rank = rng.permutation(strata.max(initial=0) + 2)[strata + 1]
    row = row[np.argsort(rank[row], kind="stable")]
    steps = np.floor(np.arange(len(row) + 1) * fraction + max(0.5, 1 - len(row) * fraction) + 1e-9)
    taken = np.zeros(len(row), dtype=bool)
    taken[row] = np.diff(steps) > 0
    return taken & (len(row) > 1)


def draw_heldout(area: np.ndarray | None, number: int, seed: int) -> Bool[np.ndarray, " neuron"]:
    """A quarter of the neurons, by area where there is one."""
    strata = np.zeros(number, dtype=int) if area is None else np.unique(area, return_inverse=True)[1]
    return stratified(strata, HELDOUT_SHARE, np.random.default_rng([seed, 0]))


def draw_split(condition_index: Int[np.ndarray, " trial"], seed: int) -> np.ndarray:
    """'val' for a fifth of the trials, by condition, and 'train' for the others."""
    val = stratified(condition_index, VAL_SHARE, np.random.default_rng([seed, 1]))
    return np.where(val, "val", "train")
