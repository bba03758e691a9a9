"""The modes of linear dynamics: frequencies in Hz and decay times in ms, with uncertainty."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from nlbprob.errors import InputError
from nlbprob.posterior.units import numbered, with_units

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: An eigenvalue with a smaller imaginary part is real.
REAL = 1e-9


def modes_of(posterior: "Posterior", draws: int, seed: int) -> "xarray.Dataset":
    """The modes of every block of a posterior that has a transition matrix of its own; see `modes`.

    After `nlbprob.replicate`, "recurs_in" [mode] counts the other fits in which each was found again.

    Raises:
        InputError: there is no such block.
    """
    import xarray

    centre, drawn, rows = posterior.centre.dynamics, posterior._derived_draws, posterior._rows(draws, seed)
    datasets, several = [], len(posterior.model.chains) > 1
    for name, number in chains_with_modes(posterior).items():
        each = np.asarray(drawn.dynamics[number].chain.transition)[rows]
        columns, emission = posterior.model.slices[name], drawn.dynamics[number].emission
        loadings = read_states(np.asarray(drawn.loadings)[rows][..., columns], emission, rows)
        own = read_states(posterior.own_loadings[:, columns], centre[number].emission)
        dataset = modes(np.asarray(centre[number].chain.transition), each, posterior.context.bin_ms, own, loadings)
        dataset = dataset.assign_coords(neuron=posterior.neuron_ids)
        datasets.append(dataset.assign_coords(block=("mode", [name] * dataset.sizes["mode"])) if several else dataset)
    if not datasets:
        raise InputError("dynamics: the model has no block with a transition matrix of its own.")
    combined = xarray.concat(datasets, "mode")
    found = posterior.config.get("replication")
    if found is not None and len(found["recurs_in"]) == combined.sizes["mode"]:
        combined["recurs_in"] = ("mode", np.array(found["recurs_in"]))
    fits = 0 if found is None else found["fits"]
    words = f"{fits} other fits" if fits else "not replicated: see nlbprob.replicate"
    return combined.assign_coords(mode=numbered(combined.sizes["mode"])).assign_attrs(replication=words, fits=fits)


def chains_with_modes(posterior: "Posterior") -> dict[str, int]:
    """The blocks whose state has linear dynamics that do not change in time: their places among all, by name."""
    parts = enumerate(zip(posterior.model.chains, posterior.centre.dynamics, strict=True))
    return {
        block.name: number
        for number, (block, dynamics) in parts
        if block.has_modes and not block.n_regimes and dynamics.drift is None and dynamics.chain.transition.ndim == 2
    }


def read_states(
    loadings: Float[np.ndarray, "*sample neuron latent"], emission: Any, rows: Any = ...
) -> Float[np.ndarray, "*sample neuron state"]:
    """What each neuron's predictor reads of a chain's states, C H: averaged over bins where H varies in time.

    Args:
        loadings: C.
        emission: H, [latent, state] or [time, latent, state], for each draw that there is; None where it is I.
        rows: of the draws that `loadings` are of.
    """
    if emission is None:
        return loadings
    each = np.asarray(emission)[rows]
    return loadings @ (each if each.ndim == loadings.ndim else each.mean(-3))


def mode_planes(posterior: "Posterior") -> list[Float[np.ndarray, "neuron _"]]:
    """What each mode of `modes_of` moves: an orthonormal basis of one or two directions of the predictors.

    For a mode with eigenvector v it spans the real and imaginary parts of C H v, with the loadings C, and the emission
    H where the latents are a part of the state.
    """
    planes: list[Float[np.ndarray, "neuron _"]] = []
    for name, number in chains_with_modes(posterior).items():
        dynamics = posterior.centre.dynamics[number]
        loadings = read_states(posterior.own_loadings[:, posterior.model.slices[name]], dynamics.emission)
        values, vectors = ordered(np.asarray(dynamics.chain.transition))
        for value, vector in zip(values, vectors.T, strict=True):
            if np.imag(value) >= -REAL:
                moved = loadings @ vector
                parts = [np.real(moved), np.imag(moved)] if np.imag(value) > REAL else [np.real(moved)]
                planes.append(np.linalg.qr(np.stack(parts, 1))[0])
    return planes


def ordered(matrix: Float[np.ndarray, "latent latent"]) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of a transition matrix, slowest first."""
    values, vectors = np.linalg.eig(matrix)
    order = np.argsort(-np.abs(values), kind="stable")
    return values[order].astype(complex), vectors[:, order].astype(complex)


