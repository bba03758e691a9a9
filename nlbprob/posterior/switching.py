"""Dynamics that switch: how long regimes last, which follows which, when they come, and how each moves."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from nlbprob.arguments import named, seed_number, whole_number
from nlbprob.errors import InputError, suggestion
from nlbprob.posterior import sampling
from nlbprob.posterior.embed import embedded
from nlbprob.posterior.mode_draws import modes
from nlbprob.posterior.units import numbered, with_units

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior


def switching(
    posterior: "Posterior", trials: "Trials", event: Any, block: str | None, draws: int, seed: int
) -> "xarray.Dataset":
    """What draws of the regimes' paths show, see `Posterior.switching`."""
    import xarray

    draws, seed = whole_number(draws, "switching", "draws", 1), seed_number(seed, "switching")
    number = block_of(posterior, block)
    name, regimes = posterior.model.chains[number].name, posterior.model.chains[number].n_regimes
    zero = event_bins(trials, event)
    inside = np.arange(trials.n_bins) < trials.lengths[:, None]
    lags, places, within = around(zero, inside)
    paths = drawn_paths(posterior, trials, name, draws, seed)
    bins, switches = counted(paths, inside, regimes)
    leaving = switches.sum(2)
    with np.errstate(divide="ignore", invalid="ignore"):
        dwell = trials.bin_ms * bins / leaving
        following = switches / leaving[:, :, None]
    probability, entry = timed(paths, inside, regimes, places, within)
    found = xarray.Dataset(
        {
            "occupancy": (("sample", "regime"), bins / bins.sum(1, keepdims=True)),
            "dwell_ms": (("sample", "regime"), dwell),
            "next_probability": (("sample", "regime", "next_regime"), following),
            "probability": (("sample", "regime", "lag"), probability),
            "entry_hz": (("sample", "regime", "lag"), 1000 * entry / trials.bin_ms),
        },
        {
            "sample": np.arange(draws),
            "regime": numbered(regimes),
            "next_regime": numbered(regimes),
            "lag": ("lag", lags * trials.bin_ms + (trials.time_ms[0] if event is None else 0.0), {"units": "ms"}),
        },
        {"block": name, "event": "time in trial" if event is None else event if isinstance(event, str) else "event"},
    )
    return with_units(found.merge(modes_inside(posterior, number, draws, seed)))


def block_of(posterior: "Posterior", block: str | None) -> int:
    """The place of the block among the model's. Raises InputError where it does not switch, or several do."""
    found = {each.name: number for number, each in enumerate(posterior.model.chains) if each.n_regimes}
    if not found:
        raise InputError("switching: no block of the model switches.")
    if block is None and len(found) > 1:
        raise InputError(f"switching: several blocks switch; name one, block={next(iter(found))!r}.")
    if block is not None and block not in found:
        raise InputError(f"switching(block=...): no block {block!r} switches. {suggestion(str(block), list(found))}")
    return next(iter(found.values())) if block is None else found[block]


def event_bins(trials: "Trials", event: Any) -> Int[np.ndarray, " trial"]:
    """The bin of each trial in which the event lies; -1 where it lies in none. Without an event the first bin."""
    if event is None:
        return np.zeros(len(trials), int)
    times = column_ms(trials, event) if isinstance(event, str) else array_ms(trials, event)
    position = np.floor((times - trials.time_ms[0]) / trials.bin_ms + 1e-6)
    bins = np.where((position >= 0) & (position < trials.lengths), position, -1).astype(int)
    if (bins < 0).all():
        raise InputError(
            f"switching: the event lies in no trial: bins go from {trials.time_ms[0]:g} to "
            f"{trials.time_ms[-1] + trials.bin_ms:g} ms. A column holds times in s on the clock of the recording, an "
            "array times in ms as `trials.time_ms`."
        )
    return bins


def column_ms(trials: "Trials", event: str) -> Float[np.ndarray, " trial"]:
    """The times of a column of times, relative to the event that trials are aligned to."""
    align = trials.source.get("options", {}).get("align") or "start_time"
    known = [name for name, values in trials.table.items() if name != "id" and values.dtype.kind in "iuf"]
    remedies = {align: ", which they are aligned to; give times in ms."} | {event: f". {suggestion(event, known)}"}
    for name in (event, align):
        if name not in trials.table:
            raise InputError(f"switching(event=...): no trials column {name!r}{remedies[name]}")
        if trials.table[name].dtype.kind not in "iuf":
            raise InputError(f"switching(event=...): the column {name!r} does not hold times in s; name another.")
    return 1000 * (trials.table[event].astype(float) - trials.table[align].astype(float))


