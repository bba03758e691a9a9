"""What the tests of damaged files share."""

from collections.abc import Iterator

import pytest

from tests.damage.worker import Worker


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """A process that may crash or hang without ending the tests."""
    made = Worker()
    yield made
    made.close()
