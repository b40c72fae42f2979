"""One node for the tests of a file, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster
from tests.cluster.shells import SHELLS, Played, run
from tests.limits import HANG_SECONDS


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder: Path = tmp_path_factory.mktemp("node")
    with LocalCluster(size=1, data_dir=folder) as cluster:
        yield cluster


@pytest.fixture
def client(node: LocalCluster) -> Iterator[Client]:
    """A client of a node that holds no key."""
    with Client(node.endpoints) as connected:
        connected.delete(b"\0", from_key=True)
        yield connected


@pytest.fixture(params=SHELLS)
def played(request: pytest.FixtureRequest, node: LocalCluster) -> Played:
    """Runs a test with a client of one shell, of a node that holds no key."""
    with Client(node.endpoints) as cleaner:
        cleaner.delete(b"\0", from_key=True)
    return lambda test: run(request.param, node.endpoints, test, timeout=HANG_SECONDS)
