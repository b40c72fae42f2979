"""Questions that wait for a read index: gathered, then under way together until it is confirmed.

When a read is confirmed is the core's business; what a question means, the store's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from actors.language.messages import Question, Ticket
from actors.language.queries import Status

QUESTIONS_WAITING_MAX: Final = 20_000
"""Questions that are gathered at most; the others are refused."""


class Readers:
    """Those of one member; `waiting` have no read index yet."""

    def __init__(self) -> None:
        self.waiting: list[Question] = []
        # By read index, in the order of time.
        self._reading: dict[int, tuple[int, list[Question]]] = {}

    def take_in(self, questions: Iterable[Question]) -> tuple[list[Ticket], list[Ticket]]:
        """Gather these, but for questions of status, and those for which there is no room."""
        own: list[Ticket] = []
        refused: list[Ticket] = []
        for question in questions:
            if isinstance(question.query, Status):
                own.append(question.ticket)
            elif len(self.waiting) < QUESTIONS_WAITING_MAX:
                self.waiting.append(question)
            else:
                refused.append(question.ticket)
        return own, refused

    def begin(self, read_id: int, now_ms: int) -> None:
        """All that wait are under way, as one read."""
        self._reading[read_id] = now_ms, self.waiting
        self.waiting = []

    def confirmed(self, read_id: int) -> list[Question]:
        """Those that may be answered now; none if they were given up."""
        return self._reading.pop(read_id, (0, []))[1]

    def give_up(self, oldest_ms: int) -> list[int]:
        """Forget the reads that began before this time; which they were."""
        outdated: list[int] = []
        for read_id, (since_ms, _) in self._reading.items():
            if since_ms >= oldest_ms:
                break
            outdated.append(read_id)
        for read_id in outdated:
            del self._reading[read_id]
        return outdated