def array_ms(trials: "Trials", event: Any) -> Float[np.ndarray, " trial"]:
    """Times in ms that were handed over, one a trial."""
    try:
        times = np.asarray(event, float)
    except (TypeError, ValueError):
        times = np.empty(0)
    if times.shape != (len(trials),):
        raise InputError(
            f"{named('switching', 'event', event)}: give a trials column with times in s, or the time of each of the "
            f"{len(trials)} trials in ms."
        )
    return times


def around(
    zero: Int[np.ndarray, " trial"], inside: Bool[np.ndarray, "trial time"]
) -> tuple[Int[np.ndarray, " lag"], Int[np.ndarray, "trial lag"], Bool[np.ndarray, "trial lag"]]:
    """The lags, in bins, that at least half of the trials with an event reach; the bin of each trial, and whether it
    has that bin.
    """
    length = inside.shape[1]
    lags = np.arange(1 - length, length)
    places = zero[:, None] + lags
    within = (zero[:, None] >= 0) & (places >= 0) & (places < length)
    places = np.clip(places, 0, length - 1)
    within &= np.take_along_axis(inside, places, 1)
    enough = within.sum(0) >= max(1, (zero >= 0).sum() / 2)
    return lags[enough], places[:, enough], within[:, enough]


def drawn_paths(
    posterior: "Posterior", trials: "Trials", name: str, draws: int, seed: int
) -> Integer[np.ndarray, "sample trial time"]:
    """Paths of a block's regimes drawn from their posterior; parameters vary from draw to draw."""
    paths = np.empty((draws, len(trials), trials.n_bins), np.int16)
    values = posterior.parameter_sites(draws, seed)
    for piece in sampling.draws(posterior, values, embedded(posterior, trials).trials, seed, nothing):
        paths[piece.draws, piece.trials] = piece.arrays[f"{name}.regime"]
    return paths


def nothing(model: Any, options: Any, key: Any, problem: Any, batch: Any, x: Any) -> dict[str, Any]:
    """No more of a draw than its regimes."""
    return {}


def counted(
    paths: Integer[np.ndarray, "sample trial time"], inside: Bool[np.ndarray, "trial time"], regimes: int
) -> tuple[Float[np.ndarray, "sample regime"], Float[np.ndarray, "sample regime regime"]]:
    """Of each draw the number of bins in each regime, and of switches from one to another."""
    bins = np.stack([((paths == regime) & inside).sum((1, 2)) for regime in range(regimes)], 1)
    pair = regimes * paths[:, :, :-1].astype(int) + paths[:, :, 1:]
    pairs = [((pair == number) & inside[:, 1:]).sum((1, 2)) for number in range(regimes**2)]
    switches = np.stack(pairs, 1).reshape(-1, regimes, regimes) * (1 - np.eye(regimes, dtype=int))
    return bins.astype(float), switches.astype(float)


def timed(
    paths: Integer[np.ndarray, "sample trial time"],
    inside: Bool[np.ndarray, "trial time"],
    regimes: int,
    places: Int[np.ndarray, "trial lag"],
    within: Bool[np.ndarray, "trial lag"],
) -> tuple[Float[np.ndarray, "sample regime lag"], Float[np.ndarray, "sample regime lag"]]:
    """Over trials, the fraction in each regime at each lag, and the fraction that enters it there."""
    shifted = np.take_along_axis(paths, places[None], 2)
    before = np.take_along_axis(paths, np.maximum(places - 1, 0)[None], 2)
    later = within & (places > 0)
    there = np.stack([(shifted == regime) & within for regime in range(regimes)], 1)
    enters = np.stack([(shifted == regime) & (before != regime) & later for regime in range(regimes)], 1)
    return there.sum(2) / within.sum(0), enters.sum(2) / np.maximum(later.sum(0), 1)


def modes_inside(posterior: "Posterior", number: int, draws: int, seed: int) -> "xarray.Dataset":
    """Frequencies and decay times of the dynamics inside each regime, [sample, regime, mode]; NaN where one has fewer
    modes.
    """
    import xarray

    centre, drawn = posterior.centre.dynamics[number], posterior._derived_draws.dynamics[number]
    rows, size = posterior._rows(draws, seed), posterior.model.chains[number].n_latents
    matrices = np.asarray(centre.chain.transition).reshape(-1, size, size)
    each = np.asarray(drawn.chain.transition)[rows].reshape(draws, -1, size, size)
    found = [
        modes(matrix, each[:, regime], posterior.context.bin_ms)[["frequency_hz", "decay_ms"]]
        for regime, matrix in enumerate(matrices)
    ]
    regimes = xarray.Variable("regime", numbered(len(found)))
    return xarray.concat(found, regimes, join="outer").transpose("sample", "regime", "mode")
