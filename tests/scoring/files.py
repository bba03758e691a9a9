"""Small submissions, inputs and targets of the benchmark's form, drawn from known rates."""

import h5py
import numpy as np

from nlbprob.data.nlb.facts import FORWARD_MS, facts
from nlbprob.scoring.groups import GROUPS


def draw(group: str = "mc_maze_20", trials=(12, 10), neurons=(8, 6), seed=0, phase="val"):
    """(rates, inputs, targets) of one group: arrays by key. Latents differ by trial, so the order of trials shows."""
    dataset, bin_ms = GROUPS[group]
    first, last = facts(dataset).window_ms
    bins, forward = (last - first) // bin_ms, FORWARD_MS // bin_ms
    generator = np.random.default_rng(seed)
    loadings, offsets = generator.normal(size=(2, sum(neurons))), generator.normal(size=sum(neurons)) - 0.5
    rates, inputs, targets = {}, {}, {}
    for part, number in zip(("train", "eval"), trials, strict=True):
        walk = generator.normal(size=(number, bins + forward, 2)).cumsum(axis=1)
        latents = (walk - walk.mean(axis=1, keepdims=True)) / walk.std(axis=(0, 1))
        expected = np.exp(0.8 * latents @ loadings + offsets)
        counts = generator.poisson(expected).astype(np.float32)
        for mask, own in (("heldin", slice(0, neurons[0])), ("heldout", slice(neurons[0], None))):
            rates[f"{part}_rates_{mask}"] = expected[:, :bins, own].astype(np.float32)
            inputs[f"{part}_spikes_{mask}"] = counts[:, :bins, own]
            if part == "eval":
                rates[f"eval_rates_{mask}_forward"] = expected[:, bins:, own].astype(np.float32)
                targets[f"eval_spikes_{mask}_forward"] = counts[:, bins:, own]
        targets[f"{part}_behavior"] = (latents[:, :bins] + 0.3 * generator.normal(size=(number, bins, 2))).astype("f4")
    targets["eval_spikes_heldout"] = inputs["eval_spikes_heldout"]
    complete(targets, rates, dataset, generator)
    if phase == "test":
        del inputs["eval_spikes_heldout"]
    return rates, inputs, targets


def complete(targets, rates, dataset, generator):
    """Give the targets what the data set has beside spikes and velocity: an interval, decoders, a PSTH."""
    if dataset == "dmfc_rsg":
        timed(targets, generator)
    elif dataset == "area2_bump":
        for part in ("train", "eval"):
            number = len(targets[f"{part}_behavior"])
            targets[f"{part}_decode_mask"] = (np.arange(number) % 2)[:, None] == [0, 1]
    if dataset != "mc_rtt":
        both = np.concatenate([rates["eval_rates_heldin"], rates["eval_rates_heldout"]], axis=2)
        members = np.empty(3, dtype=object)
        members[:] = [np.arange(4), np.array([], dtype=int), np.arange(4, len(both))]
        targets["eval_cond_idx"] = members
        targets["psth"] = np.stack([both[own].mean(axis=0) if len(own) else both[0] for own in members]).astype("f4")
        targets["psth"] *= np.linspace(0.8, 1.2, both.shape[1])[:, None]
        targets["psth"][:, :5] = np.nan if dataset == "dmfc_rsg" else targets["psth"][:, :5]


def truth(group, rates, seed=0):
    """The targets of one group, drawn from the rates of a submission as if they were true."""
    dataset, _ = GROUPS[group]
    generator = np.random.default_rng(seed)
    names = {key: key.replace("_rates_", "_spikes_") for key in rates if key.startswith("eval")}
    targets = {name: generator.poisson(rates[key]).astype(np.float32) for key, name in names.items()}
    del targets["eval_spikes_heldin"]
    neurons = sum(rates[f"eval_rates_{mask}"].shape[2] for mask in ("heldin", "heldout"))
    weights = generator.normal(size=(neurons, 2))
    for part in ("train", "eval"):
        velocity = (
            np.log(np.concatenate([rates[f"{part}_rates_{mask}"] for mask in ("heldin", "heldout")], 2)) @ weights
        )
        targets[f"{part}_behavior"] = velocity + generator.normal(size=velocity.shape)
    complete(targets, rates, dataset, generator)
    return targets


def timed(targets, generator):
    """Make the targets those of an interval: no count before it, behavior one row a trial, in groups of three."""
    targets["eval_spikes_heldout"] = targets["eval_spikes_heldout"].copy()
    for trial, bins in enumerate(targets["eval_spikes_heldout"]):
        bins[: 5 + trial] = np.nan
    for part in ("train", "eval"):
        number = len(targets[f"{part}_behavior"])
        columns = [np.arange(number) // 3, np.zeros(number), np.ones(number), np.full(number, 800.0)]
        targets[f"{part}_behavior"] = np.column_stack([*columns, generator.normal(800, 50, size=number)])
    targets["eval_jitter"] = np.arange(len(targets["eval_behavior"])) % 3
    targets["eval_behavior"][-2] = np.nan


def write(path, groups):
    """Write {group: {key: array}}, or {key: array}, as HDF5."""
    with h5py.File(path, "w") as file:
        for name, arrays in groups.items():
            if not isinstance(arrays, dict):
                file[name] = arrays
                continue
            for key, values in arrays.items():
                kind = h5py.vlen_dtype(np.int32) if values.dtype == object else None
                file.create_dataset(f"{name}/{key}", data=values, dtype=kind)
    return path
