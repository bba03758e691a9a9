"""How much of the latents of one fit those of another explain."""

import numpy as np
from jaxtyping import Bool, Float


def explained(
    target: Float[np.ndarray, "trial time latent"],
    source: Float[np.ndarray, "trial time other"],
    inside: Bool[np.ndarray, "trial time"],
) -> float:
    """R2 of latents that are predicted linearly from those of another fit, in trials that the regression has not seen.

    A least-squares map with an intercept is learned from every other trial and judged by those between, and the other
    way round: R2 = 1 - sum |x - x'|^2 / sum |x - mean x|^2 over bins, trials and latents. It does not change when
    the source's latents are rotated, scaled or mixed. One direction: latents may explain those of a smaller model
    altogether, and these only a part of them.

    Args:
        target: latents x to be explained.
        source: latents of the same trials and bins, of another fit.
        inside: which bins lie inside their trial.

    Returns:
        R2; 1 at best, NaN with fewer than two trials.
    """
    first = np.arange(len(target)) % 2 == 0
    if first.all():
        return float("nan")
    residual = 0.0
    for learned in (first, ~first):
        used, judged = inside & learned[:, None], inside & ~learned[:, None]
        weights = np.linalg.lstsq(with_intercept(source[used]), target[used], rcond=None)[0]
        residual += float(((target[judged] - with_intercept(source[judged]) @ weights) ** 2).sum())
    total = float(((target[inside] - target[inside].mean(0)) ** 2).sum())
    return 1 - residual / total if total else float("nan")


def with_intercept(rows: Float[np.ndarray, "row latent"]) -> Float[np.ndarray, "row _"]:
    """The rows with a column of ones."""
    return np.concatenate([rows, np.ones((len(rows), 1))], 1)
