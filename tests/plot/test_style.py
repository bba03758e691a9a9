"""The palette: the page's own, and told apart by all."""

import itertools
import pathlib
import re

import numpy as np
import pytest

import nlbprob.reporting
from nlbprob.plot.style import CONDITIONS, THEME

#: What a reader without one kind of cone sees of linear red, green and blue (Machado, Oliveira and Fernandes 2009).
SIGHTS = {
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
#: A difference in CIELAB of 2.3 is just noticeable.
CLEAR = 8.0


def lab(color: str, sight) -> np.ndarray:
    """A color in CIELAB, where distances are differences that are seen."""
    rgb = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.asarray(sight) @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHTS)
def test_conditions_are_told_apart_without_one_kind_of_cone(sight):
    seen = [lab(color, SIGHTS[sight]) for color in CONDITIONS]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > CLEAR


def test_figures_have_the_colors_of_the_page():
    css = pathlib.Path(nlbprob.reporting.__path__[0], "page.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colors = dict(re.findall(r"--(\w+): (#\w+);", light))
    assert {name: colors[name] for name in THEME.values()} == {name: color for color, name in THEME.items()}
    assert set(THEME.values()) <= set(dict(re.findall(r"--(\w+): (#\w+);", dark)))
