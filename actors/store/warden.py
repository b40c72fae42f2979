"""Watches over a store's size: raises and clears this member's alarm, and says how much room is.

What it wants of the alarm it proposes until it comes true. When a store is too full is `quota`'s to
say; what the alarm forbids, and everywhere, is the machine's.
"""

from __future__ import annotations

from typing import Final

from actors.language.commands import AlarmActivate, AlarmDeactivate, AlarmMember, AlarmType
from actors.language.messages import Room
from actors.store.machine import Machine
from actors.store.orders import Order, Say, propose
from actors.store.quota import Quota

PROPOSE_AGAIN_MS: Final = 1_000
"""A proposal may be lost."""


class Warden:
    """That of one member; `due_ms` is when to look again, None while all is as it should be."""

    def __init__(self, quota_bytes: int, member_id: int, machine: Machine) -> None:
        self.due_ms: int | None = None
        self._member_id = member_id
        self._alarm = AlarmMember(member_id, AlarmType.NOSPACE)
        self._quota_bytes = quota_bytes
        self._quota = Quota(quota_bytes, self._stands(machine))
        self._in_use = 0
        self._told_room: int | None = None
        # What was proposed of the alarm last.
        self._wished = False

    def must_measure(self, machine: Machine, uncommitted_bytes: int) -> bool:
        """Whether the commands since the last measure may be too much, and nobody knows it yet.

        What commands take on disk is measured there: a guess would raise the alarm, and clear it.
        """
        used = self._in_use + uncommitted_bytes
        return 0 < self._quota_bytes < used and not self._stands(machine)

    def is_curious(self, machine: Machine) -> bool:
        """Whether it wants to be told what is in use: there is a limit, or an alarm to clear."""
        return bool(self._quota_bytes) or self._stands(machine)

    def measured(self, bytes_in_use: int, machine: Machine, now_ms: int) -> list[Order]:
        """So much of the disk is in use."""
        self._in_use = bytes_in_use
        return self._look(machine, now_ms)

    def refused(self, machine: Machine, now_ms: int) -> list[Order]:
        """A request was refused that needs more room than there is."""
        self._quota.refused()
        return self._look(machine, now_ms)

    def tick(self, machine: Machine, now_ms: int) -> list[Order]:
        """Propose again what has not come true."""
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
        # What is outdated but still on disk goes first when room gets scarce.
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
