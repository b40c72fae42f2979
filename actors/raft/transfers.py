"""Transfers of leadership (dissertation 3.10): the one that is under way, and how the last ended.

One at a time, and each for one election timeout at most: a leader takes no proposals meanwhile.
What began as a leader is judged after it, too: only who leads then tells how a transfer ended.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.language.members import NOBODY
from cluster.errors import MaybeFault


class Transferred(NamedTuple):
    """A transfer is over: `succeeded` only if this member has heard its target lead."""

    target: int
    succeeded: bool


class _UnderWay(NamedTuple):
    """The leader of `term` has it handed over to `target` until then, or goes on by itself."""

    target: int
    term: int
    until_ms: int


class Transfers:
    """Those that one member was asked for while it led."""

    def __init__(self, timeout_ms: int) -> None:
        self._timeout_ms = timeout_ms
        self._under_way: _UnderWay | None = None
        self._ended: list[Transferred] = []

    def begin(self, target: int, term: int, now_ms: int) -> MaybeFault:
        """Begin one, as the leader of a term; the same again is the one that is under way.

        It does not begin anew: to ask again and again must not stop the writes for longer.
        """
        if self._under_way is None:
            self._under_way = _UnderWay(target, term, now_ms + self._timeout_ms)
        return "" if self._under_way.target == target else "TransferUnderWay"

    def was_done(self, target: int) -> None:
        """The target leads already."""
        self._ended.append(Transferred(target, True))

    def target_in(self, term: int) -> int:
        """To whom the leader of this term is handing over; 0: to nobody."""
        under_way = self._under_way
        return under_way.target if under_way is not None and under_way.term == term else NOBODY

    @property
    def due_ms(self) -> int | None:
        """When the one under way has failed, unless it ends before."""
        return None if self._under_way is None else self._under_way.until_ms

    def maybe_end(self, leader: int, term: int, now_ms: int) -> bool:
        """Judge the one under way by who leads now; whether it is over."""
        under_way = self._under_way
        if under_way is None:
            return False
        # Nobody, or this member still, is no end: the target may be standing just now.
        another = leader not in (NOBODY, under_way.target) and term > under_way.term
        succeeded = leader == under_way.target
        if not (succeeded or another or now_ms >= under_way.until_ms):
            return False
        self._under_way = None
        self._ended.append(Transferred(under_way.target, succeeded))
        return True

    def take_ended(self) -> tuple[Transferred, ...]:
        """How those ended that are over since the last call."""
        ended, self._ended = self._ended, []
        return tuple(ended)
