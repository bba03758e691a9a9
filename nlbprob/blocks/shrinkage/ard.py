"""Automatic relevance determination: each latent has a scale of its own, which may fall to zero."""

import dataclasses

import jax.numpy as jnp
import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords
from nlbprob.blocks.shrinkage.shrinkage import Shrinkage


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class ARD(Shrinkage):
    """c_nk ~ N(0, s_k^2), s_k ~ HalfCauchy(scale): latents that are not needed are pruned.

    That needs latents that cannot be rotated: those of GPs, of diagonal and modal dynamics. Those of a dense LDS can,
    and no single one is pruned. Site: "latent_scale" [latent], s.

    Args:
        scale: the median of s_k under its prior.
    """

    scale: float = 0.5
    names = closed_form = ("latent_scale",)

    def parameters(self, readout, dim):
        prior = dist.HalfCauchy(self.scale).expand([dim])
        return {"latent_scale": readout.sample("latent_scale", prior, ("latent",))}

    def start(self, dim):
        return {"latent_scale": jnp.full(dim, self.scale)}

    def distribution(self, shape, values):
        return dist.Normal(0.0, jnp.broadcast_to(values["latent_scale"], shape))

    def precision(self, loadings, values):
        return jnp.broadcast_to(values["latent_scale"] ** -2, loadings.shape)

    def maximize(self, loadings, variance, values):
        """s^2 maximises E_q[log p(c | s)] + log p(s), by the update of MacKay (1992).

        The expected squares of a latent's loadings are split into the squares of the means and the variances. The
        latter are s^2 (N - gamma), gamma = sum_n 1 - Var[c_nk] / s^2 the number of loadings that the data determine:
        gamma and the squares alone stand for N and the expected squares. The solution is the same, and s reaches zero
        at a geometric rate, where an update with all the squares takes forever.
        """
        second = (loadings**2).sum(0)
        count = jnp.clip(1 - variance / values["latent_scale"] ** 2, 0.0, 1.0).sum(0)
        return {"latent_scale": self.best_scale(second, count)}
