"""Exactly-once sessions: the results of recent commands, so that a retry is answered, not applied.

The log alone decides (entry index, cluster time, sequence, limits), so every node answers a retry
alike (DESIGN.md#sessions). What a command does is not known here.

A session's id is a random number of 63 bits, so no other session of any cluster has it. Therefore
(session, number) names one request of one client, even in a cluster that was rolled back to an
older table: a number in the table was applied before, and any other is applied now. This needs
clients that give each request a number of its own. No digest of the command is compared: it would
cost every write, and would refuse a retry through a gateway that grants another lease id or TTL.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

from actors.language.auth import NOBODY, Principal
from actors.language.commands import Sequence
from actors.language.costs import RESULT_BYTES, size_of
from actors.language.results import Failure, PutDone, Result
from actors.store.storage import SessionChange, SessionRecord

SESSION_NOT_FOUND: Final = Failure("SessionNotFound")
SESSION_EXISTS: Final = Failure("SessionExist")
SEQUENCE_TOO_OLD: Final = Failure("SequenceTooOld")
TOO_MANY_OUTSTANDING: Final = Failure("TooManyOutstanding")
TOO_MANY_SESSIONS: Final = Failure("TooManySessions")
USER_EMPTY: Final = Failure("UserEmpty")

INVALID_TOKEN: Final = Failure("InvalidAuthToken")

NOT_KEPT: Final = (USER_EMPTY, INVALID_TOKEN)
"""Who asked has not shown who that is. A session forgets these answers: the same request may come
again, from the same client with a token that is valid."""

MIB: Final = 1024 * 1024

SESSIONS_MAX: Final = 10_000
"""How many sessions a cluster may have."""


class SessionLimits(NamedTuple):
    """What sessions may take. These decide what commands do, so all nodes must have the same.

    A session that was not used for `ttl_ms` of cluster time ends. With `sessions_max` sessions, a
    new one ends the least recently used one, unless that was used within `spared_ms`: then the new
    one is refused. A session keeps at most `results_max` unacknowledged results, or about
    `results_bytes_max` bytes. Of a result above `result_bytes_max` only the fact that it was given
    is kept. When all results take more than `table_bytes_max`, the sessions with the largest
    results end.
    """

    sessions_max: int = SESSIONS_MAX
    ttl_ms: int = 10 * 60 * 1_000
    spared_ms: int = 60 * 1_000
    results_max: int = 1_024
    results_bytes_max: int = 16 * MIB
    result_bytes_max: int = 4 * MIB
    table_bytes_max: int = 128 * MIB


SESSION_LIMITS: Final = SessionLimits()


class Session:
    """One client's session: the results of commands from number `floor` on, for retries."""

    __slots__ = (
        "floor",
        "id",
        "owner",
        "results",
        "results_bytes",
        "stale",
        "stored",
        "used_index",
        "used_ms",
    )

    def __init__(self, record: SessionRecord, results: dict[int, Result]) -> None:
        self.id, self.used_index, self.used_ms, self.floor, self.owner = record
        self.results = results
        self.results_bytes = sum(map(size_of, results.values()))
        # The numbers whose results the backend has; no part of the replicated state.
        self.stored = set(results)
        # The numbers whose results the backend has of an earlier session of this id.
        self.stale: set[int] = set()

    def forget(self, ack: int) -> int:
        """Drop the results below `ack`, which the client has; returns how many bytes that frees."""
        results, floor = self.results, self.floor
        self.floor = ack
        if ack == floor + 1:  # as it nearly always is
            result = results.pop(floor, None)
            freed = 0 if result is None else _size_of(result)
        else:
            freed = self._forget_many(floor, ack)
        self.results_bytes -= freed
        return freed

    def _forget_many(self, floor: int, ack: int) -> int:
        results = self.results
        if ack - floor <= len(results):
            gone = [results.pop(seq) for seq in range(floor, ack) if seq in results]
        else:
            gone = [result for seq, result in results.items() if seq < ack]
            self.results = {seq: result for seq, result in results.items() if seq >= ack}
        return sum([_size_of(result) for result in gone])


