"""A model as formulas and words."""

import pytest

from nlbprob.blocks import formula
from nlbprob.blocks.lds import LDS
from nlbprob.blocks.observations import Gaussian, Poisson
from nlbprob.blocks.templates import Templates
from nlbprob.model import Model


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("x_t = A x_{t-1}", "<i>x</i><sub>t</sub> = <i>A</i> <i>x</i><sub>t−1</sub>"),
        ("c_nk ~ N(0, loading_scale^2)", "<i>c</i><sub>nk</sub> ∼ N(0, loading_scale<sup>2</sup>)"),
        ("y ~ N(eta, sigma_n^2)", "<i>y</i> ∼ N(<i>η</i>, <i>σ</i><sub>n</sub><sup>2</sup>)"),
        ("c_n'x + d0", "<i>c</i><sub>n</sub>′<i>x</i> + <i>d</i><sub>0</sub>"),
        ("a beta of theta, not betas", "a <i>β</i> of <i>θ</i>, not betas"),
        ("a neuron's c_nk; more", "a neuron’s <i>c</i><sub>nk</sub>; more"),
        ("diag(e^(-bin/tau)) pi", "diag(<i>e</i><sup>−bin/τ</sup>) <i>π</i>"),
        ("p < q & r", "<i>p</i> &lt; <i>q</i> &amp; <i>r</i>"),
    ],
)
def test_formulas(plain, expected):
    assert formula.formula(plain) == expected


def test_a_model_is_told_by_its_blocks():
    model = Model(latents=[LDS(2, name="slow"), LDS(3)], observation=Poisson(link="softplus"))
    told = [(role, type(block).__name__, formula.options(block)) for role, block in formula.blocks(model)]
    assert told[:3] == [
        ("latents", "LDS", " (dim 2)"),
        ("latents", "LDS", " (dim 3)"),
        ("observation", "Poisson", " (link softplus)"),
    ]
    assert formula.first_paragraph(LDS(2)).startswith("x_1 ~ N(m0, P0)")


def test_what_a_formula_leaves_open_and_the_settings_are_explained():
    told = dict(formula.explained(Templates(3, temperature=8.0)))
    assert list(told) == ["", "components 3", "temperature 8.0"]
    assert told[""].startswith("mu_k(t) = sum_j a_kj phi_j(t), phi_j the cosines of the trial's window")
    assert "unit variance and smoothness_ms (120) (Solin" in told[""]
    assert told["temperature 8.0"].endswith("so that where they are not 1 makes labels too certain.")
    assert "smoothness_ms:" not in told["temperature 8.0"]
    assert dict(formula.explained(LDS(2, "modal")))["dynamics modal"].startswith("the form of A.")
    assert list(formula.explained(Gaussian())) == []


def test_a_plain_function_is_told_by_its_docstring():
    def model(trials):
        """log rate = sin(t)

        More of it.
        """

    assert list(formula.blocks(model)) == []
    assert formula.first_paragraph(model) == "log rate = sin(t)"
