"""The exactly-once session of a client's writes: opened, filled, lost and replaced.

Pure: a part of the client's calls. It gives each write its number, and queues writes that wait for
a session or for room in it. It refuses to send: it returns the calls that `calling` is to send.
"""

from __future__ import annotations

from collections import deque

from cluster.client.engine.call import FOREVER, Call, Phase, WriteSession
from cluster.client.replies import read, session_id
from cluster.errors import LeaseholdError


class WriteSessions:
    """The present session, and the writes that wait for it.

    A write keeps the session it was first sent in, also when a newer session has replaced that.
    `waiting` holds the writes without a number, in the order in which they came.
    """

    def __init__(self) -> None:
        self.waiting: deque[Call] = deque()
        self._session: WriteSession | None = None
        self._opening: Call | None = None

    def admit(self, call: Call, now: float) -> bool:
        """Give a write its number; False when it waits for a session, or for room in the window."""
        session = self._session
        if session is not None and session.is_stale(now):
            session = self._session = None
        if session is None or session.is_full:
            self.waiting.append(call)
            return False
        call.session = session
        call.seq = session.begin(now)
        return True

    def opening(self) -> Call | None:
        """The call that opens a session, when writes wait for one and none is being opened."""
        if self._session is not None or self._opening is not None or not self.waiting:
            return None
        self._opening = Call({"op": "session_open"}, FOREVER)
        return self._opening

    def opened(self, call: Call, now: float) -> LeaseholdError | None:
        """The call that opens a session is done: take the session, or return why there is none."""
        self._opening = None
        if call.error is not None:
            return call.error
        assert call.reply is not None, "a call that is done has a reply or an error"
        try:
            self._session = WriteSession(read(session_id, call.reply), now)
        except LeaseholdError as error:
            return error
        return None

    def leave(self, call: Call, session: WriteSession) -> None:
        """The cluster does not know a call's session: the call, and later ones, use another."""
        session.end(call.seq)
        call.session = None
        if self._session is session:
            self._session = None

    def let_in(self) -> Call | None:
        """The next waiting write, if the session has room for it; else None."""
        while self.waiting and self._session is not None and not self._session.is_full:
            call = self.waiting.popleft()
            if call.phase is Phase.PARKED:
                return call
        return None

    def turn_away(self) -> list[Call]:
        """Empty the queue: the writes that waited, for which there is no session."""
        waiting = [call for call in self.waiting if call.phase is Phase.PARKED]
        self.waiting.clear()
        return waiting
