"""A fit's verdict in words: whether it has converged, and whether a latent, template or regime has collapsed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nlbprob.blocks.lds import SLOWEST_DECAY_TRIALS
from nlbprob.infer.em.convergence import STILL_ITERATIONS, TOLERANCE, level
from nlbprob.numerics.matrices import average_second_moment
from nlbprob.posterior.units import digits

if TYPE_CHECKING:
    from nlbprob.blocks.dynamics import Dynamics
    from nlbprob.posterior.fitted import FittedModel

#: The SVI bound has a trend where its last two quarters differ by more standard errors, and more nats, than these.
TREND, LEAST_NATS = 3.0, 1.0
#: SVI steps below which no trend can be estimated.
LEAST_STEPS = 12
#: A template with fewer trials than this, a regime with less of all bins, a latent with less of the loadings' squares,
#: has collapsed.
FEW_TRIALS, FEW_BINS, SMALL_LATENT = 1.5, 0.01, 0.001
#: A decay time is at the end of its range above this fraction of the slowest, or below this fraction of a bin.
SLOW_END, FAST_END = 0.95, 0.33
#: A block's latents are told where their mean square is so many times too large, or too small.
FAR_FROM_ONE = 2.0


class Finding(NamedTuple):
    """One sentence about a fit, and whether what it reports is as it should be."""

    good: bool
    words: str


def verdict(posterior: "FittedModel") -> str:
    """The verdict on a fit, in sentences: convergence first, then what has collapsed, each with its remedy."""
    ended = stages(posterior)
    remarks = [*seeds(posterior), *doubts(posterior)]
    converged = "Converged." if all(finding.good for finding in ended) else "Not converged."
    return " ".join([converged, *(finding.words for finding in ended + remarks)])


def stages(posterior: "FittedModel") -> list[Finding]:
    """How each stage of the fit ended."""
    return [*em(posterior), *svi(posterior)]


def doubts(posterior: "FittedModel") -> list[Finding]:
    """What of the model has collapsed or lies at an end of its range."""
    return [*collapsed(posterior), *pruned(posterior), *decays(posterior), *scales(posterior)]


def bounds_of(posterior: "FittedModel", stage: str) -> Float[np.ndarray, " step"]:
    """The bounds of one stage."""
    return posterior.elbo[np.asarray(posterior.history["stage"]) == stage]


def em(posterior: "FittedModel") -> Iterator[Finding]:
    """Whether EM converged, ran out of iterations, or ended below its highest bound."""
    bounds = bounds_of(posterior, "em")
    if not len(bounds):
        return
    count, limit = len(bounds), posterior.config.get("em_iterations", len(bounds))
    rise, last = bounds[-1] - bounds[0], bounds[-1] - bounds[-2] if count > 1 else np.inf
    hides = "heldout_bits" in posterior.config  # its bounds are of what is not hidden
    ended = bounds[-1] if hides else posterior.config.get("em_elbo", bounds[-1])  # a last step may be taken back
    fall, settled = bounds.max() - ended, posterior.config.get("em_settled", level(bounds, "closed"))
    least = max(TOLERANCE["closed"] * abs(rise), LEAST_NATS)
    fell, falling = count > 1 and fall > least, bounds[-STILL_ITERATIONS - 1 :].max() - ended > least
    if fell and (falling or not settled):
        yield Finding(False, f"EM's bound ended {digits(fall)} nats below its highest: try another seed or float64.")
    elif bits := posterior.config.get("heldout_bits"):
        yield Finding(
            True,
            f"EM predicted the hidden counts best, at {max(bits):.3f} bits/spike, in iteration "
            f"{1 + int(np.argmax(bits))} of {count}, and went back to it.",
        )
    elif settled:
        priors = f"; its bound, which leaves out the priors, had been {digits(fall)} nats higher" if fell else ""
        yield Finding(True, f"EM converged after {count} iterations{largest_move(posterior)}{priors}.")
    elif count < limit:
        yield Finding(False, f"EM was interrupted after {count} of {limit} iterations: continue with init=posterior.")
    else:
        fraction = f"{100 * last / rise:.2g}% of its total rise" if rise > 0 else "an unknown fraction"
        yield Finding(
            False,
            f"EM ran out of its {count} iterations, the last of which raised the bound by "
            f"{fraction}{largest_move(posterior)}: give it more, em_iterations={2 * count}.",
        )


def largest_move(posterior: "FittedModel") -> str:
    """How far EM's last iteration moved the parameter that it moved most, where that is known."""
    if not (moved := posterior.config.get("em_moved")):
        return ""
    return f"; the last moved no parameter by more than {moved[1]:.2g} of its standard deviation ({moved[0]})"


