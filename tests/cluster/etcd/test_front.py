"""A front in the test's own loop: what it does with each kind of client, and its limits."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, Final, cast

import pytest
import zmq

from cluster.door import UNREAD_CONNECTION_BYTES_MAX
from cluster.etcd import front as front_module
from cluster.etcd.front import FIRST_BYTES_MAX, Front, Make, PortKind, Protocols
from cluster.etcd.link.node_link import NodeLink
from cluster.etcd.link.zmtp import frame
from cluster.front_config import FrontConfig, from_line
from cluster.tls.options import ServerTls
from cluster.wire import pack, unpack
from tests.chaos.hostile.zmtp import Connection
from tests.cluster.etcd.loops import run, until
from tests.cluster.etcd.standin import CLUSTER_ID, MEMBER_ID, StandIn, echo, stand_in
from tests.limits import HANG_MS, HANG_SECONDS

pytestmark = pytest.mark.usefixtures("each_loop")

CONFIG: Final = FrontConfig(
    cluster_id=CLUSTER_ID,
    member_id=MEMBER_ID,
    own_port=0,
    passing_port=0,
    password="",
    listening=(7, 8),
    listening_metrics=(),
    listening_tls=(8,),
    listening_plain=(7, 8),
    tls=ServerTls("c", "k", "", False, ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",), "", "", 0, ()),
    secret="",
    passages=-1,
    life=9,
    turn=10,
    done=11,
    request_bytes_max=1_000_000,
    node_pid=1,
    version="0",
    cors=("*",),
    log_level=20,
    log_format="text",
    name="n1",
)


class Told(asyncio.Protocol):
    """A protocol of the test, which echoes with its name in front."""

    def __init__(self, name: bytes, link: NodeLink) -> None:
        self.name, self.link = name, link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.name + data)

    def go_away(self) -> None:
        self.transport.close()

    def connection_lost(self, exception: Exception | None) -> None:
        self.link.close()


def protocols() -> Protocols:
    def make(name: bytes) -> Callable[[NodeLink], Told]:
        return lambda link: Told(name, link)

    return Protocols(make(b"1:"), make(b"2:"), make(b"m:"))


def front_of(node: StandIn) -> tuple[Front, tuple[str, int]]:
    """A front that listens, and its address."""
    config = CONFIG._replace(own_port=node.port, tls=None)
    front = Front(asyncio.get_running_loop(), config, protocols())
    listening = socket.create_server(("127.0.0.1", 0))
    address: tuple[str, int] = listening.getsockname()
    front.listen([listening])
    return front, address


async def answer_to(address: tuple[str, int], pieces: Sequence[bytes]) -> bytes:
    """What a client gets that sends these pieces, each when the one before it has left."""
    reader, writer = await asyncio.open_connection(*address)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    got = await reader.read(1_000)
    writer.close()
    return got


def test_the_configuration_is_the_same_on_both_sides() -> None:
    assert from_line(CONFIG.to_line()) == CONFIG


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        ((b"GET / HTTP/1.1\r\n",), b"1:GET / HTTP/1.1\r\n"),
        ((b"POST /v3/kv/put",), b"1:POST /v3/kv/put"),
        ((b"PUT /",), b"1:PUT /"),
        ((b"PRI * HTTP/2.0\r\n\r\n",), b"2:PRI * HTTP/2.0\r\n\r\n"),
        ((b"\x16\x03\x01",), b""),
        ((b"junk",), b"1:junk"),
    ],
)
def test_the_first_bytes_decide(pieces: Sequence[bytes], answer: bytes) -> None:
    async def test() -> None:
        front, address = front_of(node)
        assert await answer_to(address, pieces) == answer
        await until(lambda: front.connections == 0)
        await front.stop()

    with stand_in(echo) as node:
        run(test)


def test_a_method_that_begins_like_the_preface_is_told_apart_byte_by_byte() -> None:
    async def test() -> None:
        front, address = front_of(node)
        for text, kind in ((b"PRI * HTTP/2.0", b"2:"), (b"PRINT /", b"1:"), (b"PUT /", b"1:")):
            reader, writer = await asyncio.open_connection(*address)
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            got = b""
            for byte in text:
                writer.write(bytes([byte]))
                await writer.drain()
            while got.replace(kind, b"") != text:
                got += await reader.read(1_000)
            assert got.startswith(kind + text[: 2 if kind == b"1:" else 4])
            writer.close()
        await front.stop()

    with stand_in(echo) as node:
        run(test)


def test_little_is_read_of_a_newcomer_at_once_and_the_rest_follows() -> None:
    async def test() -> None:
        front, address = front_of(node)
        reader, writer = await asyncio.open_connection(*address)
        sent = b"GET " + bytes(range(256)) * 500
        writer.write(sent)
        answer = b""
        while len(answer.replace(b"1:", b"")) < len(sent):
            answer += await reader.read(len(sent))
        assert answer.replace(b"1:", b"") == sent
        # Each piece that the protocol was given has its name in front.
        assert answer.find(b"1:", 1) == len(b"1:") + FIRST_BYTES_MAX
        writer.close()
        await until(lambda: front.connections == 0)
        await front.stop()

    with stand_in(echo) as node:
        run(test)


def client_of(address: tuple[str, int], context: zmq.Context[Any]) -> zmq.Socket[bytes]:
    client: zmq.Socket[bytes] = context.socket(zmq.DEALER)
    client.linger = 0
    client.rcvtimeo = HANG_MS
    client.connect(f"tcp://{address[0]}:{address[1]}")
    return client


def ask(client: zmq.Socket[bytes], **request: Any) -> dict[str, Any]:
    client.send(pack(request))
    reply: dict[str, Any] = unpack(client.recv())
    return reply


async def elsewhere(work: Callable[[], Any]) -> Any:
    """Do what blocks in a thread, while the front has the loop."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


