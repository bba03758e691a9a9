"""The modes of linear dynamics: frequencies in Hz and decay times in ms, with uncertainty."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from nlbprob.errors import InputError

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior


def modes_of(posterior: "Posterior", draws: int, seed: int) -> "xarray.Dataset":
    """The modes of every block of a posterior that has a transition matrix of its own; see `modes`.

    Raises:
        InputError: there is no such block.
    """
    import xarray

    model, datasets = posterior.model, []
    centre, drawn = posterior.parameter_mean, posterior.parameters(draws, seed)
    several = len(model.chains) > 1
    for block in model.chains:
        name = f"{block.name}.transition_matrix" if several else "transition_matrix"
        if name in centre and not block.n_regimes:
            dataset = modes(centre[name], drawn[name], posterior.context.bin_ms)
            datasets.append(
                dataset.assign_coords(block=("mode", [block.name] * dataset.sizes["mode"])) if several else dataset
            )
    if not datasets:
        raise InputError("dynamics: the model has no block with a transition matrix of its own.")
    combined = xarray.concat(datasets, "mode")
    return combined.assign_coords(mode=np.arange(combined.sizes["mode"]))


def modes(
    mean: Float[np.ndarray, "latent latent"], draws: Float[np.ndarray, "sample latent latent"], bin_ms: float
) -> "xarray.Dataset":
    """Eigenvalues l of the transition matrix: frequency |arg l| / (2 pi bin), decay time -bin / log |l|.

    Modes are those of `mean`, slowest first; a complex pair counts once, with a "multiplicity" of 2. The eigenvalues of
    each draw are assigned to them by the least total distance in the complex plane.

    Args:
        mean: [latent, latent], the transition matrix of one bin at the parameters' mean.
        draws: [sample, latent, latent], draws of it.
        bin_ms: bin width in ms.

    Returns:
        "frequency_hz", "decay_ms", "modulus" [sample, mode], the same with the prefix "mean_" [mode], "multiplicity"
        [mode].
    """
    import xarray

    reference = np.linalg.eigvals(mean).astype(complex)
    reference = reference[np.argsort(-np.abs(reference), kind="stable")]
    upper = np.imag(reference) >= -1e-9
    matched = np.stack([assigned(reference, np.linalg.eigvals(draw)) for draw in draws])
    coords = {"mode": np.arange(upper.sum()), "sample": np.arange(len(draws))}
    variables = {name: (("sample", "mode"), value[:, upper]) for name, value in described(matched, bin_ms).items()}
    variables |= {f"mean_{name}": (("mode",), value[upper]) for name, value in described(reference, bin_ms).items()}
    variables["multiplicity"] = (("mode",), np.where(np.abs(np.imag(reference)[upper]) > 1e-9, 2, 1))
    return xarray.Dataset(variables, coords)


def described(eigenvalues: np.ndarray, bin_ms: float) -> dict[str, np.ndarray]:
    """Frequency, decay time and modulus of eigenvalues of a transition per bin."""
    modulus = np.abs(eigenvalues)
    with np.errstate(divide="ignore"):
        decay = -bin_ms / np.log(np.minimum(modulus, 1 - 1e-9))
    frequency = np.abs(np.angle(eigenvalues)) / (2 * np.pi) * 1000 / bin_ms
    return {"frequency_hz": frequency, "decay_ms": decay, "modulus": modulus}


def assigned(reference: np.ndarray, eigenvalues: np.ndarray) -> np.ndarray:
    """The eigenvalues in the order of the reference ones they are nearest to, one each."""
    rows, columns = linear_sum_assignment(np.abs(reference[:, None] - eigenvalues[None, :]))
    return eigenvalues[columns[np.argsort(rows)]]