def svi(posterior: "FittedModel") -> Iterator[Finding]:
    """Whether the bound of the SVI stage still moved at its end."""
    bounds = bounds_of(posterior, "svi")
    count, limit = len(bounds), posterior.config.get("svi_steps", len(bounds))
    if not limit:
        if posterior.has_width:
            yield Finding(True, "The parameters' posterior is normal about EM's estimate.")
        return
    if count < limit:
        yield Finding(False, f"SVI was interrupted after {count} of {limit} steps: continue with init=posterior.")
        return
    if count < LEAST_STEPS:
        yield Finding(False, f"{count} SVI steps are too few to see whether their bound has converged: svi_steps=40.")
        return
    previous, last = np.split(bounds[count - 2 * (count // 4) :], 2)
    change = float(last.mean() - previous.mean())
    error = float(np.sqrt((previous.var(ddof=1) + last.var(ddof=1)) / len(last)))
    if change > max(TREND * error, LEAST_NATS):
        yield Finding(
            False,
            f"The SVI bound still rose, by {digits(change)} nats over the last quarter: give it more, "
            f"svi_steps={2 * count}.",
        )
    elif -change > max(TREND * error, LEAST_NATS):
        yield Finding(
            False,
            f"The SVI bound fell, by {digits(-change)} nats over the last quarter: take smaller steps, "
            "optimizer=optax.adam(0.01).",
        )
    else:
        words = f"over the last quarter it changed by {digits(change)} nats (standard error {digits(error)})"
        yield Finding(True, f"The SVI bound was level at its end: {words}.")


def seeds(posterior: "FittedModel") -> Iterator[Finding]:
    """The difference of the bounds of the best two seeds."""
    tried = posterior.config.get("seeds", [])
    if len(tried) > 1:
        first, second = sorted((each["elbo"] for each in tried), reverse=True)[:2]
        best = posterior.config["seed"]
        yield Finding(True, f"Seed {best} is the best of {len(tried)}, {digits(first - second)} nats above the next.")


def collapsed(posterior: "FittedModel") -> Iterator[Finding]:
    """Templates of hardly any trial, regimes of hardly any bin."""
    templates = posterior.model.templates
    for name, occupancy in posterior.config.get("occupancy", {}).items():
        of_trials = templates is not None and name == templates.name
        unit, least = ("trials", FEW_TRIALS) if of_trials else ("bins", FEW_BINS)
        few = {index: value for index, value in enumerate(occupancy) if value < least}
        if not few or len(occupancy) == 1:
            continue
        what, remedy = ("templates", "components") if of_trials else ("regimes", "states")
        listed = ", ".join(
            f"{index} ({f'{value:.1f}' if of_trials else f'{value:.1%}'})" for index, value in few.items()
        )
        left = len(occupancy) - len(few)
        yield Finding(
            False,
            f"{len(few)} of the {len(occupancy)} {what} of {name!r} have hardly any {unit}: {listed}; "
            f"{remedy}={left} would be enough, or try other seeds.",
        )


def loading_fractions(posterior: "FittedModel") -> Float[np.ndarray, " latent"]:
    """The fraction of the sum of squared loadings in each canonical latent; NaN where all loadings are zero."""
    squares = ((posterior.own_loadings @ posterior.rotation) ** 2).sum(0)
    return squares / (squares.sum() or np.nan)


def pruned(posterior: "FittedModel") -> Iterator[Finding]:
    """Latents whose loadings are almost zero in all neurons."""
    fractions = loading_fractions(posterior)
    small = np.flatnonzero(fractions < SMALL_LATENT)
    if small.size:
        names = ", ".join(posterior.model.latent_names[index] for index in small)
        yield Finding(
            False,
            f"{small.size} of {len(fractions)} latents are pruned, with under {SMALL_LATENT:.1%} of the loadings' "
            f"squares each ({names}): a smaller dim would be enough.",
        )


def decays(posterior: "FittedModel") -> Iterator[Finding]:
    """Decay times at an end of their range: latents that are constant in a trial, or independent from bin to bin."""
    context = posterior.context
    slowest = SLOWEST_DECAY_TRIALS * context.mean_bins * context.bin_ms
    for name, value in posterior.values.items():
        if not name.endswith("decay_ms"):
            continue
        slow, fast = (value > SLOW_END * slowest).sum(), (value < FAST_END * context.bin_ms).sum()
        if slow:
            yield Finding(
                False,
                f"{slow} of the decay times {name} are at the slow end, over {SLOW_END * slowest:.0f} ms (some "
                f"{SLOWEST_DECAY_TRIALS:g} trials): such latents hardly change within a trial; longer trials would "
                "determine the times.",
            )
        if fast:
            yield Finding(
                False,
                f"{fast} of the decay times {name} are under {FAST_END:g} of a bin: such latents are "
                "independent noise in every bin; take a smaller dim or smaller bins.",
            )


def scales(posterior: "FittedModel") -> Iterator[Finding]:
    """Blocks of one's own whose latents are far from unit variance, for which the priors of loadings are written."""
    for number, block in enumerate(posterior.model.chains):
        if type(block).__module__.startswith("nlbprob."):
            continue  # these have it by construction
        dynamics = posterior.centre.dynamics[number]
        moment = latent_second_moment(dynamics, posterior.context.bin_weights)
        if moment is not None and not 1 / FAR_FROM_ONE <= moment <= FAR_FROM_ONE:
            yield Finding(
                False,
                f"The latents of {block.name!r} have a mean square of {moment:.2g} over a trial, where the priors of "
                f"loadings expect 1: divide them by {moment**0.5:.2g} in its method prior.",
            )


def latent_second_moment(dynamics: "Dynamics", weights: Float[np.ndarray, " time"]) -> float | None:
    """E[x^2] averaged over latents and over bins with these weights; None where dynamics or emission vary."""
    chain, emission = jax.tree.map(np.asarray, (dynamics.chain, dynamics.emission))
    varies = chain.transition.ndim > 2 or chain.offset.ndim > 1 or (emission is not None and emission.ndim > 2)
    if dynamics.regimes is not None or dynamics.drift is not None or varies:
        return None
    moment = np.asarray(average_second_moment(jax.tree.map(jnp.asarray, chain), jnp.asarray(weights)))
    if emission is not None:
        moment = emission @ moment @ emission.T
    return float(np.trace(moment) / len(moment))