def test_clients_of_zeromq_are_passed_on_each_on_its_own_connection() -> None:
    async def test() -> None:
        front, address = front_of(node)
        context: zmq.Context[Any] = zmq.Context()
        clients = [client_of(address, context) for _ in range(3)]
        for number, client in enumerate(clients):
            value = bytes([number]) * (number * 300_000)
            reply = await elsewhere(partial(ask, client, id=1, key=value))
            assert reply["key"] == value
        assert len(node.routes) == 3
        context.destroy(linger=0)
        await until(lambda: front.connections == 0 and len(node.gone) == 3)
        await front.stop()

    with stand_in(echo) as node:
        run(test)


def test_a_client_of_whom_the_node_cannot_be_told_is_not_passed_on() -> None:
    async def test() -> None:
        front, address = front_of(node)
        told: list[str] = []

        def tell(port: int, client: str) -> bool:
            told.append(client)
            return len(told) > 1

        front.tell = tell
        reader, writer = await asyncio.open_connection(*address)
        host, port = writer.get_extra_info("sockname")
        writer.write(b"\xff" + bytes(8))
        with suppress(ConnectionError):
            assert await reader.read() == b""
        assert told == [f"{host}:{port}"]
        context: zmq.Context[Any] = zmq.Context()
        reply = await elsewhere(partial(ask, client_of(address, context), id=1, key=b"k"))
        assert reply["key"] == b"k" and len(node.routes) == 1
        context.destroy(linger=0)
        await until(lambda: front.connections == 0)
        await front.stop()

    with stand_in(echo) as node:
        run(test)


FLOOD: Final = pack({"id": 1, "op": "flood"})
FLOODED_BYTES: Final = 65_536


def flood(node: StandIn, route: Any, request: dict[str, Any]) -> None:
    """Answer `flood` until the queue of its connection is full, and tell how often."""
    if request["op"] != "flood":
        return echo(node, route, request)
    payload = pack({"id": 1, "v": bytes(FLOODED_BYTES)})
    sent = 0
    while node.door.send(route, payload):
        sent += 1
    node.requests.append({"op": "full", "sent": sent})
    return None


def greeted(address: tuple[str, int]) -> Connection:
    """A client that speaks ZMTP by hand."""
    connection = Connection(address)
    connection.socket.settimeout(HANG_SECONDS)
    connection.shake_hands(b"DEALER")
    return connection


def test_a_client_that_does_not_read_stops_the_node_and_not_the_front() -> None:
    async def test() -> None:
        front, address = front_of(node)
        context: zmq.Context[Any] = zmq.Context()
        quick = client_of(address, context)
        slow = await elsewhere(lambda: greeted(address))
        slow.send(frame(FLOOD))
        await until(lambda: bool(node.requests) and node.requests[-1]["op"] == "full")
        sent = node.requests[-1]["sent"]
        assert sent * FLOODED_BYTES >= UNREAD_CONNECTION_BYTES_MAX
        reply = await elsewhere(lambda: ask(quick, id=2, op="range", key=b"k"))
        assert reply["key"] == b"k"
        # And it gets all of it once it reads, in order, and nothing is lost.
        got = await elsewhere(lambda: list(slow.messages(sent, HANG_SECONDS)))
        assert len(got) == sent
        context.destroy(linger=0)
        slow.socket.close()
        await until(lambda: front.connections == 0)
        await front.stop()

    with stand_in(flood) as node:
        run(test)


