"""Raises alarms by the log, and again until they stand: a proposal may be lost.

It belongs to one StoreActor, in whose thread it runs. Why an alarm is raised, and what it refuses,
is others' business.
"""

from __future__ import annotations

from typing import Final, Protocol

from actors.language.codec import encode_command
from actors.language.commands import AlarmActivate, AlarmMember
from actors.language.entries import NO_TICKET, Proposal
from actors.language.messages import Propose
from actors.runtime.base import Clock, Ring, send
from actors.store.machine import Machine

RAISE_AGAIN_MS: Final = 1_000


class Store(Protocol):
    """The StoreActor, as far as this may see it."""

    ring: Ring

    @property
    def machine(self) -> Machine:
        """The state as it is; another one after a snapshot was installed."""


class AlarmRaiser:
    """The alarms that one member wants to be raised."""

    def __init__(self, store: Store, member_id: int, clock: Clock) -> None:
        self._store = store
        self._member_id = member_id
        self._clock = clock
        self._wanted: set[AlarmMember] = set()
        self._again_at_ms: int | None = None

    def raise_soon(self, alarm: AlarmMember) -> bool:
        """Want an alarm, from the next tick on; whether that is news."""
        if alarm in self._wanted or alarm in self._store.machine.alarms:
            return False
        self._wanted.add(alarm)
        self._again_at_ms = self._clock()
        return True

    def tick(self, now_ms: int) -> None:
        """Propose what is due."""
        if self._again_at_ms is None or now_ms < self._again_at_ms:
            return
        machine = self._store.machine
        # Another that was removed meanwhile has no alarms, and nobody could clear any. A newcomer
        # itself has none yet, before it has applied that it is a member.
        self._wanted = {
            alarm
            for alarm in self._wanted
            if alarm not in machine.alarms
            and (alarm.member_id in machine.members or alarm.member_id == self._member_id)
        }
        self._again_at_ms = now_ms + RAISE_AGAIN_MS if self._wanted else None
        proposals = [
            Proposal(self._member_id, NO_TICKET, encode_command(AlarmActivate(*alarm), None))
            for alarm in sorted(self._wanted)
            if alarm.member_id in machine.members
        ]
        if proposals:
            send(self._store.ring.raft, Propose(tuple(proposals)))

    def next_wake_ms(self) -> int | None:
        """When something is due."""
        return self._again_at_ms
