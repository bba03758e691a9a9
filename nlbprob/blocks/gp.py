"""Independent Gaussian processes as latents, in exact state-space form: the cost is linear in time."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from nlbprob.arguments import checked_keywords, instance_of
from nlbprob.blocks import sizes
from nlbprob.blocks.base import Context
from nlbprob.blocks.hyperparameters import Hyperparameter
from nlbprob.blocks.kernels import Kernel, Matern32
from nlbprob.blocks.latent import Dynamics, InitialLatents, Latent
from nlbprob.errors import InputError
from nlbprob.numerics import matrices
from nlbprob.numerics.gaussian import Chain
from nlbprob.numerics.state_space import StateSpace

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: Least number of bins that a timescale must have to be seen; a period needs two.
LEAST_BINS = {"lengthscale_ms": 1.0, "period_ms": 2.0}
#: The kernels that are public.
KERNELS = ("Matern12", "Matern32", "Matern52", "Periodic", "QuasiPeriodic")
#: Each further one of several hyper-parameters of a kind starts this many times shorter: equal ones would stay equal.
START_RATIO = 4.0


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class GP(Latent):
    """x_k ~ GP(0, kernel) for each latent k, independent, of unit variance, stationary over the trial.

    Cov(x_k(t), x_k(t')) = k(t - t'), exact at the bins: f = H s with s_1 ~ N(0, P), s_t = A s_{t-1} + N(0, Q).

    Args:
        kernel: one of Matern12, Matern32, Matern52, Periodic, QuasiPeriodic, their sums and products. Each latent has
            hyper-parameters of its own; a value in the call, as in Matern32(lengthscale_ms=50.0), is fixed and the same
            for all.
        dim: number of latents; None takes the square root of the number of neurons, at most 24.
        name: prefix of its sites.
        priors: other priors of its sites, by name.
        neurons: which neurons read it, by columns of `trials.neurons`, such as {"area": "M1"}; None: all.

    Sites:
        Where the kernel has several of a kind, they are numbered from left to right: lengthscale_ms_1,
        lengthscale_ms_2.

        - lengthscale_ms [latent] ~ LogNormal(log 100, 1)
        - period_ms [latent] ~ LogNormal(log 300, 1)
        - smoothness [latent] ~ LogNormal(log 1.5, 0.3)
        - weight [latent, part] ~ Dirichlet(2)

    Raises:
        InputError: a timescale is, or is expected to be, too short for the bins (less than a bin; a period less than
            two).
    """

    kernel: Kernel = dataclasses.field(default_factory=Matern32)
    dim: int | None = None
    name: str = "gp"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)
    neurons: Mapping[str, Any] | None = None

    has_modes = False

    def __post_init__(self):
        instance_of(self.kernel, Kernel, "GP", "kernel", "a kernel, such as nlb.Matern32()", KERNELS)
        self.check_dim()
        self.check_priors(tuple(self.hyperparameters))

    def default_dim(self, trials: "Trials") -> int:
        return sizes.of_processes(trials)

    @property
    def n_states(self) -> int:
        return self.n_latents * self.kernel.n_states

    @property
    def hyperparameters(self) -> dict[str, Hyperparameter]:
        """The free hyper-parameters of the kernel by the name of their site, numbered where a name is not unique."""
        free = self.kernel.hyperparameters()
        total, seen, named = Counter(parameter.name for parameter in free), Counter(), {}
        for parameter in free:
            seen[parameter.name] += 1
            number = "" if total[parameter.name] == 1 else f"_{seen[parameter.name]}"
            named[parameter.name + number] = parameter
        return named

    def check(self, trials: "Trials") -> None:
        for name, value in self.kernel.fixed():
            self.check_timescale(f"{name} is {value:g} ms", name, value, trials.bin_ms)
        for site, parameter in self.hyperparameters.items():
            median = parameter.median
            if site in self.priors:
                # A model is checked wherever it is called, also where something else is being compiled or traced.
                with jax.ensure_compile_time_eval():
                    median = float(np.median(self.priors[site].sample(jax.random.key(0), (501,))))
            self.check_timescale(
                f"the prior of {site} has its median at {median:.3g} ms", parameter.name, median, trials.bin_ms
            )

    def check_timescale(self, what: str, name: str, value: float, bin_ms: float) -> None:
        """Raise InputError where a timescale is too short for the bins."""
        least = LEAST_BINS.get(name, 0.0) * bin_ms
        if value < least:
            raise InputError(
                f"GP(name={self.name!r}): {what}, below the {least:g} ms that bins of {bin_ms:g} ms can show. "
                "Use smaller bins, or a longer timescale."
            )

    def prior(self, context: Context) -> Dynamics:
        """Sample the hyper-parameters; return the chain of the latents' states, one latent after the other."""
        dim = self.n_latents
        values = []
        for name, parameter in self.hyperparameters.items():
            dims = ("latent", f"{self.name}_part") if parameter.parts else ("latent",)
            values.append(self.sample(name, parameter.prior(dim), dims))
        forms = jax.vmap(lambda latent_values: self.kernel.form(latent_values, context.bin_ms), axis_size=dim)(values)
        return joined(forms)

    def start(self, initial: InitialLatents, context: Context):
        """Timescales spread log-evenly over the latents, slowest first, and a rotation that orders the directions so.

        The rotation diagonalises A + A' of the regression of each bin on the one before: the first direction changes
        least.
        """
        dim, least, seen = self.n_latents, 2 * context.bin_ms, Counter()
        transition = np.asarray(initial.chain.transition, float)
        _, rotation = np.linalg.eigh(transition + transition.T)
        values = {}
        for name, parameter in self.hyperparameters.items():
            timescale = parameter.name in LEAST_BINS
            value = parameter.start(dim, least if timescale else 0.0)
            if timescale:
                value = np.maximum(value / START_RATIO ** seen[parameter.name], least)
            values[self.site(name)] = value
            seen[parameter.name] += 1
        dtype = jnp.result_type(float)
        values = {name: jnp.asarray(value, dtype) for name, value in values.items()}
        return values, jnp.asarray(rotation[:, ::-1], dtype)


def joined(forms: StateSpace) -> Dynamics:
    """Independent latents, given forms with a leading axis `latent`, as one chain."""
    transition, noise, stationary = (matrices.diagonal_blocks(list(part)) for part in forms[:3])
    zero = jnp.zeros_like(transition[0])
    emission = jax.scipy.linalg.block_diag(*forms.emission[:, None])
    return Dynamics(Chain(zero, stationary, transition, zero, noise), emission)
