"""Kernels of Gaussian processes, as small objects that add and multiply: `Matern52() + Periodic() * Matern32()`."""

import abc
import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array

from nlbprob.arguments import checked_keywords, instance_of, real_number, whole_number
from nlbprob.blocks.identity import Identified
from nlbprob.numerics import state_space
from nlbprob.numerics.state_space import StateSpace


class Hyperparameter(NamedTuple):
    """A free parameter of a kernel, one value a latent: its name, prior, and the range over which latents start.

    Attributes:
        name: of its site.
        median, spread: of the LogNormal prior.
        first, last: where the first and the last latent start.
        parts: of weights on the simplex, how many; 0 for others.
    """

    name: str
    median: float = 1.0
    spread: float = 1.0
    first: float = 1.0
    last: float = 1.0
    parts: int = 0

    def prior(self, dim: int) -> dist.Distribution:
        """The prior of all latents' values."""
        if self.parts:
            return dist.Dirichlet(jnp.full(self.parts, 2.0)).expand([dim])
        return dist.LogNormal(math.log(self.median), self.spread).expand([dim])

    def start(self, dim: int, least: float) -> np.ndarray:
        """Values spread log-evenly over the latents, none below `least`; one latent gets the middle."""
        if self.parts:
            return np.full((dim, self.parts), 1 / self.parts)
        place = (np.arange(dim) + 0.5) / dim if dim == 1 else np.linspace(0, 1, dim)
        return np.maximum(self.first ** (1 - place) * self.last**place, least)


LENGTHSCALE = Hyperparameter("lengthscale_ms", 100.0, 1.0, 500.0, 20.0)
PERIOD = Hyperparameter("period_ms", 300.0, 1.0, 600.0, 150.0)
SMOOTHNESS = Hyperparameter("smoothness", 1.5, 0.3, 1.5, 1.5)


class Kernel(Identified, abc.ABC):
    """The covariance k(tau) of a stationary process of unit variance.

    A subclass states `n_states`, `hyperparameters()` (those that are free, in order) and `form(values, bin_ms)`, the
    state-space form for the values of one latent, taken from an iterator in that order. Kernels of unit variance stay
    so under `+` (weights on the simplex are hyper-parameters of the sum) and `*`.
    """

    @property
    @abc.abstractmethod
    def n_states(self) -> int:
        """The length of the state of one latent."""

    @abc.abstractmethod
    def hyperparameters(self) -> list[Hyperparameter]:
        """The free hyper-parameters."""

    @abc.abstractmethod
    def form(self, values: Iterable[Array], bin_ms: float) -> StateSpace:
        """The state-space form for steps of one bin."""

    def fixed(self) -> list[tuple[str, float]]:
        """Names and values of the hyper-parameters that are given."""
        return []

    def __add__(self, other: "Kernel") -> "Sum":
        check_operand(other)
        return Sum((*self.terms(Sum), *other.terms(Sum)))

    def __mul__(self, other: "Kernel") -> "Product":
        check_operand(other)
        return Product((*self.terms(Product), *other.terms(Product)))

    def __radd__(self, other: Any) -> None:
        check_operand(other)

    __rmul__ = __radd__

    def terms(self, kind: type["Composed"]) -> Sequence["Kernel"]:
        """Its parts, if it is made by this kind of composition, else itself."""
        return self.parts if isinstance(self, kind) else (self,)


def check_operand(other: Any) -> None:
    """Raise InputError unless a kernel is added to, or multiplied by, another kernel."""
    remedy = "a kernel, such as nlb.Matern32(); all have unit variance, the loadings say how much a latent does"
    instance_of(other, Kernel, "kernel + other, kernel * other", "other", remedy)


