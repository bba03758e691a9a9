"""The baseline "smoothing + Poisson regression": smoothed held-in spikes predict every held-out neuron."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from nlbprob.data.trials import Trials
from nlbprob.scoring.inner import inner_splits, log_likelihood, mean_rates
from nlbprob.scoring.poisson_regression import PoissonRegression, fit_poisson
from nlbprob.scoring.smoothing import smooth

#: Widths (standard deviations, ms) that may be chosen; those under half a bin would smooth nothing.
WIDTHS_MS = (10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0, 160.0, 240.0, 320.0, 480.0)
FIRST_WIDTH_MS = 40.0
#: Penalties halve along a path that begins where the features together move a log-rate by about this variance.
FIRST_VARIANCE = 0.002
LONGEST_PATH = 16
#: Fraction of the mean rate in a held-in neuron's rate, which keeps it above zero.
MEAN_SHARE = 0.05


@dataclasses.dataclass(frozen=True)
class PrincipalAxes:
    """Features centered, scaled by one number to unit variance on average, and rotated to their principal axes.

    One scale for all: a neuron of many spikes keeps its larger share of the information. The ridge penalty does not
    notice the rotation; the preconditioner of `fit_poisson` does.
    """

    center: Float[np.ndarray, " feature"]
    rotation: Float[np.ndarray, "feature axis"]

    @staticmethod
    def of(features: Float[np.ndarray, "row feature"]) -> "PrincipalAxes":
        """The axes of these features."""
        center = features.mean(axis=0)
        centered = features - center
        variances, axes = np.linalg.eigh(centered.T @ centered / len(features))
        return PrincipalAxes(center, axes / np.sqrt(max(float(variances.mean()), 1e-12)))

    def __call__(self, features: Float[np.ndarray, "row feature"]) -> Float[np.ndarray, "row axis"]:
        return (features - self.center) @ self.rotation


@dataclasses.dataclass(frozen=True)
class SmoothingRegression:
    """Log-rates of held-out neurons linear in the square roots of smoothed held-in counts; made by `learn`.

    Attributes:
        width_ms: standard deviation of the Gaussian in ms.
        penalty: see `fit_poisson`.
        axes: the principal axes of the features.
        regression: of the held-out neurons on these.
        mean: mean rate of every neuron, spikes/bin.
        largest: the largest count of each held-out neuron in training, which no prediction exceeds.
    """

    width_ms: float
    penalty: float
    axes: PrincipalAxes
    regression: PoissonRegression
    mean: Float[np.ndarray, " neuron"]
    largest: Float[np.ndarray, " heldout"]

    def rates(self, visible: Trials) -> Float[np.ndarray, "trial window neuron"]:
        """Spikes/bin of all neurons in the window: held-in neurons smoothed, held-out ones predicted from these."""
        smoothed = smoothed_heldin(visible, self.width_ms, self.mean[visible.heldin])
        rates = np.empty((*smoothed.shape[:2], visible.n_neurons))
        rates[..., visible.heldin] = (1 - MEAN_SHARE) * smoothed + MEAN_SHARE * self.mean[visible.heldin]
        features = np.sqrt(smoothed).reshape(-1, smoothed.shape[2])
        predicted = bounded_rates(self.regression, self.axes(features), self.largest)
        rates[..., visible.heldout] = predicted.reshape(*smoothed.shape[:2], -1)
        return rates


def smoothed_heldin(
    visible: Trials, width_ms: float, mean: Float[np.ndarray, " heldin"]
) -> Float[np.ndarray, "trial window heldin"]:
    """Smoothed counts of held-in neurons, spikes/bin; their mean rates where nothing near is seen."""
    chosen = np.ix_(np.arange(visible.n_trials), np.arange(visible.window_bins), visible.heldin)
    smoothed = smooth(visible.counts[chosen], visible.seen[chosen], width_ms / visible.bin_ms)
    return np.where(np.isnan(smoothed), mean, smoothed)


def bounded_rates(
    regression: PoissonRegression, features: Float[np.ndarray, "row axis"], largest: Float[np.ndarray, " heldout"]
) -> Float[np.ndarray, "row heldout"]:
    """Predicted spikes/bin, between 1e-9 and the largest count in training: far from its data exp runs away."""
    return np.exp(np.clip(regression.log_rates(features), np.log(1e-9), np.log(largest)))


def learn(visible: Trials, fitted: Bool[np.ndarray, " trial"], seed: int) -> SmoothingRegression:
    """Choose width and penalty on splits inside the fitted trials, then learn from all of these.

    Widths are searched from 40 ms in the direction that helps until it does not; for each, penalties halve until the
    likelihood of the judging trials falls.

    Args:
        visible: what may be used, so with held-out neurons seen in fitted trials only.
        fitted: which trials to learn from.
        seed: of the inner splits.
    """
    mean = mean_rates(visible, fitted)
    task = Regressions(visible, np.flatnonzero(fitted), mean)
    width, penalty = task.choose(inner_splits(task.fitted, seed))
    features = task.features(width)
    rows = task.rows(features, task.fitted)
    axes = PrincipalAxes.of(rows.features)
    regression = fit_poisson(axes(rows.features), rows.counts, rows.seen, penalty, tolerance=1e-5)
    return SmoothingRegression(width, penalty, axes, regression, mean, task.largest)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Bins of some trials in which a held-out neuron is seen."""

    features: Float[np.ndarray, "row feature"]
    counts: Float[np.ndarray, "row heldout"]
    seen: Bool[np.ndarray, "row heldout"]


