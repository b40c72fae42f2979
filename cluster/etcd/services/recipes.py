"""What locks and elections are made of: steps that wait for the node, as one task for each call.

A recipe is written from top to bottom as a coroutine. A cancelled call cancels its task, and the
recipe's own `except` takes back what it has left in the store; so the task may outlive its call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from cluster.etcd.rpc.schema import Rpc
from cluster.etcd.rpc.status import RpcError, error_in
from cluster.etcd.services.calls import (
    NO_LEADER,
    QUEUED_BYTES_MAX,
    Feed,
    Link,
    Reply,
    Request,
    RpcCall,
    requires_leader,
)
from cluster.faults import UNAVAILABLE, UNKNOWN

REPLIES_MAX: Final = 64
"""A watch is read no further while its recipe has this many of its replies to look at."""


async def ask(link: Link, **request: Any) -> Reply:
    """Ask the node; raises RpcError for an error."""
    answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def done(reply: Reply) -> None:
        if not answered.done():
            answered.set_result(reply)

    number = link.call(request, done)
    try:
        reply = await answered
    except asyncio.CancelledError:
        link.forget(number)
        raise
    error = error_in(reply)
    if error is not None:
        raise error
    return reply


class FollowedWatch:
    """The replies of one watch, in order; raises RpcError when it cannot go on."""

    def __init__(self, link: Link, key: bytes, start_revision: int, **options: Any) -> None:
        self._replies: deque[Reply] = deque()
        self._error: RpcError | None = None
        self._arrived = asyncio.Event()
        self._feed: Feed = link.open_stream(self._on_message, self._on_end)
        # As in etcd, who waits in a queue goes on waiting while there is no leader.
        watch = {"key": key, "start_revision": start_revision, "without_leader": True, **options}
        self._feed.send({"op": "watch_create", **watch})

    async def next(self) -> Reply:
        """The next reply with events, or the one that ends the watch (`canceled`)."""
        while not self._replies:
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()
        reply = self._replies.popleft()
        if len(self._replies) == REPLIES_MAX // 2:
            self._feed.resume()
        return reply

    def close(self) -> None:
        """End the watch."""
        self._feed.close()

    def _on_message(self, reply: Reply) -> None:
        error = error_in(reply)
        if error is not None:
            self._on_error(error)
        elif reply.get("events") or reply.get("canceled"):
            self._replies.append(reply)
            self._arrived.set()
            if len(self._replies) > REPLIES_MAX:
                self._feed.pause()

    def _on_end(self, reason: str) -> None:
        self._on_error(RpcError(UNAVAILABLE, reason))

    def _on_error(self, error: RpcError) -> None:
        self._error = error
        self._arrived.set()


@asynccontextmanager
async def following(
    link: Link, key: bytes, start_revision: int, **options: Any
) -> AsyncIterator[FollowedWatch]:
    """Watch within the block."""
    watch = FollowedWatch(link, key, start_revision, **options)
    try:
        yield watch
    finally:
        watch.close()


Run = Callable[["Recipe", Request], Awaitable[None]]


class Recipe:
    """Serves one call by a coroutine, which gets the request and what it may send with."""

    def __init__(self, call: RpcCall, link: Link, run: Run, keeps_codes: bool) -> None:
        self._call = call
        self._link = link
        self._run = run
        self._keeps_codes = keeps_codes
        self._task: asyncio.Task[None] | None = None
        self._drained = asyncio.Event()

    async def ask(self, **request: Any) -> Reply:
        """Ask the node; raises RpcError for an error."""
        return await ask(self._link, **request)

    @property
    def rpc(self) -> Rpc:
        """Which RPC is called."""
        return self._call.rpc

    @property
    def link(self) -> Link:
        """The way to the node."""
        return self._link

    async def send(self, reply: Reply) -> None:
        """Send one response, then wait until the reader has taken most of what waits for it."""
        self._call.send(reply)
        while self._call.queued() > QUEUED_BYTES_MAX:
            self._drained.clear()
            await self._drained.wait()

    def on_request(self, request: Request) -> None:
        """Begin; a second request is not expected and not looked at."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._serve(request))

    def on_half_close(self) -> None:
        """Nothing: the call goes on until it is answered."""

    def on_cancel(self) -> asyncio.Task[None] | None:
        """Stop; the task goes on until it has taken back what the call has left."""
        if self._task is not None:
            self._task.cancel()
        return self._task

    def on_drained(self) -> None:
        """The reader has caught up."""
        self._drained.set()

    async def _serve(self, request: Request) -> None:
        try:
            if requires_leader(self._call.metadata):
                status = await self.ask(op="status")
                if not status["leader"]:
                    raise RpcError(*NO_LEADER)
            await self._run(self, request)
        except RpcError as error:
            # etcd's recipes ask through a client, whose errors have their texts and no codes.
            code = error.code if self._keeps_codes or error.code == UNAVAILABLE else UNKNOWN
            self._call.finish(RpcError(code, error.message))
        else:
            self._call.finish()


def recipe(run: Run, *, keeps_codes: bool = True) -> Callable[[RpcCall, Link], Recipe]:
    """What serves calls by this coroutine. Without `keeps_codes` an error's code is UNKNOWN, unless
    the client should try again elsewhere."""
    return lambda call, link: Recipe(call, link, run, keeps_codes)
