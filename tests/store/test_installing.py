"""A snapshot is installed in portions, between turns: until its end the store is the old one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from actors.language.commands import LeaseGrant, Put, Range
from actors.language.messages import (
    Apply,
    Durable,
    InstallSnapshot,
    LeaseFacts,
    LocalRead,
    Question,
    ReadSnapshot,
    Replies,
    SnapshotInstalled,
    TakeSnapshot,
    WatchCancel,
)
from actors.language.results import RangeDone
from actors.store import steps
from actors.store.copies import LOOK_AGAIN_MS
from actors.store.disk.backend import LmdbBackend
from actors.store.disk.spool import SpoolDirectory
from actors.store.installing import Installer
from actors.store.pace import COMMIT_INTERVAL_MS
from actors.store.storage import Backend
from actors.store.upkeep import NO_UPKEEP, UpkeepSettings
from tests.store.driver import TERM, everything
from tests.store.shell import Node, await_copies, watch
from tests.twins import MemoryBackend

KEYS = 40
ALL = Range(b"\0", b"\0")


class Pair:
    """A store with a snapshot of it, and one that lags behind, one step a turn."""

    def __init__(self, directory: Path, kind: type[Backend]) -> None:
        self.path = directory / "copy"
        self._directory, self._kind = directory, kind
        self.ahead, self.behind = Node(self._backend("a")), self.node(self._backend("b"))
        self.ahead.apply(LeaseGrant(7, 5_000), LeaseGrant(8, 5_000), LeaseGrant(9, 5_000))
        self.ahead.apply(*(Put(b"key%d" % each, b"new", 7 + each % 3) for each in range(KEYS)))
        self.ahead.hear(TakeSnapshot(self.path))
        await_copies()
        self.behind.apply(LeaseGrant(6, 5_000), Put(b"key1", b"old", 6))

    def _backend(self, name: str) -> Backend:
        return LmdbBackend(self._directory / name) if self._kind is LmdbBackend else MemoryBackend()

    def node(self, backend: Backend, upkeep: UpkeepSettings = NO_UPKEEP) -> Node:
        """A store that does one step a turn."""
        return Node(backend, upkeep, slice_steps_max=1)

    def read(self) -> RangeDone:
        """What a client reads at the one behind now."""
        told = self.behind.hear(LocalRead((Question(1, ALL),)))
        while not told:
            told = self.behind.tick()
        (reply,) = [message for _, message in told if isinstance(message, Replies)]
        ((_, found),) = reply.replies
        assert isinstance(found, RangeDone)
        return found

    def close(self) -> None:
        self.ahead.actor.close()
        self.behind.actor.close()


@pytest.fixture(params=[MemoryBackend, LmdbBackend], ids=("memory", "lmdb"))
def pair(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two stores, on the disk or on its twin."""
    monkeypatch.setattr(steps, "ITEMS_PER_STEP", 2)
    made = Pair(tmp_path, request.param)
    yield made
    made.close()


def is_installed(told: list[tuple[str, Any]]) -> bool:
    """Whether Raft was told of the end."""
    return any(isinstance(message, SnapshotInstalled) for _, message in told)


def test_reads_find_the_old_state_until_the_new_one_is_whole(pair: Pair) -> None:
    behind = pair.behind
    turns = 0
    told = behind.hear(InstallSnapshot(pair.path))
    while not is_installed(told):
        turns += 1
        assert [kv.value for kv in pair.read().kvs] == [b"old"]
        told = behind.tick()
    assert turns > KEYS
    assert {kv.value for kv in pair.read().kvs} == {b"new"}
    assert everything(behind.actor.machine) == everything(pair.ahead.actor.machine)


def test_nobody_hears_anything_of_a_snapshot_before_its_end(pair: Pair) -> None:
    behind = pair.behind
    behind.actor.receive(watch(b"key"))
    behind.commit()
    told = behind.hear(InstallSnapshot(pair.path))
    while not is_installed(told):
        assert told == []
        told = behind.tick()
    names = [name for name, message in told if not isinstance(message, LeaseFacts)]
    assert names == ["raft", "watch", "raft"]
    facts = [fact for _, each in told if isinstance(each, LeaseFacts) for fact in each.facts]
    assert sorted(facts) == [(6, 0), (7, 6_000), (8, 6_000), (9, 6_000)]


