"""Switching linear dynamical systems: a hidden Markov chain chooses the dynamics of every step."""

import dataclasses
import math
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords, flag, real_number, whole_number
from nlbprob.blocks.base import Context
from nlbprob.blocks.latent import Dynamics, InitialLatents, Latent, Regimes
from nlbprob.blocks.lds import LDS
from nlbprob.blocks.switching_markov import SwitchingLinearGaussian
from nlbprob.blocks.trajectory_priors.switching import SwitchingPrior
from nlbprob.errors import InputError
from nlbprob.numerics import matrices, statistics
from nlbprob.numerics.gaussian import Chain

#: Largest spectral radius of a regime's transition.
RADIUS = 0.999
#: How much of what sets a cluster of steps apart its regime starts with: a small part, so that the first bound is near
#: that of the LDS, and EM takes it from there.
APART = 0.3


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class SwitchingLDS(Latent):
    """x_t = A_s x_{t-1} + b_s + N(0, Q_s), s = s_t in 1..S a Markov chain; x_1 ~ N(m0, P0).

    p(s_t = k | s_{t-1} = j) is row j of `transition`, sticky a priori. A_s with an eigenvalue beyond 0.999 is shrunk to
    it, so that trajectories and forecasts stay finite. A change of basis gives x unit second moment over the bins of a
    trial (for R = 0).

    Args:
        states: number of regimes S.
        dim: number of latents; None takes as many as `LDS`.
        recurrent: whether the transitions depend on the state: log p(s_t = k | s_{t-1} = j, x_{t-1}) =
            log transition_jk + R_k'x_{t-1} up to its normaliser (Linderman et al. 2017, arXiv 1610.08466).
        dwell_ms: prior mean of the time that a regime lasts, in ms.
        name: prefix of its sites.
        priors: in place of those below, by the name of the site.
        neurons: which neurons read it, by columns of `trials.neurons`, such as {"area": "M1"}; None: all.

    Raises:
        InputError: an argument is invalid, or a name in `priors` is no site.

    Sites:
        - initial [regime] ~ Dirichlet(2)
        - transition [regime, regime] ~ Dirichlet, 20 bins strong
        - matrix [regime, latent, latent] ~ N(e^(-bin/200 ms) I, 0.3^2)
        - offset [regime, latent] ~ N(0, 0.1^2)
        - noise [regime, latent, latent] ~ inverse Wishart about 0.05 I
        - initial_mean [latent] ~ N(0, 1)
        - initial_covariance [latent, latent] ~ inverse Wishart with mean I
        - recurrence [regime, latent] ~ N(0, 1), R (recurrent)
    """

    states: int = 3
    dim: int | None = None
    recurrent: bool = False
    dwell_ms: float = 200.0
    name: str = "slds"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)
    neurons: Mapping[str, Any] | None = None

    rotatable = True

    def __post_init__(self):
        self.check_dim()
        self.set_fields(
            states=whole_number(self.states, "SwitchingLDS", "states", 1),
            recurrent=flag(self.recurrent, "SwitchingLDS", "recurrent"),
            dwell_ms=real_number(self.dwell_ms, "SwitchingLDS", "dwell_ms", above=0),
        )
        recurrence = ("recurrence",) if self.recurrent else ()
        sites = (
            "initial",
            "transition",
            "matrix",
            "offset",
            "noise",
            "initial_mean",
            "initial_covariance",
            *recurrence,
        )
        self.check_priors(sites)

    @property
    def n_regimes(self) -> int:
        return self.states

    @property
    def closed_form(self) -> tuple[str, ...]:
        names = ("matrix", "offset", "noise", "initial_mean", "initial_covariance", "initial")
        return names if self.recurrent else (*names, "transition")

    def check(self, trials):
        if self.states > trials.n_bins:
            raise InputError(
                f"SwitchingLDS(states={self.states}): more states than the {trials.n_bins} bins of a trial. "
                "Lower states, or use smaller bins."
            )

    def warm_start(self) -> LDS:
        return LDS(self.dim, name=self.name, neurons=self.neurons)

    def concentration(self, context: Context) -> np.ndarray:
        """The concentration of the Dirichlet prior of each row of the transition: sticky for `dwell_ms`.

        Args:
            context: facts of the training data.

        Returns:
            [regime, regime].
        """
        stay = math.exp(-context.bin_ms / self.dwell_ms)
        others = (1 - stay) / max(self.states - 1, 1)
        return 1.0 + 20.0 * np.where(np.eye(self.states, dtype=bool), stay if self.states > 1 else 1.0, others)

    def prior(self, context: Context) -> Dynamics:
        """Sample the parameters; return the normalised dynamics [state = latent]."""
        dim, states = self.n_latents, self.states
        initial = self.sample("initial", dist.Dirichlet(2.0 * jnp.ones(states)), ("regime",))
        rows = dist.Dirichlet(jnp.asarray(self.concentration(context)))
        transition = self.sample("transition", rows, ("regime", "regime_2"))
        persistence = math.exp(-context.bin_ms / statistics.PRIOR_DECAY_MS)
        matrix_prior = dist.Normal(persistence * np.eye(dim, dtype=np.float32), 0.3).expand([states, dim, dim])
        matrix = self.sample("matrix", matrix_prior, ("regime", "latent", "latent_2"))
        offset = self.sample("offset", dist.Normal(0.0, 0.1).expand([states, dim]), ("regime", "latent"))
        wishart = dist.InverseWishart(dim + 5.0, scale_matrix=0.2 * np.eye(dim, dtype=np.float32))
        noise = self.sample("noise", wishart.expand([states]), ("regime", "latent", "latent_2"))
        mean = self.sample("initial_mean", dist.Normal(0.0, 1.0).expand([dim]), ("latent",))
        wishart = dist.InverseWishart(dim + 5.0, scale_matrix=4.0 * np.eye(dim, dtype=np.float32))
        covariance = self.sample("initial_covariance", wishart, ("latent", "latent_2"))
        recurrence = None
        if self.recurrent:
            weights = dist.Normal(0.0, 1.0).expand([states, dim])
            recurrence = self.sample("recurrence", weights, ("regime", "latent"))
        matrix = matrix * stable(matrix)[:, None, None]
        chain = Chain(mean, covariance, matrix, offset, noise)
        basis = normalizing_basis(chain, initial, transition, context)
        in_basis = jax.vmap(lambda a, b, q: matrices.change_basis(Chain(mean, covariance, a, b, q), basis))
        chain = in_basis(matrix, offset, noise)
        chain = chain._replace(initial_mean=chain.initial_mean[0], initial_covariance=chain.initial_covariance[0])
        return Dynamics(chain, regimes=Regimes(jnp.log(initial), jnp.log(transition), recurrence))

    def start(self, initial: InitialLatents, context: Context):
        """The dynamics of the initial latents, in each regime with a part of what sets a cluster of (x, dx) apart."""
        (before, after), labels = clusters(initial, self.states)
        dtype, dim = jnp.result_type(float), self.n_latents

        def regression(kept):
            x, y = before[kept], after[kept]
            sums = (y.T @ y, x.T @ x, y.T @ x, y.sum(0), x.sum(0), len(x), np.zeros((dim, dim)), np.zeros(dim), 0.0)
            sufficient = statistics.SufficientStatistics._make(jnp.asarray(a, dtype) for a in sums)
            return statistics.fit_affine(sufficient, context.bin_ms)

        shared, pooled = initial.chain, regression(np.ones_like(labels, bool))
        regressions = [regression(labels == state) for state in range(self.states)]
        matrix = jnp.stack([shared.transition + APART * (own[0] - pooled[0]) for own in regressions])
        offset = jnp.stack([shared.offset + APART * (own[1] - pooled[1]) for own in regressions])
        noise = jnp.broadcast_to(shared.noise, matrix.shape)
        concentration = self.concentration(context)
        values: dict[str, Any] = {
            "initial": np.full(self.states, 1 / self.states),
            "transition": concentration / concentration.sum(1, keepdims=True),
            "matrix": matrix * stable(matrix)[:, None, None],
            "offset": offset,
            "noise": noise,
            "initial_mean": initial.chain.initial_mean,
            "initial_covariance": initial.chain.initial_covariance,
        }
        if self.recurrent:
            values["recurrence"] = np.zeros((self.states, dim))
        values = {name: jnp.asarray(value, dtype) for name, value in values.items()}
        chain = Chain(*(values[n] for n in ("initial_mean", "initial_covariance", "matrix", "offset", "noise")))
        basis = normalizing_basis(chain, values["initial"], values["transition"], context)
        return {self.site(name): value for name, value in values.items()}, basis

    def trajectory_prior(self, dynamics: Dynamics, chain: Chain, inside) -> SwitchingPrior:
        assert dynamics.regimes is not None
        return SwitchingPrior(chain, dynamics.regimes)

    def statistics(self, smoothed, prior, condition_shift, bin_weights, auxiliary):
        """Sufficient statistics by regime, expected numbers of transitions [from, to], and of first bins."""
        gathered = statistics.gather(
            smoothed.mean,
            smoothed.covariance,
            smoothed.cross_covariance,
            0.0,
            condition_shift,
            bin_weights,
            auxiliary.marginal,
        )
        pairs = jnp.einsum("bt,btij->ij", bin_weights[:, 1:], auxiliary.pair)
        return gathered, pairs, bin_weights[:, 0] @ auxiliary.marginal[:, 0]

    def maximize(self, stats, context: Context, values: dict):
        """Regression of each regime's steps; counts of transitions plus their prior."""
        gathered, pairs, firsts = stats
        axes = statistics.SufficientStatistics._make((*[0] * 6, *[None] * 3))
        matrix, offset, noise = jax.vmap(lambda m: statistics.fit_affine(m, context.bin_ms), in_axes=(axes,))(gathered)
        mean, covariance = statistics.initial(gathered)
        initial = (firsts + 1.0) / (firsts + 1.0).sum()
        counts = pairs + jnp.asarray(self.concentration(context) - 1.0, pairs.dtype)
        transition = counts / counts.sum(1, keepdims=True)
        if self.recurrent:
            transition = values[self.site("transition")]
        matrix = matrix * stable(matrix)[:, None, None]
        values_by_name = {
            "matrix": matrix,
            "offset": offset,
            "noise": noise,
            "initial_mean": mean,
            "initial_covariance": covariance,
            "initial": initial,
        }
        basis = normalizing_basis(Chain(mean, covariance, matrix, offset, noise), initial, transition, context)
        if self.recurrent:
            values_by_name["recurrence"] = values[self.site("recurrence")] @ basis
        else:
            values_by_name["transition"] = transition
        return {self.site(name): value for name, value in values_by_name.items()}, basis

    def trajectories(self, dynamics: Dynamics, trials):
        """Sample x of all trials, the regimes summed over (they are no site, so that any sampler can be used)."""
        with numpyro.plate("trial", trials.n_trials, dim=-1):
            prior = SwitchingLinearGaussian(dynamics, trials.n_bins)
            return numpyro.sample(self.name, prior, infer={"event_dims": ["time", f"{self.name}_latent"]})


