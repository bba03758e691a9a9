"""A linear latent of a user's own, with updates in closed form, is one class."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import nlbprob as nlb
from nlbprob.blocks.latent import Dynamics, Latent
from nlbprob.numerics.gaussian import Chain
from tests.extension.lifecycle import BRIEF, check_life, check_needs_its_class


@dataclasses.dataclass(frozen=True, eq=False)
class Decaying(Latent):
    """x_1 ~ N(0, v), x_t = a x_{t-1} + N(0, 1 - a^2), each latent with its own a and v."""

    dim: int | None = None
    name: str = "decaying"
    priors: dict = dataclasses.field(default_factory=dict)

    closed_form = ("keep", "first")

    def chain(self, keep, first):
        zero = jnp.zeros_like(keep)
        return Chain(zero, jnp.diag(first), jnp.diag(keep), zero, jnp.diag(1 - keep**2))

    def prior(self, context):
        keep = self.sample("keep", dist.Uniform(0.0, 1.0).expand([self.n_latents]), ("latent",))
        first = self.sample("first", dist.LogNormal(0.0, 1.0).expand([self.n_latents]), ("latent",))
        return Dynamics(self.chain(keep, first))

    def start(self, initial, context):
        keep = jnp.clip(jnp.diagonal(initial.chain.transition), 0.01, 0.99)
        return {self.site("keep"): keep, self.site("first"): jnp.ones_like(keep)}, jnp.eye(self.n_latents)

    def maximize(self, stats, context, values):
        current, previous, cross = (jnp.diagonal(a) for a in (stats.current, stats.previous, stats.cross))
        keep = jnp.clip(cross / previous, 0.01, 0.99)
        noise = (current - 2 * keep * cross + keep**2 * previous) / stats.steps
        variance = noise / (1 - keep**2)  # of x, whose stationary variance is to be one: the basis absorbs it
        first = jnp.diagonal(stats.first) / stats.trials / variance
        return {self.site("keep"): keep, self.site("first"): first}, jnp.diag(jnp.sqrt(variance))


def test_it_is_fitted_scored_saved_loaded_and_reported(recording, tmp_path):
    model = nlb.Model(latents=[Decaying(2)])
    posterior = nlb.fit(model, recording.split("train"), **BRIEF)
    elbo = posterior.elbo[posterior.history["stage"] == "em"]
    assert np.all(np.diff(elbo) > -1e-4 * abs(elbo[0]))  # nothing climbs by gradients
    again, page = check_life(posterior, recording, tmp_path)
    check_needs_its_class(tmp_path, "Decaying")
    assert again.model.latents == (Decaying(2),)
    assert "<b>Decaying</b>" in page
    keep = posterior.parameter_draws()["decaying.keep"]
    assert np.all((keep > 0) & (keep < 1))
