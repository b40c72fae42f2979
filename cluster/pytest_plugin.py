"""Plugin for pytest: the fixture `leasehold_cluster`, a real cluster for one test.

    def test_survives_the_leader(leasehold_cluster):
        leasehold_cluster.kill("leader")
        with Client(leasehold_cluster.endpoints) as client:
            client.put("greeting", "hello")

It has three nodes on free ports, is ready when the test begins, and is gone after it.
`@pytest.mark.leasehold(size=5, node_flags=["--election-timeout=1000"])` gives LocalCluster other
arguments. The report of a test that fails tells what happened to its cluster.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from cluster.launcher.local import LocalCluster

FIXTURE: Final = "leasehold_cluster"
TOLD_LINES_MAX: Final = 200
"""The report of a failed test has this many of the newest lines."""


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker is for."""
    config.addinivalue_line(
        "markers", f"leasehold(**arguments): arguments of LocalCluster, for {FIXTURE}"
    )


@pytest.fixture
def leasehold_cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    """A local cluster (`cluster.LocalCluster`) of three nodes, only for this test."""
    from cluster.launcher.local import LocalCluster  # noqa: PLC0415 - only for tests that need it

    marker = request.node.get_closest_marker("leasehold")
    arguments: dict[str, Any] = {"size": 3, **(marker.kwargs if marker else {})}
    with LocalCluster(**arguments) as cluster:
        yield cluster


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what happened to the cluster to the report of a test that failed."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get(FIXTURE)
    if report.failed and cluster is not None:
        lines = [
            f"{happening.document()['time']}  {happening.source or '-':<3} {happening.text}"
            for happening in cluster.journal.since(0)
        ]
        report.sections.append((f"what happened to {FIXTURE}", "\n".join(lines[-TOLD_LINES_MAX:])))
    return report
