"""Watches a store's size: has this member's NOSPACE raised and cleared, and tells the room left.

It proposes a change of the alarm until it is applied. `quota.py` says when a store is too full, and
`alarms.py` what the alarm forbids on all members.
"""

from __future__ import annotations

from typing import Final

from actors.language.commands import AlarmActivate, AlarmDeactivate, AlarmMember, AlarmType
from actors.language.messages import Room
from actors.store.machine import Machine
from actors.store.orders import Order, Say, propose
from actors.store.quota import Quota

PROPOSE_AGAIN_MS: Final = 1_000
"""How long a proposal may take until it is made again: it may be lost."""


class Warden:
    """The warden of one member; `due_ms` is when to propose again, None if nothing is wanted."""

    def __init__(self, quota_bytes: int, member_id: int, machine: Machine) -> None:
        self.due_ms: int | None = None
        self._member_id = member_id
        self._alarm = AlarmMember(member_id, AlarmType.NOSPACE)
        self._quota_bytes = quota_bytes
        self._quota = Quota(quota_bytes, self._stands(machine))
        self._in_use = 0
        self._told_room: int | None = None
        # Whether the last proposal was to raise the alarm, or to clear it.
        self._wished = False

    def must_measure(self, machine: Machine, uncommitted_bytes: int) -> bool:
        """Whether a commit is needed now, to see if the commands since the last one are too much.

        Only the disk shows what commands take there: an alarm by an estimate would be cleared again
        at the next measurement.
        """
        used = self._in_use + uncommitted_bytes
        return 0 < self._quota_bytes < used and not self._stands(machine)

    def is_curious(self, machine: Machine) -> bool:
        """Whether it must be told the bytes in use: it has a limit, or an alarm to clear."""
        return bool(self._quota_bytes) or self._stands(machine)

    def measured(self, bytes_in_use: int, machine: Machine, now_ms: int) -> list[Order]:
        """The backend has measured how many bytes are in use."""
        self._in_use = bytes_in_use
        return self._look(machine, now_ms)

    def refused(self, machine: Machine, now_ms: int) -> list[Order]:
        """A request was refused that needs more room than there is."""
        self._quota.refused()
        return self._look(machine, now_ms)

    def tick(self, machine: Machine, now_ms: int) -> list[Order]:
        """Propose again what was not applied yet."""
        is_due = self.due_ms is not None and now_ms >= self.due_ms
        return self._look(machine, now_ms) if is_due else []

    def _look(self, machine: Machine, now_ms: int) -> list[Order]:
        orders: list[Order] = []
        wish = self._quota.wish(self._in_use, self._stands(machine))
        if wish is None:
            self.due_ms = None
        elif self.due_ms is None or now_ms >= self.due_ms or wish != self._wished:
            self.due_ms, self._wished = now_ms + PROPOSE_AGAIN_MS, wish
            orders += self._proposal(wish)
        room = self._quota.room(self._in_use)
        if room != self._told_room:
            self._told_room = room
            orders.append(Room(room))
        # When room gets scarce, outdated changes are removed even if they are few.
        if self._quota.is_tight(self._in_use) and machine.sweeper.lingers:
            machine.sweeper.hurry()
        return orders

    def _proposal(self, is_raised: bool) -> list[Order]:
        if is_raised:
            said = f"{self._in_use} bytes are in use, the quota is exceeded: raising NOSPACE"
            return [Say(said), propose(self._member_id, [AlarmActivate(*self._alarm)])]
        said = f"{self._in_use} bytes are in use: clearing NOSPACE"
        return [Say(said), propose(self._member_id, [AlarmDeactivate(*self._alarm)])]

    def _stands(self, machine: Machine) -> bool:
        return self._alarm in machine.alarms
