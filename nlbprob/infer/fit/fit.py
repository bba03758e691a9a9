"""`fit`: from a model and trials to a posterior."""

import dataclasses
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import optax

from nlbprob.arguments import (
    checked_keywords,
    flag,
    instance_of,
    nearest,
    one_of,
    real_number,
    seed_number,
    whole_number,
)
from nlbprob.blocks.base import Context
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError, suggestion
from nlbprob.fit_config import PRECISIONS, FitConfig
from nlbprob.infer.fit.checkpoint import Checkpoints
from nlbprob.infer.fit.loop import Steps, steps
from nlbprob.infer.fit.state import FitInfo, FitState
from nlbprob.infer.runtime import programs
from nlbprob.infer.runtime.progress import Progress
from nlbprob.infer.vi.families import family_of
from nlbprob.infer.vi.family import Family
from nlbprob.infer.vi.numpyro_guide import NumPyroGuide
from nlbprob.model import Model
from nlbprob.posterior.posterior import Posterior

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


#: Called after every step of a fit with its state and info.
Watcher = Callable[[FitState, FitInfo], object]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `fit`.

    Attributes:
        posterior: what had been found, to be saved and given back as `init`; None where there is nothing yet.
    """

    def __init__(self, posterior: Posterior | None):
        super().__init__("interrupted")
        self.posterior = posterior


@checked_keywords
def fit(
    model: Model | Callable,
    trials: "Trials",
    *,
    seed: int | Sequence[int] = 0,
    posterior: str | Family = "neuron",
    em_iterations: int | None = None,
    svi_steps: int | None = None,
    batch_size: int | None = None,
    guide: Callable | None = None,
    optimizer: optax.GradientTransformation | None = None,
    init: Posterior | None = None,
    early_stopping: float = 0.0,
    precision: str = "float32",
    progress: bool = True,
    checkpoint: str | os.PathLike | None = None,
) -> Posterior:
    """Fit a model to every seen entry of the trials: variational EM, then the posterior over parameters.

    The bound is log p(theta) - log q(theta) + sum over trials of E_q(x)[log p(y | x, theta)] - KL(q(x) || p(x |
    theta)), with q(x) the structured posterior of `nlbprob.infer.trajectories.cvi` and q(theta) the family that
    `posterior` names. EM maximises it in point estimates theta. About these, `posterior="neuron"` is a normal with the
    covariance that the counts imply, the trajectories integrated out (Laplace's method); other families, and this one
    where `svi_steps` are given, follow the gradient of the bound (SVI).

    Args:
        model: or a NumPyro function, see `nlbprob.functions.model`.
        trials: to learn from.
        seed: of the start's jitter, the minibatches and all draws; two fits with one seed on one machine are identical.
            Of several, seed=[0, 1, 2], the one whose EM ends with the highest bound goes on, as it would alone;
            `posterior.config["seeds"]` holds the bound of each (exact at its parameters, where SVI's are noisy
            estimates).
        posterior: "neuron" (a multivariate normal for each neuron's baseline and loadings, one for all other
            parameters), "normal" (independent normals), "lowrank" (one normal: that of each neuron and of the other
            parameters, and ten directions in which any parameters move together), "map" (point estimates); or a family
            as an object, such as nlb.LowRank(20).
        em_iterations: iterations of EM at most. Where every parameter has an update in closed form, and there are no
            templates, EM ends earlier where several iterations together hardly raise its bound, or hardly move any
            parameter; else where its bound is level. None takes 100, or 30 with templates.
        svi_steps: steps of SVI. None takes 40, or none for "neuron" and "map" where EM ends as no parameter moves.
        batch_size: trials in an SVI step; None takes a quarter, at least 32.
        guide: a NumPyro guide class or function of the model to use instead, such as
            numpyro.infer.autoguide.AutoNormal.
        optimizer: an optax optimizer for SVI.
        init: a posterior of the same model and neurons to start from.
        early_stopping: the fraction of (trial, neuron) pairs to hide from EM, as 0.1; it goes back to where it
            predicted them best, in bits per spike as co-smoothing is scored, and takes one more iteration with
            everything. For small recordings, which point estimates soon fit too closely.
        precision: "float32" or "float64".
        progress: show a progress bar.
        checkpoint: a folder where the fit keeps what it has found, now and then and on Ctrl-C; the same call goes on
            from there.

    Returns:
        The posterior of parameters and trajectories.

    Raises:
        InputError: an argument is of no use, or model and trials do not fit together.
        Interrupted: on Ctrl-C, with the posterior so far.
    """
    check_trials(trials, "fit")
    check_objects(posterior, guide, optimizer, init)
    progress = flag(progress, "fit", "progress")
    config = FitConfig(
        seed=several(seed),
        posterior=posterior,
        em_iterations=None if em_iterations is None else whole_number(em_iterations, "fit", "em_iterations"),
        svi_steps=None if svi_steps is None else whole_number(svi_steps, "fit", "svi_steps"),
        batch_size=None if batch_size is None else whole_number(batch_size, "fit", "batch_size", 1),
        early_stopping=real_number(early_stopping, "fit", "early_stopping", least=0, below=1),
        precision=one_of(precision, PRECISIONS, "fit", "precision"),
    )
    running = steps(model, trials, config, init=init, guide=guide, optimizer=optimizer, checkpoint=checkpoint)
    return drive(running, progress, [] if checkpoint is None else [Checkpoints(running, checkpoint)])


def check_objects(posterior: Any, guide: Any, optimizer: Any, init: Any) -> None:
    """Raise InputError unless these arguments of `fit` are what they are called."""
    if isinstance(posterior, Posterior):
        raise InputError("fit(posterior=...) names the family of the posterior; to start from a fit, give it as init=.")
    family_of(posterior)
    example = "an optax optimizer, such as optax.adam(1e-2)"
    instance_of(optimizer, optax.GradientTransformation | None, "fit", "optimizer", example)
    example = "a Posterior, as fit or nlb.Posterior.load(folder) return it"
    instance_of(init, Posterior | None, "fit", "init", example)
    if guide is not None:
        NumPyroGuide(guide)


def several(seed: Any) -> list[int]:
    """The seeds to begin from, as Python's numbers. Raises InputError where there is none, or one comes twice."""
    if isinstance(seed, Iterable) and not isinstance(seed, str) and getattr(seed, "ndim", 1) == 1:
        seeds = [seed_number(value, "fit", f"seed[{index}]") for index, value in enumerate(seed)]
        if not seeds or len(set(seeds)) < len(seeds):
            raise InputError(f"fit(seed={seeds}): give a whole number, or several that differ, as in seed=[0, 1, 2].")
        return seeds
    return [seed_number(seed, "fit")]


def checked_options(options: Any, caller: str) -> dict[str, Any]:
    """Keywords of `fit` for the fits of folds. Raises InputError where `fit` has none of a name, or it is the seed."""
    instance_of(options, Mapping | None, caller, "fit_options", "keywords of nlb.fit, such as {'em_iterations': 20}")
    keywords = [name for name in inspect.signature(fit).parameters if name not in ("model", "trials")]
    for name in options or {}:
        if name == "seed":
            raise InputError(f"{caller}(fit_options={{'seed': ...}}): the fits take the seed of {caller}(seed=...).")
        if name not in keywords:
            close = suggestion(nearest(str(name), keywords), keywords)
            raise InputError(f"{caller}(fit_options={{{name!r}: ...}}): nlb.fit has no such argument. {close}")
    return dict(options or {})


def fit_fold(
    model: Model | Callable, trials: "Trials", learned: Sequence[int] | np.ndarray, room: int, options: dict[str, Any]
) -> Posterior:
    """A fit to some of the trials, such as all folds but one, without a progress bar.

    Fits to several such parts of the same trials share their compiled programs.

    Args:
        model: to fit.
        trials: of all parts; they give the parameters their meaning.
        learned: which of them to learn from.
        room: the most trials of any part.
        options: keywords of `fit`.
    """
    names = {field.name for field in dataclasses.fields(FitConfig)}
    config = FitConfig(**{name: value for name, value in options.items() if name in names})
    others = {name: value for name, value in options.items() if name not in names and name != "progress"}
    part = trials.select(trials=learned)
    return drive(steps(model, part, config, context=Context.of(trials), room=room, **others), False)


def drive(running: Steps, progress: bool, watchers: Sequence[Watcher] = ()) -> Posterior:
    """Take all steps of a fit, with a progress bar.

    Args:
        running: what `steps` returned.
        progress: whether to show the bar.
        watchers: each is called with (state, info) after every step, such as one that writes a log.

    Raises:
        Interrupted: on Ctrl-C.
    """
    bar = Progress(running.remaining, progress)
    try:
        for state, info in running:
            bar.advance(info.stage, info.elbo, len(info.elbos), running.remaining)
            for watch in watchers:
                watch(state, info)
    except KeyboardInterrupt as stop:
        programs.forget()
        for watch in watchers:
            if isinstance(watch, Checkpoints):
                watch.write()
        raise Interrupted(running.posterior()) from stop
    finally:
        bar.close()
    fitted = running.posterior()
    assert fitted is not None
    return fitted
