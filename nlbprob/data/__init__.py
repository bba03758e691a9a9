"""Files and arrays to `Trials`: spikes in bins, and which of them were seen."""

from nlbprob.data.nwb import load
from nlbprob.data.trials import Trials

__all__ = ["Trials", "load"]
