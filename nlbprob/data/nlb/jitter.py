"""The random shifts of the windows of dmfc_rsg, as the benchmark draws them."""

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.data.nlb.session import Session


def jitter_ms(
    session: Session, mask: Bool[np.ndarray, " trial"], bin_ms: int, seed: int = 0
) -> Float[np.ndarray, " trial"]:
    """bin_ms round(u floor(clip(up_to - column, 0, most) / bin_ms)) of each trial in `mask`, u uniform on [0, 1).

    Zero for other trials, for test trials and for data sets without jitter; NaN where the column is missing.
    The uniforms come from NumPy's legacy generator, trial by trial in the order of the mask: a trial has another
    jitter among ("train",) than among ("train", "val"), as it has in the benchmark.
    """
    facts = session.dataset.jitter
    longest = np.zeros(len(mask))
    if facts is not None:
        moved = mask & (session.table["split"] != "test")
        longest[moved] = np.clip(facts.up_to_ms - session.values(facts.column)[moved], 0, facts.most_ms)
    uniform = np.zeros(len(mask))
    uniform[mask] = np.random.RandomState(seed).random_sample(mask.sum())
    return bin_ms * np.round(uniform * np.floor(np.round(longest / bin_ms, 4)))
