"""Queries that take long, answered step by step between other messages; short ones at once.

It decides how many run side by side, whose turn it is, and for how long. The machine that it is
given says what a query means. Times are milliseconds of the caller's clock. A query that waits for
its turn has not begun, and will see a later state: a read may see any state after its request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from actors.language.auth import Principal
from actors.language.messages import Question
from actors.language.queries import Query
from actors.language.results import Failure, Result
from actors.store.machine import Machine
from actors.store.questions import begin, can_answer
from actors.store.steps import Steps, step

RUNNING_MAX: Final = 8
"""At most 8 long queries run side by side: each keeps in memory what it has gathered."""

QUERIES_WAITING_MAX: Final = 1_000
"""How many more may wait for their turn; one beyond that is refused."""

SLICE_MS: Final = 2
SLICE_STEPS_MAX: Final = 64
"""After 2 ms, or 64 steps, other messages have their turn."""

QUERY_PAUSE_MS: Final = 1
"""The pause between two slices, for others: all actors share one interpreter."""

TOO_MANY_QUERIES: Final = Failure("TooManyRequests")


class _Waiting(NamedTuple):
    ticket: int
    query: Query
    cluster_ms: int
    principal: Principal


class _Running(NamedTuple):
    """A query that has begun; `compact_revision` is the store's at its first step."""

    asked: _Waiting
    steps: Steps[Result]
    compact_revision: int


class LongQueries:
    """The long queries of one store."""

    def __init__(self) -> None:
        self._running: deque[_Running] = deque()
        self._waiting: deque[_Waiting] = deque()
        self._begun: list[int] = []

    def __len__(self) -> int:
        return len(self._running) + len(self._waiting)

    def answer(
        self, machine: Machine, questions: Iterable[Question], cluster_ms: int
    ) -> list[tuple[int, Result]]:
        """Tickets and answers of the questions that one step answers; the others go on later."""
        replies: list[tuple[int, Result]] = []
        for ticket, query, principal in questions:
            match begin(machine, query, cluster_ms, principal):
                case tuple() as result:
                    replies.append((ticket, result))
                case steps:
                    asked = _Waiting(ticket, query, cluster_ms, principal)
                    if self._run(machine, asked, steps, replies):
                        self._begun.append(ticket)
        return replies

    def take_begun(self) -> tuple[int, ...]:
        """The tickets of queries that take longer than one step, new since the last call."""
        begun, self._begun = tuple(self._begun), []
        return begun

    def work(self, machine: Machine, clock: Callable[[], int]) -> list[tuple[int, Result]]:
        """Do a slice of the work, in turns; returns tickets and answers of queries that ended."""
        replies: list[tuple[int, Result]] = []
        until_ms = clock() + SLICE_MS
        for _ in range(SLICE_STEPS_MAX):
            self._begin_waiting(machine, replies)
            if not self._running:
                break
            each = self._running.popleft()
            if _is_done(each, replies):
                continue
            self._running.append(each)
            if clock() >= until_ms:
                break
        return replies

    def is_older_than(self, compact_revision: int) -> bool:
        """Whether a query is under way that may still read what this compaction has outdated."""
        running = self._running
        return bool(running) and any(each.compact_revision != compact_revision for each in running)

    def begin_again(self) -> None:
        """A snapshot has replaced the state: queries under way begin again on the new one."""
        self._waiting.extendleft(each.asked for each in reversed(self._running))
        self._running.clear()

    def _run(
        self,
        machine: Machine,
        asked: _Waiting,
        steps: Steps[Result],
        replies: list[tuple[int, Result]],
    ) -> bool:
        """Do the first step; returns whether the query goes on, or waits."""
        each = _Running(asked, steps, machine.store.compact_revision)
        if _is_done(each, replies):
            return False
        # Beyond 8 the step that was done is thrown away: a waiting query must keep no memory.
        if len(self._running) < RUNNING_MAX:
            self._running.append(each)
        elif len(self._waiting) < QUERIES_WAITING_MAX:
            self._waiting.append(asked)
        else:
            replies.append((asked.ticket, TOO_MANY_QUERIES))
            return False
        return True

    def _begin_waiting(self, machine: Machine, replies: list[tuple[int, Result]]) -> None:
        waiting = self._waiting
        while waiting and len(self._running) < RUNNING_MAX:
            if not can_answer(machine, waiting[0].query):
                break
            asked = waiting.popleft()
            result = begin(machine, asked.query, asked.cluster_ms, asked.principal)
            # Only queries that take steps are made to wait; but rights may have changed meanwhile.
            if isinstance(result, tuple):
                replies.append((asked.ticket, result))
            else:
                self._run(machine, asked, result, replies)


def _is_done(each: _Running, replies: list[tuple[int, Result]]) -> bool:
    """Do one step; if it is the last, put the answer into `replies`."""
    result = step(each.steps)
    if result is not None:
        replies.append((each.asked.ticket, result))
    return result is not None
