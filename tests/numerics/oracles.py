"""Textbook formulas on dense matrices, in NumPy, slow and plain."""

import numpy as np


def joint(chain, bins):
    """Mean and covariance of the stacked states x_1..x_T of one chain."""
    m0, p0, a, b, q = (np.asarray(part, float) for part in chain)
    size = len(m0)
    means, root = [m0], [np.linalg.cholesky(p0)]
    step = [(a, b, q)] * (bins - 1) if a.ndim == 2 else list(zip(a, b, q, strict=True))
    # x = mean + R z, z all the shocks: each state is a linear function of those before it.
    rows = [np.hstack([root[0], np.zeros((size, size * (bins - 1)))])]
    for t, (a_t, b_t, q_t) in enumerate(step, 1):
        means.append(a_t @ means[-1] + b_t)
        row = a_t @ rows[-1]
        row[:, size * t : size * (t + 1)] += np.linalg.cholesky(q_t)
        rows.append(row)
    stacked = np.vstack(rows)
    return np.concatenate(means), stacked @ stacked.T


def posterior(chain, linear, precision):
    """Mean, covariance and log normaliser of the chain times the sites [time, state], [time, state, state]."""
    bins, size = linear.shape
    mean, covariance = joint(chain, bins)
    j = np.zeros_like(covariance)
    for t in range(bins):
        j[size * t : size * (t + 1), size * t : size * (t + 1)] = precision[t]
    h = linear.ravel()
    inverse = np.linalg.inv(covariance)
    after = np.linalg.inv(inverse + j)
    centre = after @ (inverse @ mean + h)
    log_z = 0.5 * (
        centre @ (inverse + j) @ centre
        - mean @ inverse @ mean
        + np.linalg.slogdet(after)[1]
        - np.linalg.slogdet(covariance)[1]
    )
    return centre, after, log_z


def gaussian_divergence(mean, covariance, prior_mean, prior_covariance):
    """KL(N(mean, covariance) || N(prior))."""
    inverse = np.linalg.inv(prior_covariance)
    gap = mean - prior_mean
    trace = np.trace(inverse @ covariance) + gap @ inverse @ gap - len(mean)
    return 0.5 * (trace + np.linalg.slogdet(prior_covariance)[1] - np.linalg.slogdet(covariance)[1])
