"""Measuring: from a fault to what it cost. It decides what a fault is, and when it is over.

A fault is a death, a harm that somebody does on purpose, a hand-over of the lead, or a leader that
falls silent though nobody has ordered it. Pure: happenings and records in, Failovers out; what the
probe client should do meanwhile is asked by `Wish`es.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import inf
from typing import Any, Final, NamedTuple

from cluster.launcher.probing.history import WriteHistory
from cluster.launcher.probing.incident import EARLY_SECONDS, Incident, IncidentFault
from cluster.launcher.probing.records import Down, Late, Operation, Record, Seen, Settled
from cluster.launcher.story.failover import (
    DEATH,
    HAND_OVER,
    SILENCE,
    STOP,
    UNKNOWN,
    Failover,
)
from cluster.launcher.story.happenings import (
    CONNECTION,
    HEALING,
    KILLED_SECONDS,
    LAUNCHER,
    REMOVED,
    TRANSFER,
    Happening,
)
from cluster.launcher.story.ordering import InOrder

TRAIL_SECONDS: Final = 5.0
"""In peace, the records of this time are kept."""

RECORDS_MAX: Final = 200_000
"""An incident of hours keeps the newest records."""

CLOSE_SECONDS: Final = 0.6
"""From a cause on, the client sends often for this time."""

SETTLE_TIMEOUTS: Final = 4
"""A node that hangs or is cut off is noticed only after an election timeout, which is up to twice
what is set: an effect is waited for during the timeout times SETTLE_TIMEOUTS."""

ALARMING: Final = frozenset(("died", "fault", "stopping", "stepped_down", "suspected", "elected"))
"""The kinds that make the client look closely at once."""

CHECK_SECONDS: Final = 3.0
"""How long the nodes have to tell which writes they hold; those that are silent are left out."""

HANDED_OVER_SECONDS: Final = 10.0
"""The death of a node this soon after it said that it stops belongs to the same fault."""


class Wish(NamedTuple):
    """What the probe client should do: look closely for some seconds, or read all again (order)."""

    closely_seconds: float = 0.0
    order: int = 0


class Measuring:
    """The incidents under way, at most one of which is not over yet."""

    def __init__(self, leader: str | None, election_timeout_ms: int) -> None:
        self.history = WriteHistory()
        self.failovers: list[Failover] = []
        self._wishes: list[Wish] = []
        self._order = InOrder()
        self._leader = leader
        self._timeouts_seconds = SETTLE_TIMEOUTS * election_timeout_ms / 1000
        self._records: deque[Record] = deque(maxlen=RECORDS_MAX)
        self._down_at: dict[str, float] = {}
        self._stopping_at: dict[str, float] = {}
        self._removed: set[str] = set()
        self._kill_at = -KILLED_SECONDS
        self._wrong: set[int] = set()
        self._open: Incident | None = None
        self._checked: list[Incident] = []
        self._count = 0
        self._settled = 0

    @property
    def is_measuring(self) -> bool:
        """Whether an incident is under way, or may be."""
        return self._open is not None or bool(self._checked) or self._order.due < inf

    def wishes(self) -> list[Wish]:
        """What the client should do now."""
        wishes, self._wishes = self._wishes, []
        return wishes

    # --- happenings ---------------------------------------------------------------------------

    def hear(self, happening: Happening) -> None:
        """Something has happened: it is judged a moment later, in the order of time."""
        self._order.add(happening)
        if happening.kind in ALARMING:
            self._wishes.append(Wish(closely_seconds=CLOSE_SECONDS))

    def _judge(self, happening: Happening) -> None:
        """Something has happened; perhaps it is a fault."""
        if happening.source == LAUNCHER:
            self._hear_launcher(happening)
        else:
            self._hear_node(happening)
        if self._open is not None:
            self._open.hear(happening)
        if happening.kind == "elected":
            self._leader = happening.source
        elif happening.kind == "leader" and happening.fields["leader"] is not None:
            self._leader = happening.fields["leader"]

    def _hear_launcher(self, happening: Happening) -> None:
        fields, at = happening.fields, happening.at
        match happening.kind:
            case "command" if fields["line"].split()[:1] == ["kill"]:
                self._kill_at = at
            case "member" if fields["what"] == REMOVED:
                self._removed.add(fields["victim"])
            case "died" if fields["victim"] not in self._removed:
                self._on_death(fields["victim"], fields["how"], at)
            case "fault" if not fields["what"].startswith(HEALING):
                victims = fields["victims"]
                leads = self._leader in victims
                victim = self._leader if leads or not victims else victims[0]
                cause, seconds = happening.text, self._timeouts_seconds
                self._begin(IncidentFault(fields["what"], cause, at, victim, seconds))

    def _on_death(self, name: str, how: str, at: float) -> None:
        said_at = self._stopping_at.pop(name, None)
        if said_at is not None and at - said_at < HANDED_OVER_SECONDS:
            return  # it has said so before: the fault began then
        # The launcher may have been busy: the end of its connections tells better when it died.
        down_at = self._down_at.get(name, at)
        at = down_at if at - EARLY_SECONDS <= down_at else at
        at = self._kill_at if 0 <= at - self._kill_at <= KILLED_SECONDS else at
        self._begin(IncidentFault(DEATH, f"{self._named(name)} {how}", at, name))

    def _hear_node(self, happening: Happening) -> None:
        fields, at, node = happening.fields, happening.at, happening.source
        if node in self._removed:
            return  # it misses a leader that is none of its own, and ends
        if happening.kind == "stopping":
            self._stopping_at[node] = at
            cause = f"{self._named(node)} was stopped ({fields['why']})"
            self._begin(IncidentFault(STOP, cause, at, node))
        elif self._open is not None:
            return
        elif happening.kind == "suspected":
            self._on_suspicion(node, fields, at)
        elif happening.kind == "stepped_down" and node == self._leader:
            cause = f"{node} (leader) stepped down: {fields['why']}"
            self._begin(
                IncidentFault(SILENCE, cause, at, node, self._timeouts_seconds, is_guess=True)
            )
        elif happening.kind == "elected" and node != self._leader:
            cause = f"{node} was elected, and nobody has said why"
            self._begin(IncidentFault(UNKNOWN, cause, at, self._leader, is_guess=True))

    def _on_suspicion(self, node: str, fields: Mapping[str, Any], at: float) -> None:
        """A follower takes the leader for lost, and nobody has told why: perhaps it dies."""
        leader, how = fields["leader"], fields["how"]
        kind = SILENCE
        if how == TRANSFER:
            kind, cause, began = HAND_OVER, f"{leader} (leader) handed over", at
        elif how == CONNECTION:
            cause, began = f"{leader} (leader) closed its connection to {node}", at
        else:
            began = at - fields["silent_ms"] / 1000
            cause = f"{leader} (leader) fell silent: {node} heard nothing from it"
        self._begin(IncidentFault(kind, cause, began, leader, is_guess=True))

    def _begin(self, fault: IncidentFault) -> None:
        if self._open is None:
            self._count += 1
            self._open = Incident(self._count, fault, self._leader)
        else:
            self._open.add_fault(fault)
        for record in self._records:
            self._open.note(record)

    def _named(self, name: str) -> str:
        # A busy launcher may hear of the next leader before it sees that the one before is dead.
        before = self._leader if self._open is None else self._open.leader_before
        return f"{name} (leader)" if name in (self._leader, before) else name

    # --- records and time ---------------------------------------------------------------------

    def note(self, record: Record) -> None:
        """The probe client has seen something."""
        self._records.append(record)
        if isinstance(record, Operation):
            self.history.add(record)
        elif isinstance(record, Seen) and not record.number:
            self.history.begin_again(record.at)
        elif isinstance(record, Down):
            self._down_at[record.node] = record.at
        elif isinstance(record, Settled):
            self._settled = record.order
        for incident in (self._open, *self._checked):
            if incident is not None:
                incident.note(record)

    def tick(self, now: float) -> list[Failover]:
        """What was measured to its end by now; call it a few times a second."""
        for happening in self._order.take(now):
            self._judge(happening)
        if self._open is not None and self._open.maybe_over(now):
            self._wishes.append(Wish(order=self._open.number))
            self._checked.append(self._open)
            self._open = None
        finished = []
        for incident in list(self._checked):
            if self._settled >= incident.number or now > incident.over_at + CHECK_SECONDS:
                self._checked.remove(incident)
                finished.append(incident.result(self._records, self.history, self._wrong))
        self.failovers += finished
        if not self.is_measuring:
            while self._records and _at(self._records[0]) < now - TRAIL_SECONDS:
                self._records.popleft()
        return finished


def _at(record: Record) -> float:
    """When a record was made."""
    return record.ended if isinstance(record, Operation | Late) else record.at
