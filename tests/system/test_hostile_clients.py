"""A real node and what hostile programs send to its client port: it is refused, and others go on.

Each test has an honest client beside the hostile one, whose requests are answered as ever.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import zmq

from cluster.launcher.local import LocalCluster
from cluster.wire import pack, unpack
from tests.chaos.hostile.on_clients import colliding_map
from tests.chaos.hostile.zmtp import Connection, endless, message, version_1
from tests.limits import HANG_MS, HANG_SECONDS

PUT = pack({"op": "put", "key": "forged", "value": "1"})
MESSAGES_MAX = 1_000


class Node:
    """One running node, raw connections to it, and an honest client."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster
        host, _, port = cluster.endpoints[0].rpartition(":")
        self.address = (host, int(port))
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._honest = self._context.socket(zmq.REQ)
        self._honest.linger = 0
        self._honest.rcvtimeo = HANG_MS
        self._honest.connect(f"tcp://{host}:{port}")

    def call(self, **request: Any) -> Any:
        """An honest request, and its reply."""
        self._honest.send(pack(request))
        return unpack(self._honest.recv())

    def serves(self) -> bool:
        """Whether an honest put is done, and the node is the one that was started."""
        (node,) = self.cluster.nodes.values()
        return node.running and "header" in self.call(op="put", key="honest", value="1")

    def close(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture(scope="module", params=[False, True], ids=["directly", "through the front"])
def one_node(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    """The node's limits hold for both ways to it."""
    with LocalCluster(size=1, front=request.param) as cluster:
        yield cluster


@pytest.fixture
def node(one_node: LocalCluster) -> Iterator[Node]:
    made = Node(one_node)
    # A request on a connection that is new may be lost behind a message of too many frames.
    assert made.serves()
    yield made
    assert made.serves()
    made.close()


def reply_of(connection: Connection) -> Any:
    (frames,) = connection.messages(1, HANG_SECONDS)
    return unpack(frames[-1])


def wait_until_closed(connection: Connection) -> None:
    """Read until the node has closed the connection; TimeoutError when it does not."""
    connection.socket.settimeout(HANG_SECONDS)
    try:
        while connection.socket.recv(65_536):
            pass
    except ConnectionError:
        return


def test_the_bytes_of_a_web_page_write_nothing(node: Node) -> None:
    """An old frame of a put, after a head that is parsed as frames of ZMTP/1.0 too."""
    with Connection(node.address) as page:
        page.send(version_1(PUT))
        wait_until_closed(page)
    assert node.call(op="range", key="forged")["count"] == 0


def test_keys_that_collide_are_refused(node: Node) -> None:
    with Connection(node.address) as hostile:
        hostile.shake_hands(b"DEALER")
        hostile.send(message(colliding_map(12_000)))
        assert "values" in reply_of(hostile)["error"]["message"]
        hostile.send(message(colliding_map(100)))
        assert "not allowed for map key" in reply_of(hostile)["error"]["message"]


def test_a_great_many_tiny_values_are_refused(node: Node) -> None:
    with Connection(node.address) as hostile:
        hostile.shake_hands(b"DEALER")
        hostile.send(message(b"\xdd" + struct.pack(">I", 1_000_000) + b"\x80" * 1_000_000))
        assert "more than" in reply_of(hostile)["error"]["message"]


def test_a_message_of_a_great_many_frames_ends_its_connection(node: Node) -> None:
    with Connection(node.address) as hostile:
        hostile.shake_hands(b"DEALER")
        hostile.send(message(*[b"x"] * 100_001))
        wait_until_closed(hostile)


def test_many_messages_of_a_great_many_frames_hold_up_nobody(node: Node) -> None:
    with ExitStack() as open_ones:
        hostile = []
        for _ in range(20):
            connection = open_ones.enter_context(Connection(node.address))
            connection.shake_hands(b"DEALER")
            connection.socket.settimeout(HANG_SECONDS)
            connection.send(message(*[b"x"] * 100_001))
            assert node.serves()
            hostile.append(connection)
        for connection in hostile:
            wait_until_closed(connection)


def test_a_message_without_end_ends_its_connection(node: Node) -> None:
    with Connection(node.address) as hostile:
        hostile.shake_hands(b"DEALER")
        hostile.socket.settimeout(HANG_SECONDS)
        with pytest.raises(ConnectionError):
            for _ in range(MESSAGES_MAX):
                hostile.send(endless(*[bytes(100_000)] * 10))


def test_a_claimed_automatic_name_ends_its_connection(node: Node) -> None:
    with Connection(node.address) as hostile:
        hostile.shake_hands(b"DEALER", b"\0mine")
        hostile.send(message(pack({"op": "watch_create", "key": "honest"})))
        wait_until_closed(hostile)


def test_a_frame_beyond_what_a_request_may_be_ends_its_connection(node: Node) -> None:
    with Connection(node.address) as hostile:
        hostile.shake_hands(b"DEALER")
        hostile.send(struct.pack(">BQ", 2, 16 * 1024 * 1024))
        wait_until_closed(hostile)


def test_whoever_does_not_read_ends_only_its_own_connection(node: Node) -> None:
    """Twenty times all keys for a client that never reads would be 400 MB, in the node."""
    for number in range(20):
        node.call(op="put", key=f"bulk/{number}", value=bytes(1_000_000))
    whole = message(pack({"op": "range", "key": "bulk/", "range_end": "bulk0"}))
    with Connection(node.address, small_buffer=True) as hostile:
        hostile.shake_hands(b"DEALER")
        for _ in range(20):
            hostile.send(whole)
        assert node.call(op="range", key="bulk/", range_end="bulk0", count_only=True)["count"] == 20
    node.call(op="delete_range", key="bulk/", range_end="bulk0")
