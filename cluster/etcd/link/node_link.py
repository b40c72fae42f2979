"""NodeLink: the unary calls of one client of a front, many at a time over one connection.

It numbers calls and finds the caller of each answer. A call is sent once and never again: whether a
write was done is not known when its connection breaks. Refuses to know what a call asks for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from cluster.etcd.link.connection import UNSENT_BYTES_MAX, NodeConnection, Reply, pack
from cluster.etcd.link.node_stream import NodeStream
from cluster.etcd.link.pool import Pool
from cluster.etcd.rpc.status import DEADLINE
from cluster.faults import FAULTS, UNAVAILABLE

CALLS_MAX: Final = 10_000
"""The number of calls that one client may have under way; the node has the same limit."""

GIVEN_UP_MAX: Final = 100
"""With this number of calls that a client has given up, and the node has not answered, its later
calls wait in the front. One that is given up there costs the node nothing, so a client that asks
and gives up all the time has no more than this number of requests served for nobody."""

REFUSED: Final[Reply] = {"error": FAULTS["TooManyRequests"]._asdict()}
NOT_SENT: Final[Reply] = {"error": FAULTS["Stopped"]._asdict()}
CONNECTION_LOST: Final[Reply] = {
    "error": {
        "code": UNAVAILABLE,
        "message": "etcdserver: request timed out, possibly due to connection lost",
    }
}
OVERDUE: Final[Reply] = {"error": DEADLINE._asdict()}

Done = Callable[[Reply], None]


class NodeLink:
    """The calls of one client; `why_lost` says why its last connection ended.

    `done` is called once with the answer, an `error` map among them, and never inside `call`; not
    at all after `forget` or `close`. `on_close` is called when the client closes the link. While
    `is_reading`, more answers that have come together follow; `on_read` is called behind them.
    Each request carries what is `said` of the client, such as whose certificate it has.
    """

    def __init__(self, pool: Pool, said: Mapping[str, str | bytes] | None = None) -> None:
        self.on_close: Callable[[], None] | None = None
        self.on_read: Callable[[], None] = _nothing
        self.is_reading = False
        self.why_lost = ""
        self._said = said or {}
        self._pool = pool
        self._connection: NodeConnection | None = None
        self._is_paused = False
        # A forgotten call stays here until its answer is there: without it the connection could
        # pass to another client too early.
        self._calls: dict[int, Done | None] = {}
        self._given_up = 0
        # The packed requests that wait until fewer calls are given up, by their calls.
        self._held: dict[int, bytes] = {}
        self._held_bytes = 0
        self._timers: dict[int, asyncio.TimerHandle] = {}

    @property
    def is_up(self) -> bool:
        """Whether the node was there when the front last asked."""
        return self._pool.is_up

    def call(
        self, request: dict[str, Any], done: Done, timeout_seconds: float | None = None
    ) -> int:
        """Ask the node; `done` gets its answer. The call's number becomes the request's `id`."""
        pool = self._pool
        number = pool.next_number()
        connection = self._connection
        if connection is None:
            connection = self._connect()
        calls = self._calls
        if connection.is_full or len(calls) >= CALLS_MAX or self._held_bytes > UNSENT_BYTES_MAX:
            pool.loop.call_soon(done, dict(REFUSED))
            return number
        request["id"] = number
        if self._said:
            request.update(self._said)
        calls[number] = done
        if self._given_up < GIVEN_UP_MAX and not self._held:
            connection.send(pack(request))
        else:
            self._held[number] = payload = pack(request)
            self._held_bytes += len(payload)
        if timeout_seconds is not None:
            self._timers[number] = pool.loop.call_later(timeout_seconds, self._overdue, number)
        return number

    def forget(self, call: int) -> None:
        """Drop the answer of a call when it comes."""
        if self._calls.get(call) is not None:
            self._stop_timer(call)
            self._give_up(call)

    def gather(self) -> None:
        """Calls follow that go together: they are sent by `flush`."""
        if self._connection is not None:
            self._connection.gathers = True

    def flush(self) -> None:
        """Send what was gathered."""
        connection = self._connection
        if connection is not None:
            connection.gathers = False
            connection.flush()

    def open_stream(
        self, on_message: Callable[[Reply], None], on_end: Callable[[str], None]
    ) -> NodeStream:
        """A stream of replies on a connection of its own, which `close` here does not end."""
        return NodeStream(self._pool.take(), on_message, on_end, self._said)

    def pause(self) -> None:
        """Read no more answers, for a client that does not read them either."""
        self._is_paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Go on reading answers."""
        self._is_paused = False
        if self._connection is not None:
            self._connection.resume()

    def close(self) -> None:
        """The client has gone: drop all its calls, and end its connection or give it back."""
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            on_close()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        is_idle = not self._calls
        self._calls.clear()
        self._drop_held()
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if is_idle:
            self._pool.give_back(connection)
        else:
            connection.close()

    async def reach(self) -> str:
        """Ask the node who it is; the reason why that fails, or an empty text."""
        answer: asyncio.Future[Reply] = self._pool.loop.create_future()
        self.call({"op": "status"}, answer.set_result)
        reason = self.why_lost if "error" in await answer else ""
        self._pool.is_up = not reason
        return reason

    # --- inside ---

    def _connect(self) -> NodeConnection:
        connection = self._connection = self._pool.take()
        connection.on_reply, connection.on_lost = self._on_reply, self._on_lost
        connection.on_reading = self._on_reading
        if self._is_paused:
            connection.pause()
        return connection

    def _on_reading(self, is_reading: bool) -> None:
        self.is_reading = is_reading
        if not is_reading:
            self.on_read()

    def _on_reply(self, reply: Reply) -> None:
        number = reply.pop("id", 0)
        if number not in self._calls:
            return
        done = self._calls.pop(number)
        if done is None:
            self._given_up -= 1
            if self._held:
                self._send_held()
            return
        if self._timers:
            self._stop_timer(number)
        done(reply)

    def _give_up(self, number: int) -> None:
        """Nobody waits for this call any more; the node may not have heard of it yet."""
        payload = self._held.pop(number, None)
        if payload is None:
            self._calls[number] = None
            self._given_up += 1
        else:
            self._held_bytes -= len(payload)
            del self._calls[number]

    def _send_held(self) -> None:
        """Send what waited: all of it, as fewer calls are given up now."""
        connection = self._connection
        assert connection is not None, "an answer came on it"
        for payload in self._drop_held().values():
            connection.send(payload)

    def _drop_held(self) -> dict[int, bytes]:
        held, self._held = self._held, {}
        self._held_bytes = 0
        return held

    def _stop_timer(self, number: int) -> None:
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()

    def _overdue(self, number: int) -> None:
        self._timers.pop(number, None)
        done = self._calls.get(number)
        if done is not None:
            self._give_up(number)
            done(dict(OVERDUE))

    def _on_lost(self, reason: str) -> None:
        assert self._connection is not None, "the connection of this link"
        answer = CONNECTION_LOST if self._connection.was_open else NOT_SENT
        self._connection = None
        self.why_lost = reason
        calls, self._calls = self._calls, {}
        held = self._drop_held()
        self._given_up = 0
        for number, done in calls.items():
            self._stop_timer(number)
            if done is not None:
                done(dict(NOT_SENT if number in held else answer))


def _nothing() -> None:
    """Nobody has to know."""
