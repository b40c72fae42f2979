"""The probe client beside a real cluster: what it sees in peace, at a kill, and in the end."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster
from cluster.launcher.probing.prober import Prober
from cluster.launcher.probing.records import (
    PREFIX,
    Held,
    Kind,
    LeaseNews,
    Operation,
    Outcome,
    Record,
    Seen,
)
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as running:
        yield running


@pytest.fixture
def prober(cluster: LocalCluster) -> Iterator[Prober]:
    probing = Prober({node.name: node.endpoint for node in cluster.voters})
    probing.start()
    yield probing
    probing.stop()


def told(prober: Prober, enough: Callable[[list[Record]], bool]) -> list[Record]:
    """What the client tells until that is enough."""
    records: list[Record] = []
    until = time.monotonic() + HANG_SECONDS
    while not enough(records):
        assert time.monotonic() < until, f"not enough: {records[-20:]}"
        select.select([prober.fd], [], [], 1.0)
        records += prober.receive()
    return records


def has(kind: Kind, node: str, began: float) -> Callable[[list[Record]], bool]:
    """Whether a request of this kind was answered by this node, that was sent after this time."""

    def found(records: list[Record]) -> bool:
        return any(
            isinstance(record, Operation)
            and (record.kind, record.node, record.outcome) == (kind, node, Outcome.DONE)
            and record.began > began
            for record in records
        )

    return found


def test_every_node_is_asked_and_the_watch_and_the_leases_are_told(prober: Prober) -> None:
    def enough(records: list[Record]) -> bool:
        leases = {record.what for record in records if isinstance(record, LeaseNews)}
        seen = any(isinstance(record, Seen) for record in records)
        asked = all(has(kind, node, 0)(records) for kind in Kind for node in ("n1", "n2", "n3"))
        return seen and asked and leases >= {"granted", "renewed", "expired"}

    records = told(prober, enough)
    assert not [r for r in records if isinstance(r, LeaseNews) and r.what == "lost"]


def test_nothing_is_lost_when_the_leader_is_killed(cluster: LocalCluster, prober: Prober) -> None:
    told(prober, lambda records: any(isinstance(record, Seen) for record in records))
    leader = cluster.leader()
    others = sorted({"n1", "n2", "n3"} - {leader})
    killed_at = time.monotonic()
    prober.look_closely(1.0)
    cluster.kill(leader)

    def enough(records: list[Record]) -> bool:
        # What is sent after the kill is answered by both others, and the watch goes on.
        last = max((r.revision for r in records if isinstance(r, Seen)), default=0)
        acknowledged = [
            r.revision for r in records if isinstance(r, Operation) and r.began > killed_at
        ]
        served = all(has(kind, node, killed_at)(records) for kind in Kind for node in others)
        return served and any(0 < revision <= last for revision in acknowledged)

    told(prober, enough)
    cluster.restart(leader)
    prober.follow({node.name: node.endpoint for node in cluster.voters})
    told(prober, has(Kind.READ, leader, time.monotonic()))
    helds = prober.read_again()
    records = told(prober, lambda records: prober.is_settled(helds))
    found = [record for record in records if isinstance(record, Held)]
    assert {held.node for held in found} == {"n1", "n2", "n3"}
    assert all(held.rows and held.is_all for held in found)
    assert prober.history.wrongs(found) == ({}, {})
    assert prober.history.fault_since(0) == ""


def test_at_its_end_the_client_leaves_nothing_behind(cluster: LocalCluster) -> None:
    prober = Prober({node.name: node.endpoint for node in cluster.voters})
    prober.start()
    told(prober, lambda records: any(isinstance(record, LeaseNews) for record in records))
    prober.stop()
    assert prober.fd == -1
    with Client(cluster.endpoints) as client:
        assert client.range(PREFIX, prefix=True).count == 0
