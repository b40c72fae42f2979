"""The client's sockets: one DEALER and its monitor for each endpoint, and for each direct way.

It decodes frames and refuses to know what they say. `dealers` has the options of a socket. Where an
endpoint has TLS, `relay` is between a socket and the node. Host names are resolved in `resolving`:
libzmq would resolve them in its one I/O thread, and a slow name server would hold up all endpoints.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import zmq

from cluster import wire
from cluster.client.dealers import dealer
from cluster.client.engine.call import FOREVER
from cluster.client.engine.core import Core
from cluster.client.engine.direct import Dial
from cluster.client.examining import CERTIFICATE_WANTED, OTHER_KEY, Examiner
from cluster.client.heartbeats import Heartbeats
from cluster.client.identity import ClientIdentity
from cluster.client.registry import Registry
from cluster.client.resolving import Resolved, Resolver, is_numeric
from cluster.client.told import NewsLog
from cluster.client.waker import Waker
from cluster.curve import new_pair
from cluster.schemes import HTTPS, zeromq_url

if TYPE_CHECKING:
    # Without TLS, nobody should pay for these imports.
    from ssl import SSLContext

    from cluster.client.relay import Relay

REPLIES_PER_TURN_MAX: Final = 256
"""The frames taken from one endpoint; then the other endpoints and the callers have their turn."""

LOOK_UP_AGAIN_SECONDS: Final = 5.0
"""A host name whose node cannot be reached is resolved again after this time: it may have moved."""

NEXT_ADDRESS_SECONDS: Final = 1.0
"""The time that each address of a host name has, if there are several; then comes the next."""

FAILED_HANDSHAKES: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
MONITORED: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | FAILED_HANDSHAKES

GAVE_UP: Final = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
GAVE_UP_SECONDS: Final = 0.5
"""libzmq gives a connection up when the node refuses it. It is made anew after this time, for the
node may have been started in another way since."""

EVENT_BYTES: Final = 2
"""The first frame of a monitor's message begins with the number of the event, 16 bits."""

_NOWAIT: Final = zmq.NOBLOCK

log = logging.getLogger("leasehold.client")


class _Link:
    """One endpoint: the address of its node, and the sockets to it once the address is known.

    `address` is empty, and `socket` and `monitor` are None, while the host name is unresolved.
    `is_direct`: a direct way of an endpoint, which is connected once. `is_secure`: inside TLS, and
    `reason` says why that failed when it was last tried. `key` is the node's, if it must have one.
    """

    __slots__ = (
        "address",
        "gave_up",
        "host",
        "is_direct",
        "is_examined",
        "is_secure",
        "key",
        "monitor",
        "name",
        "port",
        "reason",
        "retry_at",
        "socket",
    )

    def __init__(self, name: str, address: str, is_direct: bool = False) -> None:
        self.name = name
        self.is_direct = is_direct
        self.is_secure = address.startswith(HTTPS)
        self.reason = ""
        self.gave_up = False
        self.is_examined = False
        place, _, self.key = address.partition("://")[2].partition("#")
        self.host, _, self.port = place.rpartition(":")
        self.address = ""
        self.socket: zmq.Socket[bytes] | None = None
        self.monitor: zmq.Socket[bytes] | None = None
        # When to resolve the host name again, unless the connection is up by then.
        self.retry_at = FOREVER


