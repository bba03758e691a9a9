"""A data set of the benchmark as `Trials`, with its splits, held-out neurons, behavior and forward window."""

import os

import numpy as np
from jaxtyping import Bool, Float, Int

from nlbprob.arguments import seed_number
from nlbprob.data.layout import ids
from nlbprob.data.nlb.facts import splits
from nlbprob.data.nlb.jitter import jitter_ms
from nlbprob.data.nlb.resampled import Resampled, resample
from nlbprob.data.nlb.session import Session, read
from nlbprob.data.nlb.spans import Spans, input_windows, spans
from nlbprob.data.trials import Trials

SPLITS = ("train", "val", "test")


def load_dataset(
    folder: str | os.PathLike, dataset: str, bin_ms: float | int, phase: str = "val", seed: int = 0
) -> Trials:
    """The train, val and test trials of a data set, those of the test file first; neurons in ascending order of id.

    Counts and behavior are the benchmark's, bin by bin, and `seen` is what it has recorded; of test trials, neither
    held-out neurons nor the forward window are seen. In dmfc_rsg a window ends a random jitter after go; of the split
    that the phase evaluates, held-out neurons are seen where they are scored alone, in [set, go). The table then has
    jitter_bins, and scored_begin and scored_end, the bins of that interval in the window.

    Args:
        folder: with the train and the test file.
        dataset: name of the data set.
        bin_ms: bin width in ms.
        phase: "val" or "test".
        seed: of the jitter.

    Raises:
        FileNotFoundError: as `read` does.
        InputError: as `read`, `resample` and `splits` do.
    """
    seed, session = seed_number(seed, "load_dataset"), read(folder, dataset)
    resampled, facts = resample(session, bin_ms), session.dataset
    used, shift = session.mask(*SPLITS), phase_jitter(session, phase, resampled.bin_ms, seed)
    window = input_windows(session, used, resampled.bin_ms, shift)
    table, bins = trial_table(session, window), resampled.window_bins + resampled.forward_bins
    if facts.jitter is not None:
        table["jitter_bins"] = np.round(shift[window.row] / resampled.bin_ms).astype(np.int64)
    counts = resampled.counts(window.first, bins, np.ones_like(session.heldout))
    seen = ~np.isnan(counts)
    seen[table["split"] == "test", resampled.window_bins :] = False
    counts[~seen] = 0
    if facts.scored.window_ms is None:
        table["scored_begin"], table["scored_end"] = scored_interval(resampled, window)
        seen &= ~unscored(table, splits(phase)[1], resampled)[:, :, None] | ~session.heldout
    return Trials(
        counts=counts.astype(np.min_scalar_type(int(counts.max(initial=0)))),
        seen=seen,
        bin_ms=float(resampled.bin_ms),
        neurons=session.neurons,
        table=table,
        time_ms=facts.window_ms[0] + float(resampled.bin_ms) * np.arange(bins),
        forward_bins=resampled.forward_bins,
        condition=facts.psth.conditions if facts.psth else (),
        behavior=None if facts.behavior is None else lagged(resampled, used, bins),
        behavior_name=facts.behavior,
        behavior_channels=session.channels,
        lag_ms=float(facts.lag_ms),
        source={
            "file": os.fspath(folder),
            "files": [path.name for path in session.files],
            "options": {"dataset": dataset, "phase": phase, "bin_ms": float(bin_ms), "seed": seed},
            "seeds": {} if facts.jitter is None else {"jitter": seed},
            "notes": left_out(session, used, window),
        },
    )


def phase_jitter(session: Session, phase: str, bin_ms: int, seed: int) -> Float[np.ndarray, " trial"]:
    """The jitter of every trial in ms: drawn for the splits to learn from together, and for every other on its own."""
    fit, _ = splits(phase)
    groups = [fit, *((split,) for split in SPLITS if split not in fit)]
    return np.sum([jitter_ms(session, session.mask(*group), bin_ms, seed) for group in groups], axis=0)


def trial_table(session: Session, window: Spans) -> dict[str, np.ndarray]:
    """The columns of the trials of the window; times in s on the joined clock."""
    seconds = {name: times / np.timedelta64(1, "s") for name, times in session.times.items()}
    return {name: column[window.row] for name, column in {**session.table, **seconds}.items()}


def scored_interval(resampled: Resampled, window: Spans) -> tuple[Int[np.ndarray, " trial"], Int[np.ndarray, " trial"]]:
    """The first bin of each window that is scored, and the one after the last; equal where none is."""
    session = resampled.session
    mask = np.isin(np.arange(len(session.table["id"])), window.row)
    scored = spans(session, session.dataset.scored, mask, resampled.bin_ms)
    begin, end = np.zeros((2, len(window.row)), dtype=np.int64)
    row_index = np.searchsorted(window.row, scored.row)
    begin[row_index] = np.clip(scored.first - window.first[row_index], 0, resampled.window_bins)
    end[row_index] = np.clip(scored.first + scored.count - window.first[row_index], 0, resampled.window_bins)
    return begin, end


def unscored(table: dict[str, np.ndarray], evaluated: str, resampled: Resampled) -> Bool[np.ndarray, "trial time"]:
    """The bins of the window, in trials of the split that is evaluated, which lie outside the scored interval."""
    bins = np.arange(resampled.window_bins + resampled.forward_bins)
    scored = (bins >= table["scored_begin"][:, None]) & (bins < table["scored_end"][:, None])
    return ~scored & (bins < resampled.window_bins) & (table["split"] == evaluated)[:, None]


def lagged(resampled: Resampled, used: Bool[np.ndarray, " row"], bins: int) -> Float[np.ndarray, "trial time channel"]:
    """The behavior lag_ms after each bin."""
    session = resampled.session
    later = input_windows(session, used, resampled.bin_ms, session.dataset.lag_ms)
    return resampled.inside(resampled.behavior, later.first, bins, beyond=np.nan)


def left_out(session: Session, used: Bool[np.ndarray, " trial"], window: Spans) -> list[str]:
    """The message about trials without times."""
    missing = used.copy()
    missing[window.row] = False
    if not missing.any():
        return []
    times = [session.dataset.inputs.align, *([session.dataset.jitter.column] if session.dataset.jitter else [])]
    return [f"{missing.sum()} trials left out, without {' or '.join(times)}: {ids(session.table, missing)}"]
