"""Raises alarms by the log, and again until they stand: a proposal may be lost.

Why an alarm is raised, and what it refuses, is others' business.
"""

from __future__ import annotations

from typing import Final

from actors.language.commands import AlarmActivate, AlarmMember
from actors.store.machine import Machine
from actors.store.orders import Order, propose

RAISE_AGAIN_MS: Final = 1_000


class AlarmRaiser:
    """The alarms that one member wants to be raised; `due_ms` is when it has something to do."""

    def __init__(self, member_id: int) -> None:
        self.due_ms: int | None = None
        self._member_id = member_id
        self._wanted: set[AlarmMember] = set()

    def maybe_want(self, alarm: AlarmMember, machine: Machine, now_ms: int) -> bool:
        """Want an alarm, from the next tick on; whether that is news."""
        if alarm in self._wanted or alarm in machine.alarms:
            return False
        self._wanted.add(alarm)
        self.due_ms = now_ms
        return True

    def tick(self, machine: Machine, now_ms: int) -> list[Order]:
        """Propose what is due."""
        if self.due_ms is None or now_ms < self.due_ms:
            return []
        # Another that was removed meanwhile has no alarms, and nobody could clear any. A newcomer
        # itself has none yet, before it has applied that it is a member.
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
