"""What tests do to real processes, and waiting for it with a limit instead of a sleep."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from actors.__main__ import main
from cluster import Client, DeadlineExceededError, Event, Watch
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.layout import flags_of
from tests.limits import HANG_SECONDS

T = TypeVar("T")

RESTORE_FLAGS = ("name", "initial-cluster", "initial-cluster-token", "initial-advertise-peer-urls")


def wait_until(
    cluster: LocalCluster, what: str, found: Callable[[], T | None], seconds: float = HANG_SECONDS
) -> T:
    """What `found` returns once that is neither None nor False; AssertionError if it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value is not None and value is not False:
            return value
        cluster.poll(10)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def wait_for_revision(cluster: LocalCluster, name: str, revision: int) -> None:
    """Wait until a node has applied everything up to a revision."""

    def reached() -> bool:
        status = cluster.status().get(name)
        return status is not None and status.revision >= revision

    wait_until(cluster, f"{name} reaches revision {revision}", reached)


def wait_for_other_leader(cluster: LocalCluster, than: str) -> str:
    """The name of the next leader, once somebody else than this node leads."""

    def other() -> str | None:
        leaders = {s.term: n for n, s in cluster.status(0.2).items() if s.leads and n != than}
        return leaders[max(leaders)] if leaders else None

    return wait_until(cluster, f"a leader other than {than}", other)


def name_of_member(cluster: LocalCluster, member_id: int) -> str:
    """The node with this member id."""
    return next(node.name for node in cluster.nodes.values() if node.member_id == member_id)


def followers(cluster: LocalCluster) -> list[str]:
    """The nodes that do not lead."""
    leader = cluster.leader()
    return [name for name in cluster.nodes if name != leader]


def client_of(cluster: LocalCluster, *names: str, timeout: float = HANG_SECONDS) -> Client:
    """A client that knows only these nodes, or all."""
    endpoints = [cluster.node(name).endpoint for name in names] or cluster.endpoints
    return Client(endpoints, timeout=timeout)


def events_until(watch: Watch, revision: int, seconds: float = HANG_SECONDS) -> list[Event]:
    """The watch's next events, up to and with all those of this revision."""
    events: list[Event] = []
    deadline = time.monotonic() + seconds
    while True:
        arrived = bool(events) and events[-1].revision >= revision
        try:
            # All events of one revision come together: the rest of the last one is here already.
            events.append(watch.get(0.0 if arrived else max(0.0, deadline - time.monotonic())))
        except DeadlineExceededError:
            assert arrived, f"no revision {revision} among {len(events)} events"
            return events


def revisions(events: Sequence[Event]) -> list[int]:
    """The revision of each event."""
    return [event.revision for event in events]


def restore(cluster: LocalCluster, snapshot: Path) -> None:
    """Stop all nodes, and start a new cluster made of a snapshot, at the same places."""
    records = [node.record for node in cluster.nodes.values()]
    for record in records:
        cluster.kill(record.name)
    for record in records:
        directory = cluster.directory.node_directory(record.name)
        shutil.rmtree(directory)
        flags = flags_of(record, records, str(directory))
        given = [f"--{flag}={flags[flag]}" for flag in RESTORE_FLAGS if flag in flags]
        assert main(["snapshot", "restore", str(snapshot), f"--data-dir={directory}", *given]) == 0
    for record in records:
        cluster.launch_node(record.name)
    cluster.wait_until_ready()