class EndpointLinks:
    """One DEALER and its monitor for each endpoint; they belong to the engine's carrier.

    `identity` is for endpoints with https, and for those that name the key of their node.
    """

    def __init__(
        self, waker: Waker, registry: Registry, identity: ClientIdentity, heartbeats: Heartbeats
    ) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._waker = waker
        self._resolver = Resolver(waker)
        self._examiner = Examiner(waker)
        self._news_log = NewsLog()
        self._registry = registry
        self._relay = None if identity.tls is None else _relay(identity.tls, waker)
        self._pair = identity.pair
        self._heartbeats = heartbeats
        registry.register(waker.fd, zmq.POLLIN)
        self._links: dict[str, _Link] = {}
        self._by_socket: dict[zmq.Socket[bytes], _Link] = {}
        self._by_monitor: dict[zmq.Socket[bytes], _Link] = {}

    @property
    def wake_at(self) -> float:
        """When `tick` has something to do next."""
        return min((link.retry_at for link in self._links.values()), default=FOREVER)

    def open(self, addresses: Mapping[str, str], core: Core) -> None:
        """Begin to connect to all endpoints. One that cannot be used is set aside and logged."""
        for name, address in addresses.items():
            self._open(_Link(name, address), address, core)

    def dial(self, dials: list[Dial], core: Core) -> None:
        """Connect to direct addresses, or hang up, as the list says; empty the list."""
        for dial in dials:
            if dial.address:
                link = _Link(dial.connection, dial.address, dial.is_direct)
                self._open(link, dial.address, core)
            else:
                self._disconnect(self._links.pop(dial.connection))
        dials.clear()

    def _open(self, link: _Link, address: str, core: Core) -> None:
        self._links[link.name] = link
        if is_numeric(link.host):
            self._connect(link, zeromq_url(address.partition("#")[0]), core)
        else:
            self._resolver.begin(link.name, link.host)

    def tick(self, core: Core, now: float) -> None:
        """Connect to newly resolved addresses, resolve names again whose node was not reached, and
        log the news."""
        self._news_log.tell(core.news, now)
        for examined in self._examiner.take():
            if examined.name in self._links:
                self._links[examined.name].reason = examined.reason
                self._set_aside(self._links[examined.name], examined.reason, core)
        for resolved in self._resolver.take():
            if resolved.name in self._links:  # a direct way may have been given up meanwhile
                self._resolved(self._links[resolved.name], resolved, core, now)
        for news in core.key_news.found:
            link = self._links[news.endpoint]
            if link.key != news.key:
                link.key = news.key
                self._disconnect(link)
                self._connect(link, link.address, core)
        core.key_news.found.clear()
        for link in self._links.values():
            if link.retry_at <= now:
                link.retry_at = FOREVER
                if link.gave_up:
                    link.gave_up = False
                    self._disconnect(link)
                    self._connect(link, link.address, core)
                elif not core.endpoints.is_up(link.name):
                    self._resolver.begin(link.name, link.host)

    def _resolved(self, link: _Link, resolved: Resolved, core: Core, now: float) -> None:
        link.retry_at = now + LOOK_UP_AGAIN_SECONDS
        if resolved.reason:
            self._set_aside(link, resolved.reason, core)
        elif not core.endpoints.is_up(link.name):
            addresses = [f"tcp://{host}:{link.port}" for host in resolved.hosts]
            tried = addresses.index(link.address) if link.address in addresses else -1
            following = addresses[(tried + 1) % len(addresses)]
            if following != link.address:
                self._disconnect(link)
                self._connect(link, following, core)
            if len(addresses) > 1:
                link.retry_at = now + NEXT_ADDRESS_SECONDS

    def _connect(self, link: _Link, address: str, core: Core) -> None:
        link.address = address
        # The node behind a direct way was asked who it is: the next connection may reach another.
        socket = dealer(self._context, self._heartbeats, reconnects=not link.is_direct)
        if address.startswith("tcp://["):
            socket.setsockopt(zmq.IPV6, 1)
        if link.key:
            from cluster.keyed import seal  # noqa: PLC0415 - only with keys

            self._pair = self._pair or new_pair()
            seal(socket, link.key, self._pair)
        monitor = socket.get_monitor_socket(MONITORED)
        link.socket, link.monitor = socket, monitor
        self._by_socket[socket] = self._by_monitor[monitor] = link
        self._registry.register(socket, zmq.POLLIN)
        self._registry.register(monitor, zmq.POLLIN)
        try:
            socket.connect(address if self._relay is None else self._way(self._relay, link))
        except zmq.ZMQError as error:
            self._disconnect(link)
            self._set_aside(link, error.strerror, core)

    def _way(self, relay: Relay, link: _Link) -> str:
        """What libzmq connects to, to reach the link's address."""
        if not link.is_secure:
            return link.address
        from cluster.client.relay import Target  # noqa: PLC0415 - only with TLS

        host, _, port = link.address.partition("://")[2].rpartition(":")
        return relay.open(Target(link.name, host.strip("[]"), int(port), link.host.strip("[]")))

    def _disconnect(self, link: _Link) -> None:
        """Close the sockets of an endpoint, if there are any; what is still queued is lost."""
        socket, monitor = link.socket, link.monitor
        link.socket = link.monitor = None
        if socket is not None and monitor is not None:
            del self._by_socket[socket], self._by_monitor[monitor]
            self._registry.unregister(socket)
            self._registry.unregister(monitor)
            # Stop the monitor before its reader closes: else libzmq waits without limit to report
            # the end of the socket.
            socket.disable_monitor()
            socket.close(linger=0)
            monitor.close(linger=0)
            if self._relay is not None and link.is_secure:
                self._relay.close(link.name)

    def _take_failures(self, core: Core) -> None:
        """Set the endpoints aside to which there was no way inside TLS."""
        for failed in () if self._relay is None else self._relay.take():
            if failed.name in self._links:
                link = self._links[failed.name]
                link.reason = failed.reason
                self._set_aside(link, failed.reason, core)

    def _has_reached(self, link: _Link) -> bool:
        """Whether somebody was there who could have shaken hands; a relay is there at any time."""
        relay = self._relay
        return relay is None or not link.is_secure or relay.has_shaken_hands(link.name)

    def _unheard(self, link: _Link, core: Core) -> None:
        """Nobody shook hands. libzmq does not tell why; without TLS and keys one can look."""
        if link.is_secure or link.key:
            link.reason = link.reason or (CERTIFICATE_WANTED if link.is_secure else OTHER_KEY)
        if link.reason:
            self._set_aside(link, link.reason, core)
        elif not link.is_examined and not link.is_direct:
            link.is_examined = True
            host, _, port = link.address.partition("://")[2].rpartition(":")
            self._examiner.begin(link.name, host.strip("[]"), int(port))

    def _set_aside(self, link: _Link, reason: str, core: Core) -> None:
        if core.endpoints.set_aside(link.name, reason):
            log.warning("endpoint %s is set aside: %s", link.name, reason)

    def send(self, frames: list[tuple[str, bytes]]) -> None:
        """Send all frames and empty the list; several to one endpoint go as batches.

        A frame whose connection has just broken is dropped. The monitor will report the break, and
        then the core sends the call again.
        """
        gathered: dict[str, list[bytes]] = {}
        for name, frame in frames:
            gathered.setdefault(name, []).append(frame)
        frames.clear()
        for name, requests in gathered.items():
            socket = self._links[name].socket
            assert socket is not None, "the core sends only where a connection is"
            try:
                for frame in wire.batches(requests):
                    socket.send(frame, _NOWAIT)
            except zmq.Again:
                log.debug("dropped a request: no connection to %s", name)

    def unread(self) -> list[Any]:
        """The sockets with frames that can be read now.

        A socket's file descriptor tells of news only once. Any use of the socket may take note of
        the news, a send too, so a carrier that waits for descriptors must ask after each turn.
        """
        return [one for one in self._by_socket if int(one.getsockopt(zmq.EVENTS)) & zmq.POLLIN]

    def receive(self, ready: Iterable[Any], core: Core, now: float) -> None:
        """Give the core what has come at the ready sources: first frames, then reports that
        connections broke.

        So the last answers of a node that has just died still count.
        """
        self._take_failures(core)
        monitors = []
        for source in ready:
            if source == self._waker.fd:
                self._waker.clear()
            elif source in self._by_socket:
                self._receive_replies(self._by_socket[source], core, now)
            else:
                monitors.append(source)
        for monitor in monitors:
            if monitor in self._by_monitor:
                self._receive_events(self._by_monitor[monitor], monitor, core, now)

    def _receive_replies(self, link: _Link, core: Core, now: float) -> bool:
        """Give the core up to REPLIES_PER_TURN_MAX frames of an endpoint; whether more may wait."""
        assert link.socket is not None, "only sockets that are open are polled"
        receive, name = link.socket.recv, link.name
        try:
            for _ in range(REPLIES_PER_TURN_MAX):
                for reply in wire.frames_in(receive(_NOWAIT)):
                    try:
                        message = wire.unpack(reply)
                    except wire.WireError as error:
                        log.warning("ignored a frame from %s: %s", name, error)
                    else:
                        core.reply(name, message, now)
        except zmq.Again:
            return False
        return True

    def _receive_events(
        self, link: _Link, monitor: zmq.Socket[bytes], core: Core, now: float
    ) -> None:
        while monitor.poll(0):
            # Parsed here: pyzmq's helper imports asyncio, which would cost every command 15 ms.
            event = int.from_bytes(monitor.recv_multipart()[0][:EVENT_BYTES], sys.byteorder)
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                assert link.socket is not None, "a monitor closes with its socket"
                # The connection is ready, but the socket takes note of it only now and then, and a
                # send before that would fail. Reading its events makes it take note now.
                link.socket.getsockopt(zmq.EVENTS)
                link.retry_at = FOREVER
                link.reason, link.is_examined = "", False
                core.endpoint_up(link.name, now)
            elif event & FAILED_HANDSHAKES:
                if event & GAVE_UP and not link.is_secure and not link.is_direct:
                    link.gave_up, link.retry_at = True, now + GAVE_UP_SECONDS
                if self._has_reached(link):
                    self._unheard(link, core)
                if link.key:
                    core.key_news.refused(link.name, now)
            elif core.endpoints.is_up(link.name):
                # First read all frames of the connection that broke. A bookmark that is read after
                # the next connection is up would count for watches that are opened there.
                while self._receive_replies(link, core, now):
                    pass
                core.endpoint_down(link.name, now)
                if not is_numeric(link.host):
                    link.retry_at = now + LOOK_UP_AGAIN_SECONDS

    def close(self) -> None:
        """Close every socket; what is still queued is lost."""
        for link in self._links.values():
            self._disconnect(link)
        self._context.term()
        if self._relay is not None:
            self._relay.end()


def _relay(tls: SSLContext, waker: Waker) -> Relay:
    from cluster.client.relay import Relay  # noqa: PLC0415 - its imports cost a command 30 ms

    return Relay(tls, waker.wake)
