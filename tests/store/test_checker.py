"""When members are compared, and what becomes of it: three stores and one log."""

from __future__ import annotations

from typing import Any

import pytest

from actors.language.codec import decode_command, encode_command
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
from actors.language.entries import Entry
from actors.language.messages import Apply, ClusterClock, Leadership, Propose
from actors.store import integrity as integrity_module
from actors.store.disk.backend import LmdbBackend
from actors.store.upkeep import Settings
from tests.store.driver import TERM
from tests.store.shell import Node
from tests.twins import MemoryBackend

INTERVAL_MS = 1_000
MEMBERS = (1, 2, 3)
FOUNDED = SetMembers(tuple(MemberPeers(each, (f"tcp://h:{each}",), False) for each in MEMBERS), b"")


class Cluster:
    """Three stores that apply one log; what they propose enters it, unless `loses` says no."""

    def __init__(self) -> None:
        self.nodes = {each: self._made(each, MemoryBackend()) for each in MEMBERS}
        self.log: list[Command] = []
        self.loses: type[Any] | None = None
        self.leader = 0
        self.do(FOUNDED)

    def _made(self, member_id: int, backend: Any) -> Node:
        return Node(backend, Settings(check_ms=INTERVAL_MS), member_id)

    def lead(self, leader: int) -> None:
        """This member leads now."""
        self.leader = leader
        for member_id, node in self.nodes.items():
            clock = ClusterClock(0, 0) if member_id == leader else None
            node.hear(Leadership(leader, TERM, clock))

    def do(self, *commands: Command) -> None:
        """Put commands into the log, and have all apply them; and what they propose of that."""
        proposed: list[Command] = []
        for command in commands:
            self.log.append(command)
            entry = Entry(len(self.log), TERM, 1_000, 0, 0, encode_command(command, None))
            for node in self.nodes.values():
                node.last_index = entry.index
                proposed += self._proposed(node.hear(Apply((entry,))))
        if proposed:
            self.do(*proposed)

    def run(self, milliseconds: int) -> list[Command]:
        """Let time pass; what the stores have put into the log meanwhile."""
        since = len(self.log)
        for _ in range(milliseconds // 10):
            for node in list(self.nodes.values()):
                node.now_ms += 10
                self.do(*self._proposed(node.tick()))
        return self.log[since:]

    def _proposed(self, told: list[tuple[str, Any]]) -> list[Command]:
        proposals = [each for _, m in told if isinstance(m, Propose) for each in m.proposals]
        commands = [decode_command(each.command)[0] for each in proposals]
        return [each for each in commands if not isinstance(each, self.loses or ())]

    def flip(self, member_id: int, key: bytes) -> None:
        """A member holds another value than the others, and its disk finds nothing wrong."""
        backend: Any = self.nodes[member_id].backend
        events: dict[int, Event] = backend._place.content.events
        for at, event in events.items():
            if event.kv.key == key:
                events[at] = event._replace(kv=event.kv._replace(value=b"other"))

    def restart(self, member_id: int) -> None:
        """Begin anew with what is on the disk."""
        self.nodes[member_id].actor.commit()
        self.nodes[member_id] = self._made(member_id, self.nodes[member_id].backend)


@pytest.fixture
def cluster() -> Cluster:
    """Three members with a few hundred keys, led by the first."""
    made = Cluster()
    made.do(*(Put(b"key%d" % number, b"value") for number in range(300)))
    made.run(200)
    made.lead(1)
    return made


def alarms(cluster: Cluster) -> list[AlarmMember]:
    found = {tuple(node.machine.alarms) for node in cluster.nodes.values()}
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
    node = Node(MemoryBackend())
    node.hear(Leadership(1, TERM, ClusterClock(0, 0)))
    node.now_ms += 100 * INTERVAL_MS
    assert node.tick() == []


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
    sweeper = cluster.nodes[2].machine.sweeper
    sweeper.hurry()
    while sweeper.is_due:
        sweeper.work(1_000)
    said = cluster.run(2 * INTERVAL_MS)
    assert [each for each in said if isinstance(each, IntegrityReport)]
    assert alarms(cluster) == []


def test_what_the_disk_has_lost_ends_the_process(tmp_path: Any) -> None:
    path = tmp_path / "store"
    node = Node(LmdbBackend(path), Settings(check_ms=INTERVAL_MS))
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
