"""Posterior predictive checks: are counts drawn from the fitted model like those that were recorded?

Each check compares a statistic of the recorded counts with the same statistic of the draws in the group
"posterior_predictive" of `Posterior.to_arviz`, over the entries that are seen. The draws share each trial's inferred
trajectory with the data, so that intervals are, if anything, too wide: the model does not explain statistics outside
of them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from nlbprob.arguments import checked_keywords, named, real_number
from nlbprob.data.conditions import joint_values
from nlbprob.errors import InputError

if TYPE_CHECKING:
    import xarray

STATISTICS = ("mean", "variance", "fano")


@checked_keywords
def check_counts(tree: "xarray.DataTree", interval: float = 0.9) -> "xarray.Dataset":
    """Mean, variance and Fano factor, variance / mean, over trials of each neuron's count in a trial.

    A Fano factor above `upper`: counts vary more than the model predicts; try NegativeBinomial, a trial gain, or more
    latents.

    Args:
        tree: from `posterior.to_arviz(trials)`.
        interval: probability of the central interval of the draws.

    Returns:
        "observed", "predicted" (mean over draws), "lower" and "upper" [statistic, neuron], statistic being "mean",
        "variance" and "fano"; NaN where a neuron is not seen in two trials, or has no spike.
    """
    check_tree(tree, "check_counts")
    return compared(tree, interval, dispersion, {"statistic": list(STATISTICS), "neuron": neurons(tree)})


@checked_keywords
def check_correlations(tree: "xarray.DataTree", interval: float = 0.9) -> "xarray.Dataset":
    """Pearson's correlation over trials of the counts of each pair of neurons, of trials in which both are seen.

    Correlations outside the interval: latents are missing.

    Args:
        tree: from `posterior.to_arviz(trials)`.
        interval: probability of the central interval of the draws.

    Returns:
        "observed", "predicted" (mean over draws), "lower" and "upper" [neuron, neuron_2]; NaN where a count is
        constant.
    """
    check_tree(tree, "check_correlations")
    return compared(tree, interval, correlation, {"neuron": neurons(tree), "neuron_2": neurons(tree)})


@checked_keywords
def check_psths(tree: "xarray.DataTree", interval: float = 0.9) -> "xarray.Dataset":
    """The peri-stimulus time histogram: mean count in each bin over the trials of each condition, spikes/bin.

    Args:
        tree: from `posterior.to_arviz(trials)`.
        interval: probability of the central interval of the draws.

    Returns:
        "observed", "predicted" (mean over draws), "lower" and "upper" [condition, time, neuron]; NaN where nothing is
        seen.

    Raises:
        InputError: the trials had no conditions.
    """
    check_tree(tree, "check_psths")
    constant = group(tree, "constant_data")
    columns = [constant[n].values for n in constant.data_vars if constant[n].dims == ("trial",) and n != "split"]
    if not columns:
        raise InputError("check_psths: the trials had no condition; name the columns that are, load(condition=...).")
    index, labels = joint_values(columns, constant.sizes["trial"])

    def psth(counts, seen):
        total, number = (np.stack([a[index == c].sum(0) for c in range(len(labels))]) for a in (counts, seen))
        return divided(total, number)

    coords = {"condition": labels, "time": constant["time"].values, "neuron": neurons(tree)}
    return compared(tree, interval, psth, coords)


def check_tree(tree: Any, caller: str) -> None:
    """Raise InputError unless it is a tree of groups."""
    if not hasattr(tree, "children"):
        raise InputError(f"{named(caller, 'tree', tree)}: give what posterior.to_arviz(trials) returned.")


def group(tree: "xarray.DataTree", name: str) -> "xarray.Dataset":
    """A group of the tree. Raises InputError where there is none."""
    if name not in getattr(tree, "children", ()):
        raise InputError(f"The tree has no group {name}; make it by posterior.to_arviz(trials).")
    return tree.children[name].to_dataset()


def neurons(tree: "xarray.DataTree") -> np.ndarray:
    """The neurons' ids."""
    return group(tree, "constant_data")["neuron"].values


def compared(
    tree: "xarray.DataTree", interval: float, statistic: Callable[[Any, Any], np.ndarray], coords: dict[str, Any]
) -> "xarray.Dataset":
    """A statistic of (counts, seen) [trial, time, neuron], of the recorded counts and of each draw."""
    import xarray

    interval = real_number(interval, "check", "interval", above=0, below=1)
    seen, drawn = group(tree, "constant_data")["seen"].values, group(tree, "posterior_predictive")["spikes"].values

    def of(entries) -> np.ndarray:
        counts = np.zeros(seen.shape)
        counts[seen] = entries
        return statistic(counts, seen)

    values = np.stack([of(draw) for chain in drawn for draw in chain])
    ends = np.quantile(values, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
    result = {"observed": of(group(tree, "observed_data")["spikes"].values), "predicted": values.mean(0)}
    result |= {"lower": ends[0], "upper": ends[1]}
    dims = tuple(coords)
    return xarray.Dataset({name: (dims, v) for name, v in result.items()}, coords, {"interval": interval})


def divided(a, b) -> np.ndarray:
    """a / b, NaN where b is zero."""
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b > 0)


def dispersion(
    counts: Float[np.ndarray, "trial time neuron"], seen: Bool[np.ndarray, "trial time neuron"]
) -> Float[np.ndarray, "statistic neuron"]:
    """Mean, variance and Fano factor of the counts of trials in which the neuron is seen."""
    seen_trials, total = seen.any(1), counts.sum(1)
    number = seen_trials.sum(0)
    mean = divided(total.sum(0), number)
    variance = divided((seen_trials * (total - mean) ** 2).sum(0), number - 1.0)
    return np.stack([mean, variance, divided(variance, mean)])


def correlation(
    counts: Float[np.ndarray, "trial time neuron"], seen: Bool[np.ndarray, "trial time neuron"]
) -> Float[np.ndarray, "neuron neuron_2"]:
    """Correlation of each pair's trial counts over the trials in which both are seen."""
    seen_trials, total = seen.any(1).astype(float), counts.sum(1)
    number, sums = seen_trials.T @ seen_trials, total.T @ seen_trials
    variance = number * ((total**2).T @ seen_trials) - sums**2
    return divided(number * (total.T @ total) - sums * sums.T, np.sqrt(variance * variance.T))
