"""Special functions in forms that keep their digits in float32."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

#: Terms of the series below one, and of the continued fraction above.
SERIES, FRACTIONS = 14, 40


@jax.custom_jvp
def scaled_exponential_integral(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """f(x) = e^x E_1(x) = int_0^inf e^(-xu) / (1 + u) du, for x > 0; f'(x) = f(x) - 1/x.

    Below one the series E_1(x) = -gamma - log x - sum_k (-x)^k / (k k!), above it the continued fraction
    f = 1/(x + 1 - 1/(x + 3 - 4/(x + 5 - 9/(x + 7 - ...)))).
    """
    small, large = jnp.minimum(x, 1.0), jnp.maximum(x, 1.0)
    series = sum((-small) ** k / float(k * math.factorial(k)) for k in range(SERIES, 0, -1))
    fraction = large + 2 * FRACTIONS + 1
    for k in range(FRACTIONS, 0, -1):
        fraction = large + 2 * k - 1 - float(k**2) / fraction
    return jnp.where(x < 1.0, jnp.exp(small) * (-jnp.euler_gamma - jnp.log(small) - series), 1 / fraction)


@scaled_exponential_integral.defjvp
def _derivative(
    primals: tuple[Float[Array, "*shape"]], tangents: tuple[Float[Array, "*shape"]]
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    (x,), (change,) = primals, tangents
    value = scaled_exponential_integral(x)
    return value, (value - 1 / x) * change
