"""Textbook formulas on dense matrices, in NumPy, slow and plain."""

import numpy as np


def root(matrix):
    """R with R R' = the matrix, which may be singular."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0))


def shocks(chain, bins):
    """Mean m and matrix R of the stacked states x_1..x_T of one chain, x = m + R z, z ~ N(0, I) all the shocks."""
    m0, p0, a, b, q = (np.asarray(part, float) for part in chain)
    size = len(m0)
    means, step = [m0], [(a, b, q)] * (bins - 1) if a.ndim == 2 else list(zip(a, b, q, strict=True))
    rows = [np.hstack([root(p0), np.zeros((size, size * (bins - 1)))])]
    for t, (a_t, b_t, q_t) in enumerate(step, 1):
        means.append(a_t @ means[-1] + b_t)
        row = a_t @ rows[-1]
        row[:, size * t : size * (t + 1)] += root(q_t)
        rows.append(row)
    return np.concatenate(means), np.vstack(rows)


def joint(chain, bins):
    """Mean and covariance of the stacked states x_1..x_T of one chain."""
    mean, matrix = shocks(chain, bins)
    return mean, matrix @ matrix.T


def shocks_given(chain, linear, precision):
    """Mean and covariance of the shocks of a chain times the sites, and the log normaliser.

    In z the prior is N(0, I) and the sites have precision R'JR: no covariance is inverted that could be singular.
    """
    bins, size = linear.shape
    mean, matrix = shocks(chain, bins)
    j = np.zeros((bins * size, bins * size))
    for t in range(bins):
        j[size * t : size * (t + 1), size * t : size * (t + 1)] = precision[t]
    h = linear.ravel()
    covariance = np.linalg.inv(np.eye(bins * size) + matrix.T @ j @ matrix)
    gap = matrix.T @ (h - j @ mean)
    log_z = h @ mean - 0.5 * mean @ j @ mean + 0.5 * (gap @ covariance @ gap + np.linalg.slogdet(covariance)[1])
    return covariance @ gap, covariance, log_z


def posterior(chain, linear, precision):
    """Mean, covariance and log normaliser of the chain times the sites [time, state], [time, state, state]."""
    mean, matrix = shocks(chain, len(linear))
    centre, covariance, log_z = shocks_given(chain, linear, precision)
    return mean + matrix @ centre, matrix @ covariance @ matrix.T, log_z


def divergence(chain, linear, precision):
    """KL(posterior || chain), which is that of the shocks."""
    centre, covariance, _ = shocks_given(chain, linear, precision)
    return gaussian_divergence(centre, covariance, np.zeros_like(centre), np.eye(len(centre)))


def gaussian_divergence(mean, covariance, prior_mean, prior_covariance):
    """KL(N(mean, covariance) || N(prior))."""
    inverse = np.linalg.inv(prior_covariance)
    gap = mean - prior_mean
    trace = np.trace(inverse @ covariance) + gap @ inverse @ gap - len(mean)
    return 0.5 * (trace + np.linalg.slogdet(prior_covariance)[1] - np.linalg.slogdet(covariance)[1])
