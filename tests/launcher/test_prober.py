"""The probe client beside a real cluster: what it sees in peace, at a kill, and in the end."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster
from cluster.launcher.probing.history import WriteHistory
from cluster.launcher.probing.prober import Prober
from cluster.launcher.probing.process import ClientProcess
from cluster.launcher.probing.records import (
    PREFIX,
    Held,
    LeaseNews,
    Operation,
    ProbeKind,
    ProbeOutcome,
    Record,
    Seen,
    Settled,
)
from cluster.launcher.story.journal import Journal
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as running:
        yield running


@pytest.fixture
def probe(cluster: LocalCluster) -> Iterator[ClientProcess]:
    process = ClientProcess(cluster.data_dir / "probe.log")
    process.follow({node.name: node.endpoint for node in cluster.voters})
    yield process
    process.stop()


def told(probe: ClientProcess, enough: Callable[[list[Record]], bool]) -> list[Record]:
    """What the client tells until that is enough."""
    records: list[Record] = []
    until = time.monotonic() + HANG_SECONDS
    while not enough(records):
        assert time.monotonic() < until, f"not enough: {records[-20:]}"
        select.select([probe.fd], [], [], 1.0)
        records += probe.receive()
    return records


def has(kind: ProbeKind, node: str, began: float) -> Callable[[list[Record]], bool]:
    """Whether a request of this kind was answered by this node, that was sent after this time."""

    def found(records: list[Record]) -> bool:
        return any(
            isinstance(record, Operation)
            and (record.kind, record.node, record.outcome) == (kind, node, ProbeOutcome.DONE)
            and record.began > began
            for record in records
        )

    return found


def test_every_node_is_asked_and_the_watch_and_the_leases_are_told(probe: ClientProcess) -> None:
    def enough(records: list[Record]) -> bool:
        leases = {record.what for record in records if isinstance(record, LeaseNews)}
        seen = any(isinstance(record, Seen) for record in records)
        asked = all(
            has(kind, node, 0)(records) for kind in ProbeKind for node in ("n1", "n2", "n3")
        )
        return seen and asked and leases >= {"granted", "renewed", "expired"}

    records = told(probe, enough)
    assert not [r for r in records if isinstance(r, LeaseNews) and r.what == "lost"]


def test_nothing_is_lost_when_the_leader_is_killed(
    cluster: LocalCluster, probe: ClientProcess
) -> None:
    records = told(probe, lambda records: any(isinstance(record, Seen) for record in records))
    leader = cluster.leader()
    others = sorted({"n1", "n2", "n3"} - {leader})
    killed_at = time.monotonic()
    probe.look_closely(1.0)
    cluster.kill(leader)

    def enough(records: list[Record]) -> bool:
        # What is sent after the kill is answered by both others, and the watch goes on.
        last = max((r.revision for r in records if isinstance(r, Seen)), default=0)
        acknowledged = [
            r.revision for r in records if isinstance(r, Operation) and r.began > killed_at
        ]
        served = all(has(kind, node, killed_at)(records) for kind in ProbeKind for node in others)
        return served and any(0 < revision <= last for revision in acknowledged)

    records += told(probe, enough)
    cluster.restart(leader)
    records += told(probe, has(ProbeKind.READ, leader, time.monotonic()))
    probe.read_again(7)
    records += told(probe, lambda records: any(isinstance(r, Settled) for r in records))
    found = [record for record in records if isinstance(record, Held)]
    assert {held.node for held in found} == {"n1", "n2", "n3"}
    assert all(held.rows and held.is_all for held in found)
    history = WriteHistory()
    for record in records:
        if isinstance(record, Operation):
            history.add(record)
    assert history.wrongs(found) == ({}, {})
    assert history.fault_since(0) == ""


def test_at_its_end_the_client_leaves_nothing_behind(cluster: LocalCluster) -> None:
    left = -1
    with Client(cluster.endpoints) as client:
        until = time.monotonic() + HANG_SECONDS
        # On a machine so busy that the deletion is not answered soon, the next one deletes it all.
        while left != 0:
            assert time.monotonic() < until, f"{left} keys are left behind each time"
            probe = ClientProcess(cluster.data_dir / "probe.log")
            probe.follow({node.name: node.endpoint for node in cluster.voters})
            told(probe, has(ProbeKind.WRITE, "n2", 0))
            probe.stop()
            assert probe.has_ended
            left = client.range(PREFIX, prefix=True).count


def test_a_client_that_is_paused_holds_up_nobody(tmp_path: Path) -> None:
    process = ClientProcess(tmp_path / "probe.log")
    assert process.follow({})
    os.kill(process.pid, signal.SIGSTOP)
    for _ in range(100_000):
        if not process.follow({}):
            break
    assert not process.follow({})
    os.kill(process.pid, signal.SIGCONT)
    process.stop()
    assert process.has_ended


def test_a_client_that_is_killed_is_started_again(tmp_path: Path) -> None:
    prober = Prober(Journal(), tmp_path, dict, None, 300)

    def serve_until(done: Callable[[], bool]) -> None:
        until = time.monotonic() + HANG_SECONDS
        while not done():
            assert time.monotonic() < until
            wait = max(0.0, prober.due - time.monotonic())
            ready, _, _ = select.select(list(prober.fds()), [], [], wait)
            prober.serve(set(ready), time.monotonic())

    serve_until(lambda: prober.pid != 0)
    first = prober.pid
    os.kill(first, signal.SIGKILL)
    serve_until(lambda: prober.pid not in {0, first})
    prober.close()
    assert prober.pid == 0
