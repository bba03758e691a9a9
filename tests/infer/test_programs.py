"""Programs: what they are compiled for, and how thoroughly."""

import jax
import jax.numpy as jnp
import pytest

from nlbprob.infer.runtime.programs import program

OPTION = "jax_disable_most_optimizations"


@pytest.fixture
def optimizations():
    """Sets whether most optimizations are disabled; after the test it is as before."""
    before = jax.config.read(OPTION)
    yield lambda disabled: jax.config.update(OPTION, disabled)
    jax.config.update(OPTION, before)


def test_how_thoroughly_it_is_compiled_follows_the_option_at_each_call(optimizations):
    doubled, made = program()(lambda x: 2 * x), []
    for disabled in (False, True, False):
        optimizations(disabled)
        made.append(doubled.jitted)
        assert float(doubled(jnp.ones(()))) == 2.0
    quick, slow, again = made
    assert quick is again is not slow
    assert [each._cache_size() for each in (quick, slow)] == [1, 1]


def test_a_description_is_compiled_once_for_each_that_differs():
    traced = []

    @program("power")
    def raised(x, power):
        traced.append(power)
        return x**power

    assert [float(raised(jnp.asarray(3.0), power)) for power in (2, 3, 2)] == [9.0, 27.0, 9.0]
    assert traced == [2, 3]
    promised = raised.ahead(jax.ShapeDtypeStruct((2,), jnp.float32), 2)
    assert promised.shape == (2,)
    raised(jnp.ones(2), 2)
    assert traced == [2, 3, 2]
