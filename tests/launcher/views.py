"""A view of three nodes, of which one is down, for tests of what screens show."""

from __future__ import annotations

from typing import Any

from cluster.launcher.screens.view import ClusterView, NodeView


def node(name: str = "n1", **changes: Any) -> NodeView:
    """A leader that everything is known of."""
    whole = NodeView(
        name=name,
        state="leader",
        term=3,
        revision=8_123,
        pid=43_127,
        endpoint="127.0.0.1:2379",
        note="kill -9 43127",
        commit=12_451,
        applied=12_451,
        lag=0,
        db_size=1_258_291,
        keys=812,
        hash=0x3FA9C1D2,
        round_trip_ms=0.31,
        sync_p99_ms=1.0,
        vote="n1",
        connected=2,
        others=2,
    )
    return whole._replace(**changes)


LEADER = node()
FOLLOWER = node(
    "n2", state="follower", pid=43_128, note="kill -9 43128", endpoint="127.0.0.1:22379"
)
KILLED = NodeView("n3", "killed", None, None, 0, "127.0.0.1:32379", "restart n3")
VIEW = ClusterView("n1", 3, 8_123, (LEADER, FOLLOWER, KILLED))
