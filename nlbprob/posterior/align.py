"""Common labels of latents, regimes and templates across draws and fits.

The likelihood is the same when latents of one mode are rotated among themselves, and when modes of one block, regimes
or templates are exchanged; two seeds end with different ones. Latents are matched by their loadings
(orthogonal Procrustes; Schonemann 1966, Psychometrika 31), modes, regimes and templates by the best assignment.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from nlbprob.arguments import checked_keywords, sequence_of, whole_number
from nlbprob.blocks import spec
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.infer.parameters.sites import value_sites
from nlbprob.infer.start.sessions import polar
from nlbprob.model import Model
from nlbprob.posterior.posterior import Posterior

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior


@dataclasses.dataclass(frozen=True, eq=False)
class Aligned:
    """Posteriors with the labels of one of them.

    Attributes:
        posteriors: in the order in which they were given.
        match: how well each agrees with the reference, by posterior: "loadings_r2", 1 - |C - D|^2 / |C|^2 of the
            reference's loadings C and its own, aligned, D, and for each block of templates or regimes "NAME_agreement",
            the fraction of trials, or of bins, that most probably have the same label.
    """

    posteriors: "list[Posterior]"
    match: "xarray.Dataset"

    def to_arviz(
        self, trials: "Trials", draws: int = 200, log_likelihood: str = "neuron", seed: int = 0
    ) -> "xarray.DataTree":
        """One tree with a chain for each posterior; see `Posterior.to_arviz`.

        r_hat then shows whether the fits agree. It is meaningless for sites whose basis differs between fits (of
        a dense LDS "rotation_hz", "initial_mean" and "initial_covariance"; of a SwitchingLDS its matrices): look at
        what is derived of them in the common basis, such as "transition_matrix", or at the modes of `dynamics`.

        Args:
            trials: as for `Posterior.to_arviz`.
            draws: of each posterior.
            log_likelihood: "neuron", "trial" or "full".
            seed: of the draws of the first posterior; each later one takes the next.
        """
        chains = enumerate(self.posteriors)
        return joined(
            [posterior.to_arviz(trials, draws, log_likelihood, seed + number) for number, posterior in chains]
        )


@checked_keywords
def align(posteriors: "Sequence[Posterior]", trials: "Trials | None" = None, *, to: int = 0) -> Aligned:
    """Express posteriors of one model and the same neurons, from several seeds, in the labels of one of them.

    Latents: the modes of each block are assigned to those of the reference and then rotated, so that the loadings are
    as near to its own as can be, min |C - D P R|. A mode is the whole block where its prior is rotation-invariant
    (dense dynamics, regimes, templates), a pair of modal dynamics, or else a single latent, which only changes its
    sign; the latents of a `Flow` stay as they are. Regimes and templates: assigned so that as many bins, or trials, as
    can be have the same label. What is aligned is the same fit: its rates and evidence do not change.

    Args:
        posteriors: of one model and the same neurons.
        trials: those whose regimes and templates are compared; needed where the model has such.
        to: position of the reference among the posteriors; it stays as it is.

    Raises:
        InputError: the posteriors are not of one model and the same neurons.

    Examples:
        >>> seeds = [nlb.fit(model, trials, seed=seed) for seed in range(4)]  # doctest: +SKIP
        >>> az.summary(nlb.align(seeds).to_arviz(trials), var_names=["loadings"])  # doctest: +SKIP
    """
    import xarray

    posteriors = list(sequence_of(posteriors, Posterior, "align", "posteriors", "fits, as nlb.fit returns them"))
    if trials is not None:
        check_trials(trials, "align")
    if not posteriors:
        raise InputError("align(posteriors=[]): give at least one fit.")
    to = whole_number(to, "align", "to", -len(posteriors))
    if not -len(posteriors) <= to < len(posteriors):
        raise InputError(f"align(to={to}): there are {len(posteriors)} posteriors; give the position of one of them.")
    reference = posteriors[to]
    for posterior in posteriors:
        check_alike(reference, posterior)
    labels = labels_of(reference, trials)
    aligned_posteriors, matches = [], []
    for posterior in posteriors:
        aligned, match = (
            (posterior, perfect(labels)) if posterior is reference else matched(reference, labels, posterior, trials)
        )
        aligned_posteriors.append(aligned)
        matches.append(match)
    table = {name: ("posterior", np.array([match[name] for match in matches])) for name in matches[0]}
    return Aligned(aligned_posteriors, xarray.Dataset(table, {"posterior": np.arange(len(aligned_posteriors))}))


def check_alike(reference: "Posterior", other: "Posterior") -> None:
    """Raise InputError unless both are of one model, as it was fitted, and of the same neurons."""
    if not np.array_equal(np.asarray(reference.neuron_ids).astype(str), np.asarray(other.neuron_ids).astype(str)):
        raise InputError("align: the posteriors are of different neurons, or of another order of them; fit the same.")
    shapes = [{name: np.shape(value) for name, value in each.values.items()} for each in (reference, other)]
    if shapes[0] != shapes[1] or spec.to_json(reference.model) != spec.to_json(other.model):
        raise InputError("align: the posteriors are of different models; align fits of one model, from several seeds.")


def nearest_rotation(
    model: Model, loadings: Float[np.ndarray, "neuron latent"], target: Float[np.ndarray, "neuron latent"]
) -> Float[np.ndarray, "latent latent"]:
    """The orthogonal R for which C R is nearest to the target loadings; it mixes only latents of one mode."""
    rotation = np.zeros((model.dim, model.dim))
    for block in model.latents:
        start = model.slices[block.name].start
        for mode in np.unique(block.latent_modes):
            columns = start + np.flatnonzero(block.latent_modes == mode)
            if block.own_coordinates:
                rotation[columns, columns] = 1.0
            else:
                rotation[np.ix_(columns, columns)] = polar(loadings[:, columns].T @ target[:, columns])
    return rotation


def mode_order(
    modes: Int[np.ndarray, " latent"],
    loadings: Float[np.ndarray, "neuron latent"],
    target: Float[np.ndarray, "neuron latent"],
) -> Int[np.ndarray, " mode"]:
    """The mode of a block for each position such that its loadings, best rotated, are nearest to the target.

    After the best rotation the inner product of two modes is the sum of the singular values of target_i' loadings_j.
    """
    labels, sizes = np.unique(modes, return_counts=True)
    gain = np.full((len(labels), len(labels)), -np.inf)
    for i in labels:
        for j in labels[sizes == sizes[i]]:
            gain[i, j] = np.linalg.norm(target[:, modes == i].T @ loadings[:, modes == j], "nuc")
    return linear_sum_assignment(gain, maximize=True)[1]


def labels_of(posterior: "Posterior", trials: "Trials | None") -> dict[str, Float[np.ndarray, "place label"]]:
    """By block: p(template) of each trial, p(regime) of each bin inside a trial."""
    switching = any(block.n_regimes for block in posterior.model.chains)
    templates, labels = posterior.model.templates, {}
    if not switching and templates is None:
        return labels
    if trials is None:
        raise InputError("align: the model has regimes or templates, which are matched by trials; give trials=... too.")
    if templates is not None:
        labels[templates.name] = np.asarray(posterior.components(trials))
    if switching:
        inside = np.arange(trials.n_bins) < trials.lengths[:, None]
        regimes = posterior.regimes(trials)
        labels |= {str(name): np.asarray(regimes[name])[inside] for name in regimes.data_vars}
    return labels


def perfect(labels: Mapping[str, Any]) -> dict[str, float]:
    """The agreement of a posterior with itself: 1."""
    return {"loadings_r2": 1.0} | {f"{name}_agreement": 1.0 for name in labels}


def matched(
    reference: "Posterior", labels: Mapping[str, np.ndarray], posterior: "Posterior", trials: "Trials | None"
) -> "tuple[Posterior, dict[str, float]]":
    """A posterior in the labels of the reference, and how well the two agree."""
    target, loadings, model = reference.own_loadings @ reference.rotation, posterior.own_loadings, posterior.model
    modes = {}
    for block in model.latents:
        if block.own_coordinates:
            modes[block.name] = np.unique(block.latent_modes)
        else:
            columns = model.slices[block.name]
            modes[block.name] = mode_order(block.latent_modes, loadings[:, columns], target[:, columns])
    match: dict[str, float] = {"loadings_r2": 0.0}
    regimes = {}
    for name, probable in labels_of(posterior, trials).items():
        regimes[name] = linear_sum_assignment(labels[name].T @ probable, maximize=True)[1]
        same = labels[name].argmax(1) == probable[:, regimes[name]].argmax(1)
        match[f"{name}_agreement"] = float(same.mean())
    permuted = relabeled(posterior, modes, regimes)
    basis = nearest_rotation(model, permuted.own_loadings, target)
    residual = target - permuted.own_loadings @ basis
    match["loadings_r2"] = float(1 - (residual**2).sum() / (target**2).sum())
    aligned = dataclasses.replace(permuted, basis=basis)
    return aligned, match


def relabeled(
    posterior: "Posterior", modes: Mapping[str, Int[np.ndarray, " mode"]], labels: Mapping[str, np.ndarray]
) -> "Posterior":
    """The posterior with the modes, regimes and templates of its blocks in the given order, by block."""
    model = posterior.model
    latents = {
        block.name: np.concatenate([np.flatnonzero(block.latent_modes == mode) for mode in modes[block.name]])
        for block in model.latents
        if block.n_latents
    }
    order = np.concatenate([model.slices[name].start + orders_of_block for name, orders_of_block in latents.items()])
    if not model.readout.names and (order != np.arange(model.dim)).any():
        raise InputError("align: latents cannot be exchanged, because the function's loadings are no sites.")
    orders: dict[str, dict[str, np.ndarray]] = {model.readout.name: {"latent": order}}
    for block in model.latents:
        carrier = block.name if block.n_latents else str(getattr(block, "on", ""))  # templates on another's latents
        orders_of_block, name = latents[carrier], block.name
        orders[name] = dict.fromkeys(("latent", "latent_2", f"{name}_latent"), orders_of_block)
        orders[name] |= dict.fromkeys((f"{name}_mode", f"{name}_pair"), modes[name])
        if name in labels:
            orders[name] |= dict.fromkeys(("regime", "regime_2", "component"), labels[name])
    dims = {name: site.dims for name, site in value_sites(model, posterior.context).items()}
    start = 0
    for name in model.readout.names[1:]:  # sites of a function's own do not name their axes
        width = posterior.values[name].shape[1]
        orders[name] = {"own": order[start : start + width] - start}
        dims[name], start = ("neuron", "own"), start + width

    def exchanged(name: str, value: np.ndarray, axis: int) -> np.ndarray:
        orders_of_block = orders.get(name) or orders.get(name.rpartition(".")[0], {})
        for dim in dims[name]:
            if dim in orders_of_block:
                order = orders_of_block[dim][
                    orders_of_block[dim] < value.shape[axis]
                ]  # of pairs: the modes that are pairs come first
                value = np.take(value, order, axis)
            axis += 1
        return value

    values = {name: exchanged(name, np.asarray(value), 0) for name, value in posterior.values.items()}
    draws = {name: exchanged(name, np.asarray(value), 1) for name, value in posterior.draws.items()}
    occupancy = {
        name: [fractions[index] for index in labels.get(name, range(len(fractions)))]
        for name, fractions in posterior.config.get("occupancy", {}).items()
    }
    config = posterior.config | ({"occupancy": occupancy} if occupancy else {})
    return dataclasses.replace(posterior, values=values, draws=draws, config=config)


def joined(trees: "list[xarray.DataTree]") -> "xarray.DataTree":
    """Trees of single chains as one; what has no chains, such as the data, is that of the first."""
    import xarray

    groups = {}
    for name in trees[0].children:
        parts = [tree.children[name].to_dataset() for tree in trees]
        if "chain" in parts[0].dims:
            parts = [part.assign_coords(chain=[number]) for number, part in enumerate(parts)]
            combined = xarray.concat(parts, "chain", data_vars="all", coords="minimal", compat="override", join="outer")
            groups[f"/{name}"] = combined.assign_attrs(parts[0].attrs)
        else:
            groups[f"/{name}"] = parts[0]
    return xarray.DataTree.from_dict(groups)
