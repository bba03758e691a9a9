"""How many latents blocks have where none is given: more where there are more neurons, and more time to learn from."""

import math
from typing import TYPE_CHECKING

from nlbprob.data.stitch import neurons_of_a_session

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: The largest default number of latents of dynamics, of Gaussian processes, and of trajectories of templates.
MOST_OF_DYNAMICS, MOST_OF_PROCESSES, MOST_OF_TRAJECTORIES = 32, 24, 10


def of_dynamics(trials: "Trials") -> int:
    """sqrt(neurons of a session x minutes of spikes seen, from one minute on), at most 32; forecasts are no time."""
    seconds = trials.seen[:, : trials.window_bins].any(-1).sum() * trials.bin_ms / 1000
    minutes = max(1.0, seconds / 60)
    return at_most(MOST_OF_DYNAMICS, math.sqrt(neurons_of_a_session(trials) * minutes))


def of_processes(trials: "Trials") -> int:
    """sqrt(neurons of a session), at most 24: the state of a process is several times as long as its latents."""
    return at_most(MOST_OF_PROCESSES, math.sqrt(neurons_of_a_session(trials)))


def of_trajectories(trials: "Trials") -> int:
    """0.8 sqrt(neurons), at most 10."""
    return at_most(MOST_OF_TRAJECTORIES, 0.8 * math.sqrt(trials.n_neurons))


def at_most(most: int, number: float) -> int:
    """The nearest whole number from 1 to `most`."""
    return min(most, max(1, round(number)))
