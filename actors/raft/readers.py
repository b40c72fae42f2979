"""Readers: questions that wait for a read index. Those that gather go as one read to the core.

Refuses to know when a read is confirmed, which is the core's, and what a question means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.language.messages import Question, Ticket
from actors.language.queries import Status

QUESTIONS_WAITING_MAX: Final = 20_000
"""Questions that may gather for the next read; beyond this number they are refused."""


SLOW_READ_MS: Final = 500
"""A read is slow when it is confirmed after 500 ms: etcd asks again then."""


class Readers:
    """The questions at one member; those in `waiting` belong to no read yet."""

    def __init__(self) -> None:
        self.waiting: list[Question] = []
        # Reads that took SLOW_READ_MS and more, or were given up.
        self.slow = 0
        # By read id, oldest first: when the read began, and its questions.
        self._reading: dict[int, tuple[int, list[Question]]] = {}

    def take_in(self, questions: Sequence[Question]) -> tuple[list[Ticket], list[Ticket]]:
        """Gather questions; returns the tickets of status questions, and of those refused."""
        own: list[Ticket] = []
        refused: list[Ticket] = []
        asked = [each for each in questions if type(each.query) is not Status]
        if len(asked) < len(questions):
            own = [each.ticket for each in questions if type(each.query) is Status]
        room = QUESTIONS_WAITING_MAX - len(self.waiting)
        if len(asked) > room:
            refused = [each.ticket for each in asked[room:]]
            del asked[room:]
        self.waiting += asked
        return own, refused

    def begin(self, read_id: int, now_ms: int) -> None:
        """Let all questions that wait be under way as this read."""
        self._reading[read_id] = now_ms, self.waiting
        self.waiting = []

    def confirmed(self, read_id: int, now_ms: int) -> list[Question]:
        """The questions of a read that was confirmed; none if they were given up."""
        since_ms, questions = self._reading.pop(read_id, (now_ms, []))
        if now_ms - since_ms >= SLOW_READ_MS:
            self.slow += 1
        return questions

    def give_up(self, oldest_ms: int) -> list[int]:
        """Forget the reads that began before this time; returns their ids."""
        outdated: list[int] = []
        for read_id, (since_ms, _) in self._reading.items():
            if since_ms >= oldest_ms:
                break
            outdated.append(read_id)
        self.slow += len(outdated)
        for read_id in outdated:
            del self._reading[read_id]
        return outdated
