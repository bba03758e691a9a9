"""Dynamics made of modes: damped rotations of a plane, and decays of a single direction."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

#: Largest condition number of a basis of modes.
MOST_SLANTED = 4.0


def modal_transition(
    decay_ms: Float[Array, " mode"], frequency_hz: Float[Array, " pair"], bin_ms: float
) -> tuple[Float[Array, "state state"], Float[Array, "state state"]]:
    """(A, Q) of independent modes with unit stationary variance.

    The first modes are pairs of states, A = e^(-bin/tau) R(2 pi f bin); modes beyond the frequencies are single states
    that decay. Q = (1 - e^(-2 bin/tau)) I for each.
    """
    pairs = frequency_hz.shape[0]
    kept = jnp.exp(-bin_ms / decay_ms)
    variance = -jnp.expm1(-2 * bin_ms / decay_ms)
    angle = 2 * math.pi * frequency_hz * bin_ms / 1000
    turns = jnp.stack([jnp.cos(angle), -jnp.sin(angle), jnp.sin(angle), jnp.cos(angle)], -1).reshape(pairs, 2, 2)
    planes = kept[:pairs, None, None] * turns
    transition = jax.scipy.linalg.block_diag(*planes, *kept[pairs:].reshape(-1, 1, 1))
    return transition, jnp.diag(jnp.concatenate([jnp.repeat(variance[:pairs], 2), variance[pairs:]]))


def mode_of_state(dim: int, paired: bool) -> Int[np.ndarray, " state"]:
    """Which mode each state belongs to."""
    pairs = dim // 2 if paired else 0
    return np.concatenate([np.repeat(np.arange(pairs), 2), np.arange(pairs, dim - pairs)]).astype(int)


def eigenmodes(
    transition: Float[np.ndarray, "state state"], paired: bool, bin_ms: float, slowest_ms: float
) -> tuple[Float[np.ndarray, " mode"], Float[np.ndarray, " pair"], Float[np.ndarray, "state state"]]:
    """Decay times, frequencies and the real basis of the modes of a transition that decay slowest.

    Complex pairs of eigenvalues fill the planes first; where there are too few, neighbouring real eigenvalues share
    one, at a frequency of a quarter turn in the slowest time. Modes of nearly the same direction are drawn apart, until
    the basis is as well conditioned as `MOST_SLANTED`. Returns (decay_ms [mode], frequency_hz [pair], basis).
    """
    dim = len(transition)
    if not paired:
        kept = np.clip(np.diag(transition), 0.05, math.exp(-bin_ms / slowest_ms))
        return -bin_ms / np.log(kept), np.zeros(0), np.eye(dim)
    values, vectors = np.linalg.eig(transition)
    order = np.argsort(-np.abs(values), kind="stable")
    angles, real, imag = np.angle(values), np.real(vectors), np.imag(vectors)
    planes = [i for i in order if np.imag(values)[i] > 1e-9]
    singles = [i for i in order if abs(np.imag(values)[i]) <= 1e-9]
    decays, frequencies, columns = [], [], []
    for i in planes:
        columns += [real[:, i], -imag[:, i]]
        decays.append(np.abs(values[i]))
        frequencies.append(angles[i] / (2 * np.pi) * 1000 / bin_ms)
    for i, j in zip(singles[0::2], singles[1::2], strict=False):
        columns += list(np.linalg.qr(real[:, [i, j]])[0].T)  # of equal decay: any directions of their plane will do
        decays.append(0.5 * (abs(values[i]) + abs(values[j])))
        frequencies.append(0.25 * 1000 / slowest_ms)
    if len(singles) % 2:
        columns.append(real[:, singles[-1]])
        decays.append(abs(values[singles[-1]]))
    kept = np.clip(decays, 0.05, math.exp(-bin_ms / slowest_ms))
    left, lengths, right = np.linalg.svd(np.stack(columns, 1))
    basis = (left * np.maximum(lengths, lengths[0] / MOST_SLANTED)) @ right
    return -bin_ms / np.log(kept), np.asarray(frequencies), basis
