"""What a fit leaves: parameters with their uncertainty, and the posterior of any trial's trajectory given what is
seen.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float

from nlbprob.arguments import checked_keywords, seed_number, whole_number
from nlbprob.blocks.base import Context
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.model import Model, Parameters
from nlbprob.posterior import canonical, embed, predict, sampling
from nlbprob.posterior.embed import embedded

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials


#: What other parts of inference ask of a posterior; completion leaves it out.
INTERNAL = {"centre", "check", "has_width", "own_loadings"}


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """The fitted model.

    Latents are given in a canonical basis: orthogonal directions of the loadings, ordered by the variance of the
    predictors that they explain, the largest loading positive; or in that of another fit, `basis`, see `nlbprob.align`.
    `rotation` [latent, latent] leads from the model's basis to it. One rotation serves all draws: these are around one
    mode, and to turn each towards the centre would only add the noise of its loadings to its dynamics.

    Attributes:
        model: what was fitted.
        context: facts of its training data.
        values: each parameter site at the centre of its posterior.
        draws: sites [sample, ...] drawn from the posterior.
        neuron_ids: the neurons, in the order of the loadings.
        history: columns "stage", "iteration", "elbo" (nats, all training trials) and "seconds".
        config: the settings of the fit, as JSON takes them.
        basis: `rotation` of a fit that was aligned with another; None for the canonical basis.
    """

    model: Model
    context: Context
    values: dict[str, np.ndarray]
    draws: dict[str, np.ndarray]
    neuron_ids: np.ndarray
    history: dict[str, np.ndarray]
    config: dict[str, Any]
    basis: np.ndarray | None = None

    def __dir__(self):
        return [name for name in super().__dir__() if name not in INTERNAL]

    def __repr__(self) -> str:
        family, dim = self.config["posterior"], self.model.dim
        bound = f"ELBO {self.elbo[-1]:.1f} nats after {len(self.elbo)} iterations" if len(self.elbo) else "not iterated"
        return (
            f"Posterior: {dim} latents, {len(self.neuron_ids)} neurons, bins of {self.context.bin_ms:g} ms; "
            f"parameters {family!r}, {bound}\n{self.verdict}"
        )

    def __getstate__(self) -> dict[str, Any]:
        """All but what was compiled or derived, so that a posterior can be pickled and copied."""
        state = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return state | {"model": getattr(self.model, "function", self.model)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        model = state["model"]
        vars(self).update(state)
        if not isinstance(model, Model):  # what a function's runs showed is found out anew
            from nlbprob.functions.model import function_model

            vars(self)["model"] = function_model(model, self.context)

    @property
    def verdict(self) -> str:
        """Whether the fit has converged, and what has collapsed, in words, each with its remedy."""
        from nlbprob.posterior.diagnostics import verdict

        return verdict(self)

    @property
    def has_width(self) -> bool:
        """Whether the parameters are more than a point: whether their draws differ."""
        return any((draws[0] != draws[-1]).any() for draws in self.draws.values())

    @property
    def elbo(self) -> Float[np.ndarray, " step"]:
        """The bound after every iteration, nats, all training trials; noisy estimates from the SVI stage on."""
        return np.asarray(self.history["elbo"], float)

    @property
    def rotation(self) -> Float[np.ndarray, "latent latent"]:
        """The orthogonal matrix R of the canonical basis: canonical latents are R'x, canonical loadings C R.

        Latents are turned only inside a block that does not mind: dense dynamics, regimes, templates.
        """
        return self.basis if self.basis is not None else canonical.rotation(self.model, self.own_loadings)

    @property
    def own_loadings(self) -> Float[np.ndarray, "neuron latent"]:
        """The loadings C in the model's own basis, at the centre of their posterior."""
        names = self.model.readout.names
        return np.asarray(self.model.readout.loadings(self.values) if names else self.centre.loadings, float)

    @functools.cached_property
    def centre(self) -> Parameters:
        """The parameters at the centre of their posterior; see `canonical.centre`."""
        return canonical.centre(self)

    def check(self, trials: "Trials") -> None:
        """Raise InputError unless the trials are of the recording's neurons and bin width."""
        embed.check(self, trials)

    def rates(self, trials: "Trials", causal: bool = False, beyond_ms: float | int = 0) -> "xarray.DataArray":
        """Expected spikes per bin of every neuron and bin, given only the entries that are `seen`.

        r = E[y | seen] = E_q[link(c'x + d)], over x and over each neuron's c and d; dynamics are at their centre.

        Args:
            trials: to predict; they may be of one session of a stitched fit.
            causal: whether each bin is given what is seen up to and including it (filtering), for online use.
            beyond_ms: also predict the bins up to so many ms after the last.

        Returns:
            (trial, time, neuron), spikes/bin, of the neurons of the trials.

        Raises:
            InputError: the trials are not of this recording.
        """
        check_trials(trials, "Posterior")
        extended = predict.extend(trials, beyond_ms)
        whole, neurons = embedded(self, extended)
        return predict.labeled(predict.rates(self, whole, causal)[..., neurons], extended)

    def latents(self, trials: "Trials", causal: bool = False) -> "xarray.Dataset":
        """Posterior "mean" [trial, time, latent] and "covariance" [trial, time, latent, latent_2] of the canonical
        latents.
        """
        return predict.latents(self, embedded(self, trials).trials, causal)

    def rates_and_latents(self, trials: "Trials") -> "tuple[xarray.DataArray, xarray.Dataset]":
        """What `rates` and `latents` say of the trials, inferred once: this is what takes the time of either."""
        whole, neurons = embedded(self, trials)
        found = list(predict.by_chunk(self, whole, causal=False))
        rates = predict.labeled(predict.rates(self, whole, False, found)[..., neurons], trials)
        return rates, predict.latents(self, whole, False, found)

    def components(self, trials: "Trials") -> "xarray.DataArray":
        """p(component | what is seen) [trial, component], for a model with templates."""
        whole = embedded(self, trials).trials
        if self.model.templates is None:
            raise InputError("components: the model has no templates.")
        return predict.components(self, whole)

    def regimes(self, trials: "Trials") -> "xarray.Dataset":
        """p(regime | what is seen) of each block that switches, by its name [trial, time, NAME_regime]."""
        whole = embedded(self, trials).trials
        if not any(block.n_regimes for block in self.model.chains):
            raise InputError("regimes: no block of the model switches.")
        return predict.regimes(self, whole)

    def sample_latents(self, trials: "Trials", draws: int = 200, seed: int = 0) -> "xarray.DataArray":
        """Whole trajectories from the posterior [sample, trial, time, latent]; parameters vary from draw to draw."""
        return sampling.trajectories(self, trials, draws, seed)

    def parameter_sites(self, draws: int = 200, seed: int = 0) -> dict[str, np.ndarray]:
        """Draws of the parameter sites as the model defines them [sample, ...]; with replacement beyond those kept."""
        return {name: value[self._rows(draws, seed)] for name, value in self.draws.items()}

    def _rows(self, draws: int, seed: int) -> np.ndarray:
        kept = len(next(iter(self.draws.values())))
        draws, seed = whole_number(draws, "Posterior", "draws", 1), seed_number(seed, "Posterior")
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
        one = canonical.parameters(self, jax.tree.map(lambda a: a[None], self.centre._replace(uncertainty=None)))
        return {name: np.asarray(value) for name, value in self.values.items()} | {k: v[0] for k, v in one.items()}

    @functools.cached_property
    def _derived_draws(self) -> Parameters:
        return canonical.derived_draws(self)

    @functools.cached_property
    def _canonical_draws(self) -> dict[str, np.ndarray]:
        return canonical.parameters(self, self._derived_draws)

    def dynamics(self, draws: int = 200, seed: int = 0) -> "xarray.Dataset":
        """Modes of the dynamics with uncertainty; see `nlbprob.posterior.modes.modes_of`."""
        from nlbprob.posterior.modes import modes_of

        return modes_of(self, draws, seed)

    def to_arviz(
        self,
        trials: "Trials",
        draws: int = 200,
        log_likelihood: str = "neuron",
        seed: int = 0,
        latents: str = "draws",
        predictive: int | None = None,
        rates: int = 0,
    ) -> "xarray.DataTree":
        """The posterior as an ArviZ tree, in memory.

        Args:
            trials: of the neurons of the fit.
            draws: number of joint draws of parameters and trajectories.
            log_likelihood: of each "neuron" in each trial, of each "trial", or "full" for each count.
            seed: of the draws.
            latents: "draws", or "summary" for their mean and standard deviation.
            predictive: how many draws have counts, too; None for all.
            rates: how many draws have rates, too.

        Returns:
            The groups that `nlbprob.posterior.arviz.to_arviz` describes.

        Raises:
            InputError: the tree would exceed 1 GB, or the trials are not of this recording.
        """
        from nlbprob.posterior import arviz, joint

        contents = joint.chosen(draws, log_likelihood, latents, predictive, rates)
        return arviz.to_arviz(self, trials, contents, seed)

    def to_netcdf(
        self,
        path: str | Path,
        trials: "Trials",
        draws: int = 200,
        log_likelihood: str = "trial",
        seed: int = 0,
        latents: str = "summary",
        predictive: int = 4,
        rates: int | None = None,
    ) -> None:
        """Write what `to_arviz` gives to a compressed netCDF file, piece by piece; `xarray.open_datatree` reads it.

        By default it holds all draws of the parameters, the latents' means and standard deviations, the log likelihood
        of each trial, and a few draws of counts and rates.

        Args:
            path: the file, written as a whole.
            trials: of the neurons of the fit.
            draws: number of joint draws of parameters and trajectories.
            log_likelihood: "neuron", "trial" or "full", as `to_arviz` takes it.
            seed: of the draws.
            latents: "draws" or "summary", as `to_arviz` takes it.
            predictive: how many draws have counts, too.
            rates: how many draws have rates, too; None takes four, or fewer where these would take over 700 MB.

        Raises:
            InputError: the file would hold more than 4 GB, or the trials are not of this recording.
            nlbprob.files.WriteError: the system does not take the file.
        """
        from nlbprob.posterior import arviz, joint

        rates = arviz.few_rates(trials) if rates is None else rates
        arviz.write(self, path, trials, joint.chosen(draws, log_likelihood, latents, predictive, rates), seed)

    def save(self, folder: str | Path) -> Path:
        """Write arrays (npz) and JSON to a folder, made if need be; return it."""
        from nlbprob.posterior import store

        return store.save(self, store.place(folder, "save"))

    @staticmethod
    def load(folder: str | Path, model: Model | Callable | None = None) -> "Posterior":
        """Read what `save` wrote. `model` is needed only where it was a NumPyro function, or used blocks or priors that
        are not nlbprob's.
        """
        from nlbprob.posterior import store

        return Posterior(**store.load(store.place(folder, "load"), model))
