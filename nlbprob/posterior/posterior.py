"""What a fit leaves: parameters with their uncertainty, and the posterior of any trial's trajectory given what is
seen.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nlbprob.blocks.base import Context
from nlbprob.errors import InputError
from nlbprob.infer.parameters.sites import parameters_at
from nlbprob.infer.runtime.precision import precision
from nlbprob.infer.runtime.programs import program
from nlbprob.model import Model, Parameters
from nlbprob.posterior import predict
from nlbprob.posterior.align import canonical_rotation

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """The fitted model.

    model, context: what was fitted, and the facts of its training data; values: each parameter site at the centre of
    its posterior; draws: sites [sample, ...] drawn from it; neuron_ids: the neurons, in the order of the loadings;
    history: columns "stage", "iteration", "elbo" (nats, all training trials), "seconds"; config: JSON-able settings.

    Latents are given in a canonical basis: orthogonal directions of the loadings, ordered by the variance of the
    predictors that they explain, the largest loading positive; or in that of another fit, `basis`, see `nlbprob.align`.
    `rotation` [latent, latent] leads from the model's basis to it. One rotation serves all draws: these are around one
    mode, and to turn each towards the centre would only add the noise of its loadings to its dynamics.
    """

    model: Model
    context: Context
    values: dict[str, np.ndarray]
    draws: dict[str, np.ndarray]
    neuron_ids: np.ndarray
    history: dict[str, np.ndarray]
    config: dict[str, Any]
    basis: np.ndarray | None = None

    def __repr__(self) -> str:
        family, dim = self.config["posterior"], self.model.dim
        bound = f"ELBO {self.elbo[-1]:.1f} nats after {len(self.elbo)} iterations" if len(self.elbo) else "not iterated"
        return (
            f"Posterior: {dim} latents, {len(self.neuron_ids)} neurons, bins of {self.context.bin_ms:g} ms; "
            f"parameters {family!r}, {bound}\n{self.verdict}"
        )

    @property
    def verdict(self) -> str:
        """Whether the fit has converged, and what has collapsed, in words, each with its remedy."""
        from nlbprob.posterior.diagnostics import verdict

        return verdict(self)

    @property
    def elbo(self) -> Float[np.ndarray, " step"]:
        """The bound after every iteration, nats, all training trials; noisy estimates from the SVI stage on."""
        return np.asarray(self.history["elbo"], float)

    @property
    def rotation(self) -> Float[np.ndarray, "latent latent"]:
        """The orthogonal matrix R of the canonical basis: canonical latents are R'x, canonical loadings C R.

        Latents are turned only inside a block that does not mind: dense dynamics, regimes, templates.
        """
        return self.basis if self.basis is not None else canonical_rotation(self.model, self.own_loadings)

    @property
    def own_loadings(self) -> Float[np.ndarray, "neuron latent"]:
        """The loadings C in the model's own basis, at the centre of their posterior."""
        names = self.model.readout.names
        return np.asarray(self.model.readout.loadings(self.values) if names else self.centre.loadings, float)

    @functools.cached_property
    def centre(self) -> Parameters:
        """The parameters at the centre of their posterior, with the covariance of each neuron's baseline and
        loadings.
        """
        with precision(self.config["precision"]):
            theta = derive(self.model, self.context, jax.tree.map(jnp.asarray, self.values))
        theta = jax.tree.map(np.asarray, theta)
        if len(next(iter(self.draws.values()))) < 2 or self.config["posterior"] == "map":
            return theta
        if names := self.model.readout.names:
            parts = [self.draws[name] for name in names]
        else:
            parts = [np.asarray(self._derived_draws.baseline), np.asarray(self._derived_draws.loadings)]
        rows = np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], 2).astype(float)
        rows = rows - rows.mean(0)
        covariance = np.einsum("sni,snj->nij", rows, rows) / (len(rows) - 1)
        return theta._replace(uncertainty=covariance.astype(theta.loadings.dtype))

    def check(self, trials: "Trials") -> None:
        """Raise InputError unless the trials are of the recording's neurons and bin width."""
        if trials.bin_ms != self.context.bin_ms:
            raise InputError(
                f"The trials have bins of {trials.bin_ms:g} ms, the fit of {self.context.bin_ms:g} ms; load them alike."
            )
        if not np.array_equal(np.asarray(trials.neurons["id"]).astype(str), np.asarray(self.neuron_ids).astype(str)):
            raise InputError(
                "The trials' neuron ids are not those of the fit, in that order; load the same units, "
                "and hide neurons with `hide_heldout` or `seen` instead of dropping them."
            )

    def rates(self, trials: "Trials", causal: bool = False, beyond_ms: float | int = 0) -> "xarray.DataArray":
        """Expected spikes per bin [trial, time, neuron] of every neuron and bin, given only the entries that are
        `seen`.

        r = E[y | seen] = E_q[link(c'x + d)], over x and over each neuron's c and d; dynamics are at their centre.
        causal=True: each bin given what is seen up to and including it (filtering), for online use. beyond_ms: also
        the bins up to so many ms after the last.
        Raises InputError where the trials are not of this recording.
        """
        self.check(trials)
        extended = predict.extend(trials, beyond_ms)
        rates = predict.rates(self, extended, causal)
        return predict.labeled(rates, extended)

    def latents(self, trials: "Trials", causal: bool = False) -> "xarray.Dataset":
        """Posterior "mean" [trial, time, latent] and "covariance" [trial, time, latent, latent_2] of the canonical
        latents.
        """
        self.check(trials)
        return predict.latents(self, trials, causal)

    def rates_and_latents(self, trials: "Trials") -> "tuple[xarray.DataArray, xarray.Dataset]":
        """What `rates` and `latents` say of the trials, inferred once: this is what takes the time of either."""
        self.check(trials)
        with precision(self.config["precision"]):
            found = list(predict.by_chunk(self, trials, causal=False))
        rates = predict.labeled(predict.rates(self, trials, False, found), trials)
        return rates, predict.latents(self, trials, False, found)

    def components(self, trials: "Trials") -> "xarray.DataArray":
        """p(component | what is seen) [trial, component], for a model with templates."""
        self.check(trials)
        if self.model.templates is None:
            raise InputError("components: the model has no templates.")
        return predict.components(self, trials)

    def regimes(self, trials: "Trials") -> "xarray.Dataset":
        """p(regime | what is seen) of each block that switches, by its name [trial, time, NAME_regime]."""
        self.check(trials)
        if not any(block.n_regimes for block in self.model.chains):
            raise InputError("regimes: no block of the model switches.")
        return predict.regimes(self, trials)

    def sample_latents(self, trials: "Trials", draws: int = 200, seed: int = 0) -> "xarray.DataArray":
        """Whole trajectories from the posterior [sample, trial, time, latent]; parameters vary from draw to draw."""
        import xarray

        from nlbprob.posterior.sampling import only_latents

        found = self.draw_trials(trials, draws, seed, only_latents)
        trajectories = np.stack([one["latents"] for one in found]) @ self.rotation
        coords = {"trial": trials.table["id"], "time": trials.time_ms, "latent": self.model.latent_names}
        return xarray.DataArray(trajectories, coords, ("sample", "trial", "time", "latent"), "latents")

    def draw_trials(self, trials: "Trials", draws: int, seed: int, reading, options=None):
        """An iterator over joint draws of parameters and trajectories; see `nlbprob.posterior.sampling.draws`."""
        self.check(trials)
        values = self.parameter_sites(draws, seed)
        from nlbprob.posterior.sampling import draws as joint

        return joint(self, values, trials, seed, reading, options)

    def parameter_sites(self, draws: int = 200, seed: int = 0) -> dict[str, np.ndarray]:
        """Draws of the parameter sites as the model defines them [sample, ...]; with replacement beyond those kept."""
        return {name: value[self._rows(draws, seed)] for name, value in self.draws.items()}

    def _rows(self, draws: int, seed: int) -> np.ndarray:
        kept = len(next(iter(self.draws.values())))
        return np.random.default_rng(seed).choice(kept, draws, replace=draws > kept)

    def parameters(self, draws: int = 200, seed: int = 0) -> dict[str, np.ndarray]:
        """Draws [sample, ...] of interpretable parameters in the canonical basis.

        "loadings" [neuron, latent], "baseline" [neuron], "transition_matrix" and "noise_covariance" [latent,
        latent_2] (per bin), "initial_mean", "initial_covariance", the observation's own, and the sites of the
        blocks, such as "lds.decay_ms".
        """
        rows = self._rows(draws, seed)
        return {name: value[rows] for name, value in (self.draws | self._canonical_draws).items()}

    @functools.cached_property
    def parameter_mean(self) -> dict[str, np.ndarray]:
        """What `parameters` gives, at the centre of the posterior and without the sample axis."""
        one = self._canonical(jax.tree.map(lambda a: a[None], self.centre._replace(uncertainty=None)))
        return {name: np.asarray(value) for name, value in self.values.items()} | {k: v[0] for k, v in one.items()}

    @functools.cached_property
    def _derived_draws(self) -> Parameters:
        with precision(self.config["precision"]):
            found = derive_each(self.model, self.context, jax.tree.map(jnp.asarray, self.draws))
            return jax.tree.map(np.asarray, found)

    @functools.cached_property
    def _canonical_draws(self) -> dict[str, np.ndarray]:
        return self._canonical(self._derived_draws)

    def _canonical(self, theta: Parameters) -> dict[str, np.ndarray]:
        turn = self.rotation
        found = {"loadings": np.asarray(theta.loadings) @ turn, "baseline": np.asarray(theta.baseline)}
        for block, dynamics in zip(self.model.chains, theta.dynamics, strict=True):
            if dynamics.emission is not None or block.constant:
                continue
            place = self.model.slices[block.name]
            own, chain = turn[place, place], jax.tree.map(np.asarray, dynamics.chain)
            prefix = "" if len(self.model.chains) == 1 else f"{block.name}."
            found[f"{prefix}transition_matrix"] = own.T @ chain.transition @ own
            found[f"{prefix}noise_covariance"] = own.T @ chain.noise @ own
            found[f"{prefix}initial_mean"] = chain.initial_mean @ own
            found[f"{prefix}initial_covariance"] = own.T @ chain.initial_covariance @ own
        if theta.mixture is not None:
            found["templates"] = np.asarray(theta.mixture.trajectories) @ turn
        return found | {name: np.asarray(value) for name, value in theta.observation.items()}

    def dynamics(self, draws: int = 200, seed: int = 0) -> "xarray.Dataset":
        """Modes of the dynamics with uncertainty; see `nlbprob.posterior.modes.modes`."""
        import xarray

        from nlbprob.posterior.modes import modes

        found, centre, drawn = [], self.parameter_mean, self.parameters(draws, seed)
        for block in self.model.chains:
            name = "transition_matrix" if len(self.model.chains) == 1 else f"{block.name}.transition_matrix"
            if name in centre and not block.n_regimes:
                own = modes(centre[name], drawn[name], self.context.bin_ms)
                several = len(self.model.chains) > 1
                found.append(own.assign_coords(block=("mode", [block.name] * own.sizes["mode"])) if several else own)
        if not found:
            raise InputError("dynamics: the model has no block with a transition matrix of its own.")
        whole = xarray.concat(found, "mode")
        return whole.assign_coords(mode=np.arange(whole.sizes["mode"]))

    def to_arviz(self, trials: "Trials", draws: int = 200, log_likelihood: str = "neuron", seed: int = 0):
        """The posterior as an ArviZ `xarray.DataTree`; see `nlbprob.posterior.arviz.to_arviz`."""
        from nlbprob.posterior.arviz import to_arviz

        return to_arviz(self, trials, draws=draws, log_likelihood=log_likelihood, seed=seed)

    def save(self, folder: str | Path) -> Path:
        """Write arrays (npz) and JSON to a folder, made if need be; return it."""
        from nlbprob.posterior import store

        return store.save(self, Path(folder))

    @staticmethod
    def load(folder: str | Path, model: Model | Callable | None = None) -> "Posterior":
        """Read what `save` wrote. `model` is needed only where it was a NumPyro function, or used blocks or priors that
        are not nlbprob's.
        """
        from nlbprob.posterior import store

        return store.load(Path(folder), model)


@program("model", "context")
def derive(model: Model, context: Context, values: dict) -> Parameters:
    """The parameters at given site values."""
    return parameters_at(model, context, values)


@program("model", "context")
def derive_each(model: Model, context: Context, draws: dict) -> Parameters:
    """The parameters at each draw of the sites [sample, ...]."""
    return jax.lax.map(lambda values: parameters_at(model, context, values), draws)
