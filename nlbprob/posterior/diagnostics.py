"""When EM has done its part, and a fit's verdict in words: has it converged, and has anything collapsed?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from nlbprob.blocks.lds import SLOWEST_DECAY_TRIALS
from nlbprob.infer.em.convergence import TOLERANCE, converged

if TYPE_CHECKING:
    from nlbprob.posterior.posterior import Posterior

#: A trend of the SVI bound is one where its last two quarters differ by so many standard errors, and so many nats.
TREND, LEAST_NATS = 3.0, 1.0
#: SVI steps below which no trend can be told.
LEAST_STEPS = 12
#: A template with fewer trials than this, a regime with less of all bins, a latent with less of the loadings' squares,
#: has collapsed.
FEW_TRIALS, FEW_BINS, SMALL_LATENT = 1.5, 0.01, 0.001
#: A decay time is at the end of its range above this share of the slowest, or below this share of a bin.
SLOW_END, FAST_END = 0.95, 0.33


class Finding(NamedTuple):
    """One thing to say of a fit, and whether it is as it should be."""

    good: bool
    words: str


def verdict(posterior: "Posterior") -> str:
    """What is to be said of the fit, in sentences: convergence first, then what has collapsed, each with its remedy."""
    stages = [*em(posterior), *svi(posterior)]
    doubts = [*seeds(posterior), *collapsed(posterior), *pruned(posterior), *decays(posterior)]
    ended = "Converged." if all(finding.good for finding in stages) else "Not converged."
    return " ".join([ended, *(finding.words for finding in stages + doubts)])


def bounds_of(posterior: "Posterior", stage: str) -> Float[np.ndarray, " step"]:
    """The bounds of one stage."""
    return posterior.elbo[np.asarray(posterior.history["stage"]) == stage]


def em(posterior: "Posterior") -> Iterator[Finding]:
    """Whether EM ended by itself, ran out of iterations, or lost what it had found."""
    bounds = bounds_of(posterior, "em")
    if not len(bounds):
        return
    count, limit = len(bounds), posterior.config.get("em_iterations", len(bounds))
    rise, last = bounds[-1] - bounds[0], bounds[-1] - bounds[-2] if count > 1 else np.inf
    if count > 1 and bounds.max() - bounds[-1] > max(TOLERANCE["closed"] * abs(rise), LEAST_NATS):
        fall = bounds.max() - bounds[-1]
        yield Finding(False, f"EM's bound ended {fall:.3g} nats below its highest: try another seed or float64.")
    elif bits := posterior.config.get("heldout_bits"):
        yield Finding(
            True,
            f"EM was best at predicting what was hidden from it, {max(bits):.3f} bits/spike, in iteration "
            f"{1 + int(np.argmax(bits))} of {count}, and went back there.",
        )
    elif posterior.config.get("em_settled", converged(bounds, "closed")):
        yield Finding(True, f"EM ended by itself after {count} iterations.")
    elif count < limit:
        yield Finding(False, f"EM was interrupted after {count} of {limit} iterations: go on with init=posterior.")
    else:
        share = f"{100 * last / rise:.2g}% of its whole rise" if rise > 0 else "an unknown share"
        yield Finding(
            False,
            f"EM ran out of its {count} iterations, the last of which raised the bound by {share}: "
            f"give it more, em_iterations={2 * count}.",
        )


def svi(posterior: "Posterior") -> Iterator[Finding]:
    """Whether the bound of the SVI stage still moved at its end."""
    bounds = bounds_of(posterior, "svi")
    count, limit = len(bounds), posterior.config.get("svi_steps", len(bounds))
    if not limit:
        if posterior.has_width:
            yield Finding(True, "Without SVI steps the parameters' uncertainty is that of EM's curvature.")
        return
    if count < limit:
        yield Finding(False, f"SVI was interrupted after {count} of {limit} steps: go on with init=posterior.")
        return
    if count < LEAST_STEPS:
        yield Finding(False, f"{count} SVI steps are too few to tell whether their bound has settled: svi_steps=40.")
        return
    third, last = np.split(bounds[count - 2 * (count // 4) :], 2)
    change = float(last.mean() - third.mean())
    error = float(np.sqrt((third.var(ddof=1) + last.var(ddof=1)) / len(last)))
    if change > max(TREND * error, LEAST_NATS):
        yield Finding(
            False,
            f"The SVI bound still rose, by {change:.3g} nats over the last quarter: give it more, "
            f"svi_steps={2 * count}.",
        )
    elif -change > max(TREND * error, LEAST_NATS):
        yield Finding(
            False,
            f"The SVI bound fell, by {-change:.3g} nats over the last quarter: take smaller steps, "
            "optimizer=optax.adam(0.01).",
        )
    else:
        yield Finding(True, f"The SVI bound was level at its end, within {max(TREND * error, abs(change)):.2g} nats.")


def seeds(posterior: "Posterior") -> Iterator[Finding]:
    """How far the seeds are from each other."""
    tried = posterior.config.get("seeds", [])
    if len(tried) > 1:
        first, second = sorted((one["elbo"] for one in tried), reverse=True)[:2]
        best = posterior.config["seed"]
        yield Finding(True, f"Seed {best} is the best of {len(tried)}, {first - second:.3g} nats above the next.")


def collapsed(posterior: "Posterior") -> Iterator[Finding]:
    """Templates that next to no trial follows, regimes that next to no bin is in."""
    templates = posterior.model.templates
    for name, shares in posterior.config.get("occupancy", {}).items():
        of_trials = templates is not None and name == templates.name
        unit, least = ("trials", FEW_TRIALS) if of_trials else ("bins", FEW_BINS)
        few = {place: value for place, value in enumerate(shares) if value < least}
        if not few or len(shares) == 1:
            continue
        what, remedy = ("templates", "components") if of_trials else ("regimes", "states")
        each = ", ".join(f"{place} ({f'{value:.1f}' if of_trials else f'{value:.1%}'})" for place, value in few.items())
        left = len(shares) - len(few)
        yield Finding(
            False,
            f"{len(few)} of the {len(shares)} {what} of {name!r} have next to no {unit}: {each}; "
            f"{remedy}={left} would say the same, or try other seeds.",
        )


def loading_shares(posterior: "Posterior") -> Float[np.ndarray, " latent"]:
    """The share of the loadings' squares that each canonical latent has; NaN where all loadings are zero."""
    squares = ((posterior.own_loadings @ posterior.rotation) ** 2).sum(0)
    return squares / (squares.sum() or np.nan)


