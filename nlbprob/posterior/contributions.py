"""What each block and each latent adds to the prediction of held-out neurons, in bits per spike."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.arguments import flag, seed_number, whole_number
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.infer.runtime.progress import Progress
from nlbprob.posterior.embed import embedded
from nlbprob.posterior.strengths import Strengths
from nlbprob.scoring.bootstrap import interval
from nlbprob.scoring.comparison import Paired
from nlbprob.scoring.metrics.base import RatioOfSums, Statistic
from nlbprob.scoring.metrics.likelihood import Likelihood, TrialSums
from nlbprob.scoring.rates import in_splits, split_names

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

#: Strengths at which slopes are taken, on the way from none to all.
NODES = 8
#: The part that is no block: that a neuron's mean rate is predicted wrongly.
MEAN_RATE = "mean rate"
#: Seconds after which a progress bar is shown.
DELAY_S = 2.0


class Part(NamedTuple):
    """A block, an effect or a latent: its name, and its places among the strengths."""

    name: str
    places: list[int]


def parts_of(posterior: "Posterior") -> tuple[list[Part], list[Part]]:
    """The blocks with latents of their own, then the effects; and the latents."""
    model = posterior.model
    every = list(range(model.dim + len(model.effects)))
    blocks = [Part(block.name, every[model.slices[block.name]]) for block in model.latents if block.n_latents]
    effects = [Part(effect.name, [model.dim + number]) for number, effect in enumerate(model.effects)]
    latents = [Part(name, [place]) for place, name in enumerate(model.latent_names)]
    return [*blocks, *effects], latents


def contributions(
    posterior: "Posterior",
    trials: "Trials",
    on: str | Sequence[str] = "val",
    bootstrap: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> "xarray.Dataset":
    """co-bps divided among the blocks and effects of the model, and among its latents; see `Posterior.contributions`.

    Args:
        posterior: of a fit.
        trials: with the held-out counts seen, as `score` takes them.
        on: the split or splits to predict and to score.
        bootstrap: resamples of the trials for the intervals; 0 for none.
        seed: of the resamples.
        progress: show a progress bar where it takes longer than two seconds.

    Returns:
        The data set that `Posterior.contributions` describes.

    Raises:
        InputError: the trials are not of this recording, no split has the name, or no held-out spike is seen.
    """
    check_trials(trials, "contributions")
    bootstrap, seed = whole_number(bootstrap, "contributions", "bootstrap"), seed_number(seed, "contributions")
    progress = flag(progress, "contributions", "progress")
    chosen = trials.select(trials=np.flatnonzero(in_splits(trials, on, "on")))
    visible, scored = embedded(posterior, chosen.hide_heldout()).trials, embedded(posterior, chosen).trials
    entries = scored.seen & scored.heldout & (np.arange(scored.n_bins) < scored.window_bins)[:, None]
    if not scored.counts.any(where=entries):
        raise InputError(
            f"contributions: no spike of a held-out neuron is seen in {on!r}; hold out neurons when loading, "
            "load(heldout=0.25), and hand over the trials in which they are seen."
        )
    divided = Divided(Strengths(posterior, visible, scored, entries), scored, entries, progress)
    rows = Rows(divided, bootstrap, seed)
    return rows.dataset(*parts_of(posterior)).assign_attrs(
        split="+".join(split_names(on, "on")), bin_ms=trials.bin_ms, units="bits/spike"
    )


class Divided:
    """The scores of predictions of any strength, and the share of each part in the difference of all and none.

    Rates are scaled to each neuron's mean count in the scored entries, so that with strength zero they are those of the
    null, and a score is of modulation alone.
    """

    def __init__(
        self,
        strengths: Strengths,
        scored: "Trials",
        entries: Bool[np.ndarray, "trial time neuron"],
        progress: bool,
    ):
        self.strengths = strengths
        self.counts = np.where(entries, scored.counts, 0).sum(1).astype(np.float64)
        self.bins = entries.sum(1).astype(np.float64)
        total = NODES + 2 * strengths.n_parts + 1
        self.bar = Progress(total, progress, unit="prediction", first="contributions", delay_s=DELAY_S)
        try:
            logs, expected = strengths.sums(np.ones(strengths.n_parts))
            self.unscaled = TrialSums(logs - expected, self.counts, self.bins)
            self.full = self.scaled(logs, expected)
            self.shares = self.integrated()
            self.left_out: dict[tuple[int, ...], TrialSums] = {}
            for part in (part for parts in parts_of(strengths.posterior) for part in parts):
                self.leave_out(part)
        finally:
            self.bar.close()

    def scale(self, expected: Float[np.ndarray, "trial neuron"]) -> Float[np.ndarray, " neuron"]:
        """The counts of each neuron over what is expected of it; 1 where it has no scored bin."""
        spikes, total = self.counts.sum(0), expected.sum(0)
        return np.divide(spikes, total, out=np.ones_like(total), where=total > 0)

    def scaled(self, logs: Float[np.ndarray, "trial neuron"], expected: Float[np.ndarray, "trial neuron"]) -> TrialSums:
        """The sums of rates scaled to the mean counts."""
        scale = self.scale(expected)
        shift = np.log(scale, out=np.zeros_like(scale), where=scale > 0)
        return TrialSums(logs + self.counts * shift - scale * expected, self.counts, self.bins)

    def integrated(self) -> Float[np.ndarray, "trial part"]:
        """What each trial adds to the share of each part, nats: its slope integrated over the strength of all parts."""
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        total = np.zeros((len(self.counts), self.strengths.n_parts))
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            strength = np.full(self.strengths.n_parts, node)
            scale = self.scale(self.strengths.sums(strength)[1])
            total += weight * self.strengths.slopes(strength, scale)
            self.bar.tick("contributions", f"strength {node:.2f}")
        return total

    def leave_out(self, part: Part) -> None:
        """Score without a part."""
        if tuple(part.places) not in self.left_out:
            strength = np.ones(self.strengths.n_parts)
            strength[part.places] = 0.0
            self.left_out[tuple(part.places)] = self.scaled(*self.strengths.sums(strength))
        self.bar.tick("contributions", f"without {part.name}")

    def bits(self, part: Part) -> RatioOfSums:
        """The share of a part in the score."""
        return RatioOfSums(self.shares[:, part.places].sum(1) / np.log(2), self.counts.sum(1))

    def lost(self, part: Part) -> Paired:
        """How much lower the score is without a part."""
        return Paired(Likelihood(self.full), Likelihood(self.left_out[tuple(part.places)]))


class Remainder(Statistic):
    """The score less that of the same rates scaled to each neuron's mean count."""

    def __init__(self, divided: Divided):
        self.pair = Paired(Likelihood(divided.unscaled), Likelihood(divided.full))
        spikes = divided.counts.sum()
        # With the little that the quadrature misses, so that all parts sum to the score.
        shares = divided.shares.sum() / spikes / np.log(2)
        self.missed = Likelihood(divided.full).value - shares

    @property
    def value(self) -> float:
        return self.pair.value + self.missed

    def draws(self, weights: Float[np.ndarray, "draw trial"]) -> Float[np.ndarray, " draw"]:
        return self.pair.draws(weights) + self.missed


