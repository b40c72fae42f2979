"""What a store does beside entries and reads: alarms, integrity checks, copies of its file.

It holds the engines that decide about these, and says when one of them has something to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, assert_never

from actors.language.commands import AlarmMember, AlarmType
from actors.language.members import PublishedMember
from actors.language.messages import (
    Accuse,
    CopyMade,
    Defragment,
    NoRoom,
    Published,
    ReadSnapshot,
)
from actors.language.metrics import Histogram, Survey
from actors.language.results import Failure
from actors.store.checker import Checker
from actors.store.copies import Copies
from actors.store.machine import Machine
from actors.store.metrics import StoreCounts
from actors.store.naming import called
from actors.store.orders import Commit, Order, Say, answer
from actors.store.pace import earliest
from actors.store.raiser import AlarmRaiser
from actors.store.storage import Spool
from actors.store.warden import Warden

Asked = ReadSnapshot | Defragment | Survey
"""What somebody asks for, who may not have it."""

ToUpkeep = ReadSnapshot | Defragment | CopyMade | NoRoom | Accuse | Survey


class UpkeepSettings(NamedTuple):
    """What a node's flags say of its upkeep; without a spool no client gets a snapshot.

    While the member leads, it has the members compared every `check_ms`; 0: never.
    """

    quota_bytes: int = 0
    spool: Spool | None = None
    check_ms: int = 0


NO_UPKEEP: Final = UpkeepSettings()
"""No quota, no snapshots for clients, no checks: for a store by itself."""


class Upkeep:
    """The upkeep of one member's store."""

    def __init__(
        self, settings: UpkeepSettings, member_id: int, machine: Machine, commits: Histogram
    ) -> None:
        self.checker = Checker(member_id, settings.check_ms)
        self.copies = Copies(settings.spool)
        self.counts = StoreCounts(settings.quota_bytes, commits)
        self.warden = Warden(settings.quota_bytes, member_id, machine)
        self._raiser = AlarmRaiser(member_id)
        self._member_id = member_id
        self._told_members = machine.members

    def members(self, machine: Machine) -> list[Order]:
        """Tell Raft which members have published a name, and so have been here.

        By that Raft answers a member that has lost its disk and asks whether it was here before.
        """
        self._told_members = members = machine.members
        named = [
            PublishedMember(each.id, each.name, each.client_urls)
            for each in members.values()
            if each.name
        ]
        return [Published(tuple(named))]

    def applied(
        self, machine: Machine, uncommitted_bytes: int, clock: Callable[[], int]
    ) -> list[Order]:
        """Entries were applied; `uncommitted_bytes`: the commands since the last commit."""
        is_news = machine.members is not self._told_members
        orders = self.members(machine) if is_news else []
        if self.warden.must_measure(machine, uncommitted_bytes):
            orders.append(Commit())
        if machine.checks:
            orders += self.checker.heard(machine.take_checks(), machine, clock())
        return orders

    def unreadable(self, machine: Machine, now_ms: int) -> None:
        """An entry of the log could not be decoded, and was skipped."""
        alarm = AlarmMember(self._member_id, AlarmType.UNREADABLE)
        self._raiser.maybe_want(alarm, machine, now_ms)

    def receive(
        self, message: ToUpkeep, machine: Machine, now_ms: int, *, is_copying: bool
    ) -> list[Order]:
        """What is to be done about a message; `is_copying`: a copy of the file is being made."""
        if machine.auth.enabled and isinstance(message, Asked):
            fault = machine.fault_of(message.principal, message)
            if fault:
                return answer((message.ticket,), Failure(fault))
        match message:
            case ReadSnapshot():
                revision = machine.revision
                return self.copies.asked(message, revision, now_ms, is_copying=is_copying)
            case CopyMade():
                revision = machine.revision
                return self.copies.made(message, revision, now_ms, is_copying=is_copying)
            case Defragment(ticket):
                return self.copies.defragment(ticket, machine, now_ms, is_copying=is_copying)
            case NoRoom():
                return self.warden.refused(machine, now_ms)
            case Accuse(member_id):
                return self._accused(member_id, machine, now_ms)
            case Survey():
                return [self.counts.add_to(message, machine)]
            case _:
                assert_never(message)

    def tick(self, machine: Machine, now_ms: int, *, is_copying: bool) -> list[Order]:
        """Do what is due; `is_copying` as above."""
        return [
            *self.checker.tick(machine, now_ms),
            *self._raiser.tick(machine, now_ms),
            *self.warden.tick(machine, now_ms),
            *self.copies.tick(machine, now_ms, is_copying=is_copying),
        ]

    def next_wake_ms(self) -> int | None:
        """When something is due."""
        return earliest(
            self.warden.due_ms,
            self._raiser.due_ms,
            self.checker.next_wake_ms(),
            self.copies.next_wake_ms(),
        )

    def _accused(self, member_id: int, machine: Machine, now_ms: int) -> list[Order]:
        """Raft has found that a member lacks, or contradicts, what the cluster has committed."""
        member = machine.members.get(member_id)
        alarm = AlarmMember(member_id, AlarmType.DATA_LOSS)
        if member is None or not self._raiser.maybe_want(alarm, machine, now_ms):
            return []
        said = (
            f"{called(machine.members, member_id)} lacks, or contradicts, what the "
            "cluster has committed: its disk was rolled back, or is another's. Raising "
            "DATA_LOSS; replace that member"
        )
        return [Say(said, is_grave=True)]
