"""The interacting multiple-model filter: which regime of a switching chain each bin is in, given Gaussian sites.

One Gaussian stands for the state in each regime. Before a step, those of all regimes are mixed by how likely each led
to the next one; each is then moved by the dynamics of its regime and conditioned on the site, whose normaliser says how
well that regime foresaw the bin (Blom and Bar-Shalom 1988, doi 10.1109/9.1299). It is no bound, but it sees paths that
change in mid-trial, where mean-field inference stays where it starts.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nlbprob.numerics import hmm
from nlbprob.numerics.gaussian import Chain, Moments, Sites, apply, condition, predict, square, symmetrize
from nlbprob.numerics.hmm import Path

#: log p(to | from) [row, from, to], or [from, to], given the moments of the state in each regime.
Transitions = Callable[
    [Float[Array, "row regime state"], Float[Array, "row regime state state"]], Float[Array, "... regime regime"]
]
#: Moments of the state in each regime, and log p(regime).
Carry = tuple[Moments, Float[Array, "row regime"]]
Site = tuple[Float[Array, "row state"], Float[Array, "row state state"]]


def find_path(chain: Chain, initial: Float[Array, " regime"], transitions: Transitions, sites: Sites) -> Path:
    """Marginals of the regimes, from the evidence that the filter finds for each bin.

    Args:
        chain: its transition, offset and noise have a leading axis `regime`.
        initial: log probabilities of the regime in the first bin.
        transitions: log probabilities of the next regime.
        sites: Gaussian potentials on the state [row, time].
    """
    rows, regimes = sites.linear.shape[0], initial.shape[0]
    first = condition(
        jnp.broadcast_to(chain.initial_mean, sites.linear[:, 0].shape),
        jnp.broadcast_to(chain.initial_covariance, sites.precision[:, 0].shape),
        sites.linear[:, 0],
        sites.precision[:, 0],
    )
    moments = first[0], square(first[1])
    mean, covariance = (jnp.broadcast_to(a[:, None], (rows, regimes, *a.shape[1:])) for a in moments)

    def advance(carry: Carry, site: Site) -> tuple[Carry, tuple[Array, Array]]:
        (mean, covariance), log_weights = carry
        logs = jnp.broadcast_to(transitions(mean, covariance), (rows, regimes, regimes))
        joint = log_weights[..., None] + logs
        ahead = jax.nn.logsumexp(joint, -2)
        moved = predict(
            *mixed(mean, covariance, jax.nn.softmax(joint, -2)), chain.transition, chain.offset, chain.noise
        )
        linear, precision = (jnp.broadcast_to(a[:, None], like.shape) for a, like in zip(site, moved, strict=True))
        mean, root, centered, _ = condition(*moved, linear, precision)
        evidence = centered + jnp.sum((linear - 0.5 * apply(precision, moved[0])) * moved[0], -1)
        return ((mean, square(root)), jax.nn.log_softmax(ahead + evidence)), (evidence, logs)

    later = (jnp.moveaxis(sites.linear, 1, 0)[1:], jnp.moveaxis(sites.precision, 1, 0)[1:])
    start = jnp.broadcast_to(initial, (rows, regimes))
    _, (evidence, logs) = lax.scan(advance, ((mean, covariance), start), later)
    evidence = jnp.concatenate([jnp.zeros_like(start)[:, None], jnp.moveaxis(evidence, 0, 1)], 1)
    return hmm.forward_backward(initial, jnp.moveaxis(logs, 0, 1), evidence)


def mixed(
    mean: Float[Array, "row regime state"],
    covariance: Float[Array, "row regime state state"],
    weights: Float[Array, "row regime regime"],
) -> Moments:
    """Moments [row, to] of the mixture of all regimes with the weights [row, from, to]."""
    centre = jnp.einsum("bjk,bji->bki", weights, mean)
    apart = mean[:, :, None] - centre[:, None]
    spread = jnp.einsum("bjk,bjki,bjkl->bkil", weights, apart, apart)
    return centre, symmetrize(jnp.einsum("bjk,bjil->bkil", weights, covariance) + spread)
