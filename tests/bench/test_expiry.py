"""The measurement of leases that end all at once, with few of them."""

from __future__ import annotations

from cluster.launcher.local import LocalCluster
from tests.bench.expiry import measure
from tests.limits import UNHURRIED

LEASES = 500


def test_all_leases_end_and_none_before_its_time() -> None:
    with LocalCluster(node_flags=UNHURRIED) as cluster:
        figures = measure(cluster, LEASES)
    assert -0.01 < figures.first_gone_seconds <= figures.all_gone_seconds
    assert all(each > 0 for each in (*figures.quiet_ms, *figures.meanwhile_ms))
    assert len(figures.lines()) == 4
