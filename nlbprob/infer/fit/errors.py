"""Messages of fits that break down: which site, which neuron, and what helps."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from nlbprob.errors import InputError
from nlbprob.infer.vi.guides import Guide

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.infer.em.steps import EStep

REMEDY = "Try precision='float64', another seed, or a narrower prior"


def not_finite(values: Mapping[str, Any]) -> list[str]:
    """The names of those values (arrays, or trees of them) that have an entry which is NaN or infinite."""
    return [n for n, v in values.items() if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(v))]


def check_values(values: Mapping[str, Any], when: str) -> None:
    """Raise InputError, naming the sites, where a parameter is not finite."""
    if sites := not_finite(values):
        raise InputError(
            f"fit: {', '.join(sites)} became NaN or infinite {when}. {REMEDY} for {sites[0]}, such as "
            f"priors={{{sites[0].rpartition('.')[2]!r}: ...}} of its block."
        )


def check_expectation(values: Mapping[str, Any], chunks: "Sequence[EStep]", trials: "Trials", iteration: int) -> None:
    """Raise InputError where an E-step found a bound or a gradient that is not finite.

    Names the sites whose values or gradients are to blame; else the trials, and the neuron with the largest count.
    """
    when = f"after {iteration} EM iterations"
    check_values(values, when)
    bounds = np.concatenate([np.asarray(chunk.elbo) for chunk in chunks])[: trials.n_trials]
    if not np.isfinite(bounds).all():
        counts = np.where(trials.seen, trials.counts, 0).max((0, 1))
        worst = int(counts.argmax())
        lost = np.flatnonzero(~np.isfinite(bounds))
        ids = ", ".join(str(trials.table["id"][index]) for index in lost[:5]) + ", ..." * (len(lost) > 5)
        raise InputError(
            f"fit: the bound of {len(lost)} of {trials.n_trials} trials (id {ids}) is not finite {when}. The largest "
            f"count is {counts[worst]} in one bin, of neuron {trials.neurons['id'][worst]}: leave it out, "
            "trials.select(neurons=...), if it is extreme; or try precision='float64'."
        )
    for chunk in chunks:
        if chunk.scores is not None and (sites := not_finite(chunk.scores.score)):
            raise InputError(
                f"fit: the gradient of the bound in {', '.join(sites)} is not finite {when}. {REMEDY} for {sites[0]}."
            )


def check_steps(losses: np.ndarray, params: dict[str, Any], guide: Guide, frames: Any) -> None:
    """Raise InputError where SVI diverged, naming the sites, or what else the guide names."""
    blamed = not_finite(params)
    if blamed:
        blamed = not_finite(guide.named(params, frames)) or blamed
    if blamed or not np.isfinite(losses).all():
        where = f", and {', '.join(blamed)} not finite" if blamed else ""
        raise InputError(
            f"fit: the SVI stage diverged: the bound is {-losses[-1]:g}{where}. Take smaller steps, "
            "optimizer=optax.adam(0.01), or begin nearer to the optimum: more em_iterations."
        )
