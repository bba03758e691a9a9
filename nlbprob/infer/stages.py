"""The two stages of a fit: variational EM, then stochastic variational inference of the parameters."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro

from nlbprob.blocks.base import Context
from nlbprob.infer import failures, guides, information, initialize, pilot, predict, svi, verdict
from nlbprob.infer.ahead import Ahead, concurrently, jit, threads
from nlbprob.infer.ascent import Ascent
from nlbprob.infer.em import EM, Chunk, EMState, bound, empty_rows, flat
from nlbprob.infer.embed import sessions_of
from nlbprob.infer.hidden import Hidden
from nlbprob.infer.parameters import Entries
from nlbprob.infer.pilot import pilot_model
from nlbprob.infer.posterior import Posterior
from nlbprob.infer.problem import Batch
from nlbprob.infer.progress import Progress
from nlbprob.model import Model

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Natural-gradient steps in the first EM iteration, from the prior, and in each later one.
FIRST_STEPS, LATER_STEPS = 8, 1
#: What the first stage found from one seed.
FOUND = ("settings", "state", "chunks", "history")
#: Draws of the parameters kept with a posterior.
KEPT_DRAWS = 400
#: Least number of trials in a minibatch by default.
LEAST_BATCH = 32


class Run:
    """One fit under way: the data on the device, the state of both stages, the history of the bound."""

    def __init__(
        self,
        model: Model,
        trials: "Trials",
        settings: dict[str, Any],
        seeds: Sequence[int],
        batch_size: int | None,
        progress: bool,
        context: Context | None = None,
    ):
        self.model, self.trials, self.settings, self.seeds = model, trials, settings, seeds
        self.context = context or Context.of(trials)
        most = predict.most_trials(model, trials.n_bins, trials.n_neurons)
        size = -(-trials.n_trials // max(threads(), -(-trials.n_trials // most)))
        self.batches = tuple(batch for _, batch in predict.chunks(model, self.context, trials, size))
        default = max(LEAST_BATCH, -(-trials.n_trials // 4))
        self.batch_size = min(trials.n_trials, default if batch_size is None else max(1, batch_size))
        self.draws: dict[str, np.ndarray] | None = None
        self.restart(seeds[0])
        simple = pilot_model(model)
        self.pilot = None if simple is None else pilot.Pilot(simple, model, self.context, trials)
        once = settings["em_iterations"] + (pilot.ITERATIONS if self.pilot else 0)
        self.progress = Progress(len(seeds) * once + settings["svi_steps"], progress)
        self.ahead = Ahead()
        self.prepared = False

    def restart(self, seed: int) -> None:
        """Forget what another seed found; what is compiled stays."""
        self.settings = self.settings | {"seed": seed}
        self.state: EMState | None = None
        self.chunks = ()  # what the last E-step found
        self.begin = time.perf_counter()
        self.history: dict[str, list] = {"stage": [], "iteration": [], "elbo": [], "seconds": []}

    def close(self) -> None:
        """End the progress bar and compilations that nobody waits for."""
        self.progress.close()
        self.ahead.close()

    def record(self, stage: str, elbos) -> None:
        """Add the bounds of some iterations to the history, and show the last."""
        for elbo in np.atleast_1d(np.asarray(elbos, float)):
            self.history["stage"].append(stage)
            self.history["iteration"].append(len(self.history["iteration"]) + 1)
            self.history["elbo"].append(elbo)
            self.history["seconds"].append(time.perf_counter() - self.begin)
            self.progress.advance(stage, elbo)

    def prepare(self, family: str, guide: Callable | None, optimizer) -> None:
        """Set the first stage compiling, and say what the second one is to be."""
        model, context = self.model, self.context
        neurons, width, dtype = self.trials.n_neurons, 1 + model.dim, jnp.result_type(float)
        self.em = EM(model, context)
        self.sites = {name: site.shape for name, site in self.em.sites.items()}
        size, bins = self.batches[0].seen.shape[:2]
        rows = empty_rows(model, size, bins, dtype)
        curvature = jnp.broadcast_to(jnp.eye(width, dtype=dtype) / guides.START_SCALE**2, (neurons, width, width))
        stride = self.em.ascent.begin(self.trials.n_trials)
        self.start = EMState(dict(self.sites), curvature, (rows,) * len(self.batches), stride)
        self.expect = self.ahead.compile(self.em.expectation, self.sites, self.batches[0], rows, FIRST_STEPS, True)
        if self.settings["em_iterations"]:
            chunks = (self.expect.shapes,) * len(self.batches)
            self.maximize = self.ahead.compile(self.em.maximization, self.start, self.batches, chunks)
        steps = self.settings["svi_steps"]
        names, count = model.readout.names, self.trials.n_trials
        self.guide = guides.ParameterGuide(family, self.sites, self.em.supports, names, count)
        rest = Entries({name: self.em.sites[name] for name in self.guide.rest})
        groups = np.arange(model.dim) if model.readout.names else np.full(model.dim, -1)
        self.rest = Ascent(model, context, rest, groups)
        self.flat = functools.partial(flat, trials=self.trials.n_trials, components=model.n_components)
        self.sample, self.locate = jit(self.guide.draws), jit(self.guide.locations)
        self.moments = predict.compile_moments(model, causal=False)
        self.optimizer, self.custom = optimizer or svi.default_optimizer(steps), guide

    @property
    def index(self):
        """Which trials each SVI step sees."""
        steps = max(self.settings["svi_steps"], 1)
        return svi.minibatches(self.trials.n_trials, self.batch_size, steps, self.settings["seed"])

    def prepare_second(self) -> None:
        """Set the second stage compiling, where its guide is known beforehand."""
        self.prepared, compile, widths = True, self.ahead.compile, (None, None)
        self.flatten = compile(self.flat, self.batches, self.start.rows)
        if self.spread:
            self.inform = compile(self.information, self.sites, self.batches[0], self.expect.shapes)
            self.width = compile(self.widths, self.sites, self.inform.shapes)
            widths = self.width.shapes
        self.frame = compile(self.frames, self.start, widths)
        if self.custom is None and self.settings["svi_steps"]:
            data, store = self.flatten.shapes
            shapes = (jnp.asarray(self.index[0]), data, self.frame.shapes, store)
            self.loop = svi.Loop(self.model, self.context, self.guide, self.optimizer, shapes, self.ahead)

    @property
    def spread(self) -> bool:
        """Whether the parameters' posterior is ours, and has a width."""
        return self.custom is None and self.settings["posterior"] != "map"

    def information(self, values, batch: Batch, chunk: Chunk):
        """What a chunk of trials says of the readout, and of all other parameters; None where there are none."""
        readout = information.readout(self.rest, values, batch, chunk) if self.model.readout.names else None
        others = self.rest.slopes(values, batch, chunk.rows, chunk.share, chunk.moments) if self.guide.rest else None
        return readout, others

    def widths(self, values, found):
        """The covariance of each neuron's readout, and a root of that of all other parameters."""
        (readout, others), count = found, self.trials.n_trials
        own = None if readout is None else information.readout_covariance(self.rest, values, readout, count)
        return own, None if others is None else information.root(self.rest, values, others, count)

    def frames(self, state: EMState, widths=(None, None)) -> dict[str, guides.Frame]:
        """Where the guide starts: the values that EM found, with the uncertainty that the trials tell."""
        own, rest = widths
        return self.guide.frames(state.values, jnp.linalg.inv(state.curvature) if own is None else own, rest)

    def first_stage(self, init: Posterior | None) -> None:
        """Variational EM from each seed; what the seed with the highest bound found stays, on Ctrl-C too.

        The bound of the last E-step is exact at its parameters; those of the second stage are noisy estimates from a
        few trials and one draw.
        """
        best, bounds = {}, []
        try:
            for seed in self.seeds:
                self.restart(seed)
                self.variational_em(init)
                bounds.append({"seed": seed, "elbo": bound(self.chunks)})
                if not best or bounds[-1]["elbo"] > best["elbo"]:
                    best = bounds[-1] | {name: getattr(self, name) for name in FOUND}
        finally:
            for name in FOUND if best else ():
                setattr(self, name, best[name])
            self.begin = time.perf_counter() - (self.history["seconds"] or [0.0])[-1]
            if len(self.seeds) > 1:
                self.settings["seeds"] = bounds

    def variational_em(self, init: Posterior | None) -> None:
        """The first stage from one seed; leaves site values and the trials' posterior in `self.state`."""
        dtype, iterations = jnp.result_type(float), self.settings["em_iterations"]
        if init is not None:
            values = {name: jnp.asarray(value, dtype) for name, value in init.values.items()}
        elif self.pilot is not None:
            values = self.pilot.fly(self.batches, self.settings["seed"], self.iterate)
        else:
            start = initialize.start_from(self.model, self.trials, self.settings["seed"])
            values = initialize.site_values(self.model, self.context, start)
        state = self.start._replace(values=values)
        maximize = self.maximize if iterations else None
        # The second stage is traced while the first E-step is compiled and runs.
        meanwhile, bounds, settled = None if self.prepared else self.prepare_second, [], False
        hidden, share = None, self.settings["early_stopping"]
        if share and iterations:
            hidden = Hidden(self.model, self.context, self.batches, share, self.settings["seed"])
        batches = hidden.batches if hidden else self.batches
        for found, chunks in self.iterate(state, batches, self.expect, maximize, iterations, "em", meanwhile):
            self.chunks = chunks
            self.state = found
            bounds.append(bound(chunks))
            better = hidden is None or hidden.better(values, chunks)
            settled = verdict.settled(bounds, self.em.pace) or not better
            values = found.values
            if settled:
                self.progress.skip(iterations - len(bounds))
                break
        if hidden and hidden.best:
            values = self.finish(*hidden.best, self.state, maximize)
            self.settings["heldout_bits"] = hidden.bits
        failures.check_values(values, f"in the last of {len(bounds)} EM iterations")
        self.settings["em_settled"] = settled
        self.settings["occupancy"] = verdict.occupancy(self.model, self.batches, self.chunks)

    def finish(self, values, chunks: Sequence[Chunk], state, maximize) -> dict[str, Any]:
        """One iteration from the best values of an early stop, with all that is seen; the values after it."""
        state = state._replace(values=values, rows=tuple(chunk.rows for chunk in chunks))
        found = self.iterate(state, self.batches, self.expect, maximize, 1, "full", cold=False)
        self.state, self.chunks = next(found)
        return self.state.values

    def iterate(self, state: EMState, batches, expect, maximize, count: int, stage: str, meanwhile=None, cold=True):
        """Iterations of variational EM, yielding (state, what the E-step found); one E-step where there are none.

        cold: nothing is known of the trials, so that the first E-step takes more steps, and discrete paths start from
        their prior. meanwhile: what to do during the first E-step, whose function is compiled (or about to be).
        """
        steps = (FIRST_STEPS if cold else LATER_STEPS) if count else predict.COLD_STEPS
        for iteration in range(max(count, 1)):

            def update(chunk, state=state, steps=steps, cold=cold and iteration == 0):
                return expect(state.values, *chunk, steps, cold)

            pairs = zip(batches, state.rows, strict=True)
            found = concurrently(update, pairs, compiled=stage != "pilot", meanwhile=meanwhile)
            chunks, meanwhile = tuple(found), None
            failures.check_expectation(state.values, chunks, self.trials, iteration)
            if count:
                state, steps = maximize(state, batches, chunks), LATER_STEPS
                if stage != "full":
                    self.record(stage, bound(chunks))
            else:
                state = state._replace(rows=tuple(chunk.rows for chunk in chunks))
            yield state, chunks

    def parameter_posterior(self) -> None:
        """The second stage; leaves the parameters' centre and draws."""
        assert self.state is not None
        seed, guide = self.settings["seed"], self.guide
        keys = jax.random.split(jax.random.key(seed), KEPT_DRAWS)
        data, store = self.flatten(self.batches, self.state.rows)
        widths, values = (None, None), self.state.values
        if self.spread:

            def inform(pair):
                batch, rows = pair
                return self.inform(values, batch, self.expect(values, batch, rows, LATER_STEPS, False))

            found = concurrently(inform, zip(self.batches, self.state.rows, strict=True), compiled=True)
            widths = self.width(values, jax.tree.map(lambda *parts: sum(parts), *found))
        frames = self.frame(self.state, widths)
        if self.custom is not None:
            own = guides.started(self.custom, self.state.values)
            self.loop = svi.Loop(self.model, self.context, own, self.optimizer, (), None)
        elif not self.settings["svi_steps"]:
            params = guide.untouched(frames)
        else:
            self.warm(frames, keys)
        if self.custom is not None or self.settings["svi_steps"]:
            params = self.loop.run(jnp.asarray(self.index), data, frames, store, seed, lambda e: self.record("svi", e))
        if self.custom is not None:
            guide = self.loop.guide
            sampler = numpyro.infer.Predictive(guide, params=params, num_samples=KEPT_DRAWS)
            sampled = sampler(jax.random.key(seed), jnp.asarray(self.index[0, 0]), data, frames, store)
            draws = {name: sampled[name] for name in self.sites}
            values = guide.median(params) if hasattr(guide, "median") else jax.tree.map(lambda a: a.mean(0), draws)
        else:
            draws, values = self.sample(params, frames, keys), self.locate(params, frames)
        self.draws = {name: np.asarray(value) for name, value in draws.items()}
        self.state = self.state._replace(values={name: values[name] for name in self.sites})

    def warm(self, frames, keys) -> None:
        """Compile what comes after the second stage while its loop keeps one core busy."""
        params, uncertain = self.loop.shapes, self.settings["posterior"] != "map"
        self.ahead.warm(self.sample, params, frames, keys)
        self.ahead.warm(self.locate, params, frames)
        self.ahead.warm(self.moments, *predict.shapes(self.model, self.context, self.trials, self.sites, uncertain))

    def posterior(self) -> Posterior | None:
        """What has been found so far; None before the first iteration."""
        if self.state is None:
            return None
        values = {name: np.asarray(value) for name, value in self.state.values.items()}
        draws = self.draws if self.draws is not None else {name: value[None] for name, value in values.items()}
        history = {name: np.asarray(column) for name, column in self.history.items()}
        ids, sessions = np.asarray(self.trials.neurons["id"]), sessions_of(self.trials)
        config = self.settings | ({"sessions": sessions} if sessions else {})
        found = Posterior(self.model, self.context, values, draws, ids, history, config)
        vars(found)["moments"] = self.moments  # its cached property, compiled by now
        return found
