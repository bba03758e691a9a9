"""How much of one fit's latents those of another explain."""

import numpy as np
import pytest

from nlbprob.posterior.angles import principal_angles
from nlbprob.selection.explained import explained


def test_a_linear_map_explains_all_and_noise_nothing():
    random = np.random.default_rng(0)
    source = random.normal(size=(20, 30, 3))
    inside = np.arange(30) < random.integers(10, 30, (20, 1))
    target = source @ random.normal(size=(3, 2)) + 5
    spoilt = np.where(inside[..., None], target, np.nan)
    assert explained(spoilt, source, inside) == pytest.approx(1)
    assert explained(random.normal(size=(20, 30, 2)), source, inside) == pytest.approx(0, abs=0.05)


def test_what_is_explained_is_the_fraction_of_variance_that_is_shared():
    random = np.random.default_rng(1)
    target = random.normal(size=(200, 20, 2)) * [2.0, 1.0]
    found = explained(target, target[..., :1] / 3, np.ones((200, 20), bool))
    assert found == pytest.approx(4 / 5, abs=0.02)
    assert np.isnan(explained(target[:1], target[:1], np.ones((1, 20), bool)))


def test_principal_angles_of_planes_that_share_a_line():
    angle = np.radians(30)
    mine = np.array([[1.0, 0], [0, 1], [0, 0]])
    theirs = np.array([[3.0, 0], [0, np.cos(angle)], [0, np.sin(angle)]]) @ np.array([[1.0, 2], [0, 1]])
    np.testing.assert_allclose(principal_angles(mine, theirs), [0, 30], atol=1e-6)
    np.testing.assert_allclose(principal_angles(mine, theirs[:, :1]), [0], atol=1e-6)
