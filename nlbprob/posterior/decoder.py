"""A linear decoder of behavior from latents or rates, with intervals that hold."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from nlbprob.arguments import checked_keywords, flag, one_of, real_number
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.posterior.embed import embedded
from nlbprob.scoring.decoding import FOLDS, fit_decoder
from nlbprob.scoring.decoding import Decoder as Regression
from nlbprob.scoring.from_trials import decodable
from nlbprob.scoring.metrics.r_squared import r_squared
from nlbprob.scoring.rates import in_splits

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

FEATURES = ("latents", "rates")
#: Quantiles of the standardised errors that are kept, evenly spaced from 0 to 1.
QUANTILES = 1001
#: The least variance of the noise, as a fraction of that of the errors.
LEAST_NOISE = 0.05


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Decoder:
    """behavior = W'z + b + noise, with z the posterior mean of latents, or rates; `Posterior.decoder` learns it.

    W and b are those of a ridge regression, its penalty chosen by cross-validation (as for `nlb.score`). The standard
    deviation of an error is s = sqrt(w'P w + sigma^2), with the covariance P of the latents in the bin; an interval is
    the mean +- q s, with q the quantile of |error| / s in folds of the trials whose decoder had not seen them
    (cross-conformal intervals: Vovk 2015, Ann. Math. Artif. Intell. 74, 9). So intervals are wider where latents are
    less certain, and hold as often as they say in bins of trials like those that were learned from.

    Attributes:
        posterior: of the fit.
        features: "latents" or "rates".
        causal: whether each bin is decoded from what is seen up to and including it.
        weights: [feature, channel], W, in units of behavior.
        intercept: [channel], b.
        noise: [channel], sigma.
        errors: [quantile, channel], quantiles of |error| / s, evenly spaced from 0 to 1.
        channels: the names of the channels that are decoded: those that change.
        name: of the signal.
        r2: [channel], R2 in the folds.
    """

    posterior: "Posterior"
    features: str
    causal: bool
    weights: Float[np.ndarray, "feature channel"]
    intercept: Float[np.ndarray, " channel"]
    noise: Float[np.ndarray, " channel"]
    errors: Float[np.ndarray, "quantile channel"]
    channels: tuple[str, ...]
    name: str
    r2: Float[np.ndarray, " channel"]

    def __repr__(self) -> str:
        scores = ", ".join(f"{channel} {r2:.3f}" for channel, r2 in zip(self.channels, self.r2, strict=True))
        how = "causal " if self.causal else ""
        return f"Decoder of {self.name} from {how}{self.features}; R2 in folds: {scores}"

    def predict(self, trials: "Trials", interval: float = 0.9) -> "xarray.Dataset":
        """Decode behavior from what is seen of some trials; their own behavior is not read.

        Args:
            trials: of the recording of the fit.
            interval: probability that an interval holds.

        Returns:
            "mean", "low" and "high" [trial, time, channel], in units of behavior as recorded.

        Raises:
            InputError: the trials are not of this recording.
        """
        import xarray

        check_trials(trials, "Decoder.predict")
        level = real_number(interval, "Decoder.predict", "interval", above=0, below=1)
        mean, variance = self.moments(*inferred(self.posterior, trials, self.features, self.causal))
        grid = np.linspace(0, 1, len(self.errors))
        widths = np.array([np.interp(level, grid, column) for column in self.errors.T])
        reach = widths * np.sqrt(variance)
        dims, unit = ("trial", "time", "channel"), {"units": "as recorded"}
        values = {"mean": mean, "low": mean - reach, "high": mean + reach}
        return xarray.Dataset(
            {name: (dims, value, unit) for name, value in values.items()},
            {
                "trial": trials.table["id"],
                "time": ("time", trials.time_ms, {"units": "ms"}),
                "channel": list(self.channels),
            },
            {"interval": level, "behavior": self.name, "lag_ms": trials.lag_ms},
        )

    def moments(
        self, features: Float[np.ndarray, "trial time feature"], covariance: Any
    ) -> tuple[Float[np.ndarray, "trial time channel"], Float[np.ndarray, "trial time channel"]]:
        """Mean and variance of behavior given features and their covariance."""
        regression = Regression(self.weights, self.intercept, 0.0)
        mean = regression.predict(features)
        return mean, np.broadcast_to(spread(covariance, self.weights) + self.noise**2, mean.shape)


def inferred(
    posterior: "Posterior", trials: "Trials", features: str, causal: bool
) -> tuple[Float[np.ndarray, "trial time feature"], Any]:
    """The features of a decoder, and the covariance of latents; 0 for rates."""
    if features == "rates":
        return np.asarray(posterior.rates(trials, causal), float), 0.0
    found = posterior.latents(trials, causal)
    return found["mean"].values.astype(float), found["covariance"].values.astype(float)


def spread(covariance: Any, weights: Float[np.ndarray, "feature channel"]) -> Any:
    """w'P w of each channel."""
    if np.ndim(covariance) == 0:
        return 0.0
    return np.einsum("...ij,ic,jc->...c", covariance, weights, weights, optimize=True)


def learned(posterior: "Posterior", trials: "Trials", fit: Any, features: str, causal: bool) -> Decoder:
    """The decoder that `Posterior.decoder` describes."""
    check_trials(trials, "decoder")
    embedded(posterior, trials)
    features = one_of(features, FEATURES, "decoder", "features")
    causal = flag(causal, "decoder", "causal")
    if trials.behavior is None:
        raise InputError("decoder: the trials have no behavior; name a signal when loading, load(behavior='hand_vel').")
    chosen = trials.select(trials=np.flatnonzero(in_splits(trials, fit, "fit")))
    every = np.ones(chosen.n_trials, bool)
    behavior, reasons = decodable(chosen, every, every)
    if not behavior.shape[2]:
        listed = "; ".join(f"{channel} {reason}" for channel, reason in reasons.items())
        raise InputError(f"decoder: no channel can be decoded: {listed}.")
    recorded = np.flatnonzero((~np.isnan(behavior[..., 0])).any(1))
    if len(recorded) < FOLDS:
        raise InputError(f"decoder: {len(recorded)} trials have behavior; it takes {FOLDS} to know how far it errs.")
    found, covariance = inferred(posterior, chosen, features, causal)
    found = found[:, : behavior.shape[1]]
    covariance = covariance if np.ndim(covariance) == 0 else covariance[:, : behavior.shape[1]]
    error, added = np.full(behavior.shape, np.nan), np.zeros(behavior.shape)
    for fold in range(FOLDS):
        rows = recorded[fold::FOLDS]
        others = np.setdiff1d(recorded, rows)
        regression = fit_decoder(found[others], behavior[others])
        error[rows] = behavior[rows] - regression.predict(found[rows])
        added[rows] = spread(covariance if np.ndim(covariance) == 0 else covariance[rows], regression.coefficients)
    known = ~np.isnan(error[..., 0])
    error, added, target = error[known], added[known], behavior[known]
    square = (error**2).mean(0)
    noise = np.sqrt(np.maximum(square - added.mean(0), LEAST_NOISE * square))
    errors = np.quantile(np.abs(error) / np.sqrt(added + noise**2), np.linspace(0, 1, QUANTILES), axis=0)
    whole = fit_decoder(found, behavior)
    channels = tuple(channel for channel in chosen.behavior_channels if channel not in reasons)
    r2 = np.array([r_squared(target[:, [c]], (target - error)[:, [c]]) for c in range(len(channels))])
    name = chosen.behavior_name or "behavior"
    return Decoder(posterior, features, causal, whole.coefficients, whole.intercept, noise, errors, channels, name, r2)
