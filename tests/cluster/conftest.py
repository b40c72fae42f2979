"""One node for the tests of a file, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster


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
