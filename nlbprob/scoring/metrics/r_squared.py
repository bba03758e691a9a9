"""R2 of columns, for behavior and for averages, whatever their unit."""

import numpy as np
from jaxtyping import Float, Int, Num

#: The squares of larger numbers, and of numbers smaller than one over it, may leave the range of floats.
LARGEST_SQUARED = 1e100


def r_squared(true: Num[np.ndarray, "row column"], predicted: Num[np.ndarray, "row column"]) -> float:
    """1 - residual / total sum of squares of each column about its own mean, averaged over columns.

    A constant column counts 1 where it is predicted exactly and 0 elsewhere, as in scikit-learn's r2_score. NaN where a
    value is NaN or infinite.
    """
    true, predicted = in_range(true.astype(np.float64), predicted.astype(np.float64))
    with np.errstate(over="ignore"):  # a prediction out of all proportion gives no number
        residual = ((true - predicted) ** 2).sum(axis=0)
    total = ((true - true.mean(axis=0)) ** 2).sum(axis=0)
    return float(r_squared_of_sums(residual, total).mean())


def r_squared_of_sums(
    residual: Float[np.ndarray, "*draw column"], total: Float[np.ndarray, "*draw column"]
) -> Float[np.ndarray, "*draw column"]:
    """1 - residual / total; where total is 0, 1 if residual is 0 too and else 0. NaN where either is not finite."""
    unexplained = np.divide(residual, total, out=(residual > 0).astype(np.float64), where=total > 0)
    return np.where(np.isfinite(residual) & np.isfinite(total), 1.0 - unexplained, np.nan)


def in_range(
    true: Float[np.ndarray, "*rows column"], predicted: Float[np.ndarray, "*rows column"]
) -> tuple[Float[np.ndarray, "*rows column"], Float[np.ndarray, "*rows column"]]:
    """Both in a unit in which the squares of the first neither overflow nor vanish."""
    exponent = exponent_of(true)
    return (np.ldexp(true, -exponent), np.ldexp(predicted, -exponent)) if exponent.any() else (true, predicted)


def exponent_of(values: Float[np.ndarray, "*rows column"]) -> Int[np.ndarray, " column"]:
    """The power of two that brings each column near 1, and changes no digit; 0 where its squares are in range as is."""
    largest = np.max(np.abs(values), axis=tuple(range(values.ndim - 1)), initial=0, where=np.isfinite(values))
    far = (largest > LARGEST_SQUARED) | (largest < 1 / LARGEST_SQUARED)
    return np.where(far, np.frexp(largest)[1], 0)


def about_mean(
    squares: Float[np.ndarray, "draw column"],
    sums: Float[np.ndarray, "draw column"],
    number: Float[np.ndarray, "draw _"],
) -> Float[np.ndarray, "draw column"]:
    """Sum of squares about the mean; exactly 0 where only rounding is left, as for a neuron constant in a draw."""
    total = squares - sums**2 / np.maximum(number, 1)
    return np.where(total > 1e-10 * squares, total, 0.0)