class Regressions:
    """The regressions of one recording, for any width, penalty and set of trials."""

    def __init__(self, visible: Trials, fitted: Int[np.ndarray, " fitted"], mean: Float[np.ndarray, " neuron"]):
        self.visible, self.mean = visible, mean
        window = slice(0, visible.window_bins)
        self.seen = visible.seen[:, window][..., visible.heldout]
        self.fitted = fitted[self.seen[fitted].any(axis=(1, 2))]
        self.counts = np.where(self.seen, visible.counts[:, window][..., visible.heldout], 0).astype(np.float64)
        self.largest = np.maximum(self.counts[fitted].max(axis=(0, 1)), 1.0)

    def features(self, width_ms: float) -> Float[np.ndarray, "trial window heldin"]:
        """Square roots of smoothed counts, whose noise is about the same at any rate."""
        return np.sqrt(smoothed_heldin(self.visible, width_ms, self.mean[self.visible.heldin]))

    def rows(self, features: Float[np.ndarray, "trial window heldin"], trials: Int[np.ndarray, " some"]) -> Rows:
        """What the regression uses of these trials."""
        some = self.seen[trials].any(axis=2)
        return Rows(features[trials][some], self.counts[trials][some], self.seen[trials][some])

    def choose(self, splits: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
        """The width (ms) and penalty under which the judging trials are likeliest."""
        widths = [width for width in WIDTHS_MS if width >= self.visible.bin_ms / 2]
        place = int(np.argmin([abs(width - FIRST_WIDTH_MS) for width in widths]))
        first = self.visible.heldin.sum() / FIRST_VARIANCE
        best, penalty = self.judge(widths[place], splits, first)
        for direction in (-1, 1):
            start = place
            while 0 <= place + direction < len(widths):
                value, candidate = self.judge(widths[place + direction], splits, min(first, 4 * penalty))
                if value <= best:
                    break
                best, penalty, place = value, candidate, place + direction
            if place != start:
                break
        return widths[place], penalty

    def judge(
        self, width_ms: float, splits: Sequence[tuple[np.ndarray, np.ndarray]], first_penalty: float
    ) -> tuple[float, float]:
        """The log-likelihood (nats) of the judging trials at the best penalty from the first one down, and that."""
        features = self.features(width_ms)
        penalties = first_penalty * 0.5 ** np.arange(LONGEST_PATH)
        paths = [
            self.path(self.rows(features, learned), self.rows(features, judged), penalties)
            for learned, judged in splits
        ]
        best, chosen = -np.inf, first_penalty
        for penalty, values in zip(penalties, zip(*paths, strict=True), strict=True):
            if sum(values) <= best:
                break
            best, chosen = sum(values), float(penalty)
        return best, chosen

    def path(self, learned: Rows, judged: Rows, penalties: Float[np.ndarray, " penalty"]) -> Iterator[float]:
        """The log-likelihood of the judging rows at one penalty after the other, each solution starting the next."""
        axes = PrincipalAxes.of(learned.features)
        features, others = axes(learned.features), axes(judged.features)
        regression = None
        for penalty in penalties:
            regression = fit_poisson(features, learned.counts, learned.seen, float(penalty), regression)
            yield log_likelihood(bounded_rates(regression, others, self.largest), judged.counts, judged.seen)
