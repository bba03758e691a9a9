"""Kernels of Gaussian processes, as small objects that add and multiply: `Matern52() + Periodic() * Matern32()`."""

import abc
import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from nlbprob.arguments import checked_keywords, instance_of, real_number, whole_number
from nlbprob.blocks.hyperparameters import LENGTHSCALE, PERIOD, SMOOTHNESS, Hyperparameter
from nlbprob.blocks.identity import Identified
from nlbprob.numerics import state_space
from nlbprob.numerics.state_space import StateSpace


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
        """The state-space form for steps of one bin.

        Args:
            values: of the free hyper-parameters of one latent, each a scalar (weights: [part]).
            bin_ms: width of a bin in ms.

        Returns:
            Transition, noise and stationary covariance of its state, and the emission of the process.
        """

    def fixed(self) -> list[tuple[str, float]]:
        """Names and values of the hyper-parameters that are fixed, in the order of the parts."""
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
        """Its parts, if it is a composition of this kind, else itself.

        Args:
            kind: `Sum` or `Product`.

        Returns:
            Kernels, of which the composition is flat.
        """
        return self.parts if isinstance(self, kind) else (self,)


def check_operand(other: Any) -> None:
    """Raise InputError unless a kernel is added to, or multiplied by, another kernel."""
    remedy = "a kernel, such as nlb.Matern32(); all have unit variance, and the loadings scale the latents"
    instance_of(other, Kernel, "kernel + other, kernel * other", "other", remedy)


class Simple(Kernel):
    """A kernel that is no composition: each of its hyper-parameters is a field, None where it is free."""

    declared: tuple[Hyperparameter, ...] = ()

    def __post_init__(self):
        for name, value in self.fixed():
            object.__setattr__(self, name, real_number(value, type(self).__name__, name, above=0))

    def hyperparameters(self):
        return [each for each in self.declared if getattr(self, each.name) is None]

    def fixed(self):
        values = [(each.name, getattr(self, each.name)) for each in self.declared]
        return [(name, value) for name, value in values if value is not None]

    def resolved(self, values: Iterable[Array]) -> list[Any]:
        """The value of each hyper-parameter: its field, or the next of `values` where the field is None.

        Args:
            values: of the free hyper-parameters, in order.

        Returns:
            Values in the order of `declared`.
        """
        # The caller's iterator continues after the values that this kernel takes.
        fixed, free = dict(self.fixed()), iter(values)
        names = [each.name for each in self.declared]
        return [jnp.asarray(fixed[name], float) if name in fixed else next(free) for name in names]


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Matern12(Simple):
    """k(tau) = exp(-|tau| / lengthscale): continuous, rough (an Ornstein-Uhlenbeck process).

    Args:
        lengthscale_ms: None gives each latent its own, ~ LogNormal(log 100, 1).
    """

    lengthscale_ms: float | None = None
    declared = (LENGTHSCALE,)
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
    declared = (PERIOD, SMOOTHNESS)

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
        # Its factors check the arguments, and hold them as Python's numbers.
        periodic, matern = self.product.parts
        for factor in (periodic, matern):
            for field in dataclasses.fields(factor):  # pyright: ignore[reportArgumentType]
                object.__setattr__(self, field.name, getattr(factor, field.name))

    @property
    def product(self) -> "Product":
        """The product that it stands for."""
        return Product((Periodic(self.period_ms, self.smoothness, self.harmonics), Matern32(self.lengthscale_ms)))

    @property
    def n_states(self):
        return self.product.n_states

    def hyperparameters(self):
        return self.product.hyperparameters()

    def fixed(self):
        return self.product.fixed()

    def form(self, values, bin_ms):
        return self.product.form(values, bin_ms)


class Composed(Kernel):
    """A kernel made of others."""

    parts: Sequence[Kernel]

    def hyperparameters(self):
        return [parameter for part in self.parts for parameter in part.hyperparameters()]

    def fixed(self):
        return [parameter for part in self.parts for parameter in part.fixed()]

    def forms(self, values, bin_ms: float) -> list[StateSpace]:
        """The forms of the parts.

        Args:
            values: an iterator over the free hyper-parameters of all parts, in order.
            bin_ms: width of a bin in ms.

        Returns:
            One form for each part.
        """
        return [part.form(values, bin_ms) for part in self.parts]


@dataclasses.dataclass(frozen=True, eq=False)
class Sum(Composed):
    """k = sum_i w_i k_i, weight [latent, part] ~ Dirichlet(2, ...): the fraction of the variance of each part."""

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
        first, *others = self.forms(iter(values), bin_ms)
        for form in others:
            first = state_space.product(first, form)
        return first
