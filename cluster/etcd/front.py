"""The serving half of a front: it accepts connections, and finds out what each client speaks.

It owns the limits on connections and on the time until their first bytes. What a protocol says is
its own business: `passing` and the folders beside this module have them. Refuses to know processes.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, Protocol, cast

from cluster.addresses import place_of
from cluster.etcd.link.connection import Loop, NodeAddress
from cluster.etcd.link.node_link import NodeLink
from cluster.etcd.link.pool import Pool
from cluster.etcd.passing import Buffer, Passage
from cluster.etcd.tls.connection import TlsConnection
from cluster.etcd.tls.credentials import Credentials
from cluster.etcd.tls.handshakes import Handshakes
from cluster.etcd.turns import Turns
from cluster.front_config import FrontConfig
from cluster.passages import PassageTeller
from cluster.schemes import LISTEN_BACKLOG
from cluster.tls.words import NO_HANDSHAKE

DOOR_HOST: Final = "127.0.0.1"

FRONT_CONNECTIONS_MAX: Final = 10_000
"""The number of client connections; a further one is closed at once."""

CONNECTION_DESCRIPTORS: Final = 2
"""A connection and its own connection to the node; streams need one more each."""

OWN_DESCRIPTORS: Final = 64

FIRST_BYTES_SECONDS: Final = 10.0
"""A client that has not said within this time what it speaks is closed."""

FIRST_BYTES_MAX: Final = 4 * 1024
"""At most this is read of a newcomer. What follows is read by its protocol, in pieces that hold up
nobody; without a limit uvloop reads 256 KB at once, of which to make nothing takes 100 ms."""

ACCEPTED_AT_ONCE_MAX: Final = 64
"""The connections that are accepted in one turn of the loop."""

STARTED_AT_ONCE_MAX: Final = 32
"""The connections that begin to be served in one turn of the loop, some 10 ms of work: what others
ask for is served in between, also when thousands come at once."""

NO_ROOM_SECONDS: Final = 0.1
"""How long nothing is accepted when no descriptor is left."""

ANSWERING_SECONDS: Final = 0.5
"""How long calls under way may take when the node stops gracefully."""

PASSED_SECONDS: Final = 2.0
"""How long the node may take after that to answer what is passed on, and to close."""

FRAME_BYTES_MAX: Final = 128 * 1024 * 1024
"""The largest frame of the node; its largest answers are half of this."""

ZMTP: Final = b"\xff"
TLS: Final = b"\x16"
HTTP_2: Final = b"PRI "

ALPN_HTTP_2: Final = "h2"
ALPN_HTTP_1: Final = "http/1.1"

PLAIN_HTTP: Final = (
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
)
"""What a client of HTTP/1 is told at a URL that is https alone; the text is that of Go's server."""

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

log = logging.getLogger("leasehold.front")


