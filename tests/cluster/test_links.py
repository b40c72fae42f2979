"""The links between members on real sockets: what a node learns of a peer that dies."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from cluster.launcher.ports import free_ports
from cluster.links import (
    CLIENT_REPLIES_MAX,
    LARGE_FRAME_BYTES,
    UNSENT_BYTES_MAX,
    ClientDoor,
    PeerDoor,
    PeerLinks,
)

WAIT_MS = 10_000
PAYLOAD_WORDS = 64 * 1024


def test_a_broken_connection_wakes_whoever_sleeps_on_the_descriptors() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    url = f"tcp://127.0.0.1:{free_ports(1)[0].peer}"
    door = PeerDoor(context, (url,))
    links = PeerLinks(context)
    links.update({7: url})
    poller = select.poll()
    for descriptor in links.descriptors():
        poller.register(descriptor, select.POLLIN)
    # As the mailbox does: nobody sleeps while something must be drained.
    while links.must_drain():
        assert links.drain(10) == []
    while not links.send(7, b"hello"):
        door.wait(1)
    door.close()
    assert poller.poll(WAIT_MS), "no word of the broken connection"
    assert links.drain(10) == [7]
    links.close()
    context.destroy(linger=0)


@contextmanager
def client_that_reads_little() -> Iterator[tuple[ClientDoor, tuple[bytes, ...], zmq.Socket[bytes]]]:
    """A door, a client that takes one message at a time, and the way to it."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    door = ClientDoor(context, ("tcp://127.0.0.1:*",))
    client = context.socket(zmq.DEALER)
    client.setsockopt(zmq.RCVHWM, 1)
    client.setsockopt(zmq.RCVBUF, 4_096)
    client.setsockopt(zmq.RCVTIMEO, WAIT_MS)
    client.connect(door.endpoint)
    client.send(b"here")
    arrived: list[tuple[tuple[bytes, ...], bytes]] = []
    while not arrived:
        arrived = door.drain(1)
    yield door, arrived[0][0], client
    client.close(linger=0)
    door.close()
    context.destroy(linger=0)


def test_a_client_that_does_not_read_holds_only_so_many_bytes_in_the_socket() -> None:
    with client_that_reads_little() as (door, route, client):
        sent = 0
        while door.send(route, sent.to_bytes(4, "big") * PAYLOAD_WORDS):
            sent += 1
        # Besides, the system's own buffers hold some.
        assert UNSENT_BYTES_MAX // (4 * PAYLOAD_WORDS) <= sent < CLIENT_REPLIES_MAX // 5
        assert [int.from_bytes(client.recv()[:4], "big") for _ in range(sent)] == list(range(sent))
        while not door.send(route, bytes(LARGE_FRAME_BYTES)):
            pass
        assert client.recv() == bytes(LARGE_FRAME_BYTES)


def test_one_frame_may_be_larger_than_what_may_wait() -> None:
    with client_that_reads_little() as (door, route, client):
        large = bytes(2 * UNSENT_BYTES_MAX)
        assert door.send(route, large)
        assert client.recv() == large


def test_a_large_frame_to_a_client_that_is_gone_is_said_to_be() -> None:
    with client_that_reads_little() as (door, _, _):
        assert door.send((b"\0nobody",), bytes(LARGE_FRAME_BYTES)) is None
