"""The data sets of the Neural Latents Benchmark 2021: from NWB files to the benchmark's tensors and to `Trials`."""

from nlbprob.data.nlb.facts import DATASETS, Dataset, facts, splits, suffix
from nlbprob.data.nlb.hdf5 import write_h5, write_tensors
from nlbprob.data.nlb.load import load_dataset
from nlbprob.data.nlb.resampled import Resampled, resample
from nlbprob.data.nlb.session import Session, read
from nlbprob.data.nlb.tensors import eval_inputs, targets, train_inputs

__all__ = [
    "DATASETS",
    "Dataset",
    "Resampled",
    "Session",
    "eval_inputs",
    "facts",
    "load_dataset",
    "read",
    "resample",
    "splits",
    "suffix",
    "targets",
    "train_inputs",
    "write_h5",
    "write_tensors",
]
