"""How many bits describe the parameters of a fit to the precision that the data give."""

import math
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Array, Float, Int

from nlbprob.blocks.base import Context
from nlbprob.infer.parameters.flat import Entries
from nlbprob.infer.parameters.sites import log_prior, parameter_sites
from nlbprob.infer.runtime.precision import precision
from nlbprob.infer.runtime.programs import program
from nlbprob.model import Model
from nlbprob.scoring.metrics.scored import DoesNotApply

if TYPE_CHECKING:
    from nlbprob.posterior.fitted import FittedModel

#: Draws for each entry of a neuron's readout that a covariance takes; with fewer, entries count as independent.
DRAWS_PER_ENTRY = 2


def description_bits(posterior: "FittedModel") -> float:
    """KL(q || p) / ln 2, of the posterior q of all parameters from their prior p, in bits.

    That is how many more bits than a draw from the prior it takes to send parameters as precisely as the data determine
    them (bits back: Hinton & van Camp 1993, Keeping neural networks simple by minimizing the description length of the
    weights, COLT). In unconstrained space, KL = -H[q] - E_q[log p]: the mean of log p over the draws that the posterior
    keeps, and the entropy H of a normal with their covariance, that of each neuron's baseline and loadings together,
    each other parameter by itself. What is left out are correlations, which makes the bits a lower bound.

    Args:
        posterior: of a fit.

    Returns:
        Bits; more neurons, more trials and wider priors give more, so compare fits to the same trials.

    Raises:
        DoesNotApply: the parameters, or some of them, are points, which take infinitely many bits.
    """
    if not posterior.has_width:
        raise DoesNotApply("the parameters are points")
    sites = parameter_sites(posterior.model, posterior.context)
    draws = {name: posterior.draws[name] for name in sites}
    with precision(posterior.config["precision"]):
        entries, log_p = densities(posterior.model, posterior.context, jax.tree.map(jnp.asarray, draws))
        groups = entry_groups(posterior.model, Entries(sites))
    rows = np.asarray(entries, np.float64)
    if not (rows.std(0) > 0).all():
        raise DoesNotApply("some parameters are points")
    entropy = sum(normal_entropy(rows[:, positions]) for positions in groups)
    return float(-(entropy + np.asarray(log_p, np.float64).mean()) / math.log(2))


@program("model", "context")
def densities(
    model: Model, context: Context, draws: dict[str, Any]
) -> tuple[Float[Array, "sample entry"], Float[Array, " sample"]]:
    """Each draw of the sites in unconstrained space, and its log prior density there."""
    entries = Entries(parameter_sites(model, context))

    def one(values: dict[str, Array]) -> tuple[Float[Array, " entry"], Float[Array, ""]]:
        place = entries.of(values)
        return place, log_prior(model, context, values) + entries.log_volume(place)

    return jax.lax.map(one, draws)


def entry_groups(model: Model, entries: Entries) -> list[Int[np.ndarray, " entry"]]:
    """The positions of entries that count together: the readout of each neuron, and each other entry alone."""
    total = sum(math.prod(shape) for shape in entries.shapes)
    positions = {name: np.asarray(part) for name, part in entries.split(jnp.arange(total)).items()}
    readout = [positions.pop(name) for name in model.readout.names]
    groups: list[np.ndarray] = []
    if readout:
        neurons = len(readout[0])
        groups += list(np.concatenate([part.reshape(neurons, -1) for part in readout], 1))
    return groups + [np.array([place]) for part in positions.values() for place in part.ravel()]


def normal_entropy(draws: Float[np.ndarray, "draw entry"]) -> float:
    """The entropy in nats, 1/2 ln |2 pi e C|, of the normal that draws come from, without bias.

    The log determinant of the covariance of n draws of d entries is too small by d ln(n - 1) - d ln 2 -
    sum_{i<d} digamma((n - 1 - i) / 2) on average (Wishart). With too few draws each entry counts alone.
    """
    freedom, width = len(draws) - 1, draws.shape[1]
    if freedom < DRAWS_PER_ENTRY * width:
        return sum(normal_entropy(draws[:, [entry]]) for entry in range(width))
    centred = draws - draws.mean(0)
    log_determinant = np.linalg.slogdet(centred.T @ centred / freedom)[1]
    shrunk = width * math.log(freedom / 2) - scipy.special.digamma((freedom - np.arange(width)) / 2).sum()
    return float(0.5 * (width * math.log(2 * math.pi * math.e) + log_determinant + shrunk))
