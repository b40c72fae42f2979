"""Caller: sends the requests of flows over the client's connection.

It owns the life of the connection: first use, fork, close. It refuses to know operations of the
protocol, and whether threads or tasks wait for the answers.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cluster.client import replies
from cluster.client.arguments import time_limit
from cluster.client.engine.call import Call
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.endpoints import parse
from cluster.client.engine.leaving import Regret
from cluster.client.engine.login import Credentials
from cluster.client.flows.shell import Connection, Shell
from cluster.client.flows.states import StateBoard
from cluster.errors import ClientClosedError
from cluster.protocol import OPS
from cluster.schema import Effect
from cluster.schemes import HTTPS
from cluster.tls.files import ARGUMENTS, ClientFiles

if TYPE_CHECKING:
    from asyncio import Future
    from ssl import SSLContext

T = TypeVar("T")

WRITES: Final = frozenset(op.name for op in OPS.values() if op.effect is Effect.WRITE)

FORKED: Final = "the process was forked: this belongs to the parent"


class Caller:
    """Sends requests to a cluster and decodes the replies; the first request connects it."""

    def __init__(
        self,
        shell: Shell,
        endpoints: str | Iterable[str] | None,
        *,
        dial_timeout: float,
        timeout: float,
        exactly_once: bool,
        direct: bool,
        files: ClientFiles,
        credentials: Credentials | None = None,
    ) -> None:
        self.shell = shell
        self._addresses = parse(endpoints, os.environ, tls=files.is_for_bare_endpoints)
        secure = {name for name, each in self._addresses.items() if each.startswith(HTTPS)}
        self._tls = _context(files) if secure else None
        patience = time_limit("dial_timeout", dial_timeout)
        self._options = CallOptions(patience, exactly_once, credentials)
        self.timeout = time_limit("timeout", timeout)
        # What was to be inside TLS must not go another way.
        self._direct = {
            n: a for n, a in self._addresses.items() if direct and n != a and n not in secure
        }
        self._connection: Connection | None = None
        self._closed = False
        self.states = StateBoard()
        _callers.add(self)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints, as they were given."""
        return tuple(self._addresses)

    async def request(
        self,
        fields: dict[str, Any],
        decode: Callable[[replies.Reply], T],
        write: bool | None = None,
        pinned: str | None = None,
        timeout: float | None = None,
        regret: Regret | None = None,
    ) -> T:
        """Send one request and decode its reply; the arguments are those of `Client.request`.

        `regret` takes the request back if its caller is cancelled and it is done all the same.
        """
        if write is None:
            write = fields["op"] in WRITES
        call = Call(fields, self.timeout if timeout is None else timeout, write, pinned)
        call.slow = timeout is not None
        connection = self._connection or self.connection()
        return replies.read(decode, await connection.ask(call, regret))

    def begin(
        self,
        fields: dict[str, Any],
        decode: Callable[[replies.Reply], T],
        write: bool | None = None,
        pinned: str | None = None,
        timeout: float | None = None,
    ) -> Future[T]:
        """As `request`, but it returns a future at once."""
        if write is None:
            write = fields["op"] in WRITES
        call = Call(fields, self.timeout if timeout is None else timeout, write, pinned)
        call.pipelined = True
        return (self._connection or self.connection()).begin(call, decode)

    async def ask(self, call: Call) -> replies.Reply:
        """Send a call and wait for its reply, or raise its error."""
        return await (self._connection or self.connection()).ask(call)

    def repeatable_call(self, fields: dict[str, Any]) -> Call:
        """A call, for `ask`, of a change that has no further effect when it is repeated."""
        call = Call(fields, self.timeout, write=True)
        call.repeatable = True
        return call

    async def log_in(self) -> None:
        """Get a token now, if there is a user; else the first request that needs one does."""
        if self._options.credentials is not None:
            # Everybody may ask this, and no request is sent before there is a token.
            await self.request({"op": "member_list"}, replies.header)

    def known(self, endpoint: str | None) -> str | None:
        """The endpoint; ValueError if it is not one of the client's."""
        if endpoint is not None and endpoint not in self._addresses:
            raise ValueError(f"{endpoint!r} is not one of the client's endpoints")
        return endpoint

    def connection(self) -> Connection:
        """The running connection; it is started on first use, and again in a forked child."""
        with self.shell.starting:
            if self._closed:
                raise ClientClosedError("the client is closed")
            if self._connection is None:
                connection = self.shell.connect(
                    self._addresses,
                    self._options,
                    self._direct,
                    self.states.change,
                    self._tls,
                )
                self._connection = connection
                self._finalizer = weakref.finalize(self, connection.close)
                self._finalizer.atexit = False
            return self._connection

    async def close(self) -> None:
        """End all requests, watches and renewals, and close the sockets, for good."""
        await self.shell.at_rest()
        with self.shell.starting:
            self._closed = True
            connection, self._connection = self._connection, None
        if connection is not None:
            self._finalizer.detach()
            connection.close()

    def _forked(self) -> None:
        """In a forked child: drop the connection, whose thread and sockets are the parent's."""
        self.shell.forked()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._finalizer.detach()
            connection.orphan(FORKED)
            self.states.forked()
            _orphans.append(connection)


def _context(files: ClientFiles) -> SSLContext:
    from cluster.tls.asking import client_context  # noqa: PLC0415 - only with TLS

    return client_context(files, ARGUMENTS)


class Api:
    """The base of what a program calls on a client: it sends by the client's caller."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller


_callers: weakref.WeakSet[Caller] = weakref.WeakSet()

_orphans: list[Connection] = []
"""The parent's connections in a forked child. Kept for ever: collecting one would close sockets
that the parent uses."""


def _after_fork() -> None:
    for caller in list(_callers):
        caller._forked()


os.register_at_fork(after_in_child=_after_fork)