class SessionTable:
    """The table of sessions, the least recently used first."""

    def __init__(
        self,
        stored: Iterable[tuple[SessionRecord, dict[int, Result]]],
        limits: SessionLimits = SESSION_LIMITS,
    ) -> None:
        by_use = sorted(stored, key=lambda pair: pair[0].used_index)
        self.table = OrderedDict((pair[0].id, Session(*pair)) for pair in by_use)
        self._limits = limits
        self._results_bytes = sum(session.results_bytes for session in self.table.values())
        # The sessions that were used, or have ended, since the last commit.
        self._touched: dict[int, Session] = {}
        # When `_end_unused` last looked, in cluster time; one look a millisecond is enough.
        self._checked_ms = -1

    def open(self, session_id: int, index: int, now_ms: int, owner: int = 0) -> Failure | None:
        """Open a session with this id in the entry at `index`, for a user; or say why not."""
        self._end_unused(now_ms)
        if session_id in self.table:
            return SESSION_EXISTS
        limits = self._limits
        if len(self.table) >= limits.sessions_max:
            oldest = next(iter(self.table.values()))
            if now_ms - oldest.used_ms < limits.spared_ms:
                return TOO_MANY_SESSIONS
            self._end(oldest)
        session = Session(SessionRecord(session_id, index, now_ms, floor=1, owner=owner), {})
        # A session of this id has ended since the last commit: its results are still on the disk,
        # and the next commit must remove them.
        if session_id in self._touched:
            ended = self._touched[session_id]
            session.stale = ended.stored | ended.stale
        self.table[session_id] = self._touched[session_id] = session
        return None

    def refusal(self, session_id: int, principal: Principal) -> Failure | None:
        """Why somebody may not use a session: to others than its user it is not there, so that it
        is of no use to guess its id. A session that nobody owns is the user's from now on.
        """
        if principal.user_id <= 0:
            return USER_EMPTY if principal == NOBODY else INVALID_TOKEN
        session = self.table.get(session_id)
        if session is not None and not session.owner:
            session.owner = principal.user_id
        is_own = session is not None and session.owner == principal.user_id
        return None if is_own else SESSION_NOT_FOUND

    def admit(self, index: int, now_ms: int, sequence: Sequence) -> Result | None:
        """The answer if there is one already, an earlier result or a refusal; None: apply it."""
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
        if ack > session.floor:
            self._results_bytes -= session.forget(ack)
        if seq < session.floor:
            return SEQUENCE_TOO_OLD
        results = session.results
        result = results.get(seq)
        # The lowest number always has room. If it were refused the client could acknowledge
        # nothing, and the session would be stuck.
        if result is None and seq != session.floor:
            limits = self._limits
            if len(results) >= limits.results_max:
                return TOO_MANY_OUTSTANDING
            if session.results_bytes >= limits.results_bytes_max:
                return TOO_MANY_OUTSTANDING
        return result

    def keep(self, sequence: Sequence, result: Result) -> None:
        """Remember the result of a command that `admit` let through just now."""
        if type(result) is Failure and result in NOT_KEPT:
            return
        session_id, seq, _ = sequence
        limits, session = self._limits, self.table[session_id]
        size = _size_of(result)
        # A retry then hears that its answer is no longer kept, and is not applied twice.
        if size > limits.result_bytes_max:
            result, size = SEQUENCE_TOO_OLD, RESULT_BYTES
        session.results[seq] = result
        session.results_bytes += size
        self._results_bytes += size
        if self._results_bytes > limits.table_bytes_max:
            self._make_room()

    def take_changes(self) -> tuple[SessionChange, ...]:
        """What became of the sessions that were used or ended since the last call."""
        changes: list[SessionChange] = []
        for session_id, session in self._touched.items():
            changes.append(self._change(session_id, session))
        self._touched = {}
        return tuple(changes)

    def _change(self, session_id: int, session: Session) -> SessionChange:
        stored, stale = session.stored, session.stale
        if self.table.get(session_id) is not session:
            return SessionChange(session_id, None, (), tuple(stored | stale))
        results = session.results
        kept = tuple([(seq, result) for seq, result in results.items() if seq not in stored])
        forgotten = tuple(stored.difference(results) | stale)
        session.stored, session.stale = set(results), set()
        record = SessionRecord(
            session_id, session.used_index, session.used_ms, session.floor, session.owner
        )
        return SessionChange(session_id, record, kept, forgotten)

    # --- ends ---

    def _end_unused(self, now_ms: int) -> None:
        """End the sessions whose time is over.

        It is enough to look when a session is used or opened: nothing else shows which there are.
        """
        self._checked_ms = now_ms
        while self.table:
            oldest = next(iter(self.table.values()))
            if now_ms - oldest.used_ms < self._limits.ttl_ms:
                break
            self._end(oldest)

    def _make_room(self) -> None:
        """End the sessions with the largest results; a client that keeps little loses nothing.

        It frees an eighth of the table, so that not every command has to sort the sessions again.
        """
        target_bytes = self._limits.table_bytes_max * 7 // 8
        # Those of equal size by id, so that every member ends the same ones.
        by_size = sorted(self.table.values(), key=lambda each: (-each.results_bytes, each.id))
        for session in by_size:
            if self._results_bytes <= target_bytes:
                break
            self._end(session)

    def _end(self, session: Session) -> None:
        del self.table[session.id]
        self._results_bytes -= session.results_bytes
        self._touched[session.id] = session


def _size_of(result: Result) -> int:
    """As `size_of`, with a short way for the most frequent result: a put without a prev_kv."""
    if type(result) is PutDone and result.prev_kv is None:
        return RESULT_BYTES
    return size_of(result)
