"""Interpretable parameters, in the canonical basis of the latents."""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nlbprob.blocks.base import Context
from nlbprob.infer.parameters.sites import count_readout_names, parameters_at
from nlbprob.infer.runtime.precision import precision
from nlbprob.infer.runtime.programs import program
from nlbprob.model import Model, Parameters

if TYPE_CHECKING:
    from nlbprob.posterior.fitted import FittedModel

#: Of a readout's variance at least this fraction counts as the neuron's own.
LEAST_LEFT = 0.2


def rotation(model: Model, loadings: Float[np.ndarray, "neuron latent"]) -> np.ndarray:
    """The orthogonal R for which loadings C R are canonical: orthogonal, by size, the largest of each latent positive.

    It mixes only the latents of a block whose prior is rotation-invariant.
    """
    turn = np.eye(model.dim)
    for block in model.latents:
        columns = model.slices[block.name]
        if block.rotatable and block.n_latents:
            _, _, axes = np.linalg.svd(loadings[:, columns], full_matrices=False)
            turn[columns, columns] = axes.T
    turned = loadings @ turn
    signs = np.sign(turned[np.abs(turned).argmax(0), np.arange(turned.shape[1])])
    for block in model.latents:
        if block.own_coordinates:
            signs[model.slices[block.name]] = 1
    return turn * np.where(signs == 0, 1, signs)


@program("model", "context")
def derive(model: Model, context: Context, values: dict) -> Parameters:
    """The parameters at given site values."""
    return parameters_at(model, context, values)


@program("model", "context")
def derive_each(model: Model, context: Context, draws: dict) -> Parameters:
    """The parameters at each draw of the sites [sample, ...]."""
    return jax.lax.map(lambda values: parameters_at(model, context, values), draws)


def centre(posterior: "FittedModel") -> Parameters:
    """The parameters at the centre of their posterior, with the covariance of each neuron's baseline and loadings."""
    with precision(posterior.config["precision"]):
        theta = derive(posterior.model, posterior.context, jax.tree.map(jnp.asarray, posterior.values))
    theta = jax.tree.map(np.asarray, theta)
    if not posterior.has_width:
        return theta
    return theta._replace(uncertainty=readout_covariance(posterior).astype(theta.loadings.dtype))


def derived_draws(posterior: "FittedModel") -> Parameters:
    """The parameters at each draw that the posterior holds [sample, ...], in the model's own basis."""
    with precision(posterior.config["precision"]):
        derived = derive_each(posterior.model, posterior.context, jax.tree.map(jnp.asarray, posterior.draws))
        return jax.tree.map(np.asarray, derived)


def parameters(posterior: "FittedModel", theta: Parameters) -> dict[str, np.ndarray]:
    """Parameters derived of draws [sample, ...], in the canonical basis; see `Posterior.parameters`."""
    turn, model = posterior.rotation, posterior.model
    result = {"loadings": np.asarray(theta.loadings) @ turn, "baseline": np.asarray(theta.baseline)}
    for block, dynamics in zip(model.chains, theta.dynamics, strict=True):
        if dynamics.emission is not None or dynamics.drift is not None or not block.has_modes:
            continue
        columns = model.slices[block.name]
        block_turn, chain = turn[columns, columns], jax.tree.map(np.asarray, dynamics.chain)
        prefix = "" if len(model.chains) == 1 else f"{block.name}."
        result[f"{prefix}transition_matrix"] = block_turn.T @ chain.transition @ block_turn
        result[f"{prefix}noise_covariance"] = block_turn.T @ chain.noise @ block_turn
        result[f"{prefix}initial_mean"] = chain.initial_mean @ block_turn
        result[f"{prefix}initial_covariance"] = block_turn.T @ chain.initial_covariance @ block_turn
    if theta.mixture is not None:
        result["templates"] = np.asarray(theta.mixture.trajectories) @ turn
    if theta.count_readout is not None:
        _, name = count_readout_names(model)
        result[name] = np.asarray(theta.count_readout.loadings) @ turn
    return result | {name: np.asarray(value) for name, value in theta.observation.items()}


def readout_covariance(posterior: "FittedModel") -> Float[np.ndarray, "neuron width width"]:
    """The covariance over draws of each neuron's baseline and loadings, where the latents are what they are.

    A part of each draw is but another shift and scale of all latents: trajectories that are inferred with it undo it.
    It is taken out of the draw, as the least squares of all readouts show it, and what is left of each neuron widened
    by what least squares take of independent numbers.
    """
    if names := posterior.model.readout.names:
        parts = [posterior.draws[name] for name in names]
        centre = np.concatenate([posterior.values[name].reshape(parts[0].shape[1], -1) for name in names], 1)
    else:
        derived = posterior._derived_draws
        parts = [np.asarray(derived.baseline), np.asarray(derived.loadings)]
        centre = np.concatenate([part.mean(0).reshape(part.shape[1], -1) for part in parts], 1)
    rows = np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], 2).astype(float)
    rows = rows - rows.mean(0)
    loadings = centre[:, 1:].astype(float)
    projection = loadings @ np.linalg.pinv(loadings)
    rows[..., 0] -= rows[..., 0] @ projection
    squares = np.maximum((loadings**2).sum(0), np.finfo(float).tiny)
    rows[..., 1:] -= np.einsum("snk,nk->sk", rows[..., 1:], loadings)[:, None] / squares * loadings
    taken = np.concatenate([np.diagonal(projection)[:, None], loadings**2 / squares], 1)
    rows /= np.sqrt(np.maximum(1 - taken, LEAST_LEFT))
    return np.einsum("sni,snj->nij", rows, rows) / (len(rows) - 1)
