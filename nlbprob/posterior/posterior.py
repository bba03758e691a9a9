"""The result of a fit: the posterior of the parameters, and of any trial's trajectory given its seen counts."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nlbprob.arguments import checked_keywords
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.model import Model
from nlbprob.posterior import embed, labelled, predict, sampling
from nlbprob.posterior.adapting import Adapting
from nlbprob.posterior.readings import Readings

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials


#: The attributes that other modules read; completion leaves them out.
INTERNAL = {"centre", "check", "has_width", "own_loadings"}


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Posterior(Readings, Adapting):
    """The fitted model.

    Latents are given in a canonical basis: orthogonal directions of the loadings, ordered by the variance of the
    predictors that they explain, the largest loading positive; or in that of another fit, `basis`, see `nlbprob.align`.
    `rotation` [latent, latent] leads from the model's basis to it. All draws have one rotation: they are around one
    mode, and rotating each towards the centre would only add the noise of its loadings to its dynamics.

    Attributes:
        model: the model that was fitted.
        context: facts of its training data.
        values: each parameter site at the centre of its posterior, and a count readout (see `SqrtGaussian`).
        draws: the same [sample, ...], drawn from the posterior.
        neuron_ids: the neurons, in the order of the loadings.
        history: columns "stage", "iteration", "elbo" (nats, all training trials) and "seconds".
        config: the settings of the fit, as JSON takes them.
        basis: `rotation` of a fit that was aligned with another; None for the canonical basis.
    """

    def __dir__(self):
        return [name for name in super().__dir__() if name not in INTERNAL]

    def __repr__(self) -> str:
        return (
            f"Posterior: {self.model.dim} latents, {len(self.neuron_ids)} neurons, bins of {self.context.bin_ms:g} ms; "
            f"parameters {self.config['posterior']!r}, {self._bound}\n{self.verdict}"
        )

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
            (trial, time, neuron), spikes/bin, of the neurons of the trials. Its coordinates `saw_heldout` and
            `saw_forward` say of each trial whether its held-out neurons, its forward window were seen.

        Raises:
            InputError: the trials are not of this recording.
        """
        check_trials(trials, "Posterior")
        extended = predict.extend(trials, beyond_ms)
        all_neurons, neurons = embed.embedded(self, extended)
        return predict.labeled(predict.rates(self, all_neurons, causal)[..., neurons], extended)

    def latents(self, trials: "Trials", causal: bool = False) -> "xarray.Dataset":
        """The posterior of the canonical latents, given only the entries that are `seen`.

        Args:
            trials: as for `rates`.
            causal: as for `rates`.

        Returns:
            "mean" [trial, time, latent] and "covariance" [trial, time, latent, latent_2].

        Raises:
            InputError: the trials are not of this recording.
        """
        return predict.latents(self, embed.embedded(self, trials).trials, causal)

    def rates_and_latents(self, trials: "Trials") -> "tuple[xarray.DataArray, xarray.Dataset]":
        """What `rates` and `latents` return, in the time of one of them: trajectories are inferred once.

        Args:
            trials: as for `rates`.

        Returns:
            Rates and latents.
        """
        all_neurons, neurons = embed.embedded(self, trials)
        chunks = list(predict.by_chunk(self, all_neurons, causal=False))
        rates = predict.labeled(predict.rates(self, all_neurons, False, chunks)[..., neurons], trials)
        return rates, predict.latents(self, all_neurons, False, chunks)

    def components(self, trials: "Trials") -> "xarray.DataArray":
        """The probability of each template in each trial, given the entries that are `seen`.

        Args:
            trials: as for `rates`.

        Returns:
            p(component | seen counts) [trial, component].

        Raises:
            InputError: the model has no templates.
        """
        all_neurons = embed.embedded(self, trials).trials
        if self.model.templates is None:
            raise InputError("components: the model has no templates.")
        return predict.components(self, all_neurons)

    def regimes(self, trials: "Trials") -> "xarray.Dataset":
        """The probability of each regime in each bin, given the entries that are `seen`.

        Args:
            trials: as for `rates`.

        Returns:
            p(regime | seen counts) of each block that switches, by its name [trial, time, NAME_regime].

        Raises:
            InputError: no block of the model switches.
        """
        all_neurons = embed.embedded(self, trials).trials
        if not any(block.n_regimes for block in self.model.chains):
            raise InputError("regimes: no block of the model switches.")
        return predict.regimes(self, all_neurons)

    def sample_latents(self, trials: "Trials", draws: int = 200, seed: int = 0) -> "xarray.DataArray":
        """Draw trajectories from their posterior; parameters vary from draw to draw.

        Args:
            trials: as for `rates`.
            draws: number of draws.
            seed: of the draws.

        Returns:
            Canonical latents [sample, trial, time, latent].
        """
        return sampling.trajectories(self, trials, draws, seed)

    def parameter_sites(self, draws: int = 200, seed: int = 0) -> dict[str, np.ndarray]:
        """Draws of the parameter sites, in the model's own basis.

        Args:
            draws: number of draws; with replacement where it exceeds those that are kept.
            seed: of the choice.

        Returns:
            Arrays [sample, ...] by site.
        """
        return {name: value[self._rows(draws, seed)] for name, value in self.draws.items()}

    def parameters(self, draws: int = 200, seed: int = 0) -> "xarray.Dataset":
        """Draws of interpretable parameters in the canonical basis, with labelled axes.

        Args:
            draws: number of draws; with replacement where it exceeds those that are kept.
            seed: of the choice.

        Returns:
            By name "loadings" [sample, neuron, latent], "baseline" [sample, neuron], "transition_matrix", ..., those of
            the observation, and the sites of the blocks, such as "lds.decay_ms". `parameter_draws` gives the arrays.
        """
        return labelled.parameters(self, draws, seed)

    def dynamics(self, draws: int = 200, seed: int = 0) -> "xarray.Dataset":
        """Modes of the dynamics with uncertainty; see `nlbprob.posterior.mode_draws.modes`.

        Args:
            draws: number of draws of the parameters.
            seed: of the draws.

        Returns:
            "frequency_hz", "decay_ms" and "modulus" [sample, mode], the "loading" of each neuron on each mode [sample,
            mode, neuron], and their values at the centre, "mean_...", without sample; the modes numbered from 1
            (`.sel(mode=1)`); after `nlbprob.replicate` "recurs_in" [mode], in how many of
            the `attrs["fits"]` other fits each came again.

        Raises:
            InputError: no block has a transition matrix of its own.
        """
        from nlbprob.posterior.mode_draws import modes_of

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
        """Write the tree of `to_arviz` to a compressed netCDF file, piece by piece; `xarray.open_datatree` reads it.

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
        """Write the posterior as arrays (npz) and JSON.

        Args:
            folder: where to write; it is made if it does not exist.

        Returns:
            The folder.
        """
        from nlbprob.posterior import store

        return store.save(self, store.place(folder, "save"))

    @staticmethod
    def load(folder: str | Path, model: Model | Callable | None = None) -> "Posterior":
        """Read what `save` wrote.

        Args:
            folder: where it was written.
            model: the model; needed only where it was a NumPyro function, or has blocks or priors that are not
                nlbprob's.

        Raises:
            InputError: there is no posterior, it is damaged, or it is of another model.
        """
        from nlbprob.posterior import store

        return Posterior(**store.load(store.place(folder, "load"), model))
