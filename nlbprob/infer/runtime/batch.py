"""Trials as arrays on the device, cut into chunks of one shape."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Num, Shaped

from nlbprob.blocks.base import Context
from nlbprob.model import Model

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Most numbers in the largest array of a chunk.
CHUNK_NUMBERS = 16_000_000
#: Least number of chunks that a fit's trials are cut into, so that several cores have work.
FIT_CHUNKS = 2
#: Trials in a chunk of predictions.
PREDICTION_TRIALS = 32


class Batch(NamedTuple):
    """The counts of some trials, which of them are seen, and the covariates of each trial."""

    counts: Num[Array, "trial time neuron"]
    seen: Bool[Array, "trial time neuron"]
    covariates: Mapping[str, Array]


def most_trials(model: Model, bins: int, neurons: int) -> int:
    """How many trials fit in a chunk none of whose arrays has more than `CHUNK_NUMBERS` numbers."""
    numbers = bins * max(neurons, model.n_states**2) * model.n_components
    return max(1, CHUNK_NUMBERS // numbers)


def fit_chunk(model: Model, trials: int, bins: int, neurons: int) -> int:
    """How many trials a chunk of a fit has, by the size of the data alone."""
    most = most_trials(model, bins, neurons)
    return -(-trials // max(FIT_CHUNKS, -(-trials // most)))


def prediction_chunk(model: Model, trials: "Trials") -> int:
    """How many trials a chunk of predictions has: a power of two, so that few shapes are compiled."""
    power = 1 << (trials.n_trials - 1).bit_length()
    return min(PREDICTION_TRIALS, power, most_trials(model, trials.n_bins, trials.n_neurons))


def chunks(
    model: Model, context: Context, trials: "Trials", size: int, at_least: int = 0
) -> Iterator[tuple[slice, Batch]]:
    """The trials in chunks of `size`, the last padded with trials of which nothing is seen.

    Args:
        model: whose covariates are needed.
        context: of the fit.
        trials: to be cut.
        size: trials in a chunk.
        at_least: how many trials the chunks have room for at least; there are chunks of padding alone where the
            trials are fewer.

    Yields:
        Which trials a chunk holds, and their arrays.
    """
    arrays: Any = Batch._make((trials.counts, trials.seen, model.covariates(trials, context)))
    for start in range(0, max(trials.n_trials, at_least), size):
        rows = slice(min(start, trials.n_trials), min(start + size, trials.n_trials))
        padding = size - (rows.stop - rows.start)

        def cut(
            a: Shaped[np.ndarray, "trial ..."], rows: slice = rows, padding: int = padding
        ) -> Shaped[Array, "padded ..."]:
            return jnp.asarray(np.pad(a[rows], ((0, padding), *[(0, 0)] * (a.ndim - 1))))

        yield rows, jax.tree.map(cut, arrays)
