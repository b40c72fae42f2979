"""An etcd and a node that all tests of a module share; without etcd they are skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.etcd import MISSING, binaries
from tests.differential.runner import Pair
from tests.differential.servers import start_pair


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Both servers, started once: each program begins by emptying them."""
    if binaries() is None:
        pytest.skip(MISSING)
    with start_pair() as both:
        yield both
