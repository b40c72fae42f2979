"""Call: one request and its attempts. WriteSession: the numbers that make writes exactly-once.

Plain state of the client's core: the request, what each attempt sends, the endpoint it was sent to,
and its outcome. What to do next is decided in `calling`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from cluster import wire
from cluster.client.replies import Reply
from cluster.errors import LeaseholdError
from cluster.faults import FAULTS

FOREVER: Final = float("inf")

ATTEMPT_SECONDS: Final = 0.5
ATTEMPT_SECONDS_MAX: Final = 8.0
"""The time that the first attempt has for its answer; it doubles with each attempt up to this."""

ATTEMPTS_PER_TIMEOUT: Final = 4
"""The first attempt has at most the timeout divided by this: then there is time to try others."""

REQUEST_FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""The largest frame to send: no --max-request-bytes allows more. A larger one is refused here."""

SESSION_WINDOW: Final = 1_000
"""The numbers between a new write and the oldest unanswered one; beyond it, the write waits. A node
keeps the results of 1,024 numbers, so a repeated write always finds its result."""

SESSION_IDLE_SECONDS_MAX: Final = 300.0
"""A session that is unused for longer is replaced: the cluster forgets it after ten minutes."""


class Phase(IntEnum):
    """What a call waits for."""

    PARKED = 0
    """A connection, a token, a session, or room in the session's window."""
    SENT = 1
    """The answer to an attempt, or to the question before it, from `Call.endpoint`."""
    BACKING_OFF = 2
    """The time `Call.due` of its next attempt; the last one failed."""
    DONE = 3
    """Nothing: it has a reply or an error."""


class WriteSession:
    """One exactly-once session: the next number for a write, and the lowest unanswered number.

    The cluster keeps the result of each number from the lowest unanswered one on, so it answers a
    repeated write with the result of the first and does not apply it again.
    """

    __slots__ = ("_next", "_unanswered", "id", "used_at")

    def __init__(self, session_id: int, now: float) -> None:
        self.id = session_id
        self.used_at = now
        self._next = 1
        # Insertion order is numeric order, so the first key is the lowest.
        self._unanswered: dict[int, None] = {}

    @property
    def is_full(self) -> bool:
        """Whether one more write could push out a result that an unanswered write needs."""
        return self._next - self.ack >= SESSION_WINDOW

    @property
    def ack(self) -> int:
        """The lowest number whose answer has not arrived."""
        for seq in self._unanswered:
            return seq
        return self._next

    def is_stale(self, now: float) -> bool:
        """Whether the cluster may soon forget the session, and no call is using it."""
        return not self._unanswered and now - self.used_at > SESSION_IDLE_SECONDS_MAX

    def begin(self, now: float) -> int:
        """The next write's number."""
        seq = self._next
        self._next = seq + 1
        self._unanswered[seq] = None
        self.used_at = now
        return seq

    def end(self, seq: int) -> None:
        """The write with this number is done: its result is no longer needed."""
        self._unanswered.pop(seq, None)


class Call:
    """A request and all its attempts.

    `write`: to apply it twice would be wrong, so it needs a number of a session.
    `repeatable`: a write that needs none, because a repetition changes nothing.
    `pinned`: the only endpoint that it may be sent to.
    `patient`: it waits its whole timeout for a connection, not just the dial timeout.
    `slow`: its answer takes long, so one attempt may use the whole timeout.
    `uncertain`: an attempt without an answer may have been applied, or may be later.
    `size`: the bytes of its last frame; 0: none was made.
    `is_question`: at last it was not sent; the node was asked how large a request it takes.
    `pipelined`: its caller may make the next call before this one is answered.
    `wake`: tells its caller that it is done; None: `on_done` is called, if anything.
    `due`: when its present phase ends if nothing happens. `failures`: the failed attempts.
    `logins`: the times that its token was refused, and the client logged in again for it.
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
        "is_question",
        "last_error",
        "logins",
        "on_attempt",
        "on_done",
        "patient",
        "phase",
        "pinned",
        "pipelined",
        "repeatable",
        "reply",
        "sent_at",
        "seq",
        "session",
        "size",
        "slow",
        "timeout",
        "uncertain",
        "wake",
        "write",
    )

    def __init__(
        self, fields: dict[str, Any], timeout: float, write: bool = False, pinned: str | None = None
    ) -> None:
        self.fields = fields
        self.timeout = timeout
        self.size = 0
        self.is_question = False
        self.patient = timeout == FOREVER
        self.write = write
        self.pinned = pinned
        self.repeatable = False
        self.pipelined = False
        self.slow = False
        self.id = 0
        self.phase = Phase.PARKED
        self.deadline = FOREVER
        self.due = FOREVER
        self.endpoint: str | None = None
        self.attempts = 0
        self.sent_at = 0.0
        self.failures = 0
        self.logins = 0
        self.uncertain = False
        self.session: WriteSession | None = None
        self.seq = 0
        self.reply: Reply | None = None
        self.error: LeaseholdError | None = None
        self.last_error: LeaseholdError | None = None
        self.on_attempt: Callable[[Call, str], None] | None = None
        self.on_done: Callable[[Call, float], None] | None = None
        self.wake: Callable[[], None] | None = None

    @property
    def attempt_seconds(self) -> float:
        """Seconds to wait for the answer to the next attempt; they double with each attempt."""
        if self.slow:
            return self.timeout
        first = min(ATTEMPT_SECONDS, self.timeout / ATTEMPTS_PER_TIMEOUT)
        return float(min(ATTEMPT_SECONDS_MAX, first * 2 ** min(self.attempts, 16)))

    @property
    def is_in_doubt(self) -> bool:
        """Whether an attempt without an answer may have been applied, or may be later."""
        return self.uncertain or (self.phase is Phase.SENT and not self.is_question)

    def result(self) -> Reply:
        """The reply, or raise the error; only of a call that is done."""
        if self.error is not None:
            raise self.error
        assert self.reply is not None, "a call that is done has a reply or an error"
        return self.reply

    def frame(self) -> bytes:
        """The next attempt: the request, with its id and the write's place in its session.

        Raises what msgpack does for a value it cannot encode, and ValueError for a large frame.
        """
        fields = self.fields
        fields["id"] = self.id
        session = self.session
        if session is not None:
            fields["session"] = session.id
            fields["seq"] = self.seq
            fields["ack"] = session.ack
        frame = wire.pack(fields)
        if len(frame) > REQUEST_FRAME_BYTES_MAX:
            raise ValueError(FAULTS["RequestTooLarge"].message)
        self.size = len(frame)
        return frame

    def question(self) -> bytes:
        """What asks a node how large a request it takes. Its id is the negative one of the call."""
        fields = {"op": "status", "id": -self.id}
        if "token" in self.fields:
            fields["token"] = self.fields["token"]
        return wire.pack(fields)

    def parked_until(self, now: float, dial_timeout: float) -> float:
        """Until when a call waits for a connection after its first wait, which `begin` limits.

        A slow call has a timeout of minutes, to wait for work. If no node can be reached, its
        caller should not wait for minutes too: the dial timeout limits each wait.
        """
        return min(self.deadline, now + dial_timeout) if self.slow else self.deadline
