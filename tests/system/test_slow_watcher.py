"""A client that does not read its events, on a real node: it gets all, and costs nobody much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from cluster.launcher.local import LocalCluster
from cluster.wire import pack, unpack
from tests.limits import HANG_MS
from tests.system.conditions import client_of, events_until, revisions

VALUE = b"v" * 128 * 1024
PUTS = 150
"""Together more than the sockets and the node keep for one client."""


@contextmanager
def lazy_client(cluster: LocalCluster, name: str) -> Iterator[zmq.Socket[bytes]]:
    """A DEALER that takes one message at a time."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.RCVHWM, 1)
    socket.setsockopt(zmq.RCVBUF, 4_096)
    socket.setsockopt(zmq.RCVTIMEO, HANG_MS)
    socket.connect(f"tcp://{cluster.node(name).endpoint}")
    try:
        yield socket
    finally:
        context.destroy(linger=0)


def told(socket: zmq.Socket[bytes], last: int) -> list[dict[str, Any]]:
    """The events of one watch up to a revision."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["kv"]["mod_revision"] < last:
        events += unpack(socket.recv()).get("events", ())
    return events


def test_a_watcher_that_does_not_read_gets_every_event_when_it_does(cluster: LocalCluster) -> None:
    name = cluster.leader()
    with lazy_client(cluster, name) as lazy, client_of(cluster, name) as client:
        lazy.send(pack({"op": "watch_create", "id": 1, "key": "lazy/", "range_end": "lazy0"}))
        assert unpack(lazy.recv())["created"]
        with client.watch("lazy/", prefix=True) as watch:
            wrote = [client.put(f"lazy/{n % 7}", VALUE).header.revision for n in range(PUTS)]
            assert revisions(events_until(watch, wrote[-1])) == wrote
        lazy.send(pack({"op": "watch_progress", "id": 2}))
        events = told(lazy, wrote[-1])
        assert [event["kv"]["mod_revision"] for event in events] == wrote
        assert {event["kv"]["value"] for event in events} == {VALUE}
        assert unpack(lazy.recv())["id"] == 2


def test_a_watcher_that_reads_too_late_is_told_what_is_left(cluster: LocalCluster) -> None:
    name = cluster.leader()
    with lazy_client(cluster, name) as lazy, client_of(cluster, name) as client:
        lazy.send(pack({"op": "watch_create", "id": 1, "key": "late/", "range_end": "late0"}))
        assert unpack(lazy.recv())["created"]
        wrote = [client.put(f"late/{n % 7}", VALUE).header.revision for n in range(PUTS)]
        client.compact(wrote[-1])
        heard = []
        while True:
            reply = unpack(lazy.recv())
            if reply.get("canceled"):
                break
            heard += [event["kv"]["mod_revision"] for event in reply["events"]]
        assert heard == wrote[: len(heard)]
        assert len(heard) < PUTS
        assert reply["compact_revision"] == wrote[-1]
