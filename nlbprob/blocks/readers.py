"""Which neurons read a block of latents: all, or those of an area, a probe or any other column of the units' table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from nlbprob.blocks.readout import Readout
from nlbprob.errors import InputError, suggestion

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

EXAMPLE = 'neurons={"area": "M1"} or {"area": ["M1", "PMd"]}'


def chosen(block: Any) -> Any:
    """What was given as the block's `neurons`; None where all read it, as of templates and of what is no latent."""
    return getattr(block, "neurons", None)


def check(block: Any) -> None:
    """Raise InputError unless the block's `neurons` is None or values by column."""
    neurons = chosen(block)
    if neurons is None:
        return
    kind = type(block).__name__
    if not isinstance(neurons, Mapping) or not neurons:
        raise InputError(
            f"{kind}(neurons=...): {neurons!r} is no mapping of columns to values; give for example {EXAMPLE}."
        )
    for column, values in neurons.items():
        if not isinstance(column, str) or not listed(values):
            raise InputError(f"{kind}(neurons=...): {column!r}: {values!r} names no values; such as {EXAMPLE}.")


def listed(values: Any) -> list[str]:
    """One value or several, as text."""
    several = isinstance(values, Sequence | np.ndarray | set | frozenset) and not isinstance(values, str)
    return [str(value) for value in (values if several else [values])]


def words(block: Any) -> str:
    """Which neurons read the block, in words, "area M1 or PMd"; empty where all do."""
    neurons = chosen(block) or {}
    return " and ".join(f"{column} {' or '.join(listed(values))}" for column, values in neurons.items())


def refuse(block: Any) -> None:
    """Raise InputError where a block that names its neurons is called in a function, whose readout is its own."""
    if words(block):
        raise InputError(
            f"{type(block).__name__}({block.name!r}, neurons=...): in a NumPyro function the readout is its own; leave "
            "neurons out, and write loadings that are zero elsewhere, or use nlb.Model(...)."
        )


def of_block(block: Any, trials: "Trials") -> Bool[np.ndarray, " neuron"] | None:
    """Which neurons read a block; None: all.

    Raises:
        InputError: the neurons have no such column, or none has such a value.
    """
    neurons = chosen(block)
    if neurons is None:
        return None
    where, found = f"{type(block).__name__}({block.name!r}, neurons=...)", np.ones(trials.n_neurons, bool)
    for column, values in neurons.items():
        if column not in trials.neurons:
            raise InputError(f"{where}: trials.neurons has no column {column!r}. {suggestion(column, trials.neurons)}")
        known = np.asarray(trials.neurons[column]).astype(str)
        for value in listed(values):
            if value not in known:
                raise InputError(
                    f"{where}: no neuron has the {column} {value!r}. {suggestion(value, np.unique(known).tolist())}"
                )
        found &= np.isin(known, listed(values))
    if not found.any():
        raise InputError(f"{where}: no neuron has all of {dict(neurons)}; name fewer columns.")
    return found


def resolved(block: Any, trials: "Trials") -> Any:
    """The block with its number of latents set, by default from the neurons that read it.

    Raises:
        InputError: it has more latents than such neurons.
    """
    mask = of_block(block, trials)
    if mask is None:
        return block.resolve(trials)
    found = block.resolve(trials.select(neurons=np.flatnonzero(mask)))
    if found.n_latents > mask.sum():
        raise InputError(
            f"{type(block).__name__}({block.name!r}) has {found.n_latents} latents, and {mask.sum()} neurons read it: "
            "neurons determine no more latents than there are of them. Lower dim, or name more neurons."
        )
    return found


def restricted(readout: Readout, blocks: Sequence[Any], trials: "Trials") -> Readout:
    """The readout in which neurons read the blocks that name them alone.

    Args:
        readout: of the model.
        blocks: of latents, whose numbers are known.
        trials: whose neurons read them.
    """
    ends = np.cumsum([block.n_latents for block in blocks]).tolist()
    found = [of_block(block, trials) for block in blocks]
    reads = tuple(
        (end - block.n_latents, end, tuple(np.flatnonzero(mask).tolist()))
        for block, end, mask in zip(blocks, ends, found, strict=True)
        if mask is not None
    )
    return readout.restricted(reads) if reads or getattr(readout, "reads", ()) else readout
