"""Exactly-once sessions: the results of recent commands, so that a retry is answered, not applied.

All is decided by the log alone (entry index, cluster time, sequence), so every node answers a retry
alike (DESIGN 9). What a command does is none of its business.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from actors.store.commands import Sequence
from actors.store.results import Failure, Result
from actors.store.storage import SessionChange, SessionRecord

SESSIONS_MAX: Final = 10_000
"""One more, and the session that was used least recently ends."""

SESSION_RESULTS_MAX: Final = 1_024
"""So many results are kept for a client that does not acknowledge them."""

SESSION_TTL_MS: Final = 10 * 60 * 1_000
"""A session that was not used for so long, in cluster time, ends."""

SESSION_NOT_FOUND: Final = Failure("SessionNotFound")
SEQUENCE_TOO_OLD: Final = Failure("SequenceTooOld")
TOO_MANY_OUTSTANDING: Final = Failure("TooManyOutstanding")


class Session:
    """One client's numbered commands: results from `floor` on that it may still ask for."""

    __slots__ = ("floor", "id", "results", "stored", "used_index", "used_ms")

    def __init__(self, record: SessionRecord, results: dict[int, Result]) -> None:
        self.id, self.used_index, self.used_ms, self.floor = record
        self.results = results
        # The numbers whose results the backend has; says nothing about the replicated state.
        self.stored = set(results)


class Sessions:
    """The table of sessions, the least recently used one in front."""

    def __init__(self, stored: Iterable[tuple[SessionRecord, dict[int, Result]]]) -> None:
        by_use = sorted(stored, key=lambda pair: pair[0].used_index)
        self.table = OrderedDict((pair[0].id, Session(*pair)) for pair in by_use)
        # Ended or used since the last commit.
        self._touched: dict[int, Session] = {}
        # No session can become too old twice in the same millisecond.
        self._checked_ms = -1

    def open(self, index: int, now_ms: int) -> int:
        """Open a session in the entry at `index`, which is its id."""
        self._end_unused(now_ms)
        if len(self.table) >= SESSIONS_MAX:
            self._end_oldest()
        session = Session(SessionRecord(index, index, now_ms, floor=1), {})
        self.table[index] = self._touched[index] = session
        return index

    def admit(self, index: int, now_ms: int, sequence: Sequence) -> Result | None:
        """The answer if there is one already - an earlier result or a refusal - or None: apply."""
        session_id, seq, ack = sequence
        if now_ms > self._checked_ms:
            self._end_unused(now_ms)
        session = self.table.get(session_id)
        if session is None:
            return SESSION_NOT_FOUND
        self.table.move_to_end(session_id)
        session.used_index = index
        session.used_ms = now_ms
        self._touched[session_id] = session
        results = session.results
        if ack > session.floor:
            _forget(session, ack)
        if seq < session.floor:
            return SEQUENCE_TOO_OLD
        result = results.get(seq)
        if result is None and len(results) >= SESSION_RESULTS_MAX:
            return TOO_MANY_OUTSTANDING
        return result

    def keep(self, sequence: Sequence, result: Result) -> None:
        """Remember the result of a command that `admit` let through just now."""
        self.table[sequence.session].results[sequence.seq] = result

    def take_changes(self) -> tuple[SessionChange, ...]:
        """What became of the sessions that were used or ended since the last call."""
        changes = tuple([self._change(session) for session in self._touched.values()])
        self._touched = {}
        return changes

    def _change(self, session: Session) -> SessionChange:
        stored = session.stored
        if self.table.get(session.id) is not session:
            return SessionChange(session.id, None, (), tuple(stored))
        results = session.results
        kept = tuple([(seq, result) for seq, result in results.items() if seq not in stored])
        forgotten = tuple(stored.difference(results))
        session.stored = set(results)
        record = SessionRecord(session.id, session.used_index, session.used_ms, session.floor)
        return SessionChange(session.id, record, kept, forgotten)

    def _end_unused(self, now_ms: int) -> None:
        """Sessions end when a session is asked for: nothing else could see that they are there."""
        self._checked_ms = now_ms
        while self.table:
            oldest = next(iter(self.table.values()))
            if now_ms - oldest.used_ms < SESSION_TTL_MS:
                break
            self._end_oldest()

    def _end_oldest(self) -> None:
        session_id, session = self.table.popitem(last=False)
        self._touched[session_id] = session


def _forget(session: Session, ack: int) -> None:
    """The client has the answers to all numbers below `ack`."""
    results, floor = session.results, session.floor
    if ack == floor + 1:
        results.pop(floor, None)
    elif ack - floor <= len(results):
        for seq in range(floor, ack):
            results.pop(seq, None)
    else:
        session.results = {seq: result for seq, result in results.items() if seq >= ack}
    session.floor = ack
