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
    return between(1, math.sqrt(neurons_of_a_session(trials) * minutes), MOST_OF_DYNAMICS)


def of_processes(trials: "Trials") -> int:
    """sqrt(neurons of a session), at most 24: the state of a process is several times as long as its latents."""
    return between(1, math.sqrt(neurons_of_a_session(trials)), MOST_OF_PROCESSES)


def of_trajectories(trials: "Trials") -> int:
    """0.8 sqrt(neurons), at most 10."""
    return between(1, 0.8 * math.sqrt(trials.n_neurons), MOST_OF_TRAJECTORIES)


def between(fewest: int, number: float, most: int) -> int:
    """The nearest whole number from `fewest` to `most`."""
    return min(most, max(fewest, round(number)))
