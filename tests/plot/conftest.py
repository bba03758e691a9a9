"""The recording, the posterior and the rates of the report's tests, to draw from; figures are closed after a test."""

import pytest
from matplotlib import pyplot

from tests.reporting.conftest import case  # noqa: F401


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    pyplot.close("all")
