"""What any model has to beat: `baselines`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from nlbprob.arguments import checked_keywords, seed_number
from nlbprob.data.handed import check_trials
from nlbprob.data.stitch import members, unstitch
from nlbprob.data.trials import Trials
from nlbprob.errors import InputError
from nlbprob.scoring import condition_psth, smoothing_regression
from nlbprob.scoring.forward import with_forecast
from nlbprob.scoring.inner import mean_rates
from nlbprob.scoring.rates import in_splits, label_rates, split_names

if TYPE_CHECKING:
    import xarray

MEAN_RATE = "mean rate"
SMOOTHING = "smoothing + Poisson regression"
CONDITION_PSTH = "condition PSTH"
#: What is chosen for a baseline.
SETTINGS = ("width_ms", "penalty", "pseudo_trials")


@checked_keywords
def baselines(
    trials: Trials, fit: str | Sequence[str] = "train", on: str | Sequence[str] = "val", seed: int = 0
) -> "dict[str, xarray.DataArray]":
    """Rates by three baselines, from what `trials.hide_heldout(on)` shows.

    - "mean rate": each neuron's mean over the trials of `fit`.
    - "smoothing + Poisson regression": held-in counts smoothed by a Gaussian; log-rates of held-out neurons linear in
      the square roots of these. It needs some neurons that are held out and some that are not.
    - "condition PSTH": the average over the trials of `fit` of the trial's true condition, smoothed and shrunk to the
      average of all conditions. It uses **the condition** of the trials of `on`, which no other baseline or model does.
      It needs conditions, and windows of one length.

    Widths, penalties and shrinkage are chosen inside `fit`. In the forward window the last two go on with a fraction of
    the last rate, which is chosen in the same way. Of stitched sessions each is predicted by itself; neurons of other
    sessions have their mean rate there.

    Args:
        trials: with the held-out counts seen, as `score` takes them.
        fit: the split or splits to learn from.
        on: the split or splits to be scored.
        seed: of the splits inside `fit`.

    Returns:
        By the name of each baseline that the trials allow, its rates (trial, time, neuron), spikes/bin, of every trial,
        bin and neuron. Their `attrs` hold what was chosen: "width_ms", "penalty", "pseudo_trials".

    Raises:
        InputError: a split has no trial (in a session), or `on` shares one with `fit`.
    """
    check_trials(trials, "baselines")
    seed, fitted = seed_number(seed, "baselines"), in_splits(trials, fit, "fit")
    if (fitted & in_splits(trials, on, "on")).any():
        raise InputError(f"on: {on!r} is among the splits to fit, {fit!r}; score on trials that were not learned from.")
    visible = trials.hide_heldout(*split_names(on, "on"))
    mean = mean_rates(visible, fitted)
    if len(members(trials)) > 1:
        return by_session(
            trials,
            mean,
            {name: baselines(session_trials, fit, on, seed) for name, session_trials in unstitch(trials).items()},
        )
    rates, learned = {MEAN_RATE: label_rates(np.broadcast_to(mean, trials.counts.shape).copy(), trials)}, {}
    if visible.seen[fitted][..., visible.heldout].any() and visible.heldin.any():
        learned[SMOOTHING] = smoothing_regression.learn(visible, fitted, seed)
    lengths = np.minimum(trials.lengths, trials.window_bins)
    if visible.condition_labels and (lengths == lengths[0]).all():
        learned[CONDITION_PSTH] = condition_psth.learn(visible, fitted, seed)
    for name, one in learned.items():
        rates[name] = label_rates(with_forecast(one.rates, visible, fitted, mean), trials)
        rates[name].attrs |= {setting: getattr(one, setting) for setting in SETTINGS if hasattr(one, setting)}
    return rates


def chosen_settings(rates: Any) -> dict[str, float]:
    """What was chosen for a baseline, from its rates; empty where nothing was."""
    attributes = getattr(rates, "attrs", {})
    return {name: float(attributes[name]) for name in SETTINGS if name in attributes}


def by_session(
    trials: Trials, mean: Float[np.ndarray, " neuron"], parts: "dict[str, dict[str, xarray.DataArray]]"
) -> "dict[str, xarray.DataArray]":
    """The baselines that all sessions of stitched trials have; mean rates where a neuron is not of the session."""
    joined_rates = {}
    common = set.intersection(*(set(part) for part in parts.values()))
    for baseline in (name for name in next(iter(parts.values())) if name in common):
        rates = np.broadcast_to(mean, trials.counts.shape).copy()
        for name, (rows, units) in members(trials).items():
            session_rates = parts[name][baseline].values
            bins = np.arange(session_rates.shape[1])  # a session's trials may be shorter than the longest
            rates[np.ix_(np.flatnonzero(rows), bins, np.flatnonzero(units))] = session_rates
        joined_rates[baseline] = label_rates(rates, trials)
    return joined_rates
