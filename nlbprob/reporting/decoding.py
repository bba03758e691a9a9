"""Behavior decoded from the rates, beside the true one."""

import numpy as np
from jaxtyping import Float

from nlbprob.plot import style
from nlbprob.plot.trials import in_seconds, spread
from nlbprob.reporting.parts import Absent, Key, Panel, Section
from nlbprob.reporting.view import View
from nlbprob.scoring.decoding import FOLDS, fit_decoder
from nlbprob.scoring.from_trials import decodable
from nlbprob.scoring.metrics.r_squared import r_squared

TITLE = "Decoded behavior"
#: Most scored trials and channels shown.
TRIALS, CHANNELS = 6, 3


def section(view: View) -> Section | Absent:
    """True and decoded behavior of a few scored trials, a panel for each channel."""
    trials = view.trials
    if trials.behavior is None:
        return Absent(TITLE, "no behavior was named")
    window = slice(0, trials.window_bins)
    fitted = ~view.scored
    behavior, left_out = decodable(trials, fitted, view.scored)
    names = [name for name in trials.behavior_channels if name not in left_out]
    reasons = "; ".join(f"{name} {reason}" for name, reason in left_out.items())
    if not names:
        return Absent(TITLE, f"no channel can be decoded: {reasons}")
    if (~np.isnan(behavior[fitted, :, 0])).sum() < FOLDS:
        return Absent(TITLE, f"fewer than {FOLDS} bins of the fitted trials have behavior")
    rows = chosen(view, behavior)
    if not len(rows):
        return Absent(TITLE, f"no {view.split} trial has behavior")
    decoded = fit_decoder(view.rates[fitted][:, window], behavior[fitted]).predict(view.rates[rows][:, window])
    name = trials.behavior_name or "behavior"
    value = view.metrics[view.split].get("vel R2")
    score = "" if value is None else f"; R² is {value:.2f} over all {view.split} trials"
    reading = (
        f"{name} in {len(rows)} {view.split} trials, one after the other: recorded, and decoded linearly from the "
        f"rates inferred without the held-out neurons, by a decoder fitted on {view.metrics['fit_on']}{score}. "
        "Where the lines part, the rates miss what the animal did." + f" Left out: {reasons}." * bool(reasons)
    )
    panels = [
        panel(view, name, behavior[rows][..., channel], decoded[..., channel], rows)
        for channel, name in enumerate(names[:CHANNELS])
    ]
    return Section(TITLE, reading, panels, [Key(style.MUTED, "recorded", place=1), Key(style.MODEL, "decoded")])


def chosen(view: View, behavior: Float[np.ndarray, "trial window channel"]) -> np.ndarray:
    """Scored trials with behavior: of different conditions where there are some, else spread over the recording."""
    usable = view.scored & ~np.isnan(behavior[..., 0]).all(axis=1)
    firsts = [group.rows[usable[group.rows]][:1] for group in view.groups] if view.has_conditions else []
    rows = np.concatenate(firsts) if firsts else np.flatnonzero(usable)
    return spread(rows, TRIALS)


def panel(view: View, name: str, true: np.ndarray, decoded: np.ndarray, rows: np.ndarray) -> Panel:
    """One channel, the trials side by side with gaps between."""
    figure, axes = style.single(height=137, left=43)
    step = (view.time[1] - view.time[0]) if len(view.time) > 1 else 1.0
    start = 0.0
    for recorded, inferred, row in zip(true, decoded, rows, strict=True):
        length = min(int(view.lengths[row]), len(recorded))
        time = start + step * np.arange(length)
        axes.plot(time, recorded[:length], color=style.MUTED, linewidth=1.6, linestyle=style.DASHES[1])
        axes.plot(time, inferred[:length], color=style.MODEL)
        start = time[-1] + step * max(3, view.trials.window_bins // 12)
    axes.set_xlabel(f"{'s' if in_seconds(view.trials) else 'ms'}, trials end to end")
    label = f"Recorded and decoded {view.trials.behavior_name} {name} in {len(rows)} trials"
    return Panel(name, figure, label, seen(true, decoded))


def seen(true: np.ndarray, decoded: np.ndarray) -> str:
    """R2 of what is drawn."""
    known = ~np.isnan(true)
    if not known.any() or not np.ptp(true[known]):
        return ""
    r2 = r_squared(true[known][:, None], decoded[known][:, None])
    return f"In these trials decoding explains {100 * r2:.0f}% of the variance of this channel.".replace("-", "−")
