"""When EM has converged, and what the trials then occupy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from nlbprob.infer.em.steps import Chunk
    from nlbprob.infer.runtime.batch import Batch
    from nlbprob.model import Model

#: EM ends where an iteration raises the bound by less than this share of its whole rise, after so many iterations:
#: point estimates that are driven further fit small recordings too closely. Mixtures, and parameters without an update
#: in closed form, take their time.
SETTLED, LEAST_ITERATIONS = {"closed": 0.005, "mixture": 0.001, "gradual": 0.00005}, 10


def settled(bounds: Sequence[float] | Float[np.ndarray, " step"], pace: str) -> bool:
    """Whether the last EM iteration moved the bound by less than `SETTLED` of all that it has risen; pace: of its
    parameters. A bound that falls by more has not settled: a step overshot.
    """
    share = SETTLED[pace]
    return len(bounds) >= LEAST_ITERATIONS and bool(abs(bounds[-1] - bounds[-2]) < share * (bounds[-1] - bounds[0]))


def occupancy(model: "Model", batches: "Sequence[Batch]", chunks: "Sequence[Chunk]") -> dict[str, list[float]]:
    """By block: the expected number of trials that follow each template, the share of seen bins in each regime."""
    found: dict[str, Any] = {}
    for batch, chunk in zip(batches, chunks, strict=True):
        seen = np.asarray(batch.seen).any(2)
        share = np.asarray(chunk.share, float).reshape(len(seen), -1) * seen.any(1)[:, None]
        if model.templates is not None:
            name = model.templates.name
            found[name] = found.get(name, 0.0) + share.sum(0)
        for block, own in zip(model.chains, chunk.rows.auxiliary, strict=True):
            if block.n_regimes:
                marginal = np.asarray(own.marginal, float).reshape(*share.shape, *own.marginal.shape[1:])
                bins = np.einsum("rk,rt,rkts->s", share, seen, marginal)
                found[block.name] = found.get(block.name, 0.0) + bins
    regimes = {block.name for block in model.chains if block.n_regimes}
    return {name: (v / v.sum() if name in regimes else v).tolist() for name, v in found.items()}
