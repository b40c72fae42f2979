"""A cluster of three real processes, shared by the tests of a module and whole before each."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from cluster.launcher.local import LocalCluster


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[LocalCluster]:
    """Three nodes on free ports, gone after the module."""
    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: LocalCluster) -> Iterator[LocalCluster]:
    """The module's cluster; whatever a test did to its nodes, all run again afterwards."""
    yield shared_cluster
    shared_cluster.reap()
    for node in shared_cluster.nodes.values():
        if node.running:
            node.signal(signal.SIGCONT)
        else:
            shared_cluster.launch_node(node.name)
    shared_cluster.wait_until_ready()