def stable(matrix):
    """The factor of each transition that takes its spectral radius to at most `RADIUS`."""
    return jnp.minimum(1.0, RADIUS / jax.vmap(matrices.spectral_radius)(matrix))


def normalizing_basis(chain: Chain, initial, transition, context: Context):
    """L, x = L z, such that the second moment of z averaged over the bins of a trial is the identity.

    E[x 1(s_t = k)] and E[x x' 1(s_t = k)] are computed forwards over the bins.
    """
    weights = jnp.asarray(context.bin_weights, chain.initial_mean.dtype)
    second_moment = chain.initial_covariance + jnp.outer(chain.initial_mean, chain.initial_mean)
    first = (
        initial,
        initial[:, None] * chain.initial_mean,
        initial[:, None, None] * second_moment,
    )
    a, b, q = chain.transition, chain.offset, chain.noise

    def advance(carry, weight):
        second = carry[2]
        total = weight * second.sum(0)
        chance, mean, second = (jnp.einsum("j...,jk->k...", part, transition) for part in carry)
        drift = jnp.einsum("kij,kj,kl->kil", a, mean, b)
        next_second = jnp.einsum("kij,kjl,kml->kim", a, second, a) + drift + drift.mT
        next_second = next_second + chance[:, None, None] * (q + b[:, :, None] * b[:, None, :])
        return (chance, jnp.einsum("kij,kj->ki", a, mean) + chance[:, None] * b, next_second), total

    _, terms = jax.lax.scan(advance, first, weights)
    return jnp.linalg.cholesky(matrices.symmetrize(terms.sum(0)))


def clusters(initial: InitialLatents, states: int):
    """Pairs (x_t, x_{t+1}) of latents, and the cluster of each pair, of (x, dx)."""
    from scipy.cluster.vq import kmeans2
    from scipy.ndimage import uniform_filter1d

    pairs = initial.inside[:, 1:]
    before, after = initial.latents[:, :-1][pairs], initial.latents[:, 1:][pairs]
    smooth = uniform_filter1d(initial.latents, 5, axis=1, mode="nearest")
    change = np.diff(smooth, axis=1)[pairs]
    features = np.concatenate([smooth[:, :-1][pairs], change / np.maximum(change.std(0), 1e-6)], 1)
    if states == 1:
        return (before, after), np.zeros(len(before), int)
    with warnings.catch_warnings(action="ignore"):
        _, labels = kmeans2(features, states, minit="++", rng=initial.random)
    return (before, after), labels
