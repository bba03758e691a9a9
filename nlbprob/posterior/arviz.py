"""The posterior as an `xarray.DataTree` with ArviZ's groups, in memory or in a file, every dimension labelled."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlbprob import files
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.posterior import joint
from nlbprob.posterior.embed import Embedded, embedded
from nlbprob.posterior.joint import Contents, Variable
from nlbprob.posterior.labelled import choices, parameter_variables
from nlbprob.posterior.units import unit_of, with_units

if TYPE_CHECKING:
    import h5netcdf
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

#: The largest tree that is made, and the largest that is written, in bytes before compression.
LIMIT_BYTES, FILE_LIMIT_BYTES = 1_000_000_000, 4_000_000_000
#: Draws of counts and of rates in a file, and the most that the rates may take before compression, in bytes.
FEW_DRAWS, RATES_BYTES = 4, 700_000_000
#: Numbers in a chunk of a file, and how hard it is compressed.
CHUNK_NUMBERS, COMPRESSION = 1 << 18, {"compression": "gzip", "compression_opts": 4, "shuffle": True}
#: Binary digits of what takes the most space in a file: rates to 1%, latents to 0.4%, less than they vary by draw.
DIGITS = {("predictions", "rates"): 6, ("latents", "mean"): 7, ("latents", "std"): 7, ("posterior", "latents"): 7}
#: The groups, in order.
GROUPS = (
    *("posterior", "posterior_predictive", "log_likelihood", "sample_stats", "observed_data", "constant_data"),
    *("predictions", "latents"),
)


def to_arviz(posterior: "Posterior", trials: "Trials", contents: Contents, seed: int = 0) -> "xarray.DataTree":
    """Joint draws of parameters and trajectories given what is seen in the trials, in ArviZ's layout.

    Groups, all draws with the dimensions (chain, draw, ...), one chain:

    - posterior: parameters in the canonical basis, the blocks' sites, "latents" [trial, time, latent], the template of
      each trial and the regime of each bin where there are some, numbered from 1;
    - posterior_predictive: "spikes" [entry], drawn from the rates;
    - log_likelihood: "spikes", log p(y | x, theta) summed over the seen entries of each "pair" of trial and neuron
      ("neuron"), of each trial ("trial"), or not summed [entry] ("full");
    - observed_data: "spikes" [entry];
    - predictions: "rates", expected spikes per bin [trial, time, neuron], also of what is not seen;
    - latents: "mean" and "std" [trial, time, latent] over all draws;
    - constant_data: "seen" [trial, time, neuron], "bin_ms", "heldout", conditions, behavior;
    - sample_stats: "lp" (log p(y | x, theta) of all that is seen, nats) and the ELBO trace.

    What is not seen is absent: an entry is a bin of a neuron in a trial that is seen, a pair (trial, neuron) or a trial
    one in which anything is, and their coordinates "trial", "time" (ms) and "neuron" say which. They come in the order
    of `seen`, so that `whole[seen] = entries` puts them into place. Counts are signed whole numbers.

    Args:
        posterior: of a fit.
        trials: of the neurons of the fit.
        contents: which groups to make, and of how many draws.
        seed: of the draws.

    Raises:
        InputError: the tree would exceed 1 GB; the message names the option that shrinks it.
    """
    import xarray

    all_neurons = embedded(posterior, trials)
    tree_variables = joint.variables(posterior, trials, contents)
    check_size("to_arviz", tree_variables, contents, LIMIT_BYTES)
    arrays = {key: np.empty(variable.shape, variable.dtype) for key, variable in tree_variables.items()}

    def record(key, index, values):
        arrays[key][index] = values

    joint.fill(posterior, all_neurons, contents, seed, record, tree_variables)
    tree = {}
    for group, (variables, coords) in layout(posterior, trials, all_neurons, contents, seed, tree_variables).items():
        group_arrays = {
            name: (tree_variables[at, name].dims, array) for (at, name), array in arrays.items() if at == group
        }
        labels = {name: group_arrays.pop(name) for name in joint.CELLS if name in group_arrays}
        dataset = xarray.Dataset(variables | group_arrays, coords | labels, attributes(posterior))
        tree[f"/{group}"] = with_units(dataset, group)
    return xarray.DataTree.from_dict(tree)


def write(posterior: "Posterior", path: str | Path, trials: "Trials", contents: Contents, seed: int = 0) -> None:
    """Write the tree that `to_arviz` gives to a netCDF file, compressed, without ever holding all of it.

    Rates and latents are rounded, see `DIGITS`. The file is built in memory and then written as a whole: the
    HDF5 library would end the process where the disk is full.

    Raises:
        InputError: it would hold more than 4 GB before compression.
        nlbprob.files.WriteError: the system does not take the file; what was there stays.
    """
    import h5netcdf
    import xarray
    from xarray.backends import H5NetCDFStore

    all_neurons = embedded(posterior, trials)
    tree_variables = joint.variables(posterior, trials, contents)
    place = files.path_of(path, "to_netcdf", "path", "posterior.nc")
    check_size(place.name, tree_variables, contents, FILE_LIMIT_BYTES)
    memory = io.BytesIO()
    with h5netcdf.File(memory, "w") as file:
        for group, (variables, coords) in layout(
            posterior, trials, all_neurons, contents, seed, tree_variables
        ).items():
            dataset = with_units(xarray.Dataset(variables, coords, attributes(posterior)), group)
            small = {
                name: {"zlib": True, "complevel": 4}
                for name, variable in dataset.data_vars.items()
                if variable.ndim > 1
            }
            dataset.dump_to_store(H5NetCDFStore(file.create_group(group)), encoding=small)
        places = {key: allocated(file.groups[key[0]], key[1], variable) for key, variable in tree_variables.items()}

        def record(key, index, values):
            places[key][index] = rounded(values, DIGITS[key]) if key in DIGITS else values

        joint.fill(posterior, all_neurons, contents, seed, record, tree_variables)
    files.write_bytes(place, memory.getvalue())


def allocated(group: "h5netcdf.Group", name: str, variable: Variable) -> "h5netcdf.Variable":
    """A compressed variable of a group, to be filled, with dimensions that it lacks so far."""
    import h5py

    for dim, size in zip(variable.dims, variable.shape, strict=True):
        if dim not in group.dimensions:
            group.dimensions[dim] = size
    left, chunks = CHUNK_NUMBERS, []
    for size in reversed(variable.shape):
        chunks.insert(0, max(1, min(size, left)))
        left //= chunks[0]
    kind = variable.dtype
    stored = h5py.string_dtype() if kind.kind == "U" else np.dtype("i1") if kind.kind == "b" else kind
    options = COMPRESSION | {"chunks": tuple(chunks)} if all(variable.shape) else {}
    made = group.create_variable(name, variable.dims, stored, **options)
    made.attrs["units"] = unit_of(name, group.name.strip("/"))
    if kind.kind == "b":
        made.attrs["dtype"] = "bool"  # as xarray writes and reads it
    if labels := joint.LABELS.get(variable.dims[-1]):
        made.attrs["coordinates"] = " ".join(labels)
    return made


def rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """The nearest numbers of so many binary digits after the first, which compress to a third."""
    dropped = 23 - digits
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    kept = np.uint32(0xFFFFFFFF >> dropped << dropped)
    return ((bits + np.uint32(1 << (dropped - 1))) & kept).view(np.float32)


def check_size(what: str, tree_variables: dict[joint.Key, Variable], contents: Contents, limit: int) -> None:
    """See that the arrays together are not larger than `limit`.

    Args:
        what: the name of the product.
        known: every array, by its key.
        contents: what was asked for.
        limit: in bytes.

    Raises:
        InputError: they are larger.
    """
    labels = {name for names in joint.LABELS.values() for name in names} | {"seen"}
    fixed = sum(
        variable.size
        for (_, name), variable in tree_variables.items()
        if "draw" not in variable.dims and name not in labels
    )
    drawn = sum(variable.size for variable in tree_variables.values() if "draw" in variable.dims)
    if fixed + drawn <= limit:
        return
    fewer = max(1, int(contents.draws * max(limit - fixed, 0) / drawn))
    forms = {
        "log_likelihood": (contents.log_likelihood, "full", "neuron"),
        "latents": (contents.latents, "draws", "summary"),
    }
    other = "".join(f"{name}={less!r}, " for name, (now, large, less) in forms.items() if now == large)
    raise InputError(
        f"{what}: {contents.draws} draws of {tree_variables['constant_data', 'seen'].shape[0]} trials would take "
        f"{(fixed + drawn) / 1e9:.1f} GB, more than {limit / 1e9:g} GB. Ask for {other}draws={fewer} or fewer, "
        "or select fewer trials, trials.split('val')."
    )


def few_rates(trials: "Trials") -> int:
    """How many draws of rates a file has by default: a few, or what is not too much."""
    check_trials(trials, "to_netcdf")
    return max(1, min(FEW_DRAWS, RATES_BYTES // max(1, 4 * trials.counts.size)))


def layout(
    posterior: "Posterior",
    trials: "Trials",
    all_neurons: Embedded,
    contents: Contents,
    seed: int,
    tree_variables: dict[joint.Key, Variable],
) -> dict[str, tuple[dict[str, tuple], dict[str, Any]]]:
    """Of each group what does not grow with trials times neurons, and the coordinates of all its dimensions."""
    groups: dict[str, dict[str, tuple]] = {group: {} for group in GROUPS if group in {at for at, _ in tree_variables}}
    drawn = parameter_variables(posterior, all_neurons.neurons, contents.draws, seed)
    groups["posterior"] = {name: ((*joint.SAMPLE, *dims), value[None]) for name, (dims, value) in drawn.items()}
    groups["sample_stats"]["elbo"] = (("iteration",), posterior.elbo)
    constant = groups["constant_data"]
    constant["heldout"] = (("neuron",), trials.heldout)
    constant["split"] = (("trial",), trials.table["split"].astype(str))
    constant["bin_ms"] = ((), np.asarray(float(trials.bin_ms)))
    constant |= {name: (("trial",), trials.table[name]) for name in trials.condition}
    if trials.behavior is not None:
        constant["behavior"] = (("trial", "time", "channel"), trials.behavior)
    by_group = {}
    for group, variables in groups.items():
        group_variables = {name: variable for (at, name), variable in tree_variables.items() if at == group}
        sizes = {
            dim: size
            for variable in group_variables.values()
            for dim, size in zip(variable.dims, variable.shape, strict=True)
        }
        sizes |= {dim: size for dims, value in variables.values() for dim, size in zip(dims, value.shape, strict=True)}
        coords = coordinates(posterior, trials, sizes)
        by_group[group] = variables, {name: label for name, label in coords.items() if name not in group_variables}
    return by_group


def coordinates(posterior: "Posterior", trials: "Trials", sizes: dict[str, int]) -> dict[str, Any]:
    """Labels of the dimensions of a group that have some."""
    latent, ids = posterior.model.latent_names, trials.table["id"]
    if sizes.get("trial") != len(ids):
        ids = ids[trials.seen.any((1, 2))]  # of trials in which nothing is seen there is no likelihood
    labels: dict[str, Any] = {
        "chain": [0],
        "draw": np.arange(sizes.get("draw", 0)),
        "iteration": np.arange(1, sizes.get("iteration", 0) + 1),
        "trial": ids,
        "time": ("time", trials.time_ms, {"units": "ms"}),
        "neuron": trials.neurons["id"],
        "neuron_2": ("neuron_2", trials.neurons["id"]),
        "latent": latent,
        "latent_2": ("latent_2", latent),
        "channel": ("channel", np.asarray(trials.behavior_channels)),
    }
    labels |= choices(posterior, sizes)
    return {name: label for name, label in labels.items() if name in sizes}


def attributes(posterior: "Posterior") -> dict[str, Any]:
    """The attributes of every group."""
    facts = {name: posterior.config[name] for name in ("posterior", "seed")}
    return facts | {"inference_library": "nlbprob"}
