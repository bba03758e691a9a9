"""What a fit found, one call each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nlbprob.arguments import checked_keywords
from nlbprob.posterior import (
    angles,
    contributions,
    decoder,
    flow_field,
    orthonormal,
    switching,
    timescales,
    trial_factors,
    tuning,
)
from nlbprob.posterior.fitted import FittedModel

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.decoder import Decoder


class Readings(FittedModel):
    """The methods of `Posterior` that interpret a fit."""

    @checked_keywords
    def contributions(
        self,
        trials: "Trials",
        on: str | Sequence[str] = "val",
        bootstrap: int = 1000,
        seed: int = 0,
        progress: bool = True,
    ) -> "xarray.Dataset":
        """co-bps divided among the blocks and effects of the model, and among its latents.

        Nothing is fitted or inferred again: the latents are those inferred from held-in neurons with the whole model,
        and a part is weakened by moving it towards its average over all bins. With v(s) the bits per spike of held-out
        neurons when all parts have the strength s in [0, 1], and each neuron's rates are scaled to its mean count, the
        share of part j is the integral of dv / ds_j over s from 0 to 1 (Aumann and Shapley 1974, Values of Non-Atomic
        Games; Sundararajan et al. 2017, arXiv 1703.01365). v(0) = 0. The shares of a block's latents sum to its own,
        and those of all blocks and effects, with what is lost where mean rates are predicted wrongly, to the score.
        What two parts predict together is divided between them; leaving out one of them loses all of it, or none where
        each could do alone, so that losses do not sum to the score.

        Args:
            trials: with the held-out counts seen, as `nlb.score` takes them.
            on: the split or splits to predict and to score.
            bootstrap: resamples of the trials for the intervals; 0 for none.
            seed: of the resamples.
            progress: show a progress bar where it takes longer than two seconds.

        Returns:
            Of each block and effect [part]: "bits", its share, the last part being "mean rate"; "lost", how much lower
            the score is without it (both bits/spike); "variance", the fraction of the variance of held-out neurons'
            predictors. Of each latent [latent] "latent_bits", "latent_lost" and "latent_variance". "score", the co-bps.
            The ends of each 90% interval over trials, the model as it is, are "bits_low", "bits_high" and so on; those
            of differences are of trials in pairs (see `nlbprob.scoring.bootstrap.interval`).

        Raises:
            InputError: the trials are not of this recording, no split has the name, or no held-out spike is seen.
        """
        return contributions.contributions(self._posterior, trials, on, bootstrap, seed, progress)

    @checked_keywords
    def flow(
        self,
        latents: Sequence[int] = (0, 1),
        reach: float | int = 2.5,
        points: int = 15,
        draws: int = 200,
        seed: int = 0,
    ) -> "xarray.Dataset":
        """The flow of the dynamics in a plane of two latents, with the fixed points and their stability.

        Where dynamics add f(x) to the state in a bin, as (A - I) x + b does, the flow is f(x) / bin. The other latents
        of the block, and inputs, stand at zero.

        Args:
            latents: positions of two canonical latents of one block.
            reach: how far the plane goes from zero; latents have standard deviations of about 1.
            points: along each axis.
            draws: number of draws of the parameters, for the uncertainty.
            seed: of the draws.

        Returns:
            "velocity" and its standard deviation "velocity_sd" [regime, y, x, axis] in 1/s (latents have no
            unit); "regime" has length 1 where dynamics do not switch. The fixed points of f anywhere in the block's
            latents: "fixed_point" [regime, point, latent], NaN where a regime has fewer; for each eigenvalue
            [eigenvalue] of the dynamics linearised there "decay_ms" (negative: it grows) and "frequency_hz"; "stable",
            whether all decay, and "probability_stable", the fraction of draws in which they do.

        Raises:
            InputError: these are not two latents of one block whose state has a flow that does not change in time.
        """
        return flow_field.flow(self._posterior, latents, reach, points, draws, seed)

    @checked_keywords
    def decoder(
        self,
        trials: "Trials",
        fit: str | Sequence[str] = "train",
        features: str = "latents",
        causal: bool = False,
    ) -> "Decoder":
        """A linear decoder of behavior from the latents or rates inferred from what is seen, with intervals.

        See `nlbprob.posterior.decoder.Decoder`.

        Args:
            trials: with behavior.
            fit: the split or splits to learn from.
            features: "latents" or "rates".
            causal: whether each bin is decoded from what is seen up to and including it.

        Returns:
            The decoder; its `predict` takes any trials of this recording.

        Raises:
            InputError: the trials are not of this recording, have no behavior, or too few of them have it.
        """
        return decoder.learned(self._posterior, trials, fit, features, causal)

    @checked_keywords
    def switching(
        self,
        trials: "Trials",
        event: Any = None,
        block: str | None = None,
        draws: int = 100,
        seed: int = 0,
    ) -> "xarray.Dataset":
        """How long regimes last, which follows which, when they come relative to an event, and how each moves.

        All is counted in paths of regimes that are drawn from their posterior, and so has its uncertainty. How long
        regime i lasts is bin x (bins in i) / (switches out of i), the estimate of maximum likelihood for stays that the
        ends of trials may cut; it is infinite where no draw of a trial leaves i.

        Args:
            trials: whose regimes are inferred from what is seen of them.
            event: a column of `trials.table` with times in s on the clock of the recording, or the time of each trial's
                event in ms as `trials.time_ms`, NaN where it has none; None for the time in the trial.
            block: the block that switches; needed where several do.
            draws: number of draws of the parameters and of every path.
            seed: of the draws.

        Returns:
            "occupancy", the fraction of bins in each regime, and "dwell_ms" [sample, regime]; "next_probability"
            [sample, regime, next_regime], where switches out of a regime lead, NaN where none does; "frequency_hz" and
            "decay_ms" of the dynamics inside each regime [sample, regime, mode]; and, over trials, "probability" of
            each regime and "entry_hz", how often it is entered [sample, regime, lag], the lag from the bin of the event
            in ms where at least half of the trials with an event have a bin. Regimes are numbered from 1.

        Raises:
            InputError: no block switches, there is no such column, the event lies in no trial, or the trials are not of
                this recording.
        """
        return switching.switching(self._posterior, trials, event, block, draws, seed)

    @checked_keywords
    def tuning(
        self,
        trials: "Trials",
        columns: str | Sequence[str] | None = None,
        permutations: int = 500,
        seed: int = 0,
    ) -> "xarray.Dataset":
        """How much of each latent's variance over trials the variables of a task explain.

        For each variable and time bin, latents are regressed on it over the trials: on its values as categories where
        these are text, truth values or at most ten numbers, else linearly. The fraction is the sum of squares
        explained over that about the mean of all trials, both summed over bins. A variable of noise explains "chance",
        the mean over permutations of its values among trials, which also give p = (1 + #{permuted >= fraction}) /
        (1 + permutations).

        Args:
            trials: whose latents are inferred from what is seen of them.
            columns: of `trials.table`; None takes those that make up the condition.
            permutations: of the trials, 0 for none.
            seed: of the permutations.

        Returns:
            "fraction", "chance" and "p" [variable, latent], and "fraction_by_time" [variable, latent, time].

        Raises:
            InputError: there is no such column, it has no two values, or the trials are not of this recording.
        """
        return tuning.tuning(self._posterior, trials, columns, permutations, seed)

    @checked_keywords
    def subspace_angles(
        self,
        trials: "Trials | None" = None,
        between: str = "block",
        dim: int | None = None,
        draws: int = 100,
        seed: int = 0,
    ) -> "xarray.Dataset":
        """Principal angles between the subspaces of blocks, of areas or sessions, or of conditions.

        - "block": what each block moves, the span of its loadings [neuron, latent] in the space of neurons. At 90
          degrees no pattern of rates can come from both.
        - a column of `trials.neurons`, such as "area" or "session": which latents each group of neurons reads, the
          leading directions of its loadings in the space of latents.
        - "condition": where trials of each condition go, the leading directions of their average latents about their
          mean over time, in the space of latents.

        For two fits, such as of halves of the trials, see `nlb.subspace_angles`.

        Args:
            trials: whose neurons, or conditions, these are; not needed for blocks.
            between: "block", "condition" or a column of `trials.neurons`.
            dim: of each subspace; by default the block's number of latents, else 2.
            draws: number of draws of the parameters (of trajectories, for conditions) for the intervals.
            seed: of the draws.

        Returns:
            See `nlb.subspace_angles`.

        Raises:
            InputError: there is no such column, fewer than two groups, or `dim` is too large.
        """
        return angles.of_posterior(self._posterior, trials, between, dim, draws, seed)

    @checked_keywords
    def factors(self, trials: "Trials") -> "xarray.Dataset":
        """The few numbers of each trial in blocks of `TrialFactors`, given the entries that are `seen`.

        Args:
            trials: as for `rates`.

        Returns:
            By the block's NAME: the posterior mean of z, NAME [trial, NAME_factor], "NAME_covariance" [trial,
            NAME_factor, NAME_factor_2], and "NAME_trajectories" [NAME_factor, time, latent], mu_j(t) in the canonical
            latents: the latents are sum_j z_j mu_j(t), and what other blocks add.

        Raises:
            InputError: the model has no such block, or the trials are not of this recording.
        """
        return trial_factors.factors(self._posterior, trials)

    @checked_keywords
    def timescales(self, draws: int = 200, seed: int = 0) -> "xarray.Dataset":
        """Lengthscales and periods of GPs, decay times of latents that only decay: timescales that are no modes.

        Args:
            draws: number of draws of the parameters.
            seed: of the choice.

        Returns:
            "value" [sample, timescale], with the "units" and the "block" of each; a timescale is called by its site
            and its place there, "gp.lengthscale_ms[gp 1]".

        Raises:
            InputError: no block has such a timescale.
        """
        return timescales.timescales(self._posterior, draws, seed)

    @checked_keywords
    def orthonormal_latents(self, trials: "Trials") -> "xarray.Dataset":
        """Latents along orthonormal directions in the space of neurons, the one with the most variance first.

        With the singular value decomposition C = U D V' of the loadings of all blocks they are D V'x (Yu et al. 2009,
        J. Neurophysiol. 102, 614): their distances are those of the neurons' predictors. They mix blocks; canonical
        latents, which `latents` gives, do not.

        Args:
            trials: as for `rates`.

        Returns:
            "mean" [trial, time, direction] and "covariance" [trial, time, direction, direction_2], in units of the
            predictor; "directions" U [neuron, direction]; "variance" [direction], the fraction of the predictors'
            variance by the model, D^2 / sum D^2; the number of latents used, "used" = (sum D^2)^2 / sum D^4.

        Raises:
            InputError: the trials are not of this recording.
        """
        return orthonormal.orthonormal_latents(self._posterior, trials)
