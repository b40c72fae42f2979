"""Admission: how much of its clients' writes a node has under way, and what waits for its turn.

What is committed is applied in order, and a read must see all that was committed before it: it
would wait for whatever writers have sent, however much. So what is more than keeps everybody busy
waits here, before the log, where no read has to wait for it. Knows nothing of what a write does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, Protocol, TypeVar

UNDER_WAY_BYTES_MAX: Final = 128 * 1024
"""Writes are let in while fewer bytes are under way: one may pass the mark, whatever its size."""


class Write(Protocol):
    """A command on its way into the log."""

    @property
    def ticket(self) -> int:
        """The gateway's name for the request."""

    @property
    def command(self) -> bytes:
        """What counts."""


W = TypeVar("W", bound=Write)


class Admission(Generic[W]):
    """The writes of one node's clients, in the order in which they came."""

    def __init__(self, bytes_max: int = UNDER_WAY_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._under_way: dict[int, int] = {}
        self._waiting: dict[int, W] = {}

    def ask(self, writes: Iterable[W]) -> list[W]:
        """Those that may go now; the others wait."""
        self._waiting.update((write.ticket, write) for write in writes)
        return self.let_in()

    def done(self, ticket: int) -> bool:
        """A write has its answer, or is given up; whether it was still waiting for its turn."""
        self._bytes -= self._under_way.pop(ticket, 0)
        return self._waiting.pop(ticket, None) is not None

    def let_in(self) -> list[W]:
        """Those that may go now, in the place of what is done."""
        waiting, under_way = self._waiting, self._under_way
        admitted: list[W] = []
        for write in waiting.values():
            if self._bytes >= self._bytes_max:
                break
            size = len(write.command)
            under_way[write.ticket] = size
            self._bytes += size
            admitted.append(write)
        if len(admitted) == len(waiting):
            waiting.clear()
        else:
            for write in admitted:
                del waiting[write.ticket]
        return admitted
