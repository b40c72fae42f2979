"""Clients that write all the time and note when each write was acknowledged.

RawWriter speaks the protocol with bare sockets, so that what it measures is the cluster alone;
ClientWriter is what a program gets. Each runs in a thread of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

import zmq

from cluster import Client
from cluster.wire import pack, unpack
from tests.limits import HANG_SECONDS

SEND_INTERVAL_SECONDS: Final = 0.001
POLL_MS: Final = 1
RECONNECT_MS: Final = 10


class Acknowledged(NamedTuple):
    """A write that the cluster has promised to keep; `at` is time.monotonic() in seconds."""

    at: float
    key: bytes
    revision: int


class Writer(threading.Thread):
    """Writes until `stop`; every key once, with the key as its value."""

    def __init__(self, prefix: str) -> None:
        super().__init__(daemon=True, name=f"writer {prefix}")
        self.prefix = prefix
        self.acknowledged: list[Acknowledged] = []
        self.sent = 0
        self.error: BaseException | None = None
        self._stopping = threading.Event()
        self._news = threading.Condition()

    def run(self) -> None:
        try:
            self.write()
        except BaseException as error:
            self.error = error
            raise
        finally:
            with self._news:
                self._news.notify_all()

    def write(self) -> None:
        """The loop; ends soon after `stopping` is set."""
        raise NotImplementedError

    @property
    def stopping(self) -> bool:
        """Whether the loop should end."""
        return self._stopping.is_set()

    def next_key(self) -> bytes:
        """A key that was never written before."""
        self.sent += 1
        return f"{self.prefix}{self.sent:08d}".encode()

    def note(self, key: bytes, revision: int) -> None:
        """The write of this key was acknowledged just now."""
        with self._news:
            self.acknowledged.append(Acknowledged(time.monotonic(), key, revision))
            self._news.notify_all()

    def wait_for_more(self, count: int, seconds: float) -> None:
        """Wait until so many more writes were acknowledged than now; AssertionError if not."""
        with self._news:
            goal = len(self.acknowledged) + count
            enough = self._news.wait_for(
                lambda: len(self.acknowledged) >= goal or not self.is_alive(), seconds
            )
            assert enough and self.error is None, (
                f"{goal - len(self.acknowledged)} of {count} writes were not acknowledged within"
                f" {seconds:g} s ({self.error!r})"
            )

    def stop(self) -> list[Acknowledged]:
        """End the loop; every write that was acknowledged."""
        self._stopping.set()
        self.join(HANG_SECONDS)
        assert not self.is_alive(), f"{self.name} does not stop"
        assert self.error is None, f"{self.name} failed: {self.error!r}"
        return self.acknowledged

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self.join(HANG_SECONDS)


class RawWriter(Writer):
    """One write every SEND_INTERVAL_SECONDS, to one node after the other, whatever is unanswered.

    A node that is not connected is passed over, as by any client that looks at its sockets.
    """

    def __init__(self, endpoints: Sequence[str], prefix: str) -> None:
        super().__init__(prefix)
        self._endpoints = endpoints

    def write(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            sockets = [self._connect(context, endpoint) for endpoint in self._endpoints]
            poller = zmq.Poller()
            for socket in sockets:
                poller.register(socket, zmq.POLLIN)
            turn = 0
            send_at = time.monotonic()
            while not self.stopping:
                for socket, _ in poller.poll(POLL_MS):
                    self._take(socket)
                if time.monotonic() >= send_at:
                    send_at = time.monotonic() + SEND_INTERVAL_SECONDS
                    turn = self._send(sockets, turn)
        finally:
            context.destroy(linger=0)

    def _connect(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
        socket = context.socket(zmq.DEALER)
        socket.linger = 0
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.connect(f"tcp://{endpoint}")
        return socket

    def _send(self, sockets: Sequence[zmq.Socket[bytes]], turn: int) -> int:
        """Send one write to the next node that can be reached; whose turn it is then."""
        for offset in range(len(sockets)):
            number = (turn + offset) % len(sockets)
            if sockets[number].poll(0, zmq.POLLOUT):
                key = self.next_key()
                request = {"id": key, "op": "put", "key": key, "value": key}
                try:
                    sockets[number].send(pack(request), zmq.NOBLOCK)
                except zmq.Again:
                    continue  # its connection has broken since
                return number + 1
        return turn

    def _take(self, socket: zmq.Socket[bytes]) -> None:
        try:
            reply = unpack(socket.recv(zmq.NOBLOCK))
        except zmq.Again:
            return  # its connection has broken since: what had arrived by it is gone (IMMEDIATE)
        # A write that failed was not acknowledged; its outcome is nobody's business here.
        if "error" not in reply:
            self.note(reply["id"], reply["header"]["revision"])


class ClientWriter(Writer):
    """One write after the other through cluster.Client, which retries by itself."""

    def __init__(
        self, endpoints: Sequence[str], prefix: str, timeout: float = HANG_SECONDS
    ) -> None:
        super().__init__(prefix)
        self._endpoints = endpoints
        self._timeout = timeout

    def write(self) -> None:
        with Client(self._endpoints, dial_timeout=self._timeout, timeout=self._timeout) as client:
            while not self.stopping:
                key = self.next_key()
                self.note(key, client.put(key, key).header.revision)
