"""The clients of a campaign that speak gRPC, as etcd's own do, through the fronts of the nodes.

They do what `clients` does with keys and watches, and record it likewise. What an error says of the
outcome is less than what the protocol of ZeroMQ says: etcd has no word for "surely not done".
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import grpc

from cluster import Event, KeyValue, OutcomeUnknownError, UnavailableError
from cluster.client.results import Header
from cluster.etcd.rpc.schema import RPCS, Rpc
from tests.chaos.history import History, Stream
from tests.chaos.registers import RegisterWorker
from tests.chaos.users import Entry
from tests.chaos.worker import REQUEST_SECONDS, WATCH_AGAIN_SECONDS, Members, Worker
from tests.linearizability import FindingError

RANGE: Final = RPCS[b"/etcdserverpb.KV/Range"]
PUT: Final = RPCS[b"/etcdserverpb.KV/Put"]
DELETE: Final = RPCS[b"/etcdserverpb.KV/DeleteRange"]
WATCH: Final = RPCS[b"/etcdserverpb.Watch/Watch"]

RECONNECT_MS: Final = 50
ALL: Final = b"\0"
"""As a key the first one of all, as the end of a range no end."""

NOT_DONE: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)
"""Errors that a request gets in whose place nothing was done. A server that stops is none of them:
it may have passed the request on."""

NEVER: Final = frozenset({*NOT_DONE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED})
"""Errors that no request of these workers deserves, but for RESOURCE_EXHAUSTED."""


class GrpcStore:
    """One node at a time; after an error the next one. The errors are those of `cluster`.

    For a user, requests show the token that is in `metadata` once there is a channel.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self.metadata: tuple[tuple[str, str], ...] = ()
        self._endpoints: tuple[str, ...] = ()
        self._turn = 0
        self._channel: grpc.Channel | None = None

    def channel(self, endpoints: tuple[str, ...], turn: int = 0) -> grpc.Channel:
        """The channel to the node whose turn it is; `turn` is where to begin."""
        if endpoints != self._endpoints:
            self.close()
            self._endpoints, self._turn = endpoints, turn
        if self._channel is None:
            endpoint = endpoints[self._turn % len(endpoints)]
            reconnecting = {
                f"grpc.{name}_reconnect_backoff_ms": RECONNECT_MS
                for name in ("initial", "min", "max")
            }
            token = self._entry.token([endpoint])
            self.metadata = () if token is None else (("token", token),)
            self._channel = self._entry.channel(endpoint, list(reconnecting.items()))
        return self._channel

    def next(self) -> None:
        """Go to the next node."""
        self.close()
        self._turn += 1

    def close(self) -> None:
        """Give the connection up."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def ask(self, channel: grpc.Channel, rpc: Rpc, **fields: Any) -> Any:
        """One call. Raises OutcomeUnknownError, or UnavailableError where nothing was done."""
        ask = channel.unary_unary(rpc.path.decode())
        try:
            data = rpc.request(**fields).SerializeToString()
            return rpc.response.FromString(
                ask(data, timeout=REQUEST_SECONDS, metadata=self.metadata)
            )
        except grpc.RpcError as error:
            raise self._raised(error) from None

    def _raised(self, error: grpc.RpcError) -> Exception:
        self.next()
        code, text = error.code(), error.details() or ""
        if code in NEVER and code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            return FindingError(f"{code.name}: {text}")
        if code in NOT_DONE:
            return UnavailableError(text)
        return OutcomeUnknownError(f"{code.name}: {text}")


class GrpcWorker(RegisterWorker):
    """Puts, deletes and reads the keys that all such workers share, through gRPC."""

    def __init__(self, name: str, members: Members, history: History, seed: str) -> None:
        super().__init__(name, members, history, seed)
        self._store = GrpcStore(members.entry)
        self._first = self.chance.randrange(100)

    def close(self) -> None:
        self._store.close()

    def _ask(self, rpc: Rpc, **fields: Any) -> Any:
        channel = self._store.channel(self.members.endpoints, self._first)
        return self._store.ask(channel, rpc, **fields)

    def put(self, key: str, value: bytes) -> Header:
        return _header(self._ask(PUT, key=key.encode(), value=value))

    def delete(self, key: str) -> tuple[Header, int]:
        answer = self._ask(DELETE, key=key.encode())
        return _header(answer), answer.deleted

    def read(self, key: str, end: str, serializable: bool) -> tuple[Header, list[KeyValue]]:
        asked = {"key": key.encode(), "range_end": end.encode(), "serializable": serializable}
        answer = self._ask(RANGE, **asked)
        return _header(answer), list(map(_key_value, answer.kvs))


class GrpcWatcher(Worker):
    """Follows all keys from the first change on, and opens its watch anew now and then."""

    def __init__(self, name: str, members: Members, history: History, seed: str) -> None:
        super().__init__(name, members, history, seed)
        self._stream = Stream(name, 1, tells_reasons=False)
        history.streams.append(self._stream)
        self._store = GrpcStore(members.entry)
        self._watching: grpc.Call | None = None
        self._refreshing = threading.Lock()

    @property
    def last(self) -> int:
        """The last revision seen."""
        return self._stream.last

    def work(self) -> None:
        channel = self._store.channel(self.members.endpoints)
        create = {"key": ALL, "range_end": ALL, "start_revision": self._stream.last + 1}
        asked: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        asked.put(WATCH.request(create_request=create).SerializeToString())
        watch = channel.stream_stream(WATCH.path.decode())
        call = watch(iter(asked.get, None), metadata=self._store.metadata)
        with self._refreshing:
            self._watching = call
        if self.stopping.is_set():
            call.cancel()
        try:
            self._follow(call)
        except grpc.RpcError:
            self._store.next()
            self.pause()
        finally:
            asked.put(None)
            call.cancel()

    def _follow(self, call: Iterator[bytes]) -> None:
        again_at = time.monotonic() + WATCH_AGAIN_SECONDS
        for payload in call:
            answer: Any = WATCH.response.FromString(payload)
            if answer.canceled:
                return
            if answer.events:
                self._stream.take(list(map(_event, answer.events)), time.monotonic())
            if time.monotonic() > again_at:
                return

    def refresh(self) -> None:
        """Members have changed, or it is to stop: look again which."""
        with self._refreshing:
            if self._watching is not None:
                self._watching.cancel()

    def close(self) -> None:
        self._store.close()


def _header(answer: Any) -> Header:
    header = answer.header
    return Header(header.cluster_id, header.member_id, header.revision, header.raft_term)


def _key_value(kv: Any) -> KeyValue:
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def _event(event: Any) -> Event:
    return Event("DELETE" if event.type else "PUT", _key_value(event.kv), None, "")
