"""Files and arrays to `Trials`: spikes in bins, and which of them were seen."""

from collections.abc import Callable
from typing import cast

from nlbprob.data.convert import from_arrays, from_spike_times
from nlbprob.data.labeled import from_xarray, neurons_dataframe, to_dataframe, to_xarray
from nlbprob.data.neighbours.export import to_pynapple
from nlbprob.data.nwb import load
from nlbprob.data.trials import Trials

__all__ = ["Trials", "load"]

# `Trials` is data alone and knows none of these functions, so that imports go one way. Users find them on the class,
# where its body declares them for type checkers.
for function in (from_arrays, from_spike_times, from_xarray):
    setattr(Trials, function.__name__, staticmethod(cast("Callable", function)))
for function in (to_dataframe, neurons_dataframe, to_xarray, to_pynapple):
    setattr(Trials, function.__name__, function)
del function