def test_a_store_that_stops_meanwhile_keeps_its_state_and_the_file(pair: Pair) -> None:
    behind = pair.behind
    before = everything(behind.actor.machine)
    behind.hear(InstallSnapshot(pair.path))
    for _ in range(KEYS):
        assert not is_installed(behind.tick())
    behind.actor.close()
    assert pair.path.exists()
    backend = behind.backend
    if isinstance(backend, LmdbBackend):
        backend = LmdbBackend(pair.path.with_name("b"))
    pair.behind = again = pair.node(backend)
    assert everything(again.actor.machine) == before
    again.install(pair.path)
    assert everything(again.actor.machine) == everything(pair.ahead.actor.machine)


def test_damage_behind_the_first_portion_is_found_and_the_old_state_stays(pair: Pair) -> None:
    content = bytearray(pair.path.read_bytes())
    content[content.rindex(b"key5")] ^= 1
    pair.path.write_bytes(content)
    behind = pair.behind
    before = everything(behind.actor.machine)
    told = behind.install(pair.path)
    index = behind.actor.machine.applied_index
    assert told[-1] == ("raft", SnapshotInstalled(index, TERM, 1_000, b""))
    assert everything(behind.actor.machine) == before
    assert not pair.path.exists()
    behind.apply(Put(b"key1", b"on"))
    assert [kv.value for kv in pair.read().kvs] == [b"on"]


def test_what_is_new_meanwhile_is_committed_as_ever(pair: Pair) -> None:
    behind = pair.behind
    behind.hear(InstallSnapshot(pair.path))
    behind.now_ms += COMMIT_INTERVAL_MS
    assert behind.tick() == [("raft", Durable(behind.last_index))]


def test_watches_begin_and_end_meanwhile(pair: Pair) -> None:
    behind = pair.behind
    behind.hear(InstallSnapshot(pair.path))
    ((name, begin),) = behind.hear(watch(b"key"))
    assert (name, begin.revision) == ("watch", 2)
    cancel = WatchCancel((b"client",), b"", 1)
    assert behind.hear(cancel) == [("watch", cancel)]


def test_entries_and_another_snapshot_may_not_come_meanwhile(pair: Pair) -> None:
    behind = pair.behind
    behind.hear(InstallSnapshot(pair.path))
    with pytest.raises(AssertionError, match="one snapshot at a time"):
        behind.hear(InstallSnapshot(pair.path))
    with pytest.raises(AssertionError, match="Raft hands out nothing"):
        behind.hear(Apply((behind.entry(Put(b"a", b"1")),)))


def test_the_replaced_state_is_freed_in_portions(pair: Pair) -> None:
    behind, old = pair.behind, pair.behind.actor.machine
    behind.apply(*(Put(b"key%d" % each, b"old") for each in range(KEYS)))
    behind.install(pair.path)
    sizes = [len(old.store.index.live)]
    while behind.tick() or behind.actor.mailbox.next_wake_ms == behind.now_ms:
        sizes.append(len(old.store.index.live))
    assert max(before - after for before, after in pairwise(sizes)) == 2
    assert sizes[-1] == 0
    assert len(pair.read().kvs) == KEYS


def test_a_copy_for_a_client_is_made_of_the_new_file_only(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    upkeep = UpkeepSettings(spool=SpoolDirectory(tmp_path / "spool"))
    behind = Node(MemoryBackend(), upkeep, slice_steps_max=1)
    if isinstance(pair.behind.backend, LmdbBackend):
        behind = Node(LmdbBackend(tmp_path / "c"), upkeep, slice_steps_max=1)
    behind.hear(InstallSnapshot(pair.path))
    assert behind.hear(ReadSnapshot(5, "", 0)) == []
    told: list[tuple[str, Any]] = []
    while not is_installed(told):
        assert list((tmp_path / "spool").iterdir()) == []
        told = behind.tick()
    behind.now_ms += LOOK_AGAIN_MS
    behind.tick()
    await_copies()
    assert len(list((tmp_path / "spool").iterdir())) == 1
    behind.actor.close()


def test_the_end_waits_for_a_copy_of_the_old_file(pair: Pair) -> None:
    installer, now_ms = Installer(), 5
    installer.begin(pair.behind.actor.machine, pair.path)
    assert installer.work(lambda: now_ms, is_copying=True) is None
    assert installer.is_busy
    wake_ms = installer.next_wake_ms(now_ms)
    assert wake_ms is not None and wake_ms > now_ms
    found = installer.work(lambda: now_ms, is_copying=False)
    assert found is not None and not isinstance(found, str)
    assert not installer.is_busy
    found.copy.close()
