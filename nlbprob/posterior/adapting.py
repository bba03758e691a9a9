"""A fit taken to neurons and sessions that it has not seen."""

from typing import TYPE_CHECKING

from nlbprob.arguments import checked_keywords
from nlbprob.posterior import new_neurons
from nlbprob.posterior.fitted import FittedModel

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior


class Adapting(FittedModel):
    """The methods of `Posterior` that take a fit to other neurons and sessions."""

    @checked_keywords
    def add_neurons(self, trials: "Trials", seed: int = 0, progress: bool = True) -> "Posterior":
        """The posterior with the neurons that the trials have besides those of the fit; all else stays as it is.

        Variational EM moves the baselines and loadings of the new neurons, and their own parameters of the observation,
        alone: the trajectories are inferred from old and new neurons, and the expected log likelihood is integrated
        over them. The covariance of each new readout is that of a fit (see `nlbprob.infer.vi.widths`).

        Args:
            trials: of all neurons of the fit and of new ones, to learn the new ones from; in the result the neurons
                have the order of the trials.
            seed: of the draws of the new readouts.
            progress: show a progress bar where it takes longer than two seconds.

        Returns:
            A posterior with these neurons and the same latents.

        Raises:
            InputError: a neuron of the fit is not in the trials or none is new, bin widths differ, or the model has
                effects or a readout of its own.
        """
        return new_neurons.add_neurons(self._posterior, trials, seed, progress)

    @checked_keywords
    def transfer(self, trials: "Trials", seed: int = 0, progress: bool = True) -> "Posterior":
        """The posterior of another session: other neurons that read latents with the same dynamics.

        Dynamics, and all other parameters that are not of neurons, stay as they are, with their draws. The session's
        principal components are turned until they move like the latents of this fit, from bin to bin and on average
        over trials of a condition (see `nlbprob.infer.start.sessions`), and variational EM learns baselines and
        loadings from there. Where nothing else ties the sessions together, a latent may have the other sign, see
        `nlb.stitch`. To adapt the dynamics, too, go on from the result: `nlb.fit(model, trials, init=transferred)`.

        Args:
            trials: of the other session, to learn from, with bins of the same width.
            seed: of the search for the turn, and of the draws of the readouts.
            progress: show a progress bar where it takes longer than two seconds.

        Returns:
            A posterior of the session's neurons, its latents in the basis of this one.

        Raises:
            InputError: bin widths differ, there are fewer neurons than latents, or the model has effects or a readout
                of its own.
        """
        return new_neurons.transfer(self._posterior, trials, seed, progress)
