"""The benchmark's velocity decoder: ridge regression whose penalty is chosen by five-fold cross-validation."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Num

from nlbprob.errors import InputError
from nlbprob.scoring.metrics.limits import LARGEST_RATE
from nlbprob.scoring.metrics.r_squared import exponent_of, r_squared

PENALTIES = np.logspace(-4, 0, 9)
FOLDS = 5
#: Values that differ by so many units in the last place are the same, but for rounding.
ROUNDING = 64


@dataclasses.dataclass(frozen=True)
class Decoder:
    """behavior = rates @ coefficients + intercept; `penalty` is the one chosen."""

    coefficients: Float[np.ndarray, "neuron channel"]
    intercept: Float[np.ndarray, " channel"]
    penalty: float

    def predict(self, rates: Num[np.ndarray, "*rows neuron"]) -> Float[np.ndarray, "*rows channel"]:
        """Decoded behavior, in the units it was fitted in."""
        return rates @ self.coefficients + self.intercept


def velocity_r2(
    train_rates: Num[np.ndarray, "train time neuron"],
    train_behavior: Num[np.ndarray, "train time channel"],
    eval_rates: Num[np.ndarray, "trial time neuron"],
    eval_behavior: Num[np.ndarray, "trial time channel"],
) -> float:
    """R2 of behavior decoded linearly from rates, averaged over channels.

    The decoder is `fit_decoder` on the train trials; bins whose first behavior channel is NaN are dropped.
    rates: spikes/bin, all neurons; behavior: already shifted by its lag. Raises InputError as `fit_decoder` does.
    Equal to GridSearchCV(Ridge(), {"alpha": logspace(-4, 0, 9)}) of the benchmark (arXiv 2109.04463).
    """
    decoder = fit_decoder(train_rates, train_behavior)
    rates, behavior = recorded_rows(eval_rates, eval_behavior)
    return r_squared(behavior, decoder.predict(rates))


def recorded_rows(
    rates: Num[np.ndarray, "trial time neuron"], behavior: Num[np.ndarray, "trial time channel"]
) -> tuple[Float[np.ndarray, "row neuron"], Float[np.ndarray, "row channel"]]:
    """The bins whose first behavior channel is not NaN, trials end to end.

    Raises InputError where another channel is NaN there, behavior is infinite, or a rate is not finite.
    """
    rows = ~np.isnan(behavior[..., 0])
    kept, used = behavior[rows].astype(np.float64), rates[rows].astype(np.float64)
    if np.isnan(kept).any():
        raise InputError(
            "behavior: a later channel is NaN in a bin where the first is not; mark such bins NaN in all channels."
        )
    if np.isinf(kept).any():
        raise InputError("behavior: a value is infinite; mark bins without a value NaN in all channels.")
    if not (np.abs(used) <= LARGEST_RATE).all():
        raise InputError("rates: not finite, or beyond all bounds, in bins with behavior; hand over spikes per bin.")
    return used, kept


def channels_left_out(
    behavior: Num[np.ndarray, "trial time channel"],
    fitted: Bool[np.ndarray, " trial"],
    scored: Bool[np.ndarray, " trial"],
) -> dict[int, str]:
    """Why channels cannot be decoded, by their position: without a value, or always the same, in either set of trials.

    R2 of a constant is no number, and counting it as 1 or 0, as scikit-learn does, would speak of the sensor.

    Args:
        behavior: NaN where there is no value.
        fitted: which trials the decoder is fitted on.
        scored: which trials are scored.
    """
    reasons = {}
    for channel in range(behavior.shape[2]):
        for rows, name in ((fitted, "fitted"), (scored, "scored")):
            values = behavior[rows][..., channel]
            values = values[~np.isnan(values)]
            if not len(values):
                reasons[channel] = f"has no value in the {name} trials"
            elif is_constant(values):
                reasons[channel] = f"does not change in the {name} trials"
    return reasons


def is_constant(values: Num[np.ndarray, " value"]) -> bool:
    """Whether values differ by no more than rounding does, as averages over the samples of a bin do."""
    low, high = float(values.min()), float(values.max())
    eps = np.finfo(values.dtype).eps if values.dtype.kind == "f" else 0.0
    return bool(high / 2 - low / 2 <= ROUNDING * eps * max(abs(low), abs(high)))


def fit_decoder(
    rates: Num[np.ndarray, "trial time neuron"], behavior: Num[np.ndarray, "trial time channel"]
) -> Decoder:
    """argmin |behavior - rates @ W - b|^2 + penalty |W|^2, the penalty by cross-validation.

    It is the one of 1e-4 to 1, two a decade, with the highest mean R2 over five folds, the first of equal ones. Folds
    are runs of consecutive bins (trials end to end, NaN bins dropped); each decoder has its own intercept.

    Args:
        rates: spikes/bin.
        behavior: NaN in the first channel where not recorded.

    Returns:
        W, b and the penalty.

    Raises:
        InputError: fewer than five bins have behavior, or only some channels of a bin do.
    """
    x, y = recorded_rows(rates, behavior)
    if len(x) < FOLDS:
        raise InputError(f"behavior: {len(x)} bins have a value; the decoder needs at least {FOLDS}.")
    exponent = exponent_of(y)
    y = np.ldexp(y, -exponent)
    center_x, center_y = x.mean(axis=0), y.mean(axis=0)
    x, y = x - center_x, y - center_y
    gram, cross = x.T @ x, x.T @ y
    scores = np.zeros(len(PENALTIES))
    for fold in np.array_split(np.arange(len(x)), FOLDS):
        scores += fold_scores(x, y, gram, cross, fold)
    penalty = float(PENALTIES[scores.argmax()])
    coefficients = np.linalg.solve(gram + penalty * np.eye(len(gram)), cross)
    intercept = center_y - center_x @ coefficients
    return Decoder(np.ldexp(coefficients, exponent), np.ldexp(intercept, exponent), penalty)


def fold_scores(
    x: Float[np.ndarray, "row neuron"],
    y: Float[np.ndarray, "row channel"],
    gram: Float[np.ndarray, "neuron neuron"],
    cross: Float[np.ndarray, "neuron channel"],
    fold: np.ndarray,
) -> Float[np.ndarray, " penalty"]:
    """R2 on the rows `fold` of a decoder fitted to all others, for each penalty.

    The others' sums are the totals `gram`, `cross` less the fold's own; one eigendecomposition serves all penalties.
    """
    own_x, own_y = x[fold], y[fold]
    others = len(x) - len(fold)
    mean_x, mean_y = -own_x.sum(axis=0) / others, -own_y.sum(axis=0) / others
    values, vectors = np.linalg.eigh(gram - own_x.T @ own_x - others * np.outer(mean_x, mean_x))
    projected = vectors.T @ (cross - own_x.T @ own_y - others * np.outer(mean_x, mean_y))
    rotated = (own_x - mean_x) @ vectors
    shrunk = projected / (values[:, None] + PENALTIES[:, None, None])
    return np.array([r_squared(own_y, rotated @ weights + mean_y) for weights in shrunk])
