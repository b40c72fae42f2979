"""Incident: one fault while it is being measured, and the figures that come of it.

It collects what nodes and the launcher tell and what the probe client sees, from its cause until
all is as before. Pure: times are seconds of the host's monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final, NamedTuple

from cluster.launcher.probing.gaps import NO_GAP, Gap, longest_gap
from cluster.launcher.probing.history import WriteHistory
from cluster.launcher.probing.records import (
    GRANTED,
    LOST,
    Held,
    Late,
    LeaseNews,
    Operation,
    ProbeKind,
    Record,
    Seen,
)
from cluster.launcher.story.failover import HAND_OVER, STOP, Failover
from cluster.launcher.story.happenings import Happening

WRITE: Final = "write"
READ: Final = "read"
WATCH: Final = "watch"
"""Who must be served again before an incident is over."""

BEFORE_SECONDS: Final = 1.0
"""What is usual is told by the requests of this time before the cause."""

EARLY_SECONDS: Final = 0.1
"""A node may have noticed this long before the launcher knew of the cause."""

PLANNED: Final = frozenset((STOP, HAND_OVER))
"""The faults of which the leader knows before."""

FLOOR: Final = 2.0
"""Where the leader stays, a wait that is not longer than the slowest request of the second before
times this is none: it is the slowest of many more requests."""

LEAST_USUAL_MS: Final = 5.0
"""A request is not called delayed below this: in peace, each is a little slower than some."""


SETTLE_SECONDS: Final = 0.25
"""An incident is over when nothing has happened for this time, and its effect was seen."""

RECENT_SECONDS: Final = 0.2
"""It is not over when the last write was acknowledged longer ago than this."""


WATCH_SECONDS: Final = 10.0
"""How long an event is waited for after writes are back: without space, for example, there is none
to tell."""

CAUSES_MAX: Final = 3
"""The faults that are named, if several came before the first was over."""


class IncidentFault(NamedTuple):
    """What has happened to whom; `kind` as in Failover. `is_guess`: only its effect was seen.

    `settle_seconds` is how long its effect may let wait for itself.
    """

    kind: str
    cause: str
    at: float
    victim: str | None
    settle_seconds: float = SETTLE_SECONDS
    is_guess: bool = False


class Incident:
    """One fault, or several of which each came before the one before it was over."""

    def __init__(self, number: int, fault: IncidentFault, leader: str | None) -> None:
        self.number = number
        self.leader_before = leader
        self.helds: list[Held] = []
        self.over_at = 0.0
        self._faults = [fault]
        self._moved_at = fault.at
        self._leader_after = leader
        self._election: Happening | None = None
        self._detection: tuple[float, str, str] | None = None
        self._catching_up: dict[str, None] = {}
        self._served: dict[str, float] = {}
        self._served_last: dict[str, float] = {}

    # --- what happens -------------------------------------------------------------------------

    def add_fault(self, fault: IncidentFault) -> None:
        """Another fault, before all was as before; or the one that explains what was guessed.

        The records since then are to be noted again.
        """
        first = self._faults[0]
        if first.is_guess and (first.victim == fault.victim or fault.victim is None):
            at = min(first.at, fault.at) if fault.victim is not None else first.at
            self._faults[0] = fault._replace(at=at)
        elif not fault.is_guess:
            self._faults.append(fault)
        self._moved_at = max(fault.at, self._moved_at)
        self._served.clear()

    @property
    def began_at(self) -> float:
        """When the first fault came."""
        return self._faults[0].at

    @property
    def concerns_leader(self) -> bool:
        """Whether the fault is one of the leader, or of what it was."""
        return any(fault.victim == self.leader_before for fault in self._faults)

    def hear(self, happening: Happening) -> None:
        """What a node or the launcher tells."""
        fields, at = happening.fields, happening.at
        if at < self.began_at - EARLY_SECONDS:
            return
        if happening.kind == "suspected":
            self._detect(at, happening.source, fields["how"])
        elif happening.kind == "peer_lost" and not self.concerns_leader:
            if fields["peer"] in {fault.victim for fault in self._faults}:
                self._detect(at, happening.source, fields["how"])
        elif happening.kind == "elected":
            self._election = happening
            self._leader_after = happening.source
            self._move(at)
        elif happening.kind == "snapshot_installed":
            self._catching_up[happening.source] = None
        elif happening.kind == "leader":
            self._leader_after = fields["leader"]
            self._move(at)

    def _detect(self, at: float, source: str, how: str) -> None:
        if self._detection is None or at < self._detection[0]:
            self._detection = (at, source, how)
        self._move(at)

    def _move(self, at: float) -> None:
        self._moved_at = max(at, self._moved_at)

    def note(self, record: Record) -> None:
        """What the probe client has seen: from what was sent after the fault on, it is served."""
        last_at = max(fault.at for fault in self._faults)
        if isinstance(record, Operation):
            if record.is_done and record.began > last_at:
                self._serve(WRITE if record.kind is ProbeKind.WRITE else READ, record.ended)
        elif isinstance(record, Seen):
            if record.sent_at > last_at:
                self._serve(WATCH, record.at)
        elif isinstance(record, Held) and self.over_at:
            self.helds.append(record)

    def _serve(self, name: str, at: float) -> None:
        self._served.setdefault(name, at)
        self._served_last[name] = max(at, self._served_last.get(name, at))

    def maybe_over(self, now: float) -> bool:
        """Whether all is as before by now: everybody is served, and nothing happens any more."""
        if self._leader_after is None or not self._are_served(now):
            return False
        if self._served_last[WRITE] < now - RECENT_SECONDS:
            return False
        quiet_since = max(self._moved_at, *self._served.values())
        if now < quiet_since + self._settle_seconds:
            return False
        self.over_at = now
        return True

    def _are_served(self, now: float) -> bool:
        """Whether writes, reads and the watch are; a watch without events is given up."""
        served = self._served
        if WRITE not in served or READ not in served:
            return False
        return WATCH in served or now > served[WRITE] + WATCH_SECONDS

    @property
    def _settle_seconds(self) -> float:
        """How long it must be quiet: until another leader is elected, the effect may be to come."""
        last = self._faults[-1]
        if self._election is not None and self._election.at > last.at:
            return SETTLE_SECONDS
        return max(fault.settle_seconds for fault in self._faults)

    # --- the figures --------------------------------------------------------------------------

    def result(self, records: Sequence[Record], history: WriteHistory, known: set[int]) -> Failover:
        """What came of it. `known`: wrong numbers that were counted before; new ones are added."""
        operations = [r for r in records if isinstance(r, Operation) and r.began <= self.over_at]
        changed = self._leader_after != self.leader_before
        usual_ms = self._usual_ms(operations)
        floor_ms = 0.0 if changed or self._election is not None else FLOOR * usual_ms
        writes = self._gap([o for o in operations if o.kind is ProbeKind.WRITE], floor_ms)
        reads = self._gap([o for o in operations if o.kind is ProbeKind.READ], floor_ms)
        watch = self._watch_gap(records, operations, floor_ms)
        lates = [(r.began, r.ended) for r in records if isinstance(r, Late)]
        after = [o for o in operations if o.ended > self.began_at]
        wrongs = history.wrongs(self.helds)
        lost, doubled = set(wrongs.lost) - known, set(wrongs.doubled) - known
        known |= lost | doubled
        kept, ended = self._leases(records)
        election, detection = self._election, self._detection
        return Failover(
            number=self.number,
            cause=self._cause(),
            began_at=self.began_at,
            leader_before=self.leader_before,
            leader_after=self._leader_after,
            term=0 if election is None else election.fields["term"],
            detected_by=None if detection is None else detection[1],
            detected_how=None if detection is None else detection[2],
            detection_ms=None if detection is None else self._ms_until(detection[0]),
            election_ms=self._election_ms(),
            votes=() if election is None else tuple(election.fields["votes"]),
            write_outage_ms=round(writes.ms, 1),
            read_outage_ms=round(reads.ms, 1),
            watch_gap_ms=round(watch.ms, 1) if WATCH in self._served else None,
            late_ms=round(writes.overlap_ms(lates), 1),
            delayed=sum(o.is_done and 1000 * (o.ended - o.began) > usual_ms for o in after),
            failed=sum(not o.is_done for o in after),
            lost=len(lost),
            doubled=len(doubled),
            linearizable=history.fault_since(self.began_at - BEFORE_SECONDS) == "",
            leases_kept=kept,
            leases_lost=ended,
            fault=self._faults[0].kind,
            faults=len(self._faults),
            catching_up=tuple(self._catching_up),
        )

    def _cause(self) -> str:
        """What has happened, in order."""
        causes = [fault.cause for fault in self._faults]
        if len(causes) > CAUSES_MAX:
            more = len(causes) - CAUSES_MAX + 1
            causes[CAUSES_MAX - 1 :] = [f"{more} faults more"]
        return ", then ".join(causes)

    def _ms_until(self, at: float) -> float:
        return round(max(0.0, 1000 * (at - self.began_at)), 1)

    def _election_ms(self) -> float | None:
        if self._election is None:
            return None
        since = self.began_at if self._detection is None else self._detection[0]
        return round(max(0.0, 1000 * (self._election.at - since)), 1)

    def _usual_ms(self, operations: Iterable[Operation]) -> float:
        """How long the slowest request of the second before took."""
        before = (
            1000 * (o.ended - o.began)
            for o in operations
            if self.began_at - BEFORE_SECONDS <= o.ended <= self.began_at
        )
        return max(LEAST_USUAL_MS, max(before, default=0.0))

    def _gap(self, operations: Sequence[Operation], floor_ms: float) -> Gap:
        served = [(o.began, o.ended) for o in operations if o.is_done]
        return self._longest(served, [o.began for o in operations], floor_ms)

    def _watch_gap(
        self, records: Iterable[Record], operations: Iterable[Operation], floor_ms: float
    ) -> Gap:
        told = [(r.sent_at, r.at) for r in records if isinstance(r, Seen)]
        sent = [o.began for o in operations if o.kind is ProbeKind.WRITE and o.number]
        return self._longest(told, sent, floor_ms)

    def _longest(
        self, served: Iterable[tuple[float, float]], sent: Iterable[float], floor_ms: float
    ) -> Gap:
        """The longest gap in what was served: pairs of when it was asked for, and answered."""
        # A leader that hands over finishes what it has begun. After any other fault, the answer to
        # what was sent before it only shows that somebody was served earlier.
        since = -inf if self._faults[0].kind in PLANNED else self.began_at
        answered = [at for sent_at, at in served if sent_at >= since and at <= self.over_at]
        gap = longest_gap(answered, sent, self.began_at)
        return gap if gap.ms > floor_ms else NO_GAP

    def _leases(self, records: Iterable[Record]) -> tuple[int, int]:
        """How many leases were kept, and how many ended before their time."""
        held: set[str] = set()
        lost = 0
        for news in records:
            if isinstance(news, LeaseNews):
                if news.what == LOST:
                    lost += news.at > self.began_at
                    held.discard(news.lease)
                elif news.what == GRANTED or news.at <= self.over_at:
                    held.add(news.lease)
        return len(held), lost
