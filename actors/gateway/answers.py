"""The answers of a gateway to requests that waited for one: their bytes, and what is noted of them.

A large answer may be refused, and a long one is made in portions. Refuses to know tickets, and what
follows when a client does not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.gateway.intake import refusal
from actors.gateway.long_answers import LongAnswers
from actors.gateway.replies import ReplyEncoder
from actors.gateway.tickets import Pending
from actors.gateway.trail import Trail
from actors.language.audit import Note
from actors.language.encoding import error_reply
from actors.language.messages import Connection
from actors.language.metrics import GatewayMetrics, Survey
from actors.language.results import Failure, Result
from cluster.faults import FAULTS, Fault

LARGE_ANSWER_BYTES: Final = 16 * 1024
"""Answers of 16 KiB and more are refused while too much waits for clients that do not read."""


class Answers:
    """The answers of one gateway.

    `send` sends a frame to a connection. `has_room` says whether an answer of a size fits beside
    all that waits for clients. `long_answers` are those that are being made.
    """

    def __init__(
        self,
        encoder: ReplyEncoder,
        send: Callable[[Connection, bytes], object],
        has_room: Callable[[int], bool],
        trail: Trail | None,
    ) -> None:
        self.long_answers = LongAnswers()
        self._encoder = encoder
        self._send = send
        self._has_room = has_room
        self._trail = trail

    def give(self, pending: Pending, result: Result) -> None:
        """Send an answer, or a refusal instead of a large one while too much waits unread.

        The answer to a change is always sent: the change is made, and a refusal would deny it.
        """
        connection, request_id, mutates, _, added, _, note = pending
        match self._encoder.encode(request_id, result, added):
            case bytes() as frame:
                size = len(frame)
                if size < LARGE_ANSWER_BYTES or mutates or self._has_room(size):
                    self._send(connection, frame)
                    if note is not None:
                        self._note(note, result)
                else:
                    self._refuse(pending)
            case packing:
                if not self.long_answers.begin(pending, packing):
                    self._refuse(pending)
                elif note is not None:
                    self._note(note, result)

    def work(self, clock: Callable[[], int]) -> None:
        """Do a slice of the long answers, and send those that are whole then."""
        for pending, frame in self.long_answers.work(clock):
            if pending.mutates or self._has_room(len(frame)):
                self._send(pending.connection, frame)
            else:
                self._send(*refusal(pending))

    def tell_moved(self, pending: Pending) -> None:
        """The leader has handed over, as this request asked."""
        self._send(pending.connection, self._encoder.encode_moved(pending.request_id))
        self._note_done(pending, 0)

    def tell_counted(self, pending: Pending, survey: Survey, own: GatewayMetrics) -> None:
        """All actors have told what they have counted."""
        frame = self._encoder.encode_survey(pending.request_id, survey, own)
        self._send(pending.connection, frame)
        self._note_done(pending, survey.revision)

    def fail(self, pending: Pending, fault: Fault, *, is_unknown: bool) -> None:
        """A request has no answer but an error; `is_unknown`: it may take effect all the same."""
        frame = error_reply(pending.request_id, fault, outcome_unknown=is_unknown)
        self._send(pending.connection, frame)
        if pending.note is not None and self._trail is not None:
            self._trail.failed(pending.note, fault, is_unknown=is_unknown)

    def _refuse(self, pending: Pending) -> None:
        self._send(*refusal(pending))
        if pending.note is not None and self._trail is not None:
            self._trail.failed(pending.note, FAULTS["TooManyRequests"])

    def _note(self, note: Note, result: Result) -> None:
        trail = self._trail
        # The hot path: most of what is answered well is not for the log.
        if trail is not None and (note.level <= trail.level or type(result) is Failure):
            trail.answered(note, result)

    def _note_done(self, pending: Pending, revision: int) -> None:
        if pending.note is not None and self._trail is not None:
            self._trail.done(pending.note, revision)
