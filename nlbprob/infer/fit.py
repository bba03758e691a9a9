"""`fit`: from a model and trials to a posterior."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import optax

from nlbprob.blocks import spec
from nlbprob.errors import InputError, suggestion
from nlbprob.functions.model import resolved
from nlbprob.infer import guides, predict
from nlbprob.infer.posterior import Posterior
from nlbprob.infer.stages import Run
from nlbprob.model import Model

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `fit`; `posterior` is what had been found, to be saved and given back as `init`."""

    def __init__(self, posterior: Posterior | None):
        super().__init__("interrupted")
        self.posterior = posterior


def fit(
    model: Model | Callable,
    trials: "Trials",
    *,
    seed: int | Sequence[int] = 0,
    posterior: str = "neuron",
    em_iterations: int | None = None,
    svi_steps: int = 40,
    batch_size: int | None = None,
    guide: Callable | None = None,
    optimizer: optax.GradientTransformation | None = None,
    init: Posterior | None = None,
    early_stopping: float = 0.0,
    precision: str = "float32",
    progress: bool = True,
    meanwhile: Callable[[], object] | None = None,
) -> Posterior:
    """Fit a model to every seen entry of the trials: variational EM, then SVI for the posterior over parameters.

    The bound is log p(theta) - log q(theta) + sum over trials of E_q(x)[log p(y | x, theta)] - KL(q(x) || p(x |
    theta)), with q(x) the structured posterior of `nlbprob.infer.local` and q(theta) the family that `posterior` names.
    model: or a NumPyro function, see `nlbprob.functions.model`.
    seed: of the start's jitter, the minibatches and all draws; two fits with one seed on one machine are identical. Of
    several, seed=[0, 1, 2], the one whose EM ends with the highest bound goes on to SVI, as it would alone;
    `posterior.config["seeds"]` tells the bound of each (exact at its parameters, where SVI's are noisy estimates).
    posterior: "neuron" (a multivariate normal for each neuron's baseline and loadings, one for all the rest), "normal"
    (independent normals), "lowrank" (one normal: that of each neuron and of the rest, and ten directions in which any
    parameters move together), "map" (point estimates). em_iterations, svi_steps: lengths of the two stages; EM ends
    earlier where its bound has settled. None takes at most 30 iterations of EM, or 100 where some parameters have no
    update in closed form.
    batch_size: trials in an SVI step; None takes a quarter, at least 32. guide: a NumPyro guide class or function of
    the model to use instead, such as numpyro.infer.autoguide.AutoNormal. optimizer: an optax optimizer for SVI. init: a
    posterior of the same model and neurons to start from. early_stopping: the share of (trial, neuron) pairs to hide
    from EM, as 0.1; it goes back to where it predicted them best, in bits per spike as co-smoothing is scored, and
    takes one more iteration with everything: for small recordings, which point estimates soon fit too closely.
    precision: "float32" or "float64". meanwhile: called before SVI, which leaves all cores but one idle: to set other
    work going on a thread.

    Raises InputError where model and trials do not fit together; on Ctrl-C `Interrupted`, with the posterior so far.
    """
    check_family(posterior)
    seeds, model = several(seed), resolved(model, trials)
    check_counts(trials)
    settings = {
        "model": spec.to_json(model),
        "posterior": posterior if guide is None else getattr(guide, "__name__", repr(guide)),
        "em_iterations": iterations(model) if em_iterations is None else em_iterations,
        "svi_steps": svi_steps,
        "early_stopping": early_stopping,
        "precision": precision,
        "train_trials": trials.n_trials,
    }
    with predict.precision(precision):
        if init is not None:
            init.check(trials)
        context = None if init is None else init.context
        run = Run(model, trials, settings, seeds, batch_size, progress, context)
        return both_stages(run, (posterior, guide, optimizer), init, meanwhile)


def both_stages(run: Run, second: tuple, init: Posterior | None, meanwhile: Callable[[], object] | None) -> Posterior:
    """Carry out a fit; second: family, guide and optimizer of the second stage. Raises Interrupted on Ctrl-C."""
    try:
        run.prepare(*second)
        run.first_stage(init)
        if meanwhile is not None:
            meanwhile()
        run.parameter_posterior()
    except KeyboardInterrupt as stop:
        raise Interrupted(run.posterior()) from stop
    finally:
        run.close()
    found = run.posterior()
    assert found is not None
    return found


def check_family(posterior: str) -> None:
    """Raise InputError where there is no such form of posterior."""
    if posterior not in guides.FAMILIES:
        raise InputError(f"fit(posterior={posterior!r}): no such family. {suggestion(posterior, guides.FAMILIES)}")


def several(seed: int | Sequence[int]) -> list[int]:
    """The seeds to begin from. Raises InputError where there is none, or one comes twice."""
    seeds = [seed] if isinstance(seed, int) else list(seed)
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"fit(seed={seed!r}): give a whole number, or several that differ, as in seed=[0, 1, 2].")
    return seeds


def iterations(model: Model) -> int:
    """How many iterations of EM a model takes by default."""
    closed = all(model.settled(block) for block in model.chains) and not model.effects
    return 30 if closed else 100


def check_counts(trials: "Trials") -> None:
    """Raise InputError where there is nothing to learn from."""
    if not np.any(trials.counts, where=trials.seen):
        raise InputError(
            "fit: no spike is seen in these trials; check the split, the window and which units are selected."
        )
