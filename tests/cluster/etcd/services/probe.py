"""A call that a test makes of a service, and the node's side of it, of which the test is master."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cluster.etcd.rpc.schema import RPCS
from cluster.etcd.rpc.status import RpcError
from cluster.etcd.services.calls import Link, Service
from cluster.etcd.services.table import serve

HEADER = {"cluster_id": 7, "member_id": 1, "revision": 8, "raft_term": 2}


async def settle(turns: int = 10) -> None:
    """Give the loop as many turns as anything here takes that waits for no time and no socket."""
    loop = asyncio.get_running_loop()
    for _ in range(turns):
        turned = loop.create_future()
        loop.call_soon(turned.set_result, None)
        await turned


class ProbeCall:
    """A call whose transport is a list; `queued_bytes` is what its reader has not taken."""

    def __init__(self, path: bytes, link: Link, metadata: dict[bytes, bytes] | None = None) -> None:
        self.rpc = RPCS[path]
        self.metadata = metadata or {}
        self.replies: list[dict[str, Any]] = []
        self.queued_bytes = 0
        self.is_paused = False
        self.error: RpcError | None = None
        self.is_over = False
        self._happened = asyncio.Event()
        self.service: Service = serve(self, link)

    def send(self, reply: dict[str, Any]) -> None:
        assert not self.is_over, "nothing is sent after the end"
        self.replies.append(reply)
        self._happened.set()

    def finish(self, error: RpcError | None = None) -> None:
        assert not self.is_over, "a call ends once"
        self.is_over, self.error = True, error
        self._happened.set()

    def queued(self) -> int:
        return self.queued_bytes

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something has happened that makes this true."""
        while not condition():
            self._happened.clear()
            await self._happened.wait()

    async def reply(self, number: int = 0) -> dict[str, Any]:
        """One of its replies, by its place; RpcError if the call ends before."""
        await self.until(lambda: len(self.replies) > number or self.is_over)
        if len(self.replies) <= number:
            raise self.error or AssertionError(f"it ended with {len(self.replies)} replies")
        return self.replies[number]

    async def end(self) -> RpcError | None:
        """How it ends."""
        await self.until(lambda: self.is_over)
        return self.error


class ProbeFeed:
    """A stream of the node: what was sent on it, and how it is."""

    def __init__(self, on_message: Callable[[dict[str, Any]], None], on_end: Callable[[str], None]):
        self.on_message = on_message
        self.on_end = on_end
        self.sent: list[dict[str, Any]] = []
        self.is_paused = False
        self.is_closed = False

    def send(self, request: dict[str, Any]) -> None:
        self.sent.append(request)

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.is_closed = True

    def says(self, **fields: Any) -> None:
        """The node says this."""
        self.on_message({"header": HEADER, **fields})


class ProbeLink:
    """A link whose calls a test answers, by their place among the calls that it has heard."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.forgotten: list[int] = []
        self.feeds: list[ProbeFeed] = []
        self.is_paused = False
        self.is_closed = False
        self.on_read: Callable[[], None] = _nothing
        self.is_reading = False
        self._done: dict[int, Callable[[dict[str, Any]], None]] = {}

    def call(
        self,
        request: dict[str, Any],
        done: Callable[[dict[str, Any]], None],
        timeout_seconds: float | None = None,
    ) -> int:
        self.asked.append(request)
        number = len(self.asked) - 1
        self._done[number] = done
        return number

    def forget(self, call: int) -> None:
        self.forgotten.append(call)

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.is_closed = True

    def gather(self) -> None:
        """Nothing waits here."""

    def flush(self) -> None:
        """Nothing waits here."""

    def open_stream(
        self, on_message: Callable[[dict[str, Any]], None], on_end: Callable[[str], None]
    ) -> ProbeFeed:
        self.feeds.append(ProbeFeed(on_message, on_end))
        return self.feeds[-1]

    def answer(self, call: int, **fields: Any) -> None:
        """The node's answer to a call."""
        self.reply(call, {"header": HEADER, **fields})

    def reply(self, call: int, reply: dict[str, Any]) -> None:
        """The whole reply of the node to a call."""
        self._done.pop(call)(reply)

    def refuse(self, call: int, code: int, message: str) -> None:
        """The node's error for a call."""
        self._done.pop(call)({"error": {"code": code, "message": message}})


def _nothing() -> None:
    """Nobody has to know."""
