"""Trials in wider bins."""

from typing import TYPE_CHECKING

import numpy as np

from nlbprob.errors import InputError

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


def merge_bins(trials: "Trials", bin_ms: float | int) -> "Trials":
    """The same trials in wider bins: counts add up, inputs are averaged, behavior is left out.

    A wide bin is seen where all its parts are. Bins are counted back from the end of the scored window and on from it,
    so that the forward window begins where it did; parts that fill no wide bin are left out.

    Args:
        trials: in bins of which a whole number makes a wide one.
        bin_ms: width of the wide bins in ms.

    Raises:
        InputError: no whole number of bins makes a wide one, or a trial is shorter than it.
    """
    factor = round(bin_ms / trials.bin_ms)
    if factor < 2 or abs(factor * trials.bin_ms - bin_ms) > 1e-6 * bin_ms:
        raise InputError(
            f"bin_ms={bin_ms:g}: give a multiple of the width of the bins, {trials.bin_ms:g} ms, such as "
            f"{2 * trials.bin_ms:g}."
        )
    window, forward = trials.window_bins // factor, trials.forward_bins // factor
    if not window:
        raise InputError(f"bin_ms={bin_ms:g}: a trial lasts {trials.window_bins * trials.bin_ms:g} ms only.")
    start = trials.window_bins % factor
    kept = slice(start, start + (window + forward) * factor)

    def parts(values: np.ndarray) -> np.ndarray:
        kept_values = values[:, kept]
        return kept_values.reshape(len(values), window + forward, factor, values.shape[2])

    return trials.replace(
        counts=parts(trials.counts).sum(2, dtype=np.uint32),
        seen=parts(trials.seen).all(2),
        bin_ms=float(bin_ms),
        time_ms=trials.time_ms[kept][::factor],
        forward_bins=forward,
        behavior=None,
        behavior_name=None,
        behavior_channels=(),
        inputs={name: parts(values).mean(2) for name, values in trials.inputs.items()},
    )
