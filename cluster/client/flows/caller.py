"""Caller: the base of the client's classes, which sends requests over the client's connection.

It owns the life of the connection: first use, fork, close. It refuses to know operations of the
protocol.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Final, Self, TypeVar

from cluster.client import replies
from cluster.client.arguments import time_limit
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.endpoints import parse
from cluster.client.threads.connection import Connection, FutureCall, WaitedCall
from cluster.errors import UnavailableError
from cluster.protocol import OPS
from cluster.schema import Effect

T = TypeVar("T")

WRITES: Final = frozenset(op.name for op in OPS.values() if op.effect is Effect.WRITE)

FORKED: Final = "the process was forked: this belongs to the parent"


class Caller:
    """Sends requests to a cluster and decodes the replies; the first request connects it."""

    def __init__(
        self,
        endpoints: str | Iterable[str] | None = None,
        *,
        dial_timeout: float = 5.0,
        timeout: float = 5.0,
        exactly_once: bool = True,
        direct: bool = True,
    ) -> None:
        self._addresses = parse(endpoints, os.environ)
        self._options = CallOptions(time_limit("dial_timeout", dial_timeout), exactly_once)
        self._timeout = time_limit("timeout", timeout)
        self._direct = {n: a for n, a in self._addresses.items() if direct and n != a}
        self._starting = threading.Lock()
        self._connection: Connection | None = None
        self._closed = False
        _clients.add(self)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints, as they were given."""
        return tuple(self._addresses)

    def request(
        self,
        fields: dict[str, Any],
        decode: Callable[[replies.Reply], T],
        write: bool | None = None,
        pinned: str | None = None,
        timeout: float | None = None,
    ) -> T:
        """Send one request of PROTOCOL.md and decode its reply.

        `write` overrides what the protocol's table says of the operation. `pinned` is the only
        endpoint to ask. `timeout` (seconds) replaces the client's, for a request whose work takes
        long: then one attempt may use the whole timeout.
        """
        if write is None:
            write = fields["op"] in WRITES
        call = WaitedCall(fields, self._timeout if timeout is None else timeout, write, pinned)
        call.slow = timeout is not None
        return replies.read(decode, self.wait(call))

    def known(self, endpoint: str | None) -> str | None:
        """The endpoint; ValueError if it is not one of the client's."""
        if endpoint is not None and endpoint not in self._addresses:
            raise ValueError(f"{endpoint!r} is not one of the client's endpoints")
        return endpoint

    def repeatable_call(self, fields: dict[str, Any]) -> WaitedCall:
        """A call, for `wait`, of a change that has no further effect when it is repeated."""
        call = WaitedCall(fields, self._timeout, write=True)
        call.repeatable = True
        return call

    def wait(self, call: WaitedCall) -> replies.Reply:
        """Send a call and wait for its reply, or raise its error."""
        connection = self._connection or self.connection()
        assert not connection.is_own_thread, "a callback of a future must not wait for another call"
        connection.submit(call)
        return call.wait()

    def request_async(
        self,
        fields: dict[str, Any],
        decode: Callable[[replies.Reply], T],
        write: bool | None = None,
    ) -> Future[T]:
        """As `request`, but it returns a future at once; callbacks of the future must not block."""
        if write is None:
            write = fields["op"] in WRITES
        call = FutureCall(fields, self._timeout, decode, write)
        (self._connection or self.connection()).submit(call)
        return call.future

    def connection(self) -> Connection:
        """The running connection; it is started on first use, and again in a forked child."""
        with self._starting:
            if self._closed:
                raise UnavailableError("the client is closed")
            if self._connection is None:
                connection = Connection(self._addresses, self._options, self._direct)
                self._connection = connection
                self._finalizer = weakref.finalize(self, connection.close)
                self._finalizer.atexit = False
            return self._connection

    def close(self) -> None:
        """End all requests, watches and renewals, and close the sockets. A closed client stays
        closed."""
        with self._starting:
            self._closed = True
            connection, self._connection = self._connection, None
        if connection is not None:
            self._finalizer.detach()
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _forked(self) -> None:
        """In a forked child: drop the connection, whose thread and sockets are the parent's."""
        self._starting = threading.Lock()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._finalizer.detach()
            connection.orphan(FORKED)
            _orphans.append(connection)


_clients: weakref.WeakSet[Caller] = weakref.WeakSet()

_orphans: list[Connection] = []
"""The parent's connections in a forked child. Kept for ever: collecting one would close sockets
that the parent uses."""


def _after_fork() -> None:
    for client in list(_clients):
        client._forked()


os.register_at_fork(after_in_child=_after_fork)
