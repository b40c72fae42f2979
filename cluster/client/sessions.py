"""The exactly-once session that a client's writes travel in: opened, filled, lost and replaced.

Pure, a part of the client's calls: it gives writes their numbers, and lets them wait for a session
or for room in it. It sends nothing: it returns the calls that may go on, and those to be made.
"""

from __future__ import annotations

from collections import deque

from cluster.client.call import FOREVER, Call, Phase, WriteSession
from cluster.client.replies import read, session_id
from cluster.errors import LeaseholdError


class WriteSessions:
    """One session at a time; a call that has begun in another one stays there.

    `waiting` are the writes without a number, in the order in which they came.
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
        """That call is done: there is a session to fill, or a reason why not."""
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
        """The cluster does not know a call's session: it and all that wait begin in another."""
        session.end(call.seq)
        call.session = None
        if self._session is session:
            self._session = None

    def let_in(self) -> Call | None:
        """The next write that has waited and may go on now, if there is room for it."""
        while self.waiting and self._session is not None and not self._session.is_full:
            call = self.waiting.popleft()
            if call.phase is Phase.PARKED:
                return call
        return None

    def turn_away(self) -> list[Call]:
        """All that wait: there is no session for them."""
        waiting = [call for call in self.waiting if call.phase is Phase.PARKED]
        self.waiting.clear()
        return waiting
