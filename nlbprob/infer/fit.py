"""`fit`: from a model and trials to a posterior."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import optax

from nlbprob.blocks import spec
from nlbprob.blocks.base import Context
from nlbprob.errors import InputError, suggestion
from nlbprob.infer import em, guides, initialize, predict, svi
from nlbprob.infer import local as local_inference
from nlbprob.infer.local import Batch
from nlbprob.infer.posterior import Posterior
from nlbprob.infer.progress import Progress
from nlbprob.model import Model

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Natural-gradient steps in the first EM iteration, from the prior, and in each later one.
FIRST_STEPS, LATER_STEPS = 8, 2
#: Draws of the parameters kept with a posterior.
KEPT_DRAWS = 400
#: Least number of trials in a minibatch by default.
LEAST_BATCH = 32


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `fit`; `posterior` is what had been found, to be saved and given back as `init`."""

    def __init__(self, posterior: Posterior | None):
        super().__init__("interrupted")
        self.posterior = posterior


def fit(
    model: Model,
    trials: "Trials",
    *,
    seed: int = 0,
    posterior: str = "neuron",
    em_iterations: int = 50,
    svi_steps: int = 150,
    batch_size: int | None = None,
    guide: Callable | None = None,
    optimizer: optax.GradientTransformation | None = None,
    init: Posterior | None = None,
    precision: str = "float32",
    progress: bool = True,
) -> Posterior:
    """Fit a model to every seen entry of the trials: variational EM, then SVI for the posterior over parameters.

    The bound is log p(theta) - log q(theta) + sum over trials of E_q(x)[log p(y | x, theta)] - KL(q(x) || p(x | theta)), with
    q(x) the structured posterior of `nlbprob.infer.local` and q(theta) the family that `posterior` names.

    seed: of the start's jitter, the minibatches and all draws; two fits with one seed on one machine are identical.
    posterior: "neuron" (a multivariate normal for each neuron's baseline and loadings, independent normals for the rest),
    "normal" (independent normals), "map" (point estimates). em_iterations, svi_steps: lengths of the two stages.
    batch_size: trials in an SVI step; None takes a quarter, at least 32. guide: a NumPyro guide class or function of the model
    to use instead, such as numpyro.infer.autoguide.AutoNormal. optimizer: an optax optimizer for SVI. init: a posterior of the
    same model and neurons to start from. precision: "float32" or "float64".

    Raises InputError where model and trials do not fit together; `Interrupted`, which holds the posterior so far, on Ctrl-C.
    """
    if posterior not in guides.FAMILIES:
        raise InputError(f"fit(posterior={posterior!r}): no such family. {suggestion(posterior, guides.FAMILIES)}")
    model.check(trials)
    check_counts(trials)
    settings = {
        "model": spec.to_json(model),
        "posterior": posterior if guide is None else getattr(guide, "__name__", repr(guide)),
        "seed": seed,
        "em_iterations": em_iterations,
        "svi_steps": svi_steps,
        "precision": precision,
        "train_trials": trials.n_trials,
    }
    with predict.precision(precision):
        run = Run(model, trials, settings, batch_size, progress)
        try:
            run.variational_em(init)
            run.parameter_posterior(posterior, guide, optimizer)
        except KeyboardInterrupt as stop:
            raise Interrupted(run.posterior() if run.started else None) from stop
        finally:
            run.progress.close()
        return run.posterior()


def check_counts(trials: "Trials") -> None:
    """Raise InputError where there is nothing to learn from."""
    if not np.any(trials.counts, where=trials.seen):
        raise InputError("fit: no spike is seen in these trials; check the split, the window and which units are selected.")


