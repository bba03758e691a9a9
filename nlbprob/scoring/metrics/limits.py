"""Which numbers can be rates, for all metrics alike."""

import numpy as np
from jaxtyping import Num

from nlbprob.errors import InputError

#: What the benchmark puts in the place of a rate of exactly zero, and of the null rate of a silent neuron.
SMALLEST_RATE = 1e-9
#: Larger numbers are no rates. Any float of 32 bits or more holds it.
LARGEST_RATE = 1e30


def refuse(rates: Num[np.ndarray, "*axes"], which: str, where: str) -> None:
    """Refuse numbers that are no rates.

    Args:
        rates: spikes/bin.
        which: what messages call them.
        where: the bins in which they are needed, in words.

    Raises:
        InputError: a rate is NaN, infinite or beyond all bounds.
    """
    if np.isnan(rates).any():
        raise InputError(f"{which} are NaN {where}; predict every trial, bin and neuron.")
    if not (np.abs(rates) <= LARGEST_RATE).all():
        raise InputError(f"{which} are infinite or beyond all bounds {where}; a rate is a number of spikes per bin.")
