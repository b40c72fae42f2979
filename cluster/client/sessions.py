"""The exactly-once session that a client's writes travel in: opened, filled, lost and replaced.

Pure, a part of the client's core: it gives writes their numbers, and lets them wait for a session
or for room in it. Which attempt goes where is the core's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from cluster.client.call import FOREVER, Call, Phase, Session
from cluster.client.replies import read, session_id
from cluster.errors import LeaseholdError

if TYPE_CHECKING:
    from cluster.client.core import Core


class Sessions:
    """One session at a time; a call that has begun in another one stays there."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._session: Session | None = None
        self._opening: Call | None = None
        self._waiting: deque[Call] = deque()

    def admit(self, call: Call, now: float) -> None:
        """Give a write its number, or let it wait for a session or for room in the window."""
        session = self._session
        if session is not None and session.is_stale(now):
            session = self._session = None
        if session is not None and not session.is_full:
            call.session = session
            call.seq = session.begin(now)
            return
        call.phase = Phase.PARKED
        call.due = call.deadline
        self._core.wake_by(call.due)
        self._waiting.append(call)
        if session is None:
            self._open(now)

    def leave(self, call: Call, session: Session, now: float) -> None:
        """The cluster does not know a call's session: it and all that wait begin in another."""
        session.end(call.seq)
        call.session = None
        if self._session is session:
            self._session = None
            if self._waiting:
                self._open(now)

    def made_room(self, now: float) -> None:
        """A call has ended: let in those that waited for that."""
        waiting = self._waiting
        while waiting and self._session is not None and not self._session.is_full:
            call = waiting.popleft()
            if call.phase is Phase.PARKED:
                self._core.dispatch(call, now)

    def close(self) -> None:
        """Let nobody in any more."""
        self._waiting.clear()

    def _open(self, now: float) -> None:
        if self._opening is None:
            opening = Call({"op": "session_open"}, FOREVER)
            opening.on_done = self._opened
            self._opening = opening
            self._core.call(opening, now)

    def _opened(self, call: Call, now: float) -> None:
        self._opening = None
        try:
            if call.error is not None:
                raise call.error
            assert call.reply is not None, "a call that is done has a reply or an error"
            self._session = Session(read(session_id, call.reply), now)
        except LeaseholdError as error:
            self._fail_waiting(error, now)
        else:
            self.made_room(now)

    def _fail_waiting(self, error: LeaseholdError, now: float) -> None:
        waiting, self._waiting = self._waiting, deque()
        for waiter in waiting:
            if waiter.phase is Phase.PARKED:
                self._core.finish(waiter, now, error)
