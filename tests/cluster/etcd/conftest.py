"""A real node for the tests of the front's parts: one for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.launcher.local import LocalCluster


@pytest.fixture(scope="session")
def etcd_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One node; each test uses keys of its own."""
    folder: Path = tmp_path_factory.mktemp("etcd")
    with LocalCluster(size=1, data_dir=folder) as cluster:
        yield cluster
