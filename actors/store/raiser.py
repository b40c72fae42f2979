"""Proposes alarms until they stand: a proposal may be lost.

Why an alarm is raised, its caller knows; what it refuses, `alarms.py`.
"""

from __future__ import annotations

from typing import Final

from actors.language.commands import AlarmActivate, AlarmMember
from actors.store.machine import Machine
from actors.store.orders import Order, propose

RAISE_AGAIN_MS: Final = 1_000
"""How long a proposal may take until it is made again."""


class AlarmRaiser:
    """The alarms that one member wants to raise; `due_ms` is when it has something to do."""

    def __init__(self, member_id: int) -> None:
        self.due_ms: int | None = None
        self._member_id = member_id
        self._wanted: set[AlarmMember] = set()

    def maybe_want(self, alarm: AlarmMember, machine: Machine, now_ms: int) -> bool:
        """Want an alarm, from the next tick on; returns whether it is a new wish."""
        if alarm in self._wanted or alarm in machine.alarms:
            return False
        self._wanted.add(alarm)
        self.due_ms = now_ms
        return True

    def tick(self, machine: Machine, now_ms: int) -> list[Order]:
        """Propose what is due."""
        if self.due_ms is None or now_ms < self.due_ms:
            return []
        # An alarm for a member that was removed could never be cleared: drop the wish. This member
        # may be new and have not yet applied that it belongs: keep the wish until it has.
        self._wanted = {
            alarm
            for alarm in self._wanted
            if alarm not in machine.alarms
            and (alarm.member_id in machine.members or alarm.member_id == self._member_id)
        }
        self.due_ms = now_ms + RAISE_AGAIN_MS if self._wanted else None
        raised = [each for each in sorted(self._wanted) if each.member_id in machine.members]
        if not raised:
            return []
        return [propose(self._member_id, [AlarmActivate(*alarm) for alarm in raised])]