class Rows:
    """Values with their intervals as columns of a data set."""

    def __init__(self, divided: Divided, bootstrap: int, seed: int):
        self.divided, self.bootstrap, self.seed = divided, bootstrap, seed
        self.variances = divided.strengths.variances()

    def measured(self, statistic: Statistic) -> tuple[float, float, float]:
        """A value and the ends of its 90% interval over trials; NaN where there is none."""
        ends = interval(statistic, len(self.divided.counts), self.bootstrap, self.seed) or (np.nan, np.nan)
        return statistic.value, *ends

    def variance(self, part: Part) -> RatioOfSums:
        """The fraction of the predictors' variance that a part has."""
        return RatioOfSums(self.variances[:, part.places].sum(1), self.variances.sum(1))

    def dataset(self, blocks: list[Part], latents: list[Part]) -> "xarray.Dataset":
        """The data set that `Posterior.contributions` describes."""
        import xarray

        divided, variables = self.divided, {}
        nothing = (np.nan,) * 3
        for dim, prefix, parts in (("part", "", blocks), ("latent", "latent_", latents)):
            columns: dict[str, list[Any]] = {
                f"{prefix}bits": [self.measured(divided.bits(part)) for part in parts],
                f"{prefix}lost": [self.measured(divided.lost(part)) for part in parts],
                f"{prefix}variance": [self.measured(self.variance(part)) for part in parts],
            }
            if dim == "part":
                columns["bits"].append(self.measured(Remainder(divided)))
                columns["lost"].append(nothing)
                columns["variance"].append(nothing)
            for name, rows in columns.items():
                unit = {"units": "1" if name.endswith("variance") else "bits/spike"}
                for end, column in zip(("", "_low", "_high"), np.array(rows).T, strict=True):
                    variables[f"{name}{end}"] = (dim, column, unit)
        score = self.measured(Likelihood(divided.unscaled))
        for end, value in zip(("", "_low", "_high"), score, strict=True):
            variables[f"score{end}"] = ((), value, {"units": "bits/spike"})
        coords = {"part": [*(part.name for part in blocks), MEAN_RATE], "latent": [part.name for part in latents]}
        return xarray.Dataset(variables, coords)
