"""How exactly times are known: the rounding of the numbers that hold them.

A 64-bit time of today counted from 1970 is a multiple of 0.24 us, a 32-bit time at 1000 s one of 61 us. Whoever
compares times has to allow for that, or a spike on a bin's edge falls before it and a trial's last bin is lost.
"""

import numpy as np
from jaxtyping import Float

#: Times are sums of decimal fractions (1.3 s + 2.5 ms), which miss each other by a rounding error. Half a nanosecond is
#: far above such errors near zero and far below any sampling interval.
FINEST_S = 0.5e-9
#: Significant bits of a 32-bit float, and how many fewer than in a 64-bit one.
SINGLE_BITS, FEWER_BITS = 24, 29
#: From so many times on, a share of them decides whether they were rounded to 32 bits; of fewer any one does.
MANY = 16
#: The share of such times that 32 bits hold exactly: a few others may have been added to them later.
NEARLY_ALL = 0.9
#: The last times of an array, which are the most exacting, are enough to tell.
MOST = 1000


def step_s(times: Float[np.ndarray, "*shape"], single: bool = False) -> Float[np.ndarray, "*shape"]:
    """The distance (s) from each time to the next number that can be stored.

    Args:
        times: s.
        single: whether they were stored as 32-bit floats, whatever they are now.
    """
    return np.spacing(np.abs(times)) * (2**FEWER_BITS if single else 1)


def is_single(*times: Float[np.ndarray, "..."]) -> bool:
    """Whether the times, taken together, were stored as 32-bit floats, though they may be 64-bit ones now.

    Nearly all of them have 24 significant bits then, and arbitrary times make use of the last one half of the time,
    whereas whole seconds, quarters or the ticks of a slow clock do not: these are exact. Times that may have been
    stored apart, such as those of two units or of two columns, are to be asked about one by one.
    """
    values = np.concatenate([np.ravel(part)[-MOST:] for part in times]) if times else np.zeros(0)
    values = values[np.isfinite(values) & (values != 0)]
    held = as_single(values) == values
    if not len(values) or np.mean(held) < (NEARLY_ALL if len(values) >= MANY else 1):
        return False
    values = values[held]
    digits = np.abs(np.frexp(values)[0] * 2**SINGLE_BITS).astype(np.int64)
    if len(digits) < MANY:
        return bool(np.any(digits[values % 1 != 0] % 2**4))  # a few whole seconds tell nothing
    return bool(np.mean(digits % 2) >= 1 / 4)


def as_single(times: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """The times rounded to 32 bits; infinite where they are too large for that."""
    with np.errstate(over="ignore"):
        return times.astype(np.float32).astype(np.float64)
