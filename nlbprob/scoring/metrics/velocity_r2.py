"""vel R2: how well behavior is decoded linearly from the rates."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.scoring.decoding import fit_decoder, is_constant, recorded_rows
from nlbprob.scoring.metrics.base import Metric, Statistic, Weights
from nlbprob.scoring.metrics.limits import refuse
from nlbprob.scoring.metrics.r_squared import about_mean, in_range, r_squared, r_squared_of_sums
from nlbprob.scoring.metrics.scored import ScoredRates

#: Where there are several decoders, the spread of R2 over resamples means something from so many trials of each on.
FEWEST_TRIALS = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Decoding(Statistic):
    """Behavior decoded from rates, by one decoder for each column of the mask.

    Attributes:
        behavior: of the scored trials, NaN where not known.
        decoded: likewise, from rates.
        mask: which trials each decoder is scored on.
        note: what was left out, in words.
    """

    behavior: Float[np.ndarray, "trial time channel"]
    decoded: Float[np.ndarray, "trial time channel"]
    mask: Bool[np.ndarray, "trial decoder"]
    note: str = ""
    highest = 1.0

    @staticmethod
    def of(scored: ScoredRates) -> "Decoding":
        """Raises InputError where a rate is not finite in a bin with behavior, or too few bins have behavior."""
        task = scored.velocity
        for part, rates, behavior in (
            ("train", task.fitted_rates, task.fitted_behavior),
            ("eval", task.rates, task.behavior),
        ):
            refuse(rates[~np.isnan(behavior[..., 0])], f"{part} rates", "in bins where the behavior is known")
        decoded = np.full(task.behavior.shape, np.nan)
        for learned, eval_mask in zip(task.fitted_mask.T, task.mask.T, strict=True):
            # This refuses bins where only some channels are known.
            recorded_rows(task.rates[eval_mask], task.behavior[eval_mask])
            decoder = fit_decoder(task.fitted_rates[learned], task.fitted_behavior[learned])
            decoded[eval_mask] = decoder.predict(task.rates[eval_mask].astype(np.float64))
        decoding = Decoding(task.behavior.astype(np.float64), decoded, task.mask)
        notes = "; ".join(filter(None, (task.note, decoding.on_constant_channels())))
        return dataclasses.replace(decoding, note=notes)

    @property
    def value(self) -> float:
        """The mean R2 of the decoders."""
        return self.over(np.ones(self.behavior.shape[2], dtype=bool))

    def over(self, channels: Bool[np.ndarray, " channel"]) -> float:
        """The mean R2 of the decoders over some of the channels."""
        each = []
        for mask in self.mask.T:
            recorded = ~np.isnan(self.behavior[mask][..., 0])
            behavior, decoded = (values[mask][recorded][:, channels] for values in (self.behavior, self.decoded))
            each.append(r_squared(behavior, decoded) if len(behavior) else np.nan)
        return float(np.mean(each))

    def on_constant_channels(self) -> str:
        """The note about channels that never change; empty where all do."""
        rows = [self.behavior[mask][~np.isnan(self.behavior[mask][..., 0])] for mask in self.mask.T]
        constant = np.any(
            [
                [is_constant(values) for values in values_of_decoder.T]
                for values_of_decoder in rows
                if len(values_of_decoder)
            ],
            axis=0,
        )
        if not np.any(constant):
            return ""
        others = f"without it {self.over(~constant):.4f}" if not constant.all() else "no other channel is left"
        listed = ", ".join(map(str, np.flatnonzero(constant)))
        return (
            f"counts channel {listed} of the behavior, which does not change in the evaluated trials, as 1 where it is "
            f"decoded exactly and else as 0, by the benchmark's convention; {others}"
        )

    def draws(self, weights: Weights) -> Float[np.ndarray, " draw"]:
        """The value in each resample of trials, the decoders as they are."""
        trials = self.mask.sum(axis=0)
        if len(trials) > 1 and trials.min() < FEWEST_TRIALS:
            return np.full(len(weights), np.nan)
        each = [decoding_draws(self.behavior[mask], self.decoded[mask], weights[:, mask]) for mask in self.mask.T]
        return np.mean(each, axis=0)


def decoding_draws(
    behavior: Float[np.ndarray, "trial time channel"],
    decoded: Float[np.ndarray, "trial time channel"],
    weights: Float[np.ndarray, "draw trial"],
) -> Float[np.ndarray, " draw"]:
    """R2 of `decoded`, averaged over channels, in each resample of trials; bins of NaN behavior do not count.

    NaN where a channel is constant in a resample.
    """
    behavior, decoded = in_range(behavior, decoded)
    seen = ~np.isnan(behavior)
    with np.errstate(over="ignore", invalid="ignore"):  # a prediction out of all proportion gives no number
        residual = weights @ ((behavior - decoded) ** 2).sum(axis=1, where=seen)
    # About the overall mean, so that the difference of sums below loses no digits.
    centered = behavior - behavior.mean(axis=(0, 1), where=seen)
    squares = weights @ (centered**2).sum(axis=1, where=seen)
    sums = weights @ centered.sum(axis=1, where=seen)
    total = about_mean(squares, sums, weights @ seen.sum(axis=1))
    return np.where(total > 0, r_squared_of_sums(residual, total), np.nan).mean(axis=1)


VELOCITY_R2 = Metric("vel R2", "", "how well behavior is decoded linearly from the rates", Decoding.of)
