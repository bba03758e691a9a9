"""Penalized Poisson regression of many neurons at once, all in matrix products."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Num

#: Pairs of steps that the quasi-Newton method remembers, and the most steps it takes.
MEMORY = 8
MOST_STEPS = 100


@dataclasses.dataclass(frozen=True)
class PoissonRegression:
    """rate = exp(features @ weights + intercept), spikes/bin."""

    weights: Float[np.ndarray, "feature neuron"]
    intercept: Float[np.ndarray, " neuron"]

    def log_rates(self, features: Float[np.ndarray, "row feature"]) -> Float[np.ndarray, "row neuron"]:
        """Logarithms of the predicted spikes/bin."""
        return features @ self.weights + self.intercept


def fit_poisson(
    features: Float[np.ndarray, "row feature"],
    counts: Num[np.ndarray, "row neuron"],
    seen: Bool[np.ndarray, "row neuron"],
    penalty: float,
    start: PoissonRegression | None = None,
    tolerance: float = 1e-4,
) -> PoissonRegression:
    """argmin over W, b of sum over seen entries of r - k ln r, plus penalty / 2 |W|^2, with r = exp(features W + b).

    A neuron without a seen spike counts half a spike. The Hessian of neuron n is close to mean_n S, S the second
    moments of the features, which makes a good preconditioner of L-BFGS. Neurons share the matrix products but nothing
    else: each has its own directions and step sizes.

    Args:
        features: centered; best rotated to their principal axes, where S is diagonal.
        counts: k, spikes per bin.
        seen: which counts to learn from.
        penalty: on the squares of the weights.
        start: where to begin, such as the solution at a larger penalty; None begins without weights.
        tolerance: stop when a step gains less than this many nats a spike, all neurons together.

    Returns:
        W and b.
    """
    problem = Problem(features, np.where(seen, counts, 0).astype(np.float64), ~seen, penalty)
    point = problem.begin(start)
    history: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    enough = tolerance * problem.spikes.sum()
    for _ in range(MOST_STEPS):
        new = problem.search(point, -approximate_solve(point.gradient, problem.scale, history))
        step, change = new.parameters - point.parameters, new.gradient - point.gradient
        curvature = (step * change).sum(axis=0)
        # A neuron that has converged moves by nothing; a zero factor leaves it out of the memory.
        factor = np.divide(1.0, curvature, out=np.zeros_like(curvature), where=curvature > 1e-12)
        history = [*history, (step, change, factor)][-MEMORY:]
        gain = (point.value - new.value).sum()
        point = new
        if gain < enough:
            break
    return PoissonRegression(point.parameters[:-1], point.parameters[-1])


@dataclasses.dataclass(frozen=True)
class Point:
    """Parameters (weights, then intercept) with the objective of each neuron, its gradient and the predictor there."""

    parameters: Float[np.ndarray, "parameter neuron"]
    predictor: Float[np.ndarray, "row neuron"]
    value: Float[np.ndarray, " neuron"]
    gradient: Float[np.ndarray, "parameter neuron"]


class Problem:
    """The objective of `fit_poisson`; parameters are the weights with the intercept as a last row, unpenalized."""

    def __init__(
        self,
        features: Float[np.ndarray, "row feature"],
        counts: Float[np.ndarray, "row neuron"],
        hidden: Bool[np.ndarray, "row neuron"],
        penalty: float,
    ):
        self.features, self.hidden = features, hidden if hidden.any() else None
        # A neuron without spikes has its optimum at minus infinity; it counts half a spike.
        self.spikes = np.maximum(counts.sum(axis=0), 0.5)
        self.linear = np.vstack([features.T @ counts, self.spikes])
        self.penalties = np.append(np.full(features.shape[1], penalty), 0.0)[:, None]
        self.bins = (~hidden).sum(axis=0)
        self.mean = self.spikes / np.maximum(self.bins, 1)
        moments = np.append((features**2).mean(axis=0), 1.0)[:, None] * np.maximum(self.bins, 1)
        self.scale = self.mean * moments + self.penalties

    def begin(self, start: PoissonRegression | None) -> Point:
        """The point at `start`, or that of constant rates."""
        if start is None:
            start = PoissonRegression(np.zeros((self.features.shape[1], len(self.mean))), np.log(self.mean))
        parameters = np.vstack([start.weights, start.intercept])
        return self.at(parameters, start.log_rates(self.features))

    def rates(self, predictor: Float[np.ndarray, "row neuron"]) -> Float[np.ndarray, "row neuron"]:
        """exp of the predictor, 0 where hidden. Too long a step may overflow; the search then shortens it."""
        with np.errstate(over="ignore"):
            rates = np.exp(predictor)
        if self.hidden is not None:
            rates[self.hidden] = 0.0
        return rates

    def value(
        self, parameters: Float[np.ndarray, "parameter neuron"], rates: Float[np.ndarray, "row neuron"]
    ) -> Float[np.ndarray, " neuron"]:
        """The objective of each neuron."""
        terms = 0.5 * self.penalties * parameters**2 - self.linear * parameters
        return rates.sum(axis=0) + terms.sum(axis=0)

    def at(
        self, parameters: Float[np.ndarray, "parameter neuron"], predictor: Float[np.ndarray, "row neuron"]
    ) -> Point:
        """The point with these parameters, whose predictor is known already."""
        rates = self.rates(predictor)
        gradient = np.vstack([self.features.T @ rates, rates.sum(axis=0)])
        gradient += self.penalties * parameters - self.linear
        return Point(parameters, predictor, self.value(parameters, rates), gradient)

    def search(self, point: Point, direction: Float[np.ndarray, "parameter neuron"]) -> Point:
        """The point a step along `direction` away, shortened for each neuron until its objective falls enough."""
        slope = (point.gradient * direction).sum(axis=0)
        along = self.features @ direction[:-1] + direction[-1]
        length = np.ones(len(slope))
        for _ in range(30):
            parameters = point.parameters + length * direction
            predictor = point.predictor + length * along
            value = self.value(parameters, self.rates(predictor))
            slack = 1e-10 * self.spikes  # rounding, which alone decides at the optimum
            lower = value <= point.value + 1e-4 * length * slope + slack
            if lower.all():
                break
            length = np.where(lower, length, 0.4 * length)
        return self.at(parameters, predictor)


def approximate_solve(
    gradient: Float[np.ndarray, "parameter neuron"],
    scale: Float[np.ndarray, "parameter neuron"],
    history: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> Float[np.ndarray, "parameter neuron"]:
    """The inverse Hessian times `gradient` by the two loops of L-BFGS (Nocedal & Wright, algorithm 7.4).

    Args:
        gradient: to multiply.
        scale: diagonal of the Hessian to begin with.
        history: step, change of gradient and 1 / (step . change) of the latest steps, oldest first.
    """
    left = gradient
    weights = []
    for step, change, factor in reversed(history):
        weights.append(factor * (step * left).sum(axis=0))
        left = left - weights[-1] * change
    solved = left / scale
    if history:
        _, change, factor = history[-1]
        curvature = factor * (change**2 / scale).sum(axis=0)
        solved *= np.divide(1.0, curvature, out=np.ones_like(curvature), where=curvature > 0)
    for (step, change, factor), weight in zip(history, reversed(weights), strict=True):
        solved = solved + (weight - factor * (change * solved).sum(axis=0)) * step
    return solved
