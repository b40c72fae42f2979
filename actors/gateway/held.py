"""Refusals that are held for a moment, and then sent a few at a time: so nobody can spin on them.

A client that is refused for its user's rate may ask again at once. Answered at once, it would keep
the node as busy as by requests that are served. Turns go round the connections, so that one with
very many refusals does not hold back those of others. Refuses to know why somebody is refused.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from actors.language.messages import Connection

HELD_MS: Final = 200
"""How long: well below the time after which a client takes a request for lost, 500 ms."""

SENT_AT_ONCE_MAX: Final = 50
PAUSE_MS: Final = 10
"""50 refusals are sent, and the next ones 10 ms later."""

HELD_MAX: Final = 10_000
"""Beyond 10,000 refusals, of some 300 bytes each, the next ones are not held."""


class _Held(NamedTuple):
    """A refusal, and when it was held for long enough."""

    due_ms: int
    connection: Connection
    frame: bytes


class HeldRefusals:
    """The refusals that one gateway holds."""

    def __init__(self) -> None:
        # In the order in which they came.
        self._waiting: deque[_Held] = deque()
        # Those that were held for long enough, of each connection, in the order of turns.
        self._ready: OrderedDict[bytes, deque[_Held]] = OrderedDict()
        self._count = 0
        self._next_ms = 0

    def maybe_hold(self, connection: Connection, frame: bytes, now_ms: int) -> bool:
        """Hold a refusal; False: there are too many, send it at once."""
        if self._count >= HELD_MAX:
            return False
        self._count += 1
        self._waiting.append(_Held(now_ms + HELD_MS, connection, frame))
        return True

    @property
    def due_ms(self) -> int | None:
        """When to call `due`; None: nothing is held."""
        if self._ready:
            return self._next_ms
        return max(self._next_ms, self._waiting[0].due_ms) if self._waiting else None

    def due(self, now_ms: int) -> Iterator[tuple[Connection, bytes]]:
        """The refusals to send now; each is held no longer."""
        if self._count and now_ms >= self._next_ms:
            self._next_ms = now_ms + PAUSE_MS
            self._ripen(now_ms)
            yield from self._take(SENT_AT_ONCE_MAX)

    def all(self) -> Iterator[tuple[Connection, bytes]]:
        """All of them, to send before the end."""
        if self._waiting:
            self._ripen(self._waiting[-1].due_ms)
        yield from self._take(self._count)

    def _ripen(self, now_ms: int) -> None:
        while self._waiting and self._waiting[0].due_ms <= now_ms:
            held = self._waiting.popleft()
            self._ready.setdefault(held.connection[0], deque()).append(held)

    def _take(self, count: int) -> Iterator[tuple[Connection, bytes]]:
        for _ in range(min(count, self._count)):
            if not self._ready:
                break
            name, queue = next(iter(self._ready.items()))
            _, connection, frame = queue.popleft()
            self._count -= 1
            self._ready.move_to_end(name)
            if not queue:
                del self._ready[name]
            yield connection, frame
