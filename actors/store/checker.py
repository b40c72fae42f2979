"""The timing of the checks that all members hold the same: when the leader has one made, when each
member hashes its part of it, and when an alarm is proposed.

It belongs to one StoreActor, in whose thread all of it runs, a step at a time with long pauses
between. What is hashed, and whom the hashes accuse, is `integrity`'s. Nothing of it outlives the
process: after a restart, or a change of leaders, the next check comes in its time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from actors.language.codec import encode_command
from actors.language.commands import (
    AlarmActivate,
    AlarmMember,
    AlarmType,
    Command,
    IntegrityCheck,
    IntegrityReport,
)
from actors.language.entries import NO_TICKET, Proposal
from actors.language.messages import Propose
from actors.runtime.base import Clock, Ring, send
from actors.store.digest import hash_revisions
from actors.store.integrity import Check, Tally, next_slice
from actors.store.machine import Machine
from actors.store.mvcc import RevisionStore
from actors.store.steps import Steps

PAUSE_MS: Final = 20
"""Between two steps, each of which takes about one millisecond."""

ACCUSE_AGAIN_MS: Final = 1_000
"""A proposal may be lost."""

log = logging.getLogger("leasehold.store")


class Store(Protocol):
    """The StoreActor, as far as its checker may see it."""

    ring: Ring

    @property
    def machine(self) -> Machine:
        """The state as it is; another one after a snapshot was installed."""


class _Hashing(NamedTuple):
    """A check that is being worked on, in the store as it was when that began."""

    check: Check
    store: RevisionStore
    steps: Steps[int]


class Checker:
    """The checks of one member; every `interval_ms` one is made while it leads, 0 is never."""

    def __init__(self, store: Store, member_id: int, clock: Clock, interval_ms: int) -> None:
        self._store = store
        self._member_id = member_id
        self._clock = clock
        self._interval_ms = interval_ms
        self._leads = False
        # Where the next slice begins; all members know, so that the next leader goes on there.
        self._next_revision = 0
        self._check_at_ms = 0
        self._planning: Steps[tuple[int, int]] | None = None
        self._planned_in: RevisionStore | None = None
        self._hashing: _Hashing | None = None
        self._step_at_ms: int | None = None
        self._tally: Tally | None = None
        self._accused: list[int] = []
        self._accuse_at_ms: int | None = None

    def lead(self, leads: bool) -> None:
        """This member leads now, or does no more."""
        now_ms = self._clock()
        if leads and not self._leads:
            self._check_at_ms = now_ms + self._interval_ms
        self._leads = leads
        self._planning = None

    def heard(self, checks: Iterable[Check | IntegrityReport]) -> None:
        """These were applied, in order."""
        for each in checks:
            if isinstance(each, Check):
                self._begin(each)
            elif self._tally is not None and each.check_index == self._tally.index:
                self._tally.add(each.member_id, each.hash)
                if self._tally.is_complete(self._store.machine.members):
                    self._judge()

    def tick(self, now_ms: int) -> None:
        """Do what is due."""
        if self._step_at_ms is not None and now_ms >= self._step_at_ms:
            self._step_at_ms = None
            self._hash(now_ms)
        if self._accuse_at_ms is not None and now_ms >= self._accuse_at_ms:
            self._accuse(now_ms)
        if self._leads and self._interval_ms and now_ms >= self._check_at_ms:
            self._plan(now_ms)

    def next_wake_ms(self) -> int | None:
        """When something is due."""
        check_at_ms = self._check_at_ms if self._leads and self._interval_ms else None
        times = (self._step_at_ms, self._accuse_at_ms, check_at_ms)
        return min((each for each in times if each is not None), default=None)

    # --- the leader ---

    def _plan(self, now_ms: int) -> None:
        """Find the next slice, and have it checked."""
        store = self._store.machine.store
        if self._planning is None or self._planned_in is not store:
            self._planning, self._planned_in = next_slice(store, self._next_revision), store
        try:
            next(self._planning)
            self._check_at_ms = now_ms + PAUSE_MS
        except StopIteration as end:
            self._planning = None
            self._check_at_ms = now_ms + self._interval_ms
            self._propose(IntegrityCheck(self._member_id, *end.value))

    def _judge(self) -> None:
        """See whom the reports accuse; only the leader says so."""
        tally, self._tally = self._tally, None
        accused = [] if tally is None else tally.accused(self._store.machine.members)
        if accused and self._leads:
            self._accused = accused
            self._accuse(self._clock())

    def _accuse(self, now_ms: int) -> None:
        """Raise the alarm for those who are not what they should be, until the log has it."""
        alarms = [AlarmMember(each, AlarmType.CORRUPT) for each in self._accused]
        missing = [alarm for alarm in alarms if alarm not in self._store.machine.alarms]
        if not missing or not self._leads:
            self._accused, self._accuse_at_ms = [], None
            return
        self._accuse_at_ms = now_ms + ACCUSE_AGAIN_MS
        for alarm in missing:
            log.critical("member %x does not hold what the others do", alarm.member_id)
            self._propose(AlarmActivate(*alarm))

    # --- every member ---

    def _begin(self, check: Check) -> None:
        """The last check counts: whoever has not reported on the one before does not any more."""
        self._judge()
        store = self._store.machine.store
        leader, start, end = check.command
        self._next_revision = 0 if end > store.revision else end
        self._tally = Tally(check.index, leader)
        steps = hash_revisions(store, start, end)
        self._hashing = _Hashing(check, store, steps)
        self._step_at_ms = self._clock() + PAUSE_MS

    def _hash(self, now_ms: int) -> None:
        """One step of the work; none is done when a compaction or snapshot came between."""
        hashing, store = self._hashing, self._store.machine.store
        if hashing is None or hashing.store is not store:
            self._hashing = None
            return
        check, _, steps = hashing
        if store.compact_revision != check.compact_revision:
            self._hashing = None
            return
        try:
            next(steps)
            self._step_at_ms = now_ms + PAUSE_MS
        except StopIteration as end:
            self._hashing = None
            found = check.state_hash ^ end.value
            self._propose(IntegrityReport(check.index, self._member_id, found))

    def _propose(self, command: Command) -> None:
        data = encode_command(command, None)
        send(self._store.ring.raft, Propose((Proposal(self._member_id, NO_TICKET, data),)))
