"""Where the fit of a flow starts: coordinates in which its function predicts the next bin of given latents."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.handlers
from jaxtyping import Array, Float
from numpyro.distributions import biject_to
from numpyro.infer import init_to_median
from scipy.optimize import minimize

from nlbprob.blocks.calls import HANDLERS
from nlbprob.blocks.drift import Drift, sampled_sites
from nlbprob.blocks.latent import InitialLatents

#: Searches for the coordinates, steps of each, and the most pairs of bins that they look at.
SEARCHES, STEPS, MOST_PAIRS = 8, 80, 2000


class Coordinates(NamedTuple):
    """Where a flow starts.

    Attributes:
        basis: latents = basis x.
        noise: covariance of what f leaves of a step.
        first: x of the first bin of each trial.
        parameters: values of f's sites, by their full names.
    """

    basis: Float[np.ndarray, "latent latent"]
    noise: Float[np.ndarray, "latent latent"]
    first: Float[np.ndarray, "trial latent"]
    parameters: dict[str, Array]


def coordinates(function: Callable, prefix: str, initial: InitialLatents) -> Coordinates:
    """The linear map x = W z of latents z, and the values of f's sites, that make the next bins most probable.

    It maximises log |det W| - log |S| / 2, S the covariance of W z_{t+1} - W z_t - f(W z_t), times the number of pairs,
    plus the log prior of the sites, from several random maps.
    """
    dim = initial.latents.shape[2]
    kept = np.argwhere(initial.inside[:, 1:])
    if len(kept) > MOST_PAIRS:
        kept = kept[initial.random.choice(len(kept), MOST_PAIRS, replace=False)]
    before, after = (jnp.asarray(initial.latents[kept[:, 0], kept[:, 1] + later], float) for later in (0, 1))
    sites = medians(function, prefix, dim)
    support = {name: biject_to(site["fn"].support) for name, site in sites.items()}
    start = {name: np.asarray(support[name].inv(site["value"]), float) for name, site in sites.items()}
    sizes = np.cumsum([dim * dim, *(value.size for value in start.values())])

    def split(entries: Float[Array, " entry"]) -> tuple[Any, dict[str, Any]]:
        parts = jnp.split(entries, sizes[:-1])
        raw = {name: part.reshape(start[name].shape) for name, part in zip(start, parts[1:], strict=True)}
        return parts[0].reshape(dim, dim), {name: support[name](value) for name, value in raw.items()}

    def residuals(entries: Float[Array, " entry"]) -> Float[Array, "pair latent"]:
        turn, values = split(entries)
        x = before @ turn.T
        return after @ turn.T - x - jax.vmap(Drift(values, function, prefix))(x)

    def loss(entries: Float[Array, " entry"]) -> Float[Array, ""]:
        turn, values = split(entries)
        left = residuals(entries)
        covariance = left.T @ left / len(left) + 1e-4 * jnp.eye(dim)
        fit = 0.5 * jnp.linalg.slogdet(covariance)[1] - jnp.linalg.slogdet(turn)[1]
        return fit - log_prior(function, prefix, values, dim) / len(left)

    slope = jax.jit(jax.value_and_grad(loss))

    def objective(entries: Float[np.ndarray, " entry"]) -> tuple[float, Float[np.ndarray, " entry"]]:
        value, gradient = slope(jnp.asarray(entries, before.dtype))
        finite = np.isfinite(value) and np.isfinite(gradient).all()
        return (float(value), np.asarray(gradient, float)) if finite else (1e10, np.zeros(len(entries)))

    def search(number: int):
        turn, _ = np.linalg.qr(initial.random.standard_normal((dim, dim)))
        scale = (1.0, 0.5, 2.0)[number % 3]
        entries = np.concatenate([scale * turn.ravel(), *(value.ravel() for value in start.values())])
        return minimize(objective, entries, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})

    best = min(map(search, range(SEARCHES)), key=lambda result: result.fun).x
    turn, values = split(jnp.asarray(best, before.dtype))
    left = np.asarray(residuals(jnp.asarray(best, before.dtype)), float)
    turn = np.asarray(turn, float)
    first = initial.latents[:, 0][initial.inside[:, 0]] @ turn.T
    return Coordinates(np.linalg.inv(turn), left.T @ left / len(left), first, values)


def medians(function: Callable, prefix: str, dim: int) -> dict[str, Any]:
    """The sites of f, each at the median of its prior."""
    seeded = numpyro.handlers.seed(function, rng_seed=0)
    at_median: Any = numpyro.handlers.substitute(seeded, substitute_fn=init_to_median(num_samples=101))
    with HANDLERS, numpyro.handlers.block():
        return sampled_sites(at_median, prefix, jnp.zeros(dim))[0]


def log_prior(function: Callable, prefix: str, values: dict[str, Any], dim: int) -> Array:
    """log p of f's sites at given values."""
    with HANDLERS, numpyro.handlers.block(), numpyro.handlers.substitute(data=values):
        sites, _ = sampled_sites(function, prefix, jnp.zeros(dim))
    return sum((site["fn"].log_prob(site["value"]).sum() for site in sites.values()), jnp.zeros(()))
