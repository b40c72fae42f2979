"""Uplink: the way from a client to its cluster, and its life: first use, fork, close.

It refuses to know requests, and whether threads or tasks wait for the answers.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable
from typing import Final

from cluster.client.arguments import time_limit
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.endpoints import parse
from cluster.client.engine.login import Account
from cluster.client.flows.shell import Connection, Shell
from cluster.client.flows.states import StateBoard
from cluster.client.heartbeats import Heartbeats
from cluster.client.identity import cluster_file, identity_for
from cluster.errors import ClientClosedError
from cluster.schemes import HTTPS
from cluster.tls.files import ClientFiles

FORKED: Final = "the process was forked: this belongs to the parent"


class Uplink:
    """Where a client's requests go; the first one connects it."""

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
        heartbeats: Heartbeats,
        credentials: Account | None = None,
        key_file: str = "",
    ) -> None:
        self.shell = shell
        known, tls = cluster_file(os.environ), files.is_for_bare_endpoints
        self.addresses = parse(endpoints, os.environ, tls=tls, known=known)
        self._identity = identity_for(self.addresses, files, key_file, os.environ)
        self._heartbeats = heartbeats
        patience = time_limit("dial_timeout", dial_timeout)
        self.options = CallOptions(patience, exactly_once, credentials)
        self.timeout = time_limit("timeout", timeout)
        # What was to be inside TLS, or sealed for a node, must not go another way.
        self._direct = {
            n: a for n, a in self.addresses.items() if direct and n != a and not _is_secure(a)
        }
        self.running: Connection | None = None
        self._closed = False
        self.states = StateBoard()
        _uplinks.add(self)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints, as they were given."""
        return tuple(self.addresses)

    def connection(self) -> Connection:
        """The running connection; it is started on first use, and again in a forked child."""
        with self.shell.starting:
            if self._closed:
                raise ClientClosedError("the client is closed")
            if self.running is None:
                connection = self.shell.connect(
                    self.addresses,
                    self.options,
                    self._direct,
                    self.states.change,
                    self._identity,
                    self._heartbeats,
                )
                self.running = connection
                self._finalizer = weakref.finalize(self, connection.close)
                self._finalizer.atexit = False
            return self.running

    async def close(self) -> None:
        """End all requests, watches and renewals, and close the sockets, for good."""
        await self.shell.at_rest()
        self.states.is_closing = True
        with self.shell.starting:
            self._closed = True
            connection, self.running = self.running, None
        if connection is not None:
            self._finalizer.detach()
            try:
                await connection.give_back()
            finally:
                connection.close()

    def _forked(self) -> None:
        """In a forked child: drop the connection, whose thread and sockets are the parent's."""
        self.shell.forked()
        connection, self.running = self.running, None
        if connection is not None:
            self._finalizer.detach()
            connection.orphan(FORKED)
            self.states.forked()
            _orphans.append(connection)


def _is_secure(address: str) -> bool:
    return address.startswith(HTTPS) or "#" in address


_uplinks: weakref.WeakSet[Uplink] = weakref.WeakSet()

_orphans: list[Connection] = []
"""The parent's connections in a forked child. Kept for ever: collecting one would close sockets
that the parent uses."""


def _after_fork() -> None:
    for uplink in list(_uplinks):
        uplink._forked()


os.register_at_fork(after_in_child=_after_fork)