class Served(Protocol):
    """The protocol of a connection whose kind is known, as asyncio calls it.

    When the connection is lost and all its work is done, it closes the link that it was made with.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        """The transport to write to."""

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""

    def go_away(self) -> None:
        """End soon: answer what is under way, and nothing else."""


Make = Callable[[NodeLink], Served]


class PortKind(NamedTuple):
    """What is spoken at a listening socket: plainly, inside TLS, or both; all, or only metrics."""

    plain: bool = True
    tls: bool = False
    only_metrics: bool = False


OPEN: Final = PortKind()


class Protocols(NamedTuple):
    """What serves the connections of each kind."""

    http_1: Make
    http_2: Make
    metrics: Make


class Front:
    """The connections of one front, and their limits."""

    def __init__(self, loop: Loop, config: FrontConfig, protocols: Protocols) -> None:
        self.loop = loop
        self.protocols = protocols
        self.buffer = Buffer()
        self.newcomers = Turns(loop, STARTED_AT_ONCE_MAX)
        self._credentials = None if config.tls is None else Credentials(loop, config.tls)
        self.handshakes: Handshakes | None = None
        if self._credentials is not None:
            self._credentials.tend()
            self.handshakes = Handshakes(loop, self._credentials)
        self.connections_max = _connections_max()
        self.connections = 0
        self.pool = Pool(
            loop,
            NodeAddress(
                DOOR_HOST,
                config.own_port,
                config.cluster_id,
                config.member_id,
                FRAME_BYTES_MAX,
                config.password,
                config.passing_port,
            ),
        )
        self._change = asyncio.Event()
        self._listening: list[socket.socket] = []
        self._served: set[Served] = set()
        self._welcomes: set[asyncio.Task[None]] = set()
        self._secret = bytes.fromhex(config.secret)
        # Without a secret the node would not believe a name.
        is_asked = config.tls is not None and config.tls.client_cert_auth
        self.trusts_names = is_asked and bool(config.secret)
        self._tells_addresses = config.tells_addresses
        # Tells the node of a client that is to be passed on; None: nobody wants to know.
        self.tell: Callable[[int, str], bool] | None = None
        if config.tells_addresses:
            self.tell = PassageTeller(config.passages).tell

    async def reach(self) -> str:
        """See that the node is there, and is the right one; the reason if not, else ""."""
        link = NodeLink(self.pool)
        reason = await link.reach()
        link.close()
        return reason

    def listen(self, listening: Sequence[socket.socket], kind: PortKind = OPEN) -> None:
        """Begin to accept connections on these sockets."""
        for each in listening:
            each.setblocking(False)
            # A process before this one may have ended in order: then nobody listens any more.
            each.listen(LISTEN_BACKLOG)
            self._listening.append(each)
            self._open(each, kind)

    async def stop(self) -> None:
        """Accept no more, and have the calls under way end; return when they have.

        It returns after ANSWERING_SECONDS in any case.
        """
        for each in self._listening:
            self.loop.remove_reader(each.fileno())
            # Nobody listens from now on: the node and the keeper have this socket, too.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._listening.clear()
        if self._credentials is not None:
            self._credentials.close()
        for served in tuple(self._served):
            served.go_away()
        await self._wait(lambda: not self._served, ANSWERING_SECONDS)

    async def wait_for_the_rest(self) -> None:
        """Wait until the connections that are passed on have ended, as the node ends them.

        It returns after PASSED_SECONDS in any case.
        """
        await self._wait(lambda: not self.connections, PASSED_SECONDS)

    async def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    self._change.clear()
                    await self._change.wait()

    def secure(self, transport: asyncio.Transport, first: bytes, kind: PortKind) -> None:
        """Shake hands with a client that speaks TLS; what it says inside is a newcomer's again."""

        def opened(connection: TlsConnection) -> None:
            newcomer = Newcomer(self, kind._replace(plain=True, tls=False), connection)
            connection.set_protocol(newcomer)
            newcomer.connection_made(connection)

        assert self.handshakes is not None, "a port with TLS has certificates"
        self.handshakes.begin(transport, first, opened, self.ended)

    def serve(self, make: Make, transport: asyncio.Transport, first: bytes, name: str = "") -> None:
        """Let the protocol for its kind go on with a connection, whose first bytes have come.

        `name` is the common name of its client's certificate, if that is to count for the node.
        """
        said: dict[str, str | bytes] = {}
        if name:
            said = {"common_name": name, "front": self._secret}
        if self._tells_addresses:
            address = place_of(transport.get_extra_info("peername"))
            said |= {"client": address, "front": self._secret}
        link = NodeLink(self.pool, said)
        served = make(link)
        self._served.add(served)
        link.on_close = partial(self._served_ended, served)
        transport.set_protocol(cast(asyncio.BaseProtocol, served))
        served.connection_made(transport)
        served.data_received(first)

    def _served_ended(self, served: Served) -> None:
        self._served.discard(served)
        self.ended()

    def ended(self) -> None:
        """A connection has ended."""
        self.connections -= 1
        self._change.set()

    # --- inside ---

    def _open(self, listening: socket.socket, kind: PortKind) -> None:
        if listening in self._listening:
            self.loop.add_reader(listening.fileno(), self._accept, listening, kind)

    def _accept(self, listening: socket.socket, kind: PortKind) -> None:
        for _ in range(ACCEPTED_AT_ONCE_MAX):
            try:
                accepted, _address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    # The socket stays readable, so the loop would do nothing else but fail here.
                    log.warning("cannot accept a connection: %s", error.strerror)
                    self.loop.remove_reader(listening.fileno())
                    self.loop.call_later(NO_ROOM_SECONDS, self._open, listening, kind)
                    return
                continue  # the client has gone already
            if self.connections >= self.connections_max:
                accepted.close()
                log.warning("refused a connection: there are %d, the limit", self.connections)
                continue
            self.connections += 1
            accepted.setblocking(False)
            task = self.loop.create_task(self._welcome(accepted, kind))
            self._welcomes.add(task)
            task.add_done_callback(self._welcomes.discard)

    async def _welcome(self, accepted: socket.socket, kind: PortKind) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: Newcomer(self, kind), accepted)
        except OSError:
            accepted.close()
            self.ended()


