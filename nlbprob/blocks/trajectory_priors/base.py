"""The contract between a prior of trajectories and inference: a surrogate chain, and what the bound needs besides.

Inference keeps the posterior q(x) of a trial as a linear-Gaussian chain times Gaussian sites. A prior that is such a
chain is used as it stands. Any other one has an auxiliary posterior (of discrete states, or the moments of x about
which it is linearised), and gives for it a chain, sites and a constant whose product stands for p(x) in the bound.
"""

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
from jaxtyping import Array, Float, Key

from nlbprob.numerics.gaussian import Chain, Sites, Smoothed


class Surrogate(NamedTuple):
    """chain(x) prod_t exp(h_t'x_t - 1/2 x_t'J_t x_t) exp(constant), which stands for the prior p(x) of some rows.

    A row is a trial, or a trial and a template.

    Attributes:
        chain: linear and Gaussian.
        sites: h and J; None where all are zero.
        constant: [row], nats.
    """

    chain: Chain
    sites: Sites | None = None
    constant: Float[Array, " row"] | float = 0.0


@dataclasses.dataclass(frozen=True)
class TrajectoryPrior(abc.ABC):
    """The prior of one block's state for a batch of rows at given parameters: a pytree.

    The bound of a row has E_q[log surrogate(x)] + `terms` in the place of E_q[log p(x)]. At a fixed point of `update`
    its gradient in the parameters is that of the surrogate's normaliser, its constant and `terms`, with q held fixed.

    Attributes:
        chain: of the initial state, and whatever of the steps is linear and Gaussian.
        proper: whether no site of the surrogate has a negative precision, at any parameters.
        proposes: whether it has a `proposal`.
    """

    chain: Chain
    proper: ClassVar[bool] = True
    proposes: ClassVar[bool] = False

    @property
    def tied(self) -> bool:
        """Whether all rows have one covariance where they share the precision of their sites."""
        return False

    def init(self, rows: int, bins: int) -> Any:
        """The auxiliary posterior before anything is seen: a pytree of arrays [row, ...], or None."""
        return None

    @abc.abstractmethod
    def expected(self, auxiliary: Any) -> Surrogate:
        """What stands for log p(x) given the auxiliary posterior."""

    def update(self, smoothed: Smoothed, auxiliary: Any) -> Any:
        """The auxiliary posterior that a full step leads to, given the moments of x under q."""
        return auxiliary

    def move(self, current: Any, updated: Any, size: Float[Array, " row"]) -> Any:
        """The auxiliary posterior after a step of some size in (0, 1] of each row; by default a full one."""
        return updated

    def terms(self, auxiliary: Any, surrogate: Surrogate, smoothed: Smoothed) -> Float[Array, " row"] | float:
        """What the bound has besides E_q[log surrogate(x)], nats."""
        return 0.0

    def target(self, auxiliary: Any, smoothed: Smoothed) -> Sites | None:
        """Sites that a natural-gradient step adds to those of the likelihood, if any."""
        return None

    def proposal(self, sites: Sites) -> Any:
        """Another auxiliary posterior to go on from, where `update` may be stuck and the block `proposes` one.

        Args:
            sites: what the likelihood says about the block's state, as Gaussian potentials.
        """
        raise NotImplementedError

    def sample(self, key: Key[Array, ""], auxiliary: Any) -> dict[str, Any]:
        """Draws from the auxiliary posterior [row, ...] by name, such as the regime of each bin."""
        return {}

    def log_ratio(self, auxiliary: Any, x: Float[Array, "row time state"]) -> Float[Array, " row"] | float:
        """log p(x) - log chain(x) of given trajectories, for the chain of `expected(auxiliary)`."""
        return 0.0


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ChainPrior(TrajectoryPrior):
    """A linear-Gaussian chain: it is its own surrogate."""

    @property
    def tied(self) -> bool:
        chain = self.chain
        return chain.initial_covariance.ndim == 2 and chain.transition.ndim < 4 and chain.noise.ndim < 4

    def expected(self, auxiliary: None) -> Surrogate:
        return Surrogate(self.chain)
