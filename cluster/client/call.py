"""One request on its way, and the exactly-once session that writes travel in.

Plain state for the client's core: what was asked, where it was sent, what came of it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from cluster.client.replies import Reply
from cluster.errors import LeaseholdError

FOREVER: Final = float("inf")

ATTEMPT_SECONDS: Final = 0.5
ATTEMPT_SECONDS_MAX: Final = 8.0
ATTEMPTS_PER_TIMEOUT: Final = 4
"""The first attempt gets this fraction of the timeout, so that other endpoints get their chance."""

UNHEALTHY_ATTEMPTS_MAX: Final = 8
"""A change of members is refused for the time of an election (about 0.6 s), or for a reason."""

SESSION_WINDOW: Final = 1_000
"""A write waits while one this many numbers older is unanswered: a node keeps 1,024 results."""

SESSION_IDLE_SECONDS_MAX: Final = 300.0
"""A session unused for longer is replaced; the cluster ends one after ten minutes."""

NO_VERDICT: Final = frozenset({"NotSupportedForLearner", "NoSpace"})
"""Refusals of one attempt that leave open what became of those before it."""


class Phase(IntEnum):
    """Where a call stands."""

    PARKED = 0
    """It waits for a connection, a session, or room in the session's window."""
    SENT = 1
    """An attempt is under way at `Call.endpoint`."""
    BACKING_OFF = 2
    """The last attempt came to nothing; the next one begins at `Call.due`."""
    DONE = 3
    """It has a reply or an error."""


class WriteSession:
    """The numbers of one exactly-once session: each write's own, and the lowest one unanswered."""

    __slots__ = ("_next", "_unanswered", "id", "used_at")

    def __init__(self, session_id: int, now: float) -> None:
        self.id = session_id
        self.used_at = now
        self._next = 1
        # Insertion order is numeric order, so the first key is the lowest.
        self._unanswered: dict[int, None] = {}

    @property
    def is_full(self) -> bool:
        """Whether one more write could overrun the results that the cluster keeps."""
        return self._next - self.ack >= SESSION_WINDOW

    @property
    def ack(self) -> int:
        """The lowest number whose answer has not arrived."""
        for seq in self._unanswered:
            return seq
        return self._next

    def is_stale(self, now: float) -> bool:
        """Whether the cluster may soon have forgotten it, and no call needs it any more."""
        return not self._unanswered and now - self.used_at > SESSION_IDLE_SECONDS_MAX

    def begin(self, now: float) -> int:
        """The next write's number."""
        seq = self._next
        self._next = seq + 1
        self._unanswered[seq] = None
        self.used_at = now
        return seq

    def end(self, seq: int) -> None:
        """This number needs no result any more."""
        self._unanswered.pop(seq, None)


class Call:
    """A request and all its attempts. Whoever makes one may subclass it to be told of its end.

    `write`: repeating it could apply it twice. `repeatable`: no, for it finds itself done; so it
    needs no session. `pinned`: it may go to that endpoint only.
    `patient`: it waits its whole timeout for a connection, not just the dial timeout.
    `slow`: its answer takes as long as the work does: an attempt is given all the time there is.
    `uncertain`: an attempt that was given up may have been applied, or may yet be.
    """

    __slots__ = (
        "attempts",
        "deadline",
        "due",
        "endpoint",
        "error",
        "failures",
        "fields",
        "id",
        "last_error",
        "on_attempt",
        "on_done",
        "patient",
        "phase",
        "pinned",
        "repeatable",
        "reply",
        "sent_at",
        "seq",
        "session",
        "slow",
        "timeout",
        "uncertain",
        "write",
    )

    def __init__(
        self, fields: dict[str, Any], timeout: float, write: bool = False, pinned: str | None = None
    ) -> None:
        self.fields = fields
        self.timeout = timeout
        self.patient = timeout == FOREVER
        self.write = write
        self.pinned = pinned
        self.repeatable = False
        self.slow = False
        self.id = 0
        self.phase = Phase.PARKED
        self.deadline = FOREVER
        self.due = FOREVER
        self.endpoint: str | None = None
        self.attempts = 0
        self.sent_at = 0.0
        self.failures = 0
        self.uncertain = False
        self.session: WriteSession | None = None
        self.seq = 0
        self.reply: Reply | None = None
        self.error: LeaseholdError | None = None
        self.last_error: LeaseholdError | None = None
        self.on_attempt: Callable[[Call, str], None] | None = None
        self.on_done: Callable[[Call, float], None] | None = None

    @property
    def attempt_seconds(self) -> float:
        """How long to wait for an answer to the next attempt; twice as long each time."""
        if self.slow:
            return self.timeout
        first = min(ATTEMPT_SECONDS, self.timeout / ATTEMPTS_PER_TIMEOUT)
        return float(min(ATTEMPT_SECONDS_MAX, first * 2 ** min(self.attempts, 16)))

    def parked_until(self, now: float, dial_timeout: float) -> float:
        """How long it waits for a connection; the first time a call that is not patient has less.

        A slow call has so much time for its answer that a node which died must be noticed.
        """
        return min(self.deadline, now + dial_timeout) if self.slow else self.deadline