def test_the_end_of_one_direction_is_passed_on_and_the_other_one_goes_on() -> None:
    async def test() -> None:
        front, address = front_of(node)
        client = await elsewhere(lambda: greeted(address))
        client.send(frame(pack({"id": 1, "key": b"k"})))
        client.socket.shutdown(socket.SHUT_WR)
        # The node closes as for any client that has closed, and that comes back, too.
        assert await elsewhere(lambda: client.is_closed_within(HANG_SECONDS))
        await until(lambda: front.connections == 0)
        await front.stop()

    with stand_in(echo) as node:
        run(test)


def test_a_connection_above_the_limit_is_closed_and_later_ones_are_served() -> None:
    async def test() -> None:
        front, address = front_of(node)
        front.connections_max = 2
        held = [await asyncio.open_connection(*address) for _ in range(2)]
        await until(lambda: front.connections == 2)
        assert await answer_to(address, [b"GET /"]) == b""
        for _, writer in held:
            writer.close()
        await until(lambda: front.connections == 0)
        assert await answer_to(address, [b"GET /"]) == b"1:GET /"
        await front.stop()

    with stand_in(echo) as node:
        run(test)


def test_of_many_clients_that_come_at_once_a_few_begin_in_each_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(front_module, "STARTED_AT_ONCE_MAX", 2)
    turns: list[int] = []

    async def test() -> None:
        loop = asyncio.get_running_loop()
        front, address = front_of(node)
        turn_now = 0
        following: list[asyncio.Handle] = []

        def next_turn() -> None:
            nonlocal turn_now
            turn_now += 1
            following[:] = [loop.call_soon(next_turn)]

        next_turn()
        serve = front.serve

        def noting(make: Make, transport: asyncio.Transport, first: bytes) -> None:
            turns.append(turn_now)
            serve(make, transport, first)

        monkeypatch.setattr(front, "serve", noting)
        with ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection(address)) for _ in range(9)]
            for client in clients:
                client.sendall(b"GET /")
            for client in clients:
                assert await elsewhere(lambda: client.recv(100)) == b"1:GET /"  # noqa: B023
        following[0].cancel()
        await front.stop()

    with stand_in(echo) as node:
        run(test)
    assert len(turns) == 9
    assert max(Counter(turns).values()) <= 2


def test_a_client_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_module, "FIRST_BYTES_SECONDS", 0.01)

    async def test() -> None:
        front, address = front_of(node)
        assert await answer_to(address, []) == b""
        # Part of a preface is not enough.
        assert await answer_to(address, [b"PR"]) == b""
        await front.stop()

    with stand_in(echo) as node:
        run(test)


class Failing(socket.socket):
    """A listening socket without a descriptor left, for a number of times."""

    failures = 0

    def accept(self) -> tuple[socket.socket, Any]:
        if type(self).failures:
            type(self).failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_without_a_free_descriptor_it_does_not_spin_and_goes_on_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        front, _ = front_of(node)
        listening = Failing(socket.AF_INET, socket.SOCK_STREAM)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        front.listen([listening])
        Failing.failures = 3
        assert await answer_to(listening.getsockname(), [b"GET /"]) == b"1:GET /"
        # Each failure was one look at the socket: nothing was tried in between.
        assert Failing.failures == 0
        await front.stop()

    monkeypatch.setattr(front_module, "NO_ROOM_SECONDS", 0.01)
    with stand_in(echo) as node:
        run(test)


def test_metrics_have_a_port_of_their_own() -> None:
    async def test() -> None:
        front, _ = front_of(node)
        listening = socket.create_server(("127.0.0.1", 0))
        front.listen([listening], PortKind(only_metrics=True))
        assert await answer_to(listening.getsockname(), [b"GET /metrics"]) == b"m:GET /metrics"
        assert await answer_to(listening.getsockname(), [b"\xff"]) == b"m:\xff"
        await front.stop()

    with stand_in(echo) as node:
        run(test)


def test_a_front_that_stops_ends_its_calls_first_and_then_what_it_passes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        front, address = front_of(node)
        passed = await elsewhere(lambda: greeted(address))
        reader, served = await asyncio.open_connection(*address)
        served.write(b"GET /")
        assert await reader.read(7) == b"1:GET /"
        assert front.connections == 2
        await front.stop()
        assert await reader.read() == b""  # its protocol was told to go away
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(address)
        resting = asyncio.ensure_future(front.wait_for_the_rest())
        passed.send(frame(pack({"id": 1, "key": b"k"})))
        assert len(await elsewhere(lambda: list(passed.messages(1, HANG_SECONDS)))) == 1
        assert not resting.done()
        passed.socket.close()
        await resting
        assert front.connections == 0
        served.close()

    for limit in ("ANSWERING_SECONDS", "PASSED_SECONDS"):
        monkeypatch.setattr(front_module, limit, HANG_SECONDS)
    with stand_in(echo) as node:
        run(test)