class Simple(Kernel):
    """A kernel with hyper-parameters of its own: each a field that is None where it is free."""

    own: tuple[Hyperparameter, ...] = ()

    def __post_init__(self):
        for name, value in self.fixed():
            object.__setattr__(self, name, real_number(value, type(self).__name__, name, above=0))

    def hyperparameters(self):
        return [one for one in self.own if getattr(self, one.name) is None]

    def fixed(self):
        return [(one.name, getattr(self, one.name)) for one in self.own if getattr(self, one.name) is not None]

    def resolved(self, values: Iterable[Array]) -> list[Any]:
        """The value of each hyper-parameter: the given one, or the next of `values`."""
        # The caller goes on with the same iterator after this kernel has taken what is its own.
        given, free = dict(self.fixed()), iter(values)
        return [jnp.asarray(given[one.name], float) if one.name in given else next(free) for one in self.own]


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Matern12(Simple):
    """k(tau) = exp(-|tau| / lengthscale): continuous, rough (an Ornstein-Uhlenbeck process).

    Args:
        lengthscale_ms: None gives each latent its own, ~ LogNormal(log 100, 1).
    """

    lengthscale_ms: float | None = None
    own = (LENGTHSCALE,)
    order = 1

    @property
    def n_states(self):
        return self.order

    def form(self, values, bin_ms):
        return state_space.matern(self.order, self.resolved(values)[0] / bin_ms)


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Matern32(Matern12):
    """k(tau) = (1 + u) e^-u, u = sqrt 3 |tau| / lengthscale: once differentiable.

    Args:
        lengthscale_ms: None gives each latent its own, ~ LogNormal(log 100, 1).
    """

    order = 2


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Matern52(Matern12):
    """k(tau) = (1 + u + u^2 / 3) e^-u, u = sqrt 5 |tau| / lengthscale: twice differentiable.

    Args:
        lengthscale_ms: None gives each latent its own, ~ LogNormal(log 100, 1).
    """

    order = 3


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Periodic(Simple):
    """k(tau) = exp(-2 sin^2(pi tau / period) / smoothness^2), up to its first harmonics.

    It repeats exactly, with a phase and a shape of each trial's own, and includes a constant of the trial. Its steps
    have no noise, so that a trajectory has no density: `fit` and simulation work, samplers that evaluate it (NUTS) do
    not; use QuasiPeriodic for these.

    Args:
        period_ms: None gives each latent its own, ~ LogNormal(log 300, 1).
        smoothness: None gives each latent its own, ~ LogNormal(log 1.5, 0.3); large: nearly a sine wave.
        harmonics: how many. The state has 1 + 2 harmonics entries; with smoothness s, six harmonics leave out less than
            2e-6 of the variance for s >= 1 and 2e-3 for s >= 0.5.
    """

    period_ms: float | None = None
    smoothness: float | None = None
    harmonics: int = 6
    own = (PERIOD, SMOOTHNESS)

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "harmonics", whole_number(self.harmonics, "Periodic", "harmonics", 1))

    @property
    def n_states(self):
        return 1 + 2 * self.harmonics

    def form(self, values, bin_ms):
        period, smoothness = self.resolved(values)
        return state_space.periodic(period / bin_ms, smoothness, self.harmonics)


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class QuasiPeriodic(Kernel):
    """Periodic(period_ms, smoothness, harmonics) * Matern32(lengthscale_ms): a rhythm that changes within a trial.

    Args:
        period_ms: as in `Periodic`.
        smoothness: as in `Periodic`.
        lengthscale_ms: as in `Matern32`.
        harmonics: as in `Periodic`.
    """

    period_ms: float | None = None
    smoothness: float | None = None
    lengthscale_ms: float | None = None
    harmonics: int = 6

    def __post_init__(self):
        # Its factors check what they are given, and have it as Python's numbers.
        periodic, matern = self.whole.parts
        for one in (periodic, matern):
            for field in dataclasses.fields(one):  # pyright: ignore[reportArgumentType]
                object.__setattr__(self, field.name, getattr(one, field.name))

    @property
    def whole(self) -> "Product":
        """The product that it stands for."""
        return Product((Periodic(self.period_ms, self.smoothness, self.harmonics), Matern32(self.lengthscale_ms)))

    @property
    def n_states(self):
        return self.whole.n_states

    def hyperparameters(self):
        return self.whole.hyperparameters()

    def fixed(self):
        return self.whole.fixed()

    def form(self, values, bin_ms):
        return self.whole.form(values, bin_ms)


class Composed(Kernel):
    """A kernel made of others."""

    parts: Sequence[Kernel]

    def hyperparameters(self):
        return [one for part in self.parts for one in part.hyperparameters()]

    def fixed(self):
        return [one for part in self.parts for one in part.fixed()]

    def forms(self, values, bin_ms: float) -> list[StateSpace]:
        """The forms of the parts, each taking its values in turn."""
        return [part.form(values, bin_ms) for part in self.parts]


@dataclasses.dataclass(frozen=True, eq=False)
class Sum(Composed):
    """k = sum_i w_i k_i, weight [latent, part] ~ Dirichlet(2, ...): the share of the variance of each part."""

    parts: Sequence[Kernel]

    @property
    def n_states(self):
        return sum(part.n_states for part in self.parts)

    def hyperparameters(self):
        return [*super().hyperparameters(), Hyperparameter("weight", parts=len(self.parts))]

    def form(self, values, bin_ms):
        values = iter(values)
        forms = self.forms(values, bin_ms)
        return state_space.weighted_sum(forms, next(values))


@dataclasses.dataclass(frozen=True, eq=False)
class Product(Composed):
    """k = prod_i k_i."""

    parts: Sequence[Kernel]

    @property
    def n_states(self):
        return math.prod(part.n_states for part in self.parts)

    def form(self, values, bin_ms):
        first, *rest = self.forms(iter(values), bin_ms)
        for form in rest:
            first = state_space.product(first, form)
        return first
