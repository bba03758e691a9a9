"""The flow of the dynamics in a plane of two latents, and its fixed points."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nlbprob.arguments import named, real_number, seed_number, whole_number
from nlbprob.blocks.latent import Latent
from nlbprob.errors import InputError
from nlbprob.infer.runtime.precision import precision
from nlbprob.numerics.gaussian import Chain
from nlbprob.posterior.mode_draws import described, ordered
from nlbprob.posterior.units import numbered

if TYPE_CHECKING:
    import xarray

    from nlbprob.posterior.posterior import Posterior

#: Newton's search for fixed points of a nonlinear flow: starts, steps, the largest step, and the speed (per bin) below
#: which a point is fixed, and the distance below which two are one.
STARTS, STEPS, LARGEST_STEP, FIXED, SAME = 200, 60, 0.5, 1e-4, 0.05
#: Starts lie within so many times the reach of the plane; fixed points beyond it are left out.
AROUND = 1.5

#: f of one state [latent], what a bin adds to it.
Step = Callable[[Array], Array]


class Field(NamedTuple):
    """The dynamics of a block in canonical latents: f at the centre, and at draws of the parameters, regime by regime.

    Either matrix and offset, f(x) = matrix x + offset, or `drift` and `drift_draws`.
    """

    block: Latent
    matrix: Float[np.ndarray, "regime latent latent"] | None
    offset: Float[np.ndarray, "regime latent"] | None
    matrix_draws: Float[np.ndarray, "sample regime latent latent"] | None
    offset_draws: Float[np.ndarray, "sample regime latent"] | None
    drift: Step | None = None
    drift_draws: Any = None
    n_draws: int = 0


def flow(posterior: "Posterior", latents: Any, reach: Any, points: Any, draws: int, seed: int) -> "xarray.Dataset":
    """The flow of the dynamics in a plane, see `Posterior.flow`."""
    import xarray

    reach = real_number(reach, "flow", "reach", above=0)
    points = whole_number(points, "flow", "points", 2)
    rows = posterior._rows(whole_number(draws, "flow", "draws", 1), seed_number(seed, "flow"))
    number, pair = plane_of(posterior, latents)
    field = field_of(posterior, number, rows)
    axis = np.linspace(-reach, reach, points)
    states = np.zeros((points, points, field.block.n_latents))
    states[..., pair[0]], states[..., pair[1]] = axis[None, :], axis[:, None]
    with precision(posterior.config["precision"]):
        centre, drawn = velocities(field, states.reshape(-1, states.shape[-1]))
        fixed = fixed_points(field, reach, posterior.context.bin_ms)
    per_second = 1000.0 / posterior.context.bin_ms
    shape = (*centre.shape[:1], points, points, 2)
    values = {
        "velocity": (centre[..., list(pair)] * per_second).reshape(shape),
        "velocity_sd": (drawn[..., list(pair)].std(0) * per_second).reshape(shape),
    }
    dims = ("regime", "y", "x", "axis")
    names = [posterior.model.latent_names[place] for place in latents]
    all_names = field.block.latent_names
    variables = {name: (dims, value, {"units": "1/s"}) for name, value in values.items()} | fixed
    coords = {"regime": numbered(shape[0]), "y": axis, "x": axis, "axis": names, "latent": all_names}
    return xarray.Dataset(variables, coords, {"block": field.block.name, "bin_ms": posterior.context.bin_ms})


def plane_of(posterior: "Posterior", latents: Any) -> tuple[int, tuple[int, int]]:
    """The place of the block among the chains, and of the two latents in it. Raises InputError where there is none."""
    model, dim = posterior.model, posterior.model.dim
    if not isinstance(latents, Sequence) or isinstance(latents, str) or len(latents) != 2:
        raise InputError(f"{named('flow', 'latents', latents)}: give the positions of two latents, such as (0, 1).")
    pair = [whole_number(place, "flow", f"latents[{number}]", 0, dim - 1) for number, place in enumerate(latents)]
    for number, block in enumerate(model.chains):
        columns = model.slices[block.name]
        if all(columns.start <= place < columns.stop for place in pair) and pair[0] != pair[1]:
            return number, (pair[0] - columns.start, pair[1] - columns.start)
    listed = ", ".join(f"{name} {place.start} to {place.stop - 1}" for name, place in model.slices.items())
    raise InputError(f"flow(latents={tuple(pair)}): give two latents of one block that has dynamics ({listed}).")


def field_of(posterior: "Posterior", number: int, rows: np.ndarray) -> Field:
    """The dynamics of a block in its canonical latents. Raises InputError where these have no flow of their own."""
    block = posterior.model.chains[number]
    centre, drawn = posterior.centre.dynamics[number], posterior._derived_draws.dynamics[number]
    chain: Chain = jax.tree.map(np.asarray, centre.chain)
    if centre.emission is not None or not block.has_modes or (chain.transition.ndim > 2 and centre.regimes is None):
        raise InputError(
            f"flow: block {block.name!r} ({type(block).__name__}) has no flow of its latents that stays the same in "
            "time; it is for LDS, SwitchingLDS and Flow."
        )
    if centre.drift is not None:
        some = jax.tree.map(lambda array: jnp.asarray(np.asarray(array)[rows]), drawn.drift)
        return Field(block, None, None, None, None, centre.drift, some, len(rows))
    columns = posterior.model.slices[block.name]
    turn, size = posterior.rotation[columns, columns], block.n_latents
    regimes = (-1, size, size)

    def turned(transition: Any, offset: Any, lead: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        matrix = transition.reshape(*lead, *regimes) - np.eye(size)
        shift = np.broadcast_to(offset.reshape(*lead, -1, size), matrix.shape[:-1])
        return turn.T @ matrix @ turn, shift @ turn

    draws: Chain = jax.tree.map(lambda array: np.asarray(array)[rows], drawn.chain)
    matrix, offset = turned(chain.transition, chain.offset, ())
    matrix_draws, offset_draws = turned(draws.transition, draws.offset, (len(rows),))
    return Field(block, matrix, offset, matrix_draws, offset_draws)


def velocities(
    field: Field, states: Float[np.ndarray, "state latent"]
) -> tuple[Float[np.ndarray, "regime state latent"], Float[np.ndarray, "sample regime state latent"]]:
    """f at each state: at the centre of the parameters, and at draws."""
    if field.drift is None:
        assert field.matrix is not None
        assert field.offset is not None
        assert field.matrix_draws is not None
        assert field.offset_draws is not None
        centre = states @ field.matrix.mT + field.offset[:, None]
        return centre, states @ field.matrix_draws.mT + field.offset_draws[:, :, None]
    given = jnp.asarray(states)
    centre = np.asarray(jax.vmap(field.drift)(given))
    over_draws = jax.vmap(lambda drift: jax.vmap(drift)(given), axis_size=field.n_draws)
    drawn = np.asarray(over_draws(field.drift_draws))
    return centre[None], drawn[:, None]


def fixed_points(field: Field, reach: float, bin_ms: float) -> dict[str, Any]:
    """Variables of the data set: the fixed points, and the modes of the dynamics linearised there."""
    size, found = field.block.n_latents, []
    if field.drift is None:
        assert field.matrix is not None
        assert field.offset is not None
        assert field.matrix_draws is not None
        for regime, (matrix, offset) in enumerate(zip(field.matrix, field.offset, strict=True)):
            drawn = np.abs(np.linalg.eigvals(np.eye(size) + field.matrix_draws[:, regime])).max(1) < 1
            singular = np.linalg.cond(matrix) > 1e9  # then there is a line of fixed points, or none
            found.append([] if singular else [(np.linalg.solve(matrix, -offset), matrix, drawn.mean())])
    else:
        slope = jax.jacfwd(field.drift)
        points = newton(field.drift, size, reach)
        found.append([(point, np.asarray(slope(jnp.asarray(point))), stability(field, point)) for point in points])
    most = max(map(len, found))
    place = np.full((len(found), most, size), np.nan)
    modes = {name: place.copy() for name in ("decay_ms", "frequency_hz")}
    probability, stable = np.full(place.shape[:2], np.nan), np.zeros(place.shape[:2], bool)
    for regime, each in enumerate(found):
        for number, (point, matrix, certain) in enumerate(each):
            values, _ = ordered(np.eye(size) + matrix)
            place[regime, number], probability[regime, number] = point, certain
            stable[regime, number] = (np.abs(values) < 1).all()
            modes["frequency_hz"][regime, number] = described(values, bin_ms)["frequency_hz"]
            with np.errstate(divide="ignore"):
                modes["decay_ms"][regime, number] = -bin_ms / np.log(np.abs(values))
    dims = ("regime", "point")
    return {
        "fixed_point": ((*dims, "latent"), place, {"units": "1"}),
        "decay_ms": ((*dims, "eigenvalue"), modes["decay_ms"], {"units": "ms"}),
        "frequency_hz": ((*dims, "eigenvalue"), modes["frequency_hz"], {"units": "Hz"}),
        "stable": (dims, stable, {"units": "1"}),
        "probability_stable": (dims, probability, {"units": "1"}),
    }


def newton(drift: Step, size: int, reach: float) -> list[Float[np.ndarray, " latent"]]:
    """The zeros of f near the plane, by damped Newton steps from many starts, the nearest to zero first."""
    starts = np.random.default_rng(0).uniform(-AROUND * reach, AROUND * reach, (STARTS, size))
    starts[0] = 0.0
    slope = jax.jacfwd(drift)

    def improved(x: Float[Array, " latent"], _: None) -> tuple[Float[Array, " latent"], None]:
        matrix = slope(x)
        ridge = 1e-8 * jnp.eye(size, dtype=x.dtype)
        change = -jnp.linalg.solve(matrix.T @ matrix + ridge, matrix.T @ drift(x))
        length = jnp.linalg.norm(change)
        return x + change * jnp.minimum(1.0, LARGEST_STEP / jnp.maximum(length, 1e-30)), None

    ended = jax.vmap(lambda x: jax.lax.scan(improved, x, length=STEPS)[0])(jnp.asarray(starts, jnp.result_type(float)))
    speed = np.linalg.norm(np.asarray(jax.vmap(drift)(ended)), axis=1)
    ended = np.asarray(ended, float)
    good = np.isfinite(ended).all(1) & (speed < FIXED) & (np.abs(ended) < AROUND * reach).all(1)
    kept: list[np.ndarray] = []
    for point in ended[good][np.argsort(np.linalg.norm(ended[good], axis=1), kind="stable")]:
        if all(np.linalg.norm(point - other) > SAME for other in kept):
            kept.append(point)
    return kept


def stability(field: Field, point: Float[np.ndarray, " latent"]) -> float:
    """The fraction of draws in which the flow, linearised at this point, decays."""
    at = jnp.asarray(point, jnp.result_type(float))
    over_draws = jax.vmap(lambda drift: jax.jacfwd(drift)(at), axis_size=field.n_draws)  # there may be no parameter
    slopes = over_draws(field.drift_draws)
    values = np.linalg.eigvals(np.eye(len(point)) + np.asarray(slopes, float))
    return float((np.abs(values).max(1) < 1).mean())
