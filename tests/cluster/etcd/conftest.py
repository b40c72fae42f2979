"""For the tests of the front's parts: a real node, one for all of them, and each kind of loop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.launcher.local import LocalCluster
from tests.cluster.etcd import loops


@pytest.fixture(scope="session")
def etcd_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One node; each test uses keys of its own."""
    folder: Path = tmp_path_factory.mktemp("etcd")
    with LocalCluster(size=1, data_dir=folder) as cluster:
        yield cluster


@pytest.fixture(params=loops.KINDS)
def each_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once in each kind of loop."""
    monkeypatch.setattr(loops.Chosen, "kind", request.param)
    kind: str = request.param
    return kind