class Newcomer(asyncio.BufferedProtocol):
    """A connection whose first bytes have not come; `inside` is the TLS that it is inside of."""

    def __init__(self, front: Front, kind: PortKind, inside: TlsConnection | None = None) -> None:
        self._front = front
        self._kind = kind
        self._inside = inside
        self._transport: asyncio.Transport | None = None
        self._first = b""
        self._timer = front.loop.call_later(FIRST_BYTES_SECONDS, self._give_up)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, _: int) -> memoryview:
        return self._front.buffer.room[:FIRST_BYTES_MAX]

    def buffer_updated(self, size: int) -> None:
        self.data_received(bytes(self._front.buffer.room[:size]))

    def data_received(self, data: bytes) -> None:
        """The first bytes, or what comes behind them if they do not say enough."""
        assert self._transport is not None, "data comes after the connection was made"
        self._first += data
        if self._first != HTTP_2 and HTTP_2.startswith(self._first):
            return  # `P` may also be the beginning of a PUT or POST of HTTP/1.1
        self._timer.cancel()
        # It may have to wait for its turn.
        self._transport.pause_reading()
        self._front.newcomers.enter(self.start)

    def start(self) -> None:
        """Serve it by what its first bytes say."""
        transport, first, kind = self._transport, self._first, self._kind
        if transport is None:
            return
        if first.startswith(TLS) and kind.tls:
            self._front.secure(transport, first, kind)
        elif first.startswith(TLS):
            log.warning("closed a connection that speaks TLS, which is not served here")
            transport.abort()
        elif kind.plain:
            transport.resume_reading()
            self._serve(transport, first)
        else:
            self._refuse(transport, first)

    def _serve(self, transport: asyncio.Transport, first: bytes) -> None:
        front, protocols = self._front, self._front.protocols
        alpn = "" if self._inside is None else self._inside.alpn
        if self._kind.only_metrics:
            front.serve(protocols.metrics, transport, first)
        elif alpn == ALPN_HTTP_2 or (not alpn and first.startswith(HTTP_2)):
            front.serve(protocols.http_2, transport, first, self._name())
        elif first.startswith(ZMTP) and not alpn:
            is_sealed = self._inside is not None
            ended, tell = front.ended, front.tell
            Passage(front.pool, transport, first, front.buffer, ended, tell, is_sealed=is_sealed)
        else:
            front.serve(protocols.http_1, transport, first)

    def _name(self) -> str:
        """The common name of the client's certificate, if it says who the client is.

        It does so for gRPC alone, as in etcd: a gateway to JSON may have a certificate of its own.
        """
        return self._inside.common_name if self._inside and self._front.trusts_names else ""

    def _refuse(self, transport: asyncio.Transport, first: bytes) -> None:
        """End a connection without TLS where there must be TLS."""
        front = self._front
        assert front.handshakes is not None, "a port without plain text has certificates"
        front.handshakes.reject(transport, NO_HANDSHAKE)
        if first[:1].isalpha() and not first.startswith(HTTP_2):
            transport.write(PLAIN_HTTP)
        transport.close()

    def connection_lost(self, exception: Exception | None) -> None:
        self._timer.cancel()
        self._transport = None
        self._front.ended()

    def _give_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _connections_max() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return FRONT_CONNECTIONS_MAX
    return max(1, min(FRONT_CONNECTIONS_MAX, (soft - OWN_DESCRIPTORS) // CONNECTION_DESCRIPTORS))
