"""The linear readout: from latents to each neuron's predictor, eta_n = c_n'x + d_n."""

import dataclasses

import jax.numpy as jnp
import numpyro.distributions as dist

from nlbprob.blocks.base import Block, Context


@dataclasses.dataclass(frozen=True)
class LinearReadout(Block):
    """c_nk ~ N(0, loading_scale^2), d_n ~ N(d0, baseline_scale^2); d0 is the predictor of a typical rate.

    Latents have unit second moment, so that loading_scale is the size of one latent's effect on a predictor (on the
    log rate of an exp link). The default 0.5 lets one latent carry a twofold change of rate either way at two standard
    deviations, which shrinks neurons with few spikes and leaves neurons with many to their data. baseline_scale 2
    covers 0.1 to 270 Hz at 95%.

    Sites: "loadings" [neuron, latent], "baseline" [neuron].
    """

    loading_scale: float = 0.5
    baseline_scale: float = 2.0
    name: str = ""
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        self.check_priors(("loadings", "baseline"))

    def parameters(self, context: Context, dim: int, baseline_location):
        """Sample the loadings and baselines of `context.n_neurons` neurons on `dim` latents."""
        scale = dist.Normal(0.0, self.loading_scale).expand([context.n_neurons, dim])
        loadings = self.sample("loadings", scale, ("neuron", "latent"))
        level = dist.Normal(baseline_location, self.baseline_scale).expand([context.n_neurons])
        return loadings, self.sample("baseline", level, ("neuron",))

    def ridge(self, dim: int, baseline_location):
        """Mean and precision [1 + latent] of the normal prior of a neuron's baseline and loadings, for EM."""
        location = jnp.zeros(1 + dim).at[0].set(baseline_location)
        precision = jnp.full(1 + dim, self.loading_scale**-2).at[0].set(self.baseline_scale**-2)
        return location, precision
