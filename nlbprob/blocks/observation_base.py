"""The base of observations: the distribution of a neuron's count in a bin given its predictor eta = c'x + d."""

import abc
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Optional

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import numpyro.handlers
from jax.scipy.special import gammaln

from nlbprob.arguments import one_of
from nlbprob.blocks.base import Block, Context
from nlbprob.blocks.identity import Described
from nlbprob.errors import InputError
from nlbprob.numerics import quadrature

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: The rate, in Hz, around which the prior of a neuron's baseline is centred.
TYPICAL_RATE_HZ = 5.0
#: Below it log softplus(eta) is eta, to the digits of float64 and without the underflow of e^eta.
SOFTPLUS_IS_EXP = -36.0
LINKS = ("exp", "softplus")
#: Standard deviation of the predictor about its typical value where a log likelihood is checked.
PREDICTOR_STD = 0.5


class Observation(Block, abc.ABC):
    """An elementwise likelihood p(y | eta).

    A subclass states `distribution(predictor, parameters)`, a NumPyro distribution whose log_prob and mean are smooth
    in the predictor, and `predictor_of_mean(mean)`; if it has parameters of its own, `parameters(context)` and
    `start(mean, variance)`. All that inference needs then follows by quadrature; a subclass may replace
    `expected_log_prob` by a closed form.

    Attributes:
        count_observation: of an observation that is not one of counts (but of their roots, say), the one that predicts
            counts: `fit` estimates a readout of its own from the latents' posterior, see
            `nlbprob.posterior.count_readout`. None where counts are predicted by the observation itself.
    """

    name = ""
    count_observation: ClassVar[Optional["Observation"]] = None

    def parameters(self, context: Context) -> dict[str, Any]:
        """Sample the observation's own parameters; there are none by default.

        Args:
            context: facts of the training data.

        Returns:
            Values [neuron] by name.
        """
        return {}

    @abc.abstractmethod
    def distribution(self, predictor, parameters: dict[str, Any]) -> dist.Distribution:
        """The distribution of a count y given its predictor eta.

        Args:
            predictor: eta [..., neuron].
            parameters: the observation's own, by name.

        Returns:
            A NumPyro distribution whose batch shape is that of the predictor.
        """

    @abc.abstractmethod
    def predictor_of_mean(self, mean) -> Any:
        """The inverse of the link.

        Args:
            mean: expected counts, spikes/bin.

        Returns:
            The predictors at which these counts are expected.
        """

    def baseline_location(self, context: Context):
        """The predictor at which a neuron fires at a typical rate: the prior mean of the baseline.

        Args:
            context: facts of the training data.

        Returns:
            A number, in units of the predictor.
        """
        return self.predictor_of_mean(TYPICAL_RATE_HZ * context.bin_ms / 1000)

    def start(self, mean, variance) -> dict[str, Any]:
        """Values of its own parameters at which a fit starts.

        Args:
            mean: of the counts [neuron], spikes/bin.
            variance: of the counts [neuron].

        Returns:
            Values [neuron] by the names of the sites.
        """
        return {}

    def check(self, trials: "Trials") -> None:
        """Check that every parameter has a start and that the log likelihood of the counts is finite and smooth.

        It and its first two derivatives in the predictor are evaluated for every count among the seen ones, about
        the predictor of a typical rate.

        Args:
            trials: the training data.

        Raises:
            InputError: a start is missing, or one of these is not finite.
        """
        if not trials.seen.any():
            return
        kind, counts = type(self).__name__, seen_counts(trials)
        value_finite, slopes_finite = finite_at(Described(self), Context.of(trials), tuple(counts.tolist()))
        for fine, what in (
            (value_finite, "is not finite at"),
            (slopes_finite, "or a derivative of it is not finite near"),
        ):
            if not fine.all():
                raise InputError(
                    f"{kind}: the log likelihood of {counts[~fine][0]} spikes in a bin {what} {TYPICAL_RATE_HZ:g} Hz. "
                    f"Use an observation for counts from {counts[0]} to {counts[-1]}, or make {kind}.distribution "
                    "finite and smooth there."
                )

    def expected_count(self, mean, variance, parameters: dict[str, Any]):
        """E[y] for a predictor eta ~ N(mean, variance).

        Args:
            mean: of the predictor [..., neuron].
            variance: of the predictor [..., neuron].
            parameters: the observation's own, by name.

        Returns:
            Spikes per bin [..., neuron].
        """
        return quadrature.expectation(lambda eta: self.distribution(eta, parameters).mean, mean, variance)

    def draw(self, random: np.random.Generator, mean: np.ndarray) -> np.ndarray | None:
        """Draw counts by NumPy, where that is faster than by NumPyro's distribution.

        Args:
            random: the source of random numbers.
            mean: expected counts, spikes/bin.

        Returns:
            Counts of the shape of `mean`; None where NumPyro's distribution has to draw them.
        """
        return None

    def expected_log_prob(self, mean, variance, counts, parameters: dict[str, Any]):
        """For eta ~ N(mean, variance), elementwise: f = E[log p(y | eta)], g = df/dmean and w = -2 df/dvariance.

        Args:
            mean: of the predictor.
            variance: of the predictor.
            counts: y, of any number type.
            parameters: the observation's own.

        Returns:
            f, g and w.
        """
        counts = counts.astype(mean.dtype)
        return expected(lambda eta: self.distribution(eta, parameters).log_prob(counts), mean, variance)