def modes(
    mean: Float[np.ndarray, "latent latent"],
    draws: Float[np.ndarray, "sample latent latent"],
    bin_ms: float,
    loadings: Float[np.ndarray, "neuron latent"] | None = None,
    drawn_loadings: Float[np.ndarray, "sample neuron latent"] | None = None,
) -> "xarray.Dataset":
    """Eigenvalues l of the transition matrix: frequency |arg l| / (2 pi bin), decay time -bin / log |l|.

    While the state moves in one mode with a mean square of 1, a neuron's predictor moves by its "loading" on the mode,
    root mean square over time: |c'v| of its loadings c and the eigenvector v of length 1.

    Modes are those of `mean`, slowest first, numbered from 1; a complex pair counts once, with a "multiplicity" of 2.
    The eigenvalues of each draw are assigned to them by the least total distance in the complex plane.

    Args:
        mean: [latent, latent], the transition matrix of one bin at the parameters' mean.
        draws: [sample, latent, latent], draws of it.
        bin_ms: bin width in ms.
        loadings: of the neurons on the state, in the basis of `mean`; None leaves loadings on modes out.
        drawn_loadings: draws of them, in the order of `draws`.

    Returns:
        "frequency_hz", "decay_ms", "modulus" [sample, mode] and "loading" [sample, mode, neuron], the same with the
        prefix "mean_" without sample, "multiplicity" [mode].
    """
    import xarray

    reference, vectors = ordered(mean)
    upper = np.imag(reference) >= -REAL
    values, drawn_vectors = np.linalg.eig(draws)
    order = np.stack([assignment(reference, each) for each in values])
    matched = np.take_along_axis(values, order, 1)
    coords = {"mode": numbered(int(upper.sum())), "sample": np.arange(len(draws))}
    variables: dict[str, Any] = {}
    for name, value in described(matched, bin_ms).items():
        variables[name] = ("sample", "mode"), value[:, upper]
    for name, value in described(reference, bin_ms).items():
        variables[f"mean_{name}"] = ("mode",), value[upper]
    variables["multiplicity"] = (("mode",), np.where(np.abs(np.imag(reference)[upper]) > REAL, 2, 1))
    if loadings is not None and drawn_loadings is not None:
        turned = np.take_along_axis(drawn_vectors, order[:, None], 2)
        sizes = np.abs(loadings @ vectors).T, np.abs(drawn_loadings @ turned).swapaxes(1, 2)
        variables["mean_loading"] = ("mode", "neuron"), sizes[0][upper]
        variables["loading"] = ("sample", "mode", "neuron"), sizes[1][:, upper]
    return with_units(xarray.Dataset(variables, coords))


def described(eigenvalues: np.ndarray, bin_ms: float) -> dict[str, np.ndarray]:
    """Frequency, decay time and modulus of eigenvalues of a transition per bin."""
    modulus = np.abs(eigenvalues)
    with np.errstate(divide="ignore"):
        decay = -bin_ms / np.log(np.minimum(modulus, 1 - 1e-9))
    frequency = np.abs(np.angle(eigenvalues)) / (2 * np.pi) * 1000 / bin_ms
    return {"frequency_hz": frequency, "decay_ms": decay, "modulus": modulus}


def assignment(reference: np.ndarray, eigenvalues: np.ndarray) -> np.ndarray:
    """The places of eigenvalues in the order of the reference ones they are nearest to, one each."""
    rows, columns = linear_sum_assignment(np.abs(reference[:, None] - eigenvalues[None, :]))
    return columns[np.argsort(rows)]
