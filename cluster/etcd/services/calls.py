"""The seams of a service: the call that it serves, and the node that it asks.

Owns what the transports and the services have to agree on. Refuses to know how a message looks on
any wire, and what an RPC does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from cluster.etcd.rpc.schema import Rpc
from cluster.etcd.rpc.status import RpcError, error_in
from cluster.faults import FAULTS

MESSAGE_OVERHEAD_BYTES: Final = 512 * 1024
"""A message may be larger by this than `--max-request-bytes` (etcd's grpcOverheadBytes)."""

QUEUED_BYTES_MAX: Final = 256 * 1024
"""A service sends no more while this much waits for a slow reader; `on_drained` lets it go on."""

NO_LEADER: Final = FAULTS["NoLeader"]

Reply = dict[str, Any]
Request = dict[str, Any]


class Feed(Protocol):
    """A connection of its own to the node; what it receives goes to the callback it was made with.

    `pause` stops reading it, so the node learns that its reader is slow.
    """

    def send(self, request: Request) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...


class Link(Protocol):
    """The way to the node. `call` returns a number, by which `forget` drops the answer."""

    def call(
        self,
        request: Request,
        done: Callable[[Reply], None],
        timeout_seconds: float | None = None,
    ) -> int: ...
    def forget(self, call: int) -> None: ...
    def open_stream(
        self, on_message: Callable[[Reply], None], on_end: Callable[[str], None]
    ) -> Feed: ...


class RpcCall(Protocol):
    """One call, as its transport offers it to the service that serves it."""

    @property
    def rpc(self) -> Rpc:
        """Which RPC is called."""

    @property
    def metadata(self) -> Mapping[bytes, bytes]:
        """What came beside the request, by lower-case name: `hasleader`, `token`."""

    def send(self, reply: Reply) -> None:
        """Send one response message."""

    def finish(self, error: RpcError | None = None) -> None:
        """End the call; nothing is sent after it."""

    def queued(self) -> int:
        """The bytes that wait for a slow reader."""

    def pause(self) -> None:
        """Take no more requests from the client for now: it has to wait."""

    def resume(self) -> None:
        """Take requests again. Some may be handed over before this returns."""


class Service(Protocol):
    """What serves one call. None of these is called after the call's `finish` or `on_cancel`."""

    def on_request(self, request: Request) -> None:
        """A request message, decoded."""

    def on_half_close(self) -> None:
        """The client sends no more requests."""

    def on_cancel(self) -> asyncio.Task[None] | None:
        """The client, its connection or its deadline has ended the call: nobody hears any more.

        Returns the task that takes back what the call has left in the store, if it has left
        something: the link must stay open until that task is done.
        """

    def on_drained(self) -> None:
        """The reader has caught up with most of what waited for it."""


def requires_leader(metadata: Mapping[bytes, bytes]) -> bool:
    """Whether the client wants an error rather than a member that knows no leader."""
    return metadata.get(b"hasleader") == b"true"


def when_led(link: Link, then: Callable[[], None], refuse: Callable[[RpcError], None]) -> int:
    """Ask the node whether it knows a leader: `then` if it does; the number is the call's."""

    def on_status(status: Reply) -> None:
        error = error_in(status)
        if error is None and not status["leader"]:
            error = RpcError(*NO_LEADER)
        if error is None:
            then()
        else:
            refuse(error)

    return link.call({"op": "status"}, on_status)
