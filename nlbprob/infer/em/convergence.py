"""When EM has converged, and what the trials then occupy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from nlbprob.infer.em.steps import EStep
    from nlbprob.infer.runtime.batch import Batch
    from nlbprob.model import Model

#: EM ends where an iteration raises the bound by less than this fraction of its whole rise, after so many iterations:
#: point estimates that are driven further fit small recordings too closely. Mixtures, and parameters without an update
#: in closed form, take their time.
TOLERANCE, LEAST_ITERATIONS = {"closed": 0.005, "mixture": 0.001, "gradual": 0.00005}, 10


def converged(bounds: Sequence[float] | Float[np.ndarray, " step"], pace: str) -> bool:
    """Whether the last EM iteration moved the bound by less than `TOLERANCE` of all that it has risen; pace: of its
    parameters. A bound that falls by more has not converged: a step overshot.
    """
    fraction = TOLERANCE[pace]
    return len(bounds) >= LEAST_ITERATIONS and bool(abs(bounds[-1] - bounds[-2]) < fraction * (bounds[-1] - bounds[0]))


def occupancy(model: "Model", batches: "Sequence[Batch]", chunks: "Sequence[EStep]") -> dict[str, list[float]]:
    """By block: the expected number of trials that follow each template, the fraction of seen bins in each regime."""
    counts: dict[str, Any] = {}
    for batch, chunk in zip(batches, chunks, strict=True):
        seen = np.asarray(batch.seen).any(2)
        responsibility = np.asarray(chunk.responsibility, float).reshape(len(seen), -1) * seen.any(1)[:, None]
        if model.templates is not None:
            name = model.templates.name
            counts[name] = counts.get(name, 0.0) + responsibility.sum(0)
        for block, path in zip(model.chains, chunk.site_state.auxiliary, strict=True):
            if block.n_regimes:
                marginal = np.asarray(path.marginal, float).reshape(*responsibility.shape, *path.marginal.shape[1:])
                bins = np.einsum("rk,rt,rkts->s", responsibility, seen, marginal)
                counts[block.name] = counts.get(block.name, 0.0) + bins
    regimes = {block.name for block in model.chains if block.n_regimes}
    return {name: (v / v.sum() if name in regimes else v).tolist() for name, v in counts.items()}
