"""The timing of the checks that all members hold the same: when the leader proposes one, when each
member hashes its own state, and when an alarm is proposed.

It runs a step at a time, with long pauses between. `integrity.py` says what is hashed, and whom the
hashes accuse. Nothing of it outlives the process: after a restart, or with a new leader, the next
check comes after a whole interval.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from actors.language.commands import (
    AlarmActivate,
    AlarmMember,
    AlarmType,
    IntegrityCheck,
    IntegrityReport,
)
from actors.store.digest import hash_revisions
from actors.store.integrity import Check, Tally, next_slice
from actors.store.machine import Machine
from actors.store.mvcc import RevisionStore
from actors.store.naming import called
from actors.store.orders import Order, Say, propose
from actors.store.pace import earliest
from actors.store.steps import Steps, step

CHECK_PAUSE_MS: Final = 20
"""The pause between two steps, each of which takes about one millisecond."""

ACCUSE_AGAIN_MS: Final = 1_000
"""How long an alarm's proposal may take until it is made again: it may be lost."""


class _Hashing(NamedTuple):
    """A check that this member is hashing; `store` is the one that it began in."""

    check: Check
    store: RevisionStore
    steps: Steps[int]


class Checker:
    """The checks of one member; while it leads it proposes one every `interval_ms`, 0: never."""

    def __init__(self, member_id: int, interval_ms: int) -> None:
        self._member_id = member_id
        self._interval_ms = interval_ms
        self._leads = False
        # Where the next slice begins. Every member notes it, so that the next leader goes on there.
        self._next_revision = 0
        self._check_at_ms = 0
        self._planning: Steps[tuple[int, int]] | None = None
        self._planned_in: RevisionStore | None = None
        self._hashing: _Hashing | None = None
        self._step_at_ms: int | None = None
        self._tally: Tally | None = None
        self._accused: list[int] = []
        self._accuse_at_ms: int | None = None

    def lead(self, leads: bool, now_ms: int) -> None:
        """This member leads now, or does not."""
        if leads and not self._leads:
            self._check_at_ms = now_ms + self._interval_ms
        self._leads = leads
        self._planning = None

    def heard(
        self, checks: Iterable[Check | IntegrityReport], machine: Machine, now_ms: int
    ) -> list[Order]:
        """These checks and reports were applied, in order."""
        orders: list[Order] = []
        for each in checks:
            if isinstance(each, Check):
                # A member hashes only the last check. Those that have not reported on the one
                # before never will: judge it by the reports there are.
                orders += self._judge(machine, now_ms)
                self._begin(each, machine.store, now_ms)
            elif self._tally is not None and each.check_index == self._tally.index:
                self._tally.add(each.member_id, each.hash)
                if self._tally.is_complete(machine.members):
                    orders += self._judge(machine, now_ms)
        return orders

    def tick(self, machine: Machine, now_ms: int) -> list[Order]:
        """Do what is due."""
        orders: list[Order] = []
        if self._step_at_ms is not None and now_ms >= self._step_at_ms:
            self._step_at_ms = None
            orders += self._hash(machine.store, now_ms)
        if self._accuse_at_ms is not None and now_ms >= self._accuse_at_ms:
            orders += self._accuse(machine, now_ms)
        if self._leads and self._interval_ms and now_ms >= self._check_at_ms:
            orders += self._plan(machine.store, now_ms)
        return orders

    def next_wake_ms(self) -> int | None:
        """When something is due."""
        check_at_ms = self._check_at_ms if self._leads and self._interval_ms else None
        return earliest(self._step_at_ms, self._accuse_at_ms, check_at_ms)

    # --- the leader ---

    def _plan(self, store: RevisionStore, now_ms: int) -> list[Order]:
        """Do a step to find the next slice; propose its check once it is found."""
        if self._planning is None or self._planned_in is not store:
            self._planning, self._planned_in = next_slice(store, self._next_revision), store
        found = step(self._planning)
        if found is not None:
            self._planning = None
            self._check_at_ms = now_ms + self._interval_ms
            return [propose(self._member_id, [IntegrityCheck(self._member_id, *found)])]
        self._check_at_ms = now_ms + CHECK_PAUSE_MS
        return []

    def _judge(self, machine: Machine, now_ms: int) -> list[Order]:
        """See whom the reports accuse; only the leader acts on that."""
        tally, self._tally = self._tally, None
        accused = [] if tally is None else tally.accused(machine.members)
        if not accused or not self._leads:
            return []
        self._accused = accused
        return self._accuse(machine, now_ms)

    def _accuse(self, machine: Machine, now_ms: int) -> list[Order]:
        """Propose the alarm for the accused members, again until it is applied."""
        alarms = [AlarmMember(each, AlarmType.CORRUPT) for each in self._accused]
        missing = [alarm for alarm in alarms if alarm not in machine.alarms]
        if not missing or not self._leads:
            self._accused, self._accuse_at_ms = [], None
            return []
        self._accuse_at_ms = now_ms + ACCUSE_AGAIN_MS
        orders: list[Order] = []
        for alarm in missing:
            who = called(machine.members, alarm.member_id)
            said = f"{who} holds other data than the others: raising CORRUPT"
            orders += [Say(said, is_grave=True), propose(self._member_id, [AlarmActivate(*alarm)])]
        return orders

    # --- every member ---

    def _begin(self, check: Check, store: RevisionStore, now_ms: int) -> None:
        leader, start, end = check.command
        # A slice that reaches the present ends a round; the next one begins with all other state.
        self._next_revision = 0 if end > store.revision else end
        self._tally = Tally(check.index, leader)
        self._hashing = _Hashing(check, store, hash_revisions(store, start, end))
        self._step_at_ms = now_ms + CHECK_PAUSE_MS

    def _hash(self, store: RevisionStore, now_ms: int) -> list[Order]:
        """Do one step; give up if a compaction or a snapshot came between.

        After a compaction, changes that the hash needs may be swept away already.
        """
        hashing = self._hashing
        if hashing is None or hashing.store is not store:
            self._hashing = None
            return []
        check, _, steps = hashing
        if store.compact_revision != check.compact_revision:
            self._hashing = None
            return []
        hashed = step(steps)
        if hashed is not None:
            self._hashing = None
            # One number for both parts: a difference in either shows.
            found = check.state_hash ^ hashed
            report = IntegrityReport(check.index, self._member_id, found)
            return [propose(self._member_id, [report])]
        self._step_at_ms = now_ms + CHECK_PAUSE_MS
        return []