class Run:
    """One fit under way: the data on the device, the state of both stages, the history of the bound."""

    def __init__(self, model: Model, trials: "Trials", settings: dict[str, Any], batch_size: int | None, progress: bool):
        self.model, self.trials, self.settings = model, trials, settings
        self.context = Context.of(trials)
        most = predict.most_trials(trials.n_bins, trials.n_neurons, model.dim)
        self.chunk_size = -(-trials.n_trials // -(-trials.n_trials // most))
        parts = [batch for _, batch in predict.chunks(trials, self.chunk_size)]
        self.data = Batch(*(jnp.stack(arrays) for arrays in zip(*parts, strict=True)))
        default = max(LEAST_BATCH, -(-trials.n_trials // 4))
        self.batch_size = min(trials.n_trials, default if batch_size is None else max(1, batch_size))
        self.started = False
        self.draws: dict[str, np.ndarray] | None = None
        self.begin = time.perf_counter()
        self.history: dict[str, list] = {"stage": [], "iteration": [], "elbo": [], "seconds": []}
        self.progress = Progress(settings["em_iterations"] + settings["svi_steps"], progress)

    def record(self, stage: str, elbos) -> None:
        """Add the bounds of some iterations to the history, and show the last."""
        for elbo in np.atleast_1d(np.asarray(elbos, float)):
            self.history["stage"].append(stage)
            self.history["iteration"].append(len(self.history["iteration"]) + 1)
            self.history["elbo"].append(elbo)
            self.history["seconds"].append(time.perf_counter() - self.begin)
            self.progress.advance(stage, elbo)

    def variational_em(self, init: Posterior | None) -> None:
        """The first stage; leaves site values and the trials' posterior in `self.state`."""
        chunks, size, bins = self.data.seen.shape[:3]
        dtype = jnp.result_type(float)
        if init is None:
            values = initialize.initial_values(self.model, self.trials, self.context, self.settings["seed"])
        else:
            init.check(self.trials)
            self.context = init.context
            values = {name: jnp.asarray(value, dtype) for name, value in init.values.items()}
        empty = local_inference.empty_sites(size, bins, self.model.dim, dtype)
        sites = jax.tree.map(lambda a: jnp.broadcast_to(a, (chunks, *a.shape)), empty)
        ones = jnp.ones((chunks, size), dtype)
        width = 1 + self.model.dim
        curvature = jnp.broadcast_to(jnp.eye(width, dtype=dtype) / guides.START_SCALE**2, (self.trials.n_neurons, width, width))
        self.state = em.EMState(values, curvature, sites, ones, ones)
        iterate = em.em_iteration(self.model, self.context)
        for iteration in range(self.settings["em_iterations"]):
            self.state = iterate(self.state, self.data, FIRST_STEPS if iteration == 0 else LATER_STEPS)
            # Trials that fill the last chunk have seen nothing: their bound is zero.
            elbo = float(self.state.elbo.sum())
            if not np.isfinite(elbo):
                raise InputError(
                    f"fit: the bound is {elbo} after {iteration + 1} EM iterations. "
                    "Look for neurons with extreme counts, or try precision='float64'."
                )
            self.started = True
            self.record("em", elbo)
        if not self.settings["em_iterations"]:
            self.state = em.expectation(self.model, self.context)(self.state, self.data, predict.COLD_STEPS)
        self.values = self.state.values

    def parameter_posterior(self, family: str, guide: Callable | None, optimizer) -> None:
        """The second stage; leaves the parameters' centre and draws."""
        model, trials, steps = self.model, self.trials.n_trials, self.settings["svi_steps"]
        data, sites = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:trials], (self.data, self.state.sites))
        store = svi.Store(sites, jnp.ones(trials, sites.linear.dtype))

        def target(index):
            return svi.collapsed(model, self.context, data, store, index)

        chosen = self.guide(family) if guide is None else guide(target)
        params, _ = svi.run(
            model,
            self.context,
            data,
            store,
            chosen,
            steps=steps,
            batch_size=self.batch_size,
            seed=self.settings["seed"],
            optimizer=optimizer,
            report=lambda done, elbos: self.record("svi", elbos),
        )
        key = jax.random.key(self.settings["seed"])
        if guide is None:
            self.draws = jax.tree.map(np.asarray, guides.draws(chosen, params, key, KEPT_DRAWS))
            self.values = guides.locations(chosen, params)
            return
        sampler = numpyro.infer.Predictive(chosen, params=params, num_samples=KEPT_DRAWS)
        sampled = sampler(key, jnp.zeros(1, int))
        self.draws = {name: np.asarray(sampled[name]) for name in self.values}
        self.values = chosen.median(params) if hasattr(chosen, "median") else jax.tree.map(lambda a: a.mean(0), self.draws)

    def guide(self, family: str) -> guides.ParameterGuide:
        """nlbprob's guide, started from the curvature of the expected likelihood at the end of EM."""
        readout = self.model.readout
        with numpyro.handlers.trace() as sites:
            em.parameters_at(self.model, self.context, self.state.values)
        supports = {name: site["fn"].support for name, site in sites.items() if site["type"] == "sample"}
        names = (readout.site("baseline"), readout.site("loadings"))
        return guides.ParameterGuide(family, self.state.values, supports, names, jnp.linalg.inv(self.state.curvature))

    def posterior(self) -> Posterior:
        """What has been found so far."""
        values = {name: np.asarray(value) for name, value in self.state.values.items()}
        draws = self.draws if self.draws is not None else {name: value[None] for name, value in values.items()}
        if self.draws is not None:
            values = {name: np.asarray(value) for name, value in self.values.items()}
        history = {name: np.asarray(column) for name, column in self.history.items()}
        ids = np.asarray(self.trials.neurons["id"])
        return Posterior(self.model, self.context, values, draws, ids, history, dict(self.settings))
