"""A machine and the log that feeds it, so that tests say what happens and not at which index."""

from __future__ import annotations

from typing import Any

from actors.language.commands import Command, Event, KeyValue, Member, Range, Sequence
from actors.language.queries import Query
from actors.language.results import RangeDone
from actors.store.backlog import portion
from actors.store.leases import LEASES_MAX
from actors.store.machine import Machine
from actors.store.questions import answer
from actors.store.sessions import SESSION_LIMITS, SessionLimits
from actors.store.steps import finish
from actors.store.storage import Backend
from tests.twins import MemoryBackend

TERM = 3

FOUNDERS = (
    Member(2, "", ("tcp://b:2380",), (), False),
    Member(1, "", ("tcp://a:2380",), (), False),
)


class Driver:
    """Applies commands at rising indexes, at the cluster time `now_ms`.

    With `restarts` it commits and starts anew after each, with `commits` it only commits.
    """

    def __init__(
        self,
        backend: Backend | None = None,
        commits: bool = False,
        restarts: bool = False,
        session_limits: SessionLimits = SESSION_LIMITS,
        leases_max: int = LEASES_MAX,
    ) -> None:
        self.backend = backend or MemoryBackend()
        self.commits = commits or restarts
        self.restarts = restarts
        self._limits = (session_limits, leases_max)
        self.machine = Machine(self.backend, FOUNDERS, *self._limits)
        self.now_ms = 1_000

    def do(self, command: Command, sequence: Sequence | None = None) -> Any:
        """Apply one command and return its result."""
        index = self.machine.applied_index + 1
        result = self.machine.apply(index, TERM, self.now_ms, command, sequence)
        if self.commits:
            self.commit()
        if self.restarts:
            self.crash()
        return result

    def ask(self, query: Query) -> Any:
        """Answer a query at the present cluster time."""
        return answer(self.machine, query, self.now_ms)

    def get(self, key: bytes, revision: int = 0) -> KeyValue | None:
        """One key, now or at a revision."""
        result = self.ask(Range(key, revision=revision))
        assert isinstance(result, RangeDone), result
        return result.kvs[0] if result.kvs else None

    def history(
        self, key: bytes, range_end: bytes, from_revision: int, with_previous: bool
    ) -> tuple[Event, ...]:
        """Every change in an interval from a revision on, in order."""
        return history(self.machine, key, range_end, from_revision, with_previous)

    def commit(self) -> None:
        """Make durable what is new."""
        commit(self.machine, self.backend)

    def sweep(self, portion: int = 1_000) -> None:
        """Make durable what is new, sweep away all that compaction has outdated, and that, too."""
        self.commit()
        self.machine.sweeper.hurry()
        while self.machine.sweeper.is_due:
            self.machine.sweeper.work(portion)
        self.commit()

    def crash(self) -> None:
        """Lose what is not durable; go on with what is."""
        self.machine = Machine(self.backend, FOUNDERS, *self._limits)


def commit(machine: Machine, backend: Backend) -> None:
    """Make durable what is new."""
    batch = machine.take_batch()
    backend.commit(batch)
    machine.committed(batch.meta)


def history(
    machine: Machine, key: bytes, range_end: bytes, from_revision: int, with_previous: bool
) -> tuple[Event, ...]:
    """Every change in an interval from a revision on, in order, as a watch is fed with it."""
    store, spans = machine.store, ((key, range_end),)
    found: list[Event] = []
    while from_revision <= store.revision:
        reached, events = finish(portion(store, from_revision, spans, with_previous))
        found += events
        from_revision = reached + 1
    return tuple(found)


def everything(machine: Machine) -> dict[str, Any]:
    """All replicated state of a machine, comparable; not what is on disk and what in memory."""
    index = machine.store.index
    for lease in machine.leases.table.values():
        index.settle_these(tuple(lease.keys))
    return {
        "place": (machine.applied_index, machine.applied_term, machine.cluster_ms),
        "revision": machine.revision,
        "live": dict(index.live),
        "keys": list(index.keys(b"\0", b"\0")),
        "compacted": machine.store.compact_revision,
        "history": history(machine, b"\0", b"\0", max(1, machine.store.compact_revision), True),
        "leases": {
            lease.id: (lease.owner, lease.ttl_ms, lease.deadline_ms, sorted(lease.keys))
            for lease in machine.leases.table.values()
        },
        "sessions": [
            (
                *(session.id, session.owner, session.used_index, session.used_ms, session.floor),
                dict(session.results),
            )
            for session in machine.sessions.table.values()
        ],
        "members": (dict(machine.members), machine.membership),
        "alarms": list(machine.alarms),
        "auth": (machine.auth.state, dict(machine.auth.users), dict(machine.auth.roles)),
    }
