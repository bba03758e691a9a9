"""`fit`: from a model and trials to a posterior."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import optax

from nlbprob.arguments import (
    checked_keywords,
    instance_of,
    named,
    nearest,
    one_of,
    real_number,
    seed_number,
    whole_number,
)
from nlbprob.blocks import spec
from nlbprob.blocks.base import Context
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError, suggestion
from nlbprob.functions.model import resolved
from nlbprob.infer import guides, predict
from nlbprob.infer.parameters import parameter_sites
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


@checked_keywords
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

    Raises InputError where an argument is of no use, or model and trials do not fit together; on Ctrl-C `Interrupted`,
    with the posterior so far.
    """
    check_trials(trials, "fit")
    check_objects(posterior, guide, optimizer, init, meanwhile)
    lengths = checked_lengths(em_iterations, svi_steps, early_stopping)
    precision = one_of(precision, predict.PRECISIONS, "fit", "precision")
    batch_size = None if batch_size is None else whole_number(batch_size, "fit", "batch_size", 1)
    seeds, model = several(seed), resolved(model, trials)
    check_counts(trials)
    if lengths["em_iterations"] is None:
        lengths["em_iterations"] = iterations(model)
    family = posterior if guide is None else getattr(guide, "__name__", repr(guide))
    settings = {"model": spec.to_json(model), "posterior": family, **lengths, "precision": precision}
    settings["train_trials"] = trials.n_trials
    with predict.precision(precision):
        context = None if init is None else context_of(init, model, trials)
        run = Run(model, trials, settings, seeds, batch_size, bool(progress), context)
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


def check_objects(posterior: Any, guide: Any, optimizer: Any, init: Any, meanwhile: Any) -> None:
    """Raise InputError unless these arguments of `fit` are what they are called."""
    if isinstance(posterior, Posterior):
        raise InputError("fit(posterior=...) names the family of the posterior; to start from a fit, give it as init=.")
    one_of(posterior, guides.FAMILIES, "fit", "posterior")
    example = "an optax optimizer, such as optax.adam(1e-2)"
    instance_of(optimizer, optax.GradientTransformation | None, "fit", "optimizer", example)
    example = "a Posterior, as fit or nlb.Posterior.load(folder) return it"
    instance_of(init, Posterior | None, "fit", "init", example)
    for name, value, example in (
        ("guide", guide, "a NumPyro guide class or function, such as numpyro.infer.autoguide.AutoNormal"),
        ("meanwhile", meanwhile, "a function without arguments"),
    ):
        if value is not None and not callable(value):
            raise InputError(f"{named('fit', name, value)}: give {example}.")


def checked_lengths(em_iterations: Any, svi_steps: Any, early_stopping: Any) -> dict[str, Any]:
    """The lengths of the stages as Python's numbers, for the settings. Raises InputError where one is none."""
    return {
        "em_iterations": None if em_iterations is None else whole_number(em_iterations, "fit", "em_iterations"),
        "svi_steps": whole_number(svi_steps, "fit", "svi_steps"),
        "early_stopping": real_number(early_stopping, "fit", "early_stopping", least=0, below=1),
    }


def checked_options(options: Any, caller: str) -> dict[str, Any]:
    """Keywords of `fit` for the fits of folds. Raises InputError where `fit` has none of a name, or it is the seed."""
    instance_of(options, Mapping | None, caller, "fit_options", "keywords of nlb.fit, such as {'em_iterations': 20}")
    known = [name for name in inspect.signature(fit).parameters if name not in ("model", "trials")]
    for name in options or {}:
        if name == "seed":
            raise InputError(f"{caller}(fit_options={{'seed': ...}}): the fits take the seed of {caller}(seed=...).")
        if name not in known:
            close = suggestion(nearest(str(name), known), known)
            raise InputError(f"{caller}(fit_options={{{name!r}: ...}}): nlb.fit has no such argument. {close}")
    return dict(options or {})


def context_of(init: Posterior, model: Model, trials: "Trials") -> Context:
    """The context of a fit that a model starts from.

    Raises InputError unless it is of these neurons, and has the model's sites, of the same shapes.
    """
    init.check(trials)
    needed = {name: site.shape.shape for name, site in parameter_sites(model, init.context).items()}
    given = {name: np.shape(value) for name, value in init.values.items()}
    for name in sorted(needed.keys() | given.keys()):
        if needed.get(name) != given.get(name):
            shapes = (given.get(name), needed.get(name))
            own, other = ("absent" if shape is None else f"of shape {shape}" for shape in shapes)
            raise InputError(
                f"fit: init is a fit of another model: its site {name!r} is {own}, that of this model is {other}. "
                "Start from a fit of the same blocks and dimensions, or leave init out."
            )
    return init.context


def several(seed: Any) -> list[int]:
    """The seeds to begin from, as Python's numbers. Raises InputError where there is none, or one comes twice."""
    if isinstance(seed, Iterable) and not isinstance(seed, str) and getattr(seed, "ndim", 1) == 1:
        seeds = [seed_number(one, "fit", f"seed[{place}]") for place, one in enumerate(seed)]
        if not seeds or len(set(seeds)) < len(seeds):
            raise InputError(f"fit(seed={seeds}): give a whole number, or several that differ, as in seed=[0, 1, 2].")
        return seeds
    return [seed_number(seed, "fit")]


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