def pruned(posterior: "Posterior") -> Iterator[Finding]:
    """Latents that hardly reach any neuron."""
    shares = loading_shares(posterior)
    small = np.flatnonzero(shares < SMALL_LATENT)
    if small.size:
        names = ", ".join(posterior.model.latent_names[place] for place in small)
        yield Finding(
            False,
            f"{small.size} of {len(shares)} latents are pruned, with under {SMALL_LATENT:.1%} of the loadings' "
            f"squares each ({names}): a smaller dim would say the same.",
        )


def decays(posterior: "Posterior") -> Iterator[Finding]:
    """Decay times that cannot be told from a constant, or from noise that is new in every bin."""
    context = posterior.context
    slowest = SLOWEST_DECAY_TRIALS * context.mean_bins * context.bin_ms
    for name, value in posterior.values.items():
        if not name.endswith("decay_ms"):
            continue
        slow, fast = (value > SLOW_END * slowest).sum(), (value < FAST_END * context.bin_ms).sum()
        if slow:
            yield Finding(
                False,
                f"{slow} of the decay times {name} are at the slow end, over {SLOW_END * slowest:.3g} ms (some "
                f"{SLOWEST_DECAY_TRIALS:g} trials): it hardly changes within a trial; longer trials would tell.",
            )
        if fast:
            yield Finding(
                False,
                f"{fast} of the decay times {name} are under {FAST_END:g} of a bin: such a latent is noise, new in "
                "every bin; a smaller dim or smaller bins would tell.",
            )
