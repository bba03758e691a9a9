"""What the tests of damaged files share."""

import pathlib
from collections.abc import Iterator

import pytest

from tests.damage.worker import Worker


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """A process that may crash or hang without ending the tests."""
    made = Worker()
    yield made
    made.close()


@pytest.fixture(scope="session")
def recorded_file(tmp_path_factory) -> pathlib.Path:
    """An NWB file that a fit of two latents takes seconds for."""
    import nlbprob as nlb
    from nlbprob.simulation import write_nwb

    simulated = nlb.simulate(nlb.Model(latents=[nlb.LDS(2)]), 20, neurons=8, bins=10, bin_ms=20.0)
    return write_nwb(tmp_path_factory.mktemp("recording"), simulated)[0]
