"""Linear dynamical system: the latent state decays and rotates, driven by noise."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from nlbprob.blocks.base import Context
from nlbprob.blocks.latent import Latent
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain

#: Slowest decay kept when dynamics are estimated, in mean trial lengths; slower ones cannot be told from a constant.
SLOWEST_DECAY_TRIALS = 10.0


@dataclasses.dataclass(frozen=True)
class LDS(Latent):
    """x_1 ~ N(m0, P0), x_t = A x_{t-1} + N(0, Q), with A stable by construction.

    Up to a change of basis, stable dynamics are A = O diag(e^(-bin/tau)) with stationary covariance I: each
    direction decays with its time tau_k, then the state turns by the rotation O = cayley(2 pi bin Omega), Omega
    skew-symmetric; the noise is Q = O diag(1 - e^(-2 bin/tau)) O'. A change of basis then gives x unit second moment
    over the bins of a trial.

    dim: number of latents; None takes the square root of the number of neurons, at most 24: enough for recordings of
    50 to 700 neurons, with the shrinkage of the readout against overfitting. name: prefix of its sites.
    Sites (override a prior by name, `LDS(12, priors={"decay_ms": ...})`):
    decay_ms [latent] ~ LogNormal(log 200, 1); rotation_hz [pair] ~ N(0, 1), the upper triangle of Omega row by row;
    initial_mean [latent] ~ N(0, 1); initial_covariance [latent, latent] ~ inverse Wishart with mean I.
    """

    dim: int | None = None
    name: str = "lds"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.check_dim()
        self.check_priors(("decay_ms", "rotation_hz", "initial_mean", "initial_covariance"))

    def chain(self, context: Context) -> Chain:
        """Sample the parameters; return the normalised chain [state = latent]."""
        dim = self.n_latents
        decay_ms = self.sample("decay_ms", dist.LogNormal(math.log(200.0), 1.0).expand([dim]), ("latent",))
        if dim > 1:
            prior = dist.Normal(0.0, 1.0).expand([dim * (dim - 1) // 2])
            rotation_hz = self.sample("rotation_hz", prior, ("pair",))
        else:
            rotation_hz = jnp.zeros(0)
        mean = self.sample("initial_mean", dist.Normal(0.0, 1.0).expand([dim]), ("latent",))
        # Four degrees of freedom above the least for which the mean exists: weak, yet it keeps few trials from a
        # singular P0.
        prior = dist.InverseWishart(dim + 5.0, rate_matrix=4.0 * np.eye(dim, dtype=np.float32))
        covariance = self.sample("initial_covariance", prior, ("latent", "latent_2"))
        chain = canonical_chain(decay_ms, rotation_hz, mean, covariance, context.bin_ms)
        return matrices.change_basis(chain, normalizing_basis(chain, context))

    def estimate(self, chain: Chain, context: Context):
        """The block's site values whose chain is the given one, up to a basis: (values, basis), x = basis z.

        The stationary covariance is made the identity, then A is split into rotation times decay (its polar
        decomposition). A chain that is not stable is first shrunk to decay no slower than `SLOWEST_DECAY_TRIALS`
        trial lengths.
        """
        bin_ms, slowest_ms = context.bin_ms, SLOWEST_DECAY_TRIALS * context.mean_bins * context.bin_ms
        radius = matrices.spectral_radius(chain.transition)
        transition = chain.transition * jnp.minimum(1.0, math.exp(-bin_ms / slowest_ms) / radius)
        values, vectors = jnp.linalg.eigh(matrices.stationary_covariance(transition, chain.noise))
        root = vectors * jnp.sqrt(jnp.maximum(values, 1e-6 * values[-1]))
        whitened = jnp.linalg.solve(root, transition @ root)
        left, contraction, right = jnp.linalg.svd(whitened)
        basis = root @ right.T
        decay_ms = -bin_ms / jnp.log(jnp.clip(contraction, math.exp(-10.0), math.exp(-bin_ms / (2 * slowest_ms))))
        rotation = matrices.inverse_cayley(right @ left)
        pairs = rotation[jnp.triu_indices(self.n_latents, 1)]
        moved = matrices.change_basis(chain, basis)
        sites = {
            self.site("decay_ms"): decay_ms,
            self.site("rotation_hz"): pairs / (2 * math.pi * bin_ms / 1000),
            self.site("initial_mean"): moved.initial_mean,
            self.site("initial_covariance"): moved.initial_covariance,
        }
        if self.dim == 1:
            del sites[self.site("rotation_hz")]
        canonical = canonical_chain(
            decay_ms, pairs, moved.initial_mean, moved.initial_covariance, bin_ms, turned=rotation
        )
        return sites, basis @ normalizing_basis(canonical, context)


def canonical_chain(decay_ms, rotation_hz, mean, covariance, bin_ms: float, turned=None) -> Chain:
    """The chain whose stationary covariance is the identity; `turned` gives W itself instead of `rotation_hz`."""
    dim = decay_ms.shape[0]
    rotation = matrices.skew(2 * math.pi * bin_ms / 1000 * rotation_hz, dim) if turned is None else turned
    orthogonal = matrices.cayley(rotation)
    kept = jnp.exp(-bin_ms / decay_ms)
    noise = (orthogonal * -jnp.expm1(-2 * bin_ms / decay_ms)) @ orthogonal.T
    return Chain(mean, covariance, orthogonal * kept, jnp.zeros(dim, mean.dtype), noise)


def normalizing_basis(chain: Chain, context: Context):
    """L, x = L z, such that the second moment of z averaged over the bins of a trial is the identity."""
    weights = jnp.asarray(context.bin_weights, chain.initial_mean.dtype)
    return jnp.linalg.cholesky(matrices.average_second_moment(chain, weights))
