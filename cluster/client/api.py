"""Client: what a program does with a cluster. Synchronous and thread-safe; one I/O thread each."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from cluster.client import results
from cluster.client.connection import Connection, FutureCall, WaitedCall
from cluster.client.core import Options
from cluster.client.endpoints import parse
from cluster.client.lease import Lease, LeaseApi
from cluster.client.requests import (
    EVERYTHING,
    Key,
    interval_end,
    put_fields,
    range_fields,
    to_bytes,
)
from cluster.client.watch import Watch
from cluster.errors import UnavailableError, WatchCanceledError

T = TypeVar("T")


class Client:
    """A connection to a cluster; any one of its endpoints is enough.

    `endpoints`: `host:port` (or `tcp://`, `http://`: plain TCP too), a list of them or one string
    with commas; by default $LEASECTL_ENDPOINTS, else 127.0.0.1:2379. Nothing is connected before
    the first request. `dial_timeout` limits the wait for a first connection, `timeout` each
    request, both in seconds. Writes are retried by themselves and still applied once;
    `exactly_once=False` spares the session that this takes, and an interrupted write then raises
    OutcomeUnknownError.
    """

    def __init__(
        self,
        endpoints: str | Iterable[str] | None = None,
        *,
        dial_timeout: float = 5.0,
        timeout: float = 5.0,
        exactly_once: bool = True,
    ) -> None:
        if dial_timeout <= 0 or timeout <= 0:
            raise ValueError("dial_timeout and timeout must be greater than 0 seconds")
        self._addresses = parse(endpoints, os.environ)
        self._options = Options(dial_timeout, exactly_once)
        self._timeout = timeout
        self._starting = threading.Lock()
        self._connection: Connection | None = None
        self._closed = False
        self.lease = LeaseApi(self)
        _clients.add(self)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints, as they were given."""
        return tuple(self._addresses)

    # --- keys ---

    def put(
        self,
        key: Key,
        value: Key = b"",
        *,
        lease: int | Lease = 0,
        prev_kv: bool = False,
        ignore_value: bool = False,
        ignore_lease: bool = False,
    ) -> results.PutResult:
        """Set a key. A put without a lease detaches the key from the one it had.

        `ignore_value` and `ignore_lease` keep what the key has; it must exist then.
        """
        fields = put_fields(key, value, lease, prev_kv, ignore_value, ignore_lease)
        return self.request(fields, results.put_result, write=True)

    def get(
        self, key: Key, *, revision: int = 0, serializable: bool = False
    ) -> results.KeyValue | None:
        """One key, or None when there is no such key."""
        fields = range_fields(key, None, revision=revision, serializable=serializable)
        return self.request(fields, results.single_result)

    def range(
        self,
        key: Key | None = None,
        range_end: Key | None = None,
        *,
        prefix: bool = False,
        from_key: bool = False,
        limit: int = 0,
        revision: int = 0,
        serializable: bool = False,
        keys_only: bool = False,
        count_only: bool = False,
    ) -> results.RangeResult:
        """The keys from `key` up to (without) `range_end`, those that begin with `key` (`prefix`),
        all from `key` on (`from_key`), or all there are (no key).

        `limit` 0 is none, `revision` 0 is now. A serializable read is answered by one node from
        what it has, which may be old.
        """
        if key is None:
            key, range_end = EVERYTHING, EVERYTHING
        fields = range_fields(
            key,
            interval_end(key, range_end, prefix, from_key),
            limit,
            revision,
            serializable,
            keys_only,
            count_only,
        )
        return self.request(fields, results.range_result)

    def get_prefix(self, prefix: Key, *, limit: int = 0, revision: int = 0) -> results.RangeResult:
        """The keys that begin with `prefix`; `range(prefix, prefix=True)`."""
        return self.range(prefix, prefix=True, limit=limit, revision=revision)

    def delete(
        self,
        key: Key,
        range_end: Key | None = None,
        *,
        prefix: bool = False,
        from_key: bool = False,
        prev_kv: bool = False,
    ) -> results.DeleteResult:
        """Delete a key, or an interval of keys as in `range`, in one revision."""
        fields: dict[str, Any] = {"op": "delete_range", "key": to_bytes(key)}
        end = interval_end(key, range_end, prefix, from_key)
        if end is not None:
            fields["range_end"] = end
        if prev_kv:
            fields["prev_kv"] = True
        return self.request(fields, results.delete_result, write=True)

    # --- the same, pipelined ---

    def put_async(
        self, key: Key, value: Key = b"", *, lease: int | Lease = 0, prev_kv: bool = False
    ) -> Future[results.PutResult]:
        """Begin a put and return at once; many may be under way. Their order is not defined."""
        fields = put_fields(key, value, lease, prev_kv)
        return self.request_async(fields, results.put_result, write=True)

    def get_async(
        self, key: Key, *, revision: int = 0, serializable: bool = False
    ) -> Future[results.KeyValue | None]:
        """Begin a get and return at once."""
        fields = range_fields(key, None, revision=revision, serializable=serializable)
        return self.request_async(fields, results.single_result)

    def delete_async(self, key: Key, *, prev_kv: bool = False) -> Future[results.DeleteResult]:
        """Begin to delete one key and return at once."""
        fields: dict[str, Any] = {"op": "delete_range", "key": to_bytes(key)}
        if prev_kv:
            fields["prev_kv"] = True
        return self.request_async(fields, results.delete_result, write=True)

    # --- watch ---

    def watch(
        self,
        key: Key,
        range_end: Key | None = None,
        *,
        prefix: bool = False,
        from_key: bool = False,
        start_revision: int | None = None,
        prev_kv: bool = False,
        filters: Iterable[str] = (),
    ) -> Watch:
        """Follow the changes of a key or an interval (as in `range`), from now or from a revision.

        When it returns, the cluster has accepted the watch: what is written from then on is seen.
        `filters`: "NOPUT", "NODELETE".
        """
        fields: dict[str, Any] = {"op": "watch_create", "key": to_bytes(key)}
        end = interval_end(key, range_end, prefix, from_key)
        if end is not None:
            fields["range_end"] = end
        if start_revision is not None:
            fields["start_revision"] = start_revision
        if prev_kv:
            fields["prev_kv"] = True
        if filters:
            fields["filters"] = list(filters)
        return Watch(self, self.connection(), fields, self._timeout)

    # --- the cluster ---

    def member_list(self) -> results.MemberListResult:
        """The members of the cluster."""
        return self.request({"op": "member_list"}, results.member_list_result)

    def status(self, endpoint: str | None = None) -> results.StatusResult:
        """One node's own state: of the endpoint named, or of whichever answers."""
        if endpoint is not None and endpoint not in self._addresses:
            raise ValueError(f"{endpoint!r} is none of the client's endpoints")
        return self.request({"op": "status"}, results.status_result, pinned=endpoint)

    # --- requests ---

    def request(
        self,
        fields: dict[str, Any],
        decode: Callable[[results.Reply], T],
        write: bool = False,
        pinned: str | None = None,
    ) -> T:
        """Send one request of PROTOCOL.md and decode its reply; `write` if it changes anything."""
        call = WaitedCall(fields, self._timeout, write, pinned)
        connection = self._connection or self.connection()
        assert not connection.is_own_thread, "a callback of a future must not wait for another call"
        connection.submit(call)
        return results.read(decode, call.wait())

    def request_async(
        self,
        fields: dict[str, Any],
        decode: Callable[[results.Reply], T],
        write: bool = False,
    ) -> Future[T]:
        """As `request`, but at once; callbacks of the future must not block."""
        call = FutureCall(fields, self._timeout, decode, write)
        (self._connection or self.connection()).submit(call)
        return call.future

    def connection(self) -> Connection:
        """The running connection; started when it is first needed, and anew after a fork."""
        with self._starting:
            if self._closed:
                raise UnavailableError("the client is closed")
            if self._connection is None:
                connection = Connection(self._addresses, self._options)
                self._connection = connection
                self._finalizer = weakref.finalize(self, connection.close)
                self._finalizer.atexit = False
            return self._connection

    def close(self) -> None:
        """End all requests, watches and renewals, and free the sockets. It cannot be used again."""
        with self._starting:
            self._closed = True
            connection, self._connection = self._connection, None
        if connection is not None:
            self._finalizer.detach()
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _forked(self) -> None:
        """In a child process: the thread and the sockets are the parent's, so start anew."""
        self._starting = threading.Lock()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._finalizer.detach()
            gone = WatchCanceledError("the process was forked: this belongs to the parent")
            for sink in connection.orphan():
                sink.abort(gone)
            _orphans.append(connection)


_clients: weakref.WeakSet[Client] = weakref.WeakSet()

_orphans: list[Connection] = []
"""A parent's connections in a forked child: never used, never closed, and so never collected."""


def _after_fork() -> None:
    for client in list(_clients):
        client._forked()


os.register_at_fork(after_in_child=_after_fork)
