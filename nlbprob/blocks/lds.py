"""Linear dynamical systems: the latent state decays and rotates, driven by noise."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords, one_of
from nlbprob.blocks.base import Context
from nlbprob.blocks.inputs import Input, checked_inputs, total_width
from nlbprob.blocks.latent import Dynamics, InitialLatents, Latent
from nlbprob.errors import InputError
from nlbprob.numerics import matrices, statistics
from nlbprob.numerics.gaussian import Chain
from nlbprob.numerics.modes import eigenmodes, modal_transition, mode_of_state

#: Slowest decay kept when dynamics are estimated, in mean trial lengths; slower ones look constant in a trial.
SLOWEST_DECAY_TRIALS = 10.0
#: How often the slow directions of a regression are held at the slowest, each time with the noise that is then left.
HOLDS = 4
KINDS, INITIAL = ("dense", "diagonal", "modal"), ("shared", "condition")


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class LDS(Latent):
    """x_1 ~ N(m0, P0), x_t = A x_{t-1} + B u_t + N(0, Q), with A stable by construction.

    A change of basis gives x unit second moment over the bins of a trial at u = 0 (of each pair or latent as a whole,
    where the dynamics are not dense).

    Args:
        dim: number of latents. None takes the square root of neurons times minutes (at least one), at most 32; the
            readout is shrunk against overfitting.
        dynamics: the form of A.

            - "dense": up to a change of basis, stable dynamics are A = O diag(e^(-bin/tau)) with stationary covariance
              I. Each direction decays with its time tau_k, then the state turns by the rotation
              O = cayley(2 pi bin Omega), Omega skew-symmetric; the noise is Q = O diag(1 - e^(-2 bin/tau)) O'.
            - "modal": pairs of latents are independent damped rotations, A = e^(-bin/tau_p) R(2 pi f_p bin), with a
              decay time tau_p and a frequency f_p each (an odd last latent only decays).
            - "diagonal": each latent only decays.

        name: prefix of its sites.
        inputs: what drives the state, such as Covariate("stimulus") or TrialTime().
        initial: "shared", or "condition": a mean of each condition, which trials then need at prediction too.
        priors: in place of those below, by the name of the site: `LDS(12, priors={"decay_ms": ...})`.
        neurons: which neurons read it, by columns of `trials.neurons`, such as {"area": "M1"}; None: all.

    Raises:
        InputError: an argument is invalid, or a name in `priors` is no site.

    Sites:
        - decay_ms [latent, or mode] ~ LogNormal(log 200, 1), in ms
        - rotation_hz [pair of latents] ~ N(0, 1), the upper triangle of Omega row by row, in Hz (dense)
        - frequency_hz [pair] ~ LogNormal(log 2, 1), in Hz (modal)
        - initial_mean [latent] ~ N(0, 1)
        - initial_covariance [latent, latent] ~ inverse Wishart with mean I (dense)
        - initial_scale [latent] ~ LogNormal(0, 0.5) (modal and diagonal)
        - input_weights [latent, input] ~ N(0, 0.2)
        - condition_mean [condition, latent] ~ N(0, 1)
    """

    dim: int | None = None
    dynamics: str = "dense"
    name: str = "lds"
    inputs: Sequence[Input] = ()
    initial: str = "shared"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)
    neurons: Mapping[str, Any] | None = None

    def __post_init__(self):
        self.set_fields(inputs=checked_inputs(self.inputs, "LDS"))
        self.check_dim()
        one_of(self.dynamics, KINDS, "LDS", "dynamics")
        one_of(self.initial, INITIAL, "LDS", "initial")
        form_sites = {"dense": ("rotation_hz", "initial_covariance"), "diagonal": ("initial_scale",)}
        names = form_sites.get(self.dynamics, ("frequency_hz", "initial_scale"))
        self.check_priors(("decay_ms", "initial_mean", "input_weights", "condition_mean", *names))

    @property
    def rotatable(self) -> bool:
        return self.dynamics == "dense"

    @property
    def closed_form(self) -> tuple[str, ...]:
        return ("decay_ms", "rotation_hz", "initial_mean", "initial_covariance") if self.rotatable else ()

    @property
    def latent_modes(self):
        return super().latent_modes if self.rotatable else mode_of_state(self.n_latents, self.dynamics == "modal")

    @property
    def n_pairs(self) -> int:
        """How many pairs of latents rotate, in modal dynamics."""
        return self.n_latents // 2 if self.dynamics == "modal" else 0

    def covariates(self, trials, context):
        condition = {"condition": context.condition_index(trials)} if self.initial == "condition" else {}
        return super().covariates(trials, context) | condition

    def check(self, trials):
        if self.initial == "condition" and not trials.condition:
            raise InputError("LDS(initial='condition'): the trials have no condition columns; name them when loading.")

    def prior(self, context: Context) -> Dynamics:
        """Sample the parameters; return the normalised dynamics [state = latent]."""
        dim = self.n_latents
        modes = dim - self.n_pairs
        decay_ms = self.sample("decay_ms", dist.LogNormal(math.log(200.0), 1.0).expand([modes]), (self.mode_label,))
        drive, condition_means = None, None
        chain = self.dense(decay_ms, context) if self.dynamics == "dense" else self.modal(decay_ms, context)
        if self.inputs:
            weights = dist.Normal(0.0, 0.2).expand([dim, total_width(self.inputs, context)])
            drive = self.sample("input_weights", weights, ("latent", f"{self.name}_input"))
        if self.initial == "condition":
            shift_prior = dist.Normal(0.0, 1.0).expand([len(context.conditions), dim])
            condition_means = self.sample("condition_mean", shift_prior, ("condition", "latent"))
        dynamics = Dynamics(chain, drive=drive, condition_means=condition_means)
        return dynamics._replace(chain=matrices.change_basis(chain, self.normalizing_basis(chain, context)))

    @property
    def mode_label(self) -> str:
        """The name of the axis of the decay times."""
        return "latent" if self.dynamics == "dense" else f"{self.name}_mode"

    def initial_mean(self):
        """Sample m0 [latent]."""
        return self.sample("initial_mean", dist.Normal(0.0, 1.0).expand([self.n_latents]), ("latent",))

    def dense(self, decay_ms, context: Context) -> Chain:
        """Sample rotation and initial state; the chain before it is normalised."""
        dim = self.n_latents
        rotation_hz = jnp.zeros(0)
        if dim > 1:
            prior = dist.Normal(0.0, 1.0).expand([dim * (dim - 1) // 2])
            rotation_hz = self.sample("rotation_hz", prior, ("pair",))
        mean = self.initial_mean()
        # Four degrees of freedom above the least for which the mean exists: weak, yet it keeps few trials from a
        # singular P0.
        prior = dist.InverseWishart(dim + 5.0, scale_matrix=4.0 * np.eye(dim, dtype=np.float32))
        covariance = self.sample("initial_covariance", prior, ("latent", "latent_2"))
        return canonical_chain(decay_ms, rotation_hz, mean, covariance, context.bin_ms)

    def modal(self, decay_ms, context: Context) -> Chain:
        """Sample frequencies and initial state; the chain before it is normalised."""
        frequency_hz = jnp.zeros(0, decay_ms.dtype)
        if self.n_pairs:
            prior = dist.LogNormal(math.log(2.0), 1.0).expand([self.n_pairs])
            frequency_hz = self.sample("frequency_hz", prior, (f"{self.name}_pair",))
        mean = self.initial_mean()
        scale = self.sample("initial_scale", dist.LogNormal(0.0, 0.5).expand([self.n_latents]), ("latent",))
        transition, noise = modal_transition(decay_ms, frequency_hz, context.bin_ms)
        return Chain(mean, jnp.diag(scale**2), transition, jnp.zeros_like(mean), noise)

    def normalizing_basis(self, chain: Chain, context: Context):
        """L, x = L z, such that the second moment of z averaged over the bins of a trial is the identity.

        For dynamics that are not dense, L is one number for each mode: the mean of the diagonal of the moment is one.
        """
        weights = jnp.asarray(context.bin_weights, chain.initial_mean.dtype)
        moment = matrices.average_second_moment(chain, weights)
        if self.dynamics == "dense":
            return jnp.linalg.cholesky(moment)
        modes = mode_of_state(self.n_latents, self.dynamics == "modal")
        averaging = (modes[:, None] == modes[None, :]) / np.bincount(modes)[modes]
        return jnp.diag(jnp.sqrt(jnp.asarray(averaging, moment.dtype) @ jnp.diagonal(moment)))

    def start(self, initial: InitialLatents, context: Context):
        """Site values near the chain of the regression."""
        if self.dynamics == "dense":
            values, basis = near_chain(self, initial.chain, context)
            values = dict(values)
        else:
            values, basis = self.start_modes(initial.chain, context)
        dtype, dim = basis.dtype, self.n_latents
        if self.inputs:
            values[self.site("input_weights")] = jnp.zeros((dim, total_width(self.inputs, context)), dtype)
        if self.initial == "condition":
            values[self.site("condition_mean")] = jnp.zeros((len(context.conditions), dim), dtype)
        return values, basis

    def start_modes(self, chain: Chain, context: Context):
        """Decay times and frequencies from the eigenvalues of a transition, each mode on unit scale."""
        slowest_ms = SLOWEST_DECAY_TRIALS * context.mean_bins * context.bin_ms
        modal = self.dynamics == "modal"
        eigen = eigenmodes(np.asarray(chain.transition, float), modal, context.bin_ms, slowest_ms / 2)
        decay_ms, frequency_hz, basis = eigen
        modes = mode_of_state(self.n_latents, modal)
        inverse = np.linalg.inv(basis)
        variance = np.bincount(modes, np.diag(inverse @ inverse.T)) / np.bincount(modes)
        basis = basis * np.sqrt(variance)[modes]
        dtype = chain.transition.dtype
        values: dict[str, Any] = {
            self.site("decay_ms"): decay_ms,
            self.site("initial_mean"): np.zeros(self.n_latents),
            self.site("initial_scale"): np.ones(self.n_latents),
        }
        if self.n_pairs:
            values[self.site("frequency_hz")] = np.maximum(frequency_hz, 0.05)
        return {name: jnp.asarray(value, dtype) for name, value in values.items()}, jnp.asarray(basis, dtype)

    def warm_start(self):
        return LDS(self.dim, name=self.name, neurons=self.neurons) if self.dynamics == "modal" else None

    @property
    def regresses(self) -> bool:
        return self.rotatable

    def regression(self, stats, context: Context) -> Chain:
        """Regression of every state on the one before.

        Directions that decay too slowly for the sites of `from_chain` are held at the slowest, and the noise is that
        about the transition so held: the noise that would keep their large stationary variance is many times as large.
        """

        def held(_, chain: Chain) -> Chain:
            (root, inverse), left, decay_ms, right = self.directions(chain, context)
            kept = jnp.exp(-context.bin_ms / decay_ms)
            transition = root @ (left * kept) @ right @ inverse
            noise = statistics.chain_noise(stats, transition, context.bin_ms)
            return chain._replace(transition=transition, noise=noise)

        # Held in one direction, with less noise, a chain may be too slow in another.
        chain = jax.lax.fori_loop(0, HOLDS, held, statistics.fit_chain(stats, context.bin_ms))
        first = statistics.initial(stats, matrices.stationary_covariance(chain.transition, chain.noise))
        return chain._replace(initial_mean=first[0], initial_covariance=first[1])

    def directions(self, chain: Chain, context: Context):
        """Of a chain made stable: a root R of its covariance with R^-1, and R^-1 A R as left diag(e^(-bin/tau)) right.

        A chain that is not stable is first shrunk as a whole; then directions that decay more slowly than within
        twice `SLOWEST_DECAY_TRIALS` trial lengths are held there.
        """
        bin_ms, slowest_ms = context.bin_ms, SLOWEST_DECAY_TRIALS * context.mean_bins * context.bin_ms
        radius = matrices.spectral_radius(chain.transition)
        transition = chain.transition * jnp.minimum(1.0, math.exp(-bin_ms / (8 * slowest_ms)) / radius)
        variance, vectors = jnp.linalg.eigh(matrices.stationary_covariance(transition, chain.noise))
        scale = jnp.sqrt(jnp.maximum(variance, 1e-6 * variance[-1]))
        root, inverse = vectors * scale, (vectors / scale).T
        left, contraction, right = jnp.linalg.svd(inverse @ transition @ root)
        # Singular vectors have no sign of their own: a latent keeps the one that it had.
        signs = jnp.where(jnp.diagonal(root @ right.T) < 0, -1.0, 1.0)
        limits = math.exp(-10.0), math.exp(-bin_ms / (2 * slowest_ms))
        return (root, inverse), left * signs, -bin_ms / jnp.log(jnp.clip(contraction, *limits)), right * signs[:, None]

    def maximize(self, stats, context: Context, values: dict):
        """Regression of every state on the one before, for dense dynamics."""
        return self.from_chain(self.regression(stats, context), context, values)

    def from_chain(self, chain: Chain, context: Context, values: dict):
        """Site values of dense dynamics whose chain is `chain` in another basis: (values, basis), x = basis z.

        The stationary covariance is made the identity, then A is split into rotation times decay (its polar
        decomposition), see `directions`.
        """
        (root, inverse), left, decay_ms, right = self.directions(chain, context)
        basis = root @ right.T
        rotation = matrices.inverse_cayley(right @ left)
        pairs = rotation[jnp.triu_indices(self.n_latents, 1)]
        in_basis = matrices.change_basis(chain, basis, right @ inverse)
        sites = {
            self.site("decay_ms"): decay_ms,
            self.site("rotation_hz"): pairs / (2 * math.pi * context.bin_ms / 1000),
            self.site("initial_mean"): in_basis.initial_mean,
            self.site("initial_covariance"): in_basis.initial_covariance,
        }
        if self.dim == 1:
            del sites[self.site("rotation_hz")]
        first = in_basis.initial_mean, in_basis.initial_covariance
        canonical = canonical_chain(decay_ms, pairs, *first, context.bin_ms, turned=rotation)
        basis = basis @ self.normalizing_basis(canonical, context)
        # Inputs and conditions act on the normalised state.
        for name, turned in (("input_weights", False), ("condition_mean", True)):
            if (value := values.get(self.site(name))) is not None:
                new_value = jnp.linalg.solve(basis, value.T if turned else value)
                sites[self.site(name)] = new_value.T if turned else new_value
        return sites, basis


@functools.partial(jax.jit, static_argnums=(0, 2))
def near_chain(block: LDS, chain: Chain, context: Context):
    """Site values of dense dynamics whose chain is `chain` in another basis, and that basis (see `from_chain`)."""
    return block.from_chain(chain, context, {})


def canonical_chain(decay_ms, rotation_hz, mean, covariance, bin_ms: float, turned=None) -> Chain:
    """The chain with stationary covariance I; `turned` is the skew matrix W, used in place of `rotation_hz`."""
    dim = decay_ms.shape[0]
    rotation = matrices.skew(2 * math.pi * bin_ms / 1000 * rotation_hz, dim) if turned is None else turned
    orthogonal = matrices.cayley(rotation)
    kept = jnp.exp(-bin_ms / decay_ms)
    noise = (orthogonal * -jnp.expm1(-2 * bin_ms / decay_ms)) @ orthogonal.T
    return Chain(mean, covariance, orthogonal * kept, jnp.zeros(dim, mean.dtype), noise)