@functools.lru_cache(maxsize=64)
def finite_at(observation: Described, context: Context, counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Whether the log likelihood of each count is finite in all neurons; whether its expectation and slopes are."""
    kind, block = type(observation.value).__name__, observation.value

    def evaluated(counts):
        ones = jnp.ones(context.n_neurons)
        start = block.start(0.5 * ones, ones)
        seeded: Any = numpyro.handlers.seed(block.parameters, 0)
        for name in seeded(context):
            if name not in start:
                raise InputError(f"{kind}.start(mean, variance) gives no value for its parameter {name!r}.")
        centre = block.baseline_location(context) * jnp.ones((len(counts), context.n_neurons))
        likelihood = block.distribution(centre, start)
        inside = True if likelihood.support is None else likelihood.support(counts)
        log_prob = jnp.where(inside, likelihood.log_prob(counts), -jnp.inf)
        moments = block.expected_log_prob(centre, jnp.full_like(centre, PREDICTOR_STD**2), counts, start)
        return jnp.isfinite(log_prob).all(1), jnp.isfinite(jnp.stack(moments)).all((0, 2))

    # A model is checked wherever it is called, also where something else is being compiled or traced.
    with jax.ensure_compile_time_eval(), numpyro.handlers.block():
        value_finite, slopes_finite = jax.jit(evaluated)(np.asarray(counts, float)[:, None])
        return np.asarray(value_finite), np.asarray(slopes_finite)


def seen_counts(trials: "Trials") -> np.ndarray:
    """The counts that occur among the seen entries, in ascending order."""
    occurs = np.zeros(1 + int(trials.counts.max(where=trials.seen, initial=0)), bool)
    for counts, seen in zip(trials.counts, trials.seen, strict=True):
        occurs[counts[seen]] = True
    return np.flatnonzero(occurs)


def expected(function: Callable, mean, variance):
    """E[h(eta)], E[h'(eta)] and -E[h''(eta)] for eta ~ N(mean, variance), elementwise.

    By Bonnet's and Price's theorems these are f, df/dmean and -2 df/dvariance of f = E[h(eta)].
    """

    def first(eta):
        return jax.jvp(function, (eta,), (jnp.ones_like(eta),))

    def both(eta):
        (value, slope), (_, curvature) = jax.jvp(first, (eta,), (jnp.ones_like(eta),))
        return value, slope, -curvature

    return quadrature.expectation(both, mean, variance)


def log_factorial(counts, dtype):
    """log y!, looked up for counts in small integer types, where the gamma function would cost more than all else."""
    if counts.dtype not in (jnp.uint8, jnp.uint16):
        return gammaln(counts.astype(dtype) + 1)
    table = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 1 + np.iinfo(counts.dtype).max)))])
    return jnp.asarray(table, dtype)[counts]


class Linked(Observation):
    """An observation of counts with an "exp" link (log-linear: effects multiply) or a "softplus" link, log(1 + e^eta)
    (effects add where the rate is high).
    """

    link: str

    def check_link(self) -> None:
        """Raise InputError where there is no such link."""
        one_of(self.link, LINKS, type(self).__name__, "link")

    def rate(self, predictor):
        """The rate at a predictor.

        Args:
            predictor: eta, of any shape.

        Returns:
            link(eta), in spikes per bin.
        """
        return jnp.exp(predictor) if self.link == "exp" else jax.nn.softplus(predictor)

    def log_rate(self, predictor):
        """The log rate at a predictor, finite for every predictor.

        Args:
            predictor: eta, of any shape.

        Returns:
            log link(eta).
        """
        if self.link == "exp":
            return predictor
        inner = jnp.log(jax.nn.softplus(jnp.maximum(predictor, SOFTPLUS_IS_EXP)))
        return jnp.where(predictor < SOFTPLUS_IS_EXP, predictor, inner)

    def predictor_of_mean(self, mean):
        return jnp.log(mean) if self.link == "exp" else mean + jnp.log(-jnp.expm1(-mean))
