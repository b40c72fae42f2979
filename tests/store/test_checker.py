"""When members are compared, and what becomes of it: three states and one log."""

from __future__ import annotations

from typing import Any

import pytest

from actors.language.commands import (
    AlarmActivate,
    AlarmDeactivate,
    AlarmMember,
    AlarmType,
    Command,
    Compact,
    Event,
    IntegrityCheck,
    IntegrityReport,
    MemberPeers,
    Put,
    SetMembers,
)
from actors.store import integrity as integrity_module
from actors.store.checker import Checker
from actors.store.disk.backend import LmdbBackend
from actors.store.machine import Machine
from actors.store.orders import Order, Say
from actors.store.upkeep import UpkeepSettings
from tests.store.driver import FOUNDERS, TERM, commit
from tests.store.ordered import proposed
from tests.store.shell import Node
from tests.twins import MemoryBackend

INTERVAL_MS = 1_000
MEMBERS = (1, 2, 3)
FOUNDED = SetMembers(tuple(MemberPeers(each, (f"tcp://h:{each}",), False) for each in MEMBERS), b"")


class Member:
    """One state, and its checker."""

    def __init__(self, member_id: int, backend: MemoryBackend) -> None:
        self.backend = backend
        self.machine = Machine(backend, FOUNDERS)
        self.checker = Checker(member_id, INTERVAL_MS)
        self.now_ms = 50_000
        self.said: list[Say] = []

    def apply(self, index: int, command: Command) -> list[Command]:
        """Apply one command; what the checker wants to be put in the log."""
        self.machine.apply(index, TERM, 1_000, command, None)
        checks = self.machine.take_checks()
        return self._heard(self.checker.heard(checks, self.machine, self.now_ms))

    def tick(self, milliseconds: int) -> list[Command]:
        """Let time pass; likewise."""
        self.now_ms += milliseconds
        due_ms = self.checker.next_wake_ms()
        is_due = due_ms is not None and self.now_ms >= due_ms
        return self._heard(self.checker.tick(self.machine, self.now_ms)) if is_due else []

    def _heard(self, orders: list[Order]) -> list[Command]:
        self.said += [order for order in orders if isinstance(order, Say)]
        return proposed(orders)

    def commit(self) -> None:
        """Make durable what is new."""
        commit(self.machine, self.backend)


class Cluster:
    """Three members that apply one log; what they propose enters it, unless `loses` says no."""

    def __init__(self) -> None:
        self.members = {each: Member(each, MemoryBackend()) for each in MEMBERS}
        self.log: list[Command] = []
        self.loses: type[Any] | None = None
        self.do(FOUNDED)

    def lead(self, leader: int) -> None:
        """This member leads now."""
        for member_id, member in self.members.items():
            member.checker.lead(member_id == leader, member.now_ms)

    def do(self, *commands: Command) -> None:
        """Put commands into the log, and have all apply them; and what they propose of that."""
        wanted: list[Command] = []
        for command in commands:
            self.log.append(command)
            for member in self.members.values():
                wanted += self._kept(member.apply(len(self.log), command))
        for member in self.members.values():
            member.commit()
        if wanted:
            self.do(*wanted)

    def run(self, milliseconds: int) -> list[Command]:
        """Let time pass; what the members have put into the log meanwhile."""
        since = len(self.log)
        for _ in range(milliseconds // 10):
            for member in list(self.members.values()):
                self.do(*self._kept(member.tick(10)))
        return self.log[since:]

    def _kept(self, commands: list[Command]) -> list[Command]:
        return [each for each in commands if not isinstance(each, self.loses or ())]

    def flip(self, member_id: int, key: bytes) -> None:
        """A member holds another value than the others, and its disk finds nothing wrong."""
        events: dict[int, Event] = self.members[member_id].backend._place.content.events
        for at, event in events.items():
            if event.kv.key == key:
                events[at] = event._replace(kv=event.kv._replace(value=b"other"))

    def restart(self, member_id: int) -> None:
        """Begin anew with what is on the disk."""
        self.members[member_id] = Member(member_id, self.members[member_id].backend)


@pytest.fixture
def cluster() -> Cluster:
    """Three members with a few hundred keys, led by the first."""
    made = Cluster()
    made.do(*(Put(b"key%d" % number, b"value") for number in range(300)))
    made.run(200)
    made.lead(1)
    return made


def alarms(cluster: Cluster) -> list[AlarmMember]:
    found = {tuple(member.machine.alarms) for member in cluster.members.values()}
    assert len(found) == 1
    return list(found.pop())


def corrupt(member_id: int) -> AlarmMember:
    return AlarmMember(member_id, AlarmType.CORRUPT)


def test_the_leader_has_all_members_compared_again_and_again(cluster: Cluster) -> None:
    said = cluster.run(3 * INTERVAL_MS)
    checks = [each for each in said if isinstance(each, IntegrityCheck)]
    reports = [each for each in said if isinstance(each, IntegrityReport)]
    assert len(checks) == 2
    assert {each.leader for each in checks} == {1}
    assert sorted(each.member_id for each in reports) == [1, 1, 2, 2, 3, 3]
    assert len({(each.check_index, each.hash) for each in reports}) == 2
    assert alarms(cluster) == []


def test_nobody_is_compared_without_a_leader_or_an_interval(cluster: Cluster) -> None:
    cluster.lead(0)
    assert cluster.run(3 * INTERVAL_MS) == []
    never = Checker(1, 0)
    never.lead(True, 0)
    assert never.next_wake_ms() is None
    assert never.tick(cluster.members[1].machine, 100 * INTERVAL_MS) == []


@pytest.mark.parametrize("odd", MEMBERS)
def test_the_member_that_differs_gets_the_alarm(cluster: Cluster, odd: int) -> None:
    cluster.flip(odd, b"key77")
    cluster.run(2 * INTERVAL_MS)
    assert alarms(cluster) == [corrupt(odd)]


def test_an_alarm_that_is_lost_on_its_way_is_raised_again(cluster: Cluster) -> None:
    cluster.flip(2, b"key77")
    cluster.loses = AlarmActivate
    cluster.run(1_500)
    assert alarms(cluster) == []
    cluster.loses = None
    cluster.run(1_500)
    assert alarms(cluster) == [corrupt(2)]


def test_an_alarm_that_was_cleared_comes_back_as_long_as_there_is_reason(cluster: Cluster) -> None:
    cluster.flip(2, b"key77")
    cluster.run(2 * INTERVAL_MS)
    cluster.do(AlarmDeactivate(0, AlarmType.NONE))
    cluster.run(3 * INTERVAL_MS)
    assert alarms(cluster) == [corrupt(2)]


def test_a_round_goes_through_all_slices(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity_module, "SLICE_CHANGES", 10)
    cluster.do(*(Put(b"more%d" % number, b"value") for number in range(1_000)))
    cluster.run(200)
    cluster.flip(3, b"more900")
    cluster.run(2 * INTERVAL_MS)
    assert alarms(cluster) == []
    cluster.run(6 * INTERVAL_MS)
    assert alarms(cluster) == [corrupt(3)]


def test_the_next_leader_goes_on_where_the_last_one_was(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity_module, "SLICE_CHANGES", 10)
    first = [each for each in cluster.run(1_500) if isinstance(each, IntegrityCheck)]
    cluster.lead(3)
    second = [each for each in cluster.run(1_500) if isinstance(each, IntegrityCheck)]
    assert [each.leader for each in (*first, *second)] == [1, 3]
    assert second[0].start_revision == first[0].end_revision


def test_a_member_that_is_away_or_restarts_is_not_accused(cluster: Cluster) -> None:
    for moment in range(40):
        cluster.run(50)
        cluster.restart(1 + moment % 3)
        cluster.lead(1)
    assert alarms(cluster) == []


def test_a_compaction_in_the_middle_ends_a_check_and_accuses_nobody(cluster: Cluster) -> None:
    while not isinstance(cluster.log[-1], IntegrityCheck):
        cluster.run(10)
    cluster.do(*(Put(b"key1", b"%d" % number) for number in range(50)), Compact(320))
    said = cluster.run(INTERVAL_MS // 2)
    assert not [each for each in said if isinstance(each, IntegrityReport)]
    cluster.run(3 * INTERVAL_MS)
    assert alarms(cluster) == []


def test_members_that_have_swept_more_or_less_agree(cluster: Cluster) -> None:
    cluster.do(*(Put(b"key1", b"%d" % number) for number in range(500)), Compact(700))
    cluster.run(200)
    sweeper = cluster.members[2].machine.sweeper
    sweeper.hurry()
    while sweeper.is_due:
        sweeper.work(1_000)
    said = cluster.run(2 * INTERVAL_MS)
    assert [each for each in said if isinstance(each, IntegrityReport)]
    assert alarms(cluster) == []


def test_the_leader_names_whom_it_accuses(cluster: Cluster) -> None:
    cluster.flip(2, b"key77")
    cluster.run(2 * INTERVAL_MS)
    said = {number: member.said for number, member in cluster.members.items()}
    warning = Say(
        "member without a name (2) holds other data than the others: raising CORRUPT", is_grave=True
    )
    assert said == {1: [warning], 2: [], 3: []}


def test_what_the_disk_has_lost_ends_the_process(tmp_path: Any) -> None:
    path = tmp_path / "store"
    node = Node(LmdbBackend(path), UpkeepSettings(check_ms=INTERVAL_MS))
    node.apply(Put(b"key", b"precious" * 100))
    node.commit()
    content = path.read_bytes()
    at = content.rindex(b"precious" * 100)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"P")
    node.apply(IntegrityCheck(1, 0, 3))
    with pytest.raises(Exception, match="revision 2 has a wrong checksum"):
        for _ in range(10):
            node.now_ms += 50
            node.tick()
    node.backend.close()
