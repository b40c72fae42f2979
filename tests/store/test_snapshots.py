"""Copies of the store: taken while it is used, and put in the place of one that lags behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.language.commands import (
    Compact,
    DeleteRange,
    Event,
    LeaseGrant,
    LeaseRevoke,
    MemberPeers,
    Put,
    Range,
    SetMembers,
)
from actors.language.errors import StorageError
from actors.language.messages import (
    ConnectionGone,
    Durable,
    HistoryPortion,
    LeaseFact,
    LeaseFacts,
    ReadHistory,
    Skipped,
    SnapshotInstalled,
    SnapshotTaken,
    TakeSnapshot,
)
from actors.language.results import RangeDone
from actors.store.disk import backend as backend_module
from actors.store.disk import copier as copier_module
from actors.store.disk.backend import LmdbBackend
from actors.store.disk.lmdb_files import write_copy
from actors.store.installing import NewState, read_snapshot
from actors.store.machine import Machine
from actors.store.questions import answer
from actors.store.steps import finish
from actors.store.storage import Backend
from tests.simulation.disk import SimulatedDisk
from tests.store.driver import FOUNDERS, TERM, everything
from tests.store.shell import Node, await_copies, watch
from tests.twins import MemoryBackend

MEMBERSHIP = b"raft's own"
GROWN = SetMembers((MemberPeers(1, ("tcp://a:1",), False),), MEMBERSHIP)


class Nodes:
    """Makes nodes on backends of one kind; `restart` opens what is on a node's disk again."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.directory = directory
        self.snapshot = directory / "copy.snapshot"
        self._opened: list[Backend] = []

    def new(self, name: str) -> Node:
        if self.kind == "lmdb":
            return Node(self._keep(LmdbBackend(self.directory / name)))
        return Node(self._keep(MemoryBackend()))

    def restart(self, name: str, node: Node) -> Node:
        """A node on what the last commit, or the snapshot, has left: nothing is closed in order."""
        backend = node.actor.backend
        if isinstance(backend, LmdbBackend):
            backend.close()
            backend = self._keep(LmdbBackend(self.directory / name))
        return Node(backend)

    def copy_of(self, node: Node) -> Path:
        """A snapshot of everything a node has applied."""
        node.hear(TakeSnapshot(self.snapshot))
        await_copies()
        assert node.told[-1][1] == SnapshotTaken(self.snapshot, node.last_index, TERM)
        return self.snapshot

    def close(self) -> None:
        for backend in self._opened:
            backend.close()

    def _keep(self, backend: Backend) -> Any:
        self._opened.append(backend)
        return backend


@pytest.fixture(params=["memory", "lmdb"])
def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Nodes on the disk, and on its twin."""
    made = Nodes(request.param, tmp_path)
    yield made
    made.close()


def busy(node: Node, rounds: int = 30) -> None:
    """Give a node something of everything."""
    node.apply(GROWN, LeaseGrant(7, 5_000), LeaseGrant(8, 9_000))
    for number in range(rounds):
        node.apply(Put(b"key%d" % (number % 9), b"%d" % number, lease=7))
        if number % 5 == 0:
            node.apply(DeleteRange(b"key1", b"key4"), Put(b"other", b"%d" % number))


def state_of(node: Node) -> dict[str, Any]:
    return everything(node.actor.machine)


# --- taking -----------------------------------------------------------------------------------


def test_a_snapshot_holds_everything_applied_and_says_up_to_where(nodes: Nodes) -> None:
    node = nodes.new("a")
    busy(node)
    node.hear(TakeSnapshot(nodes.snapshot))
    await_copies()
    index = node.last_index
    assert node.told == [
        ("raft", Durable(index)),
        ("raft", SnapshotTaken(nodes.snapshot, index, TERM)),
    ]
    copy = node.actor.backend.open_copy(nodes.snapshot)
    assert everything(Machine(copy, ())) == state_of(node)
    copy.close()


def test_what_is_applied_after_a_snapshot_began_is_not_in_it(nodes: Nodes) -> None:
    node = nodes.new("a")
    busy(node)
    before = state_of(node)
    node.hear(TakeSnapshot(nodes.snapshot))
    for _ in range(5):
        busy(node)
        node.commit()
    await_copies()
    copy = node.actor.backend.open_copy(nodes.snapshot)
    assert everything(Machine(copy, ())) == before
    copy.close()


def test_a_new_snapshot_replaces_the_one_before_it(nodes: Nodes) -> None:
    node = nodes.new("a")
    for _ in range(2):
        busy(node)
        nodes.copy_of(node)
    copy = node.actor.backend.open_copy(nodes.snapshot)
    assert everything(Machine(copy, ())) == state_of(node)
    copy.close()


def test_a_snapshot_that_cannot_be_written_leaves_no_file_and_a_node_that_goes_on(
    nodes: Nodes,
) -> None:
    node = nodes.new("a")
    busy(node)
    nowhere = nodes.directory / "nowhere" / "copy"
    node.hear(TakeSnapshot(nowhere))
    await_copies()
    assert node.told[-1] == ("raft", SnapshotTaken(nowhere, 0, 0))
    nowhere.parent.mkdir()
    node.hear(TakeSnapshot(nowhere))
    await_copies()
    assert node.told[-1] == ("raft", SnapshotTaken(nowhere, node.last_index, TERM))
    assert [path.name for path in nowhere.parent.iterdir()] == ["copy"]


def test_the_rest_of_a_copy_that_a_crash_cut_short_is_no_obstacle(nodes: Nodes) -> None:
    node = nodes.new("a")
    busy(node)
    rest = nodes.snapshot.with_name(nodes.snapshot.name + ".part")
    rest.write_bytes(b"half of it")
    nodes.copy_of(node)
    assert not rest.exists()


class Gate:
    """Lets copies of the disk's backend begin only when it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()

        def wait_and_write(*args: Any) -> None:
            self.open.wait()
            write_copy(*args)

        monkeypatch.setattr(copier_module, "write_copy", wait_and_write)


def test_a_node_serves_and_commits_while_it_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    nodes = Nodes("lmdb", tmp_path)
    node = nodes.new("a")
    busy(node)
    before = state_of(node)
    node.hear(TakeSnapshot(nodes.snapshot))
    for _ in range(50):
        busy(node)
        assert node.commit() == [("raft", Durable(node.last_index))]
    again = tmp_path / "again"
    assert node.hear(TakeSnapshot(again)) == [("raft", SnapshotTaken(again, 0, 0))]
    gate.open.set()
    await_copies()
    copy = node.actor.backend.open_copy(nodes.snapshot)
    assert everything(Machine(copy, ())) == before
    copy.close()
    nodes.close()


def test_a_map_that_must_grow_waits_for_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    node = Node(LmdbBackend(tmp_path / "a", map_size_bytes=1 << 16))
    busy(node)
    before = state_of(node)
    node.hear(TakeSnapshot(tmp_path / "copy"))
    node.apply(*(Put(b"large%d" % number, b"v" * 1_000) for number in range(300)))
    threading.Timer(0.05, gate.open.set).start()
    assert node.commit() == [
        ("raft", SnapshotTaken(tmp_path / "copy", before["place"][0], TERM)),
        ("raft", Durable(node.last_index)),
    ]
    copy = node.actor.backend.open_copy(tmp_path / "copy")
    assert everything(Machine(copy, ())) == before
    copy.close()
    node.actor.close()


def test_closing_waits_for_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    node = Node(LmdbBackend(tmp_path / "a"))
    busy(node)
    node.hear(TakeSnapshot(tmp_path / "copy"))
    threading.Timer(0.05, gate.open.set).start()
    node.actor.close()
    assert node.told[-1][1] == SnapshotTaken(tmp_path / "copy", node.last_index, TERM)


# --- installing -------------------------------------------------------------------------------


def test_an_installed_snapshot_is_the_store_now_and_after_a_restart(nodes: Nodes) -> None:
    ahead, behind = nodes.new("a"), nodes.new("b")
    busy(ahead)
    behind.apply(Put(b"old", b"1"))
    snapshot = nodes.copy_of(ahead)
    told = behind.install(snapshot)
    installed = SnapshotInstalled(ahead.last_index, TERM, 1_000, MEMBERSHIP)
    assert told[-1] == ("raft", installed)
    assert state_of(behind) == state_of(ahead)
    assert not snapshot.exists()
    assert state_of(nodes.restart("b", behind)) == state_of(ahead)


def test_a_node_goes_on_behind_its_snapshot(nodes: Nodes) -> None:
    ahead, behind = nodes.new("a"), nodes.new("b")
    busy(ahead)
    behind.install(nodes.copy_of(ahead))
    behind.last_index = ahead.last_index
    for node in (ahead, behind):
        node.apply(Put(b"new", b"1"), DeleteRange(b"key", b"keyz"))
        node.commit()
    assert state_of(behind) == state_of(ahead)
    again = nodes.restart("b", behind)
    assert state_of(again) == state_of(ahead)
    found = answer(again.machine, Range(b"\0", b"\0"), 0)
    assert isinstance(found, RangeDone)
    assert [kv.key for kv in found.kvs] == [
        b"new",
        b"other",
    ]


def test_the_lease_actor_hears_of_all_leases_and_of_those_that_are_gone(nodes: Nodes) -> None:
    ahead, behind = nodes.new("a"), nodes.new("b")
    for node in (ahead, behind):
        node.apply(LeaseGrant(5, 1_000), LeaseGrant(6, 1_000))
    ahead.time_ms = 2_000
    ahead.apply(LeaseRevoke(5), LeaseGrant(7, 4_000))
    told = behind.install(nodes.copy_of(ahead))
    facts = (LeaseFact(5, 0), LeaseFact(6, 2_000), LeaseFact(7, 6_000))
    assert ("lease", LeaseFacts(facts, 2_000)) in told


@pytest.mark.parametrize("with_previous", [False, True])
def test_watchers_can_read_all_that_a_snapshot_brought(nodes: Nodes, with_previous: bool) -> None:
    ahead, behind = nodes.new("a"), nodes.new("b")
    for node in (ahead, behind):
        node.actor.receive(watch(b"key", prev_kv=with_previous))
        node.apply(Put(b"key3", b"first"))
    live: list[Event] = []
    for number in range(30):
        told = ahead.apply(
            Put(b"key%d" % (number % 7), b"%d" % number), DeleteRange(b"key2", b"key5")
        )
        live += [event for _, message in told for event in message.events]
    told = behind.install(nodes.copy_of(ahead))
    revision = behind.actor.machine.revision
    assert ("watch", Skipped(revision)) in told
    ((_, history),) = behind.hear(ReadHistory(3, (), with_previous))
    assert (history.reached, history.revision, list(history.events)) == (revision, revision, live)


def test_nothing_is_read_again_for_watchers_that_are_not_there(nodes: Nodes) -> None:
    ahead, behind = nodes.new("a"), nodes.new("b")
    busy(ahead)
    behind.actor.receive(ConnectionGone((b"client",)))
    told = behind.install(nodes.copy_of(ahead))
    assert [name for name, _ in told] == ["lease", "raft", "raft"]


def test_watchers_whose_history_a_snapshot_does_not_have_are_told_so(nodes: Nodes) -> None:
    ahead, behind = nodes.new("a"), nodes.new("b")
    ahead.apply(*(Put(b"a", b"%d" % number) for number in range(8)))
    behind.apply(Put(b"a", b"0"))
    ahead.apply(Compact(7))
    assert ("watch", Skipped(9)) in behind.install(nodes.copy_of(ahead))
    assert behind.hear(ReadHistory(3, (), False)) == [("watch", HistoryPortion(3, 0, 9, (), 7))]
    ((_, history),) = behind.hear(ReadHistory(7, (), False))
    assert [event.kv.mod_revision for event in history.events] == [7, 8, 9]


# --- what is not installed --------------------------------------------------------------------


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.rindex(b"key8")] ^= 1
    path.write_bytes(content)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _replace(path: Path) -> None:
    path.write_bytes(b"something else\n" * 2_000)


@pytest.mark.parametrize("damage", [_cut, _flip, _empty, _replace, Path.unlink])
def test_a_damaged_snapshot_is_removed_and_the_old_state_stays(
    nodes: Nodes, damage: Callable[[Path], None]
) -> None:
    ahead, behind = nodes.new("a"), nodes.new("b")
    busy(ahead)
    behind.apply(Put(b"old", b"1"))
    damage(nodes.copy_of(ahead))
    before = state_of(behind)
    assert behind.install(nodes.snapshot) == [
        ("raft", Durable(1)),
        ("raft", SnapshotInstalled(1, TERM, 1_000, b"")),
    ]
    assert state_of(behind) == before
    assert not nodes.snapshot.exists()
    behind.apply(Put(b"old", b"2"))
    behind.commit()
    after = state_of(behind)
    assert state_of(nodes.restart("b", behind)) == after


def test_a_snapshot_that_is_not_newer_is_removed_and_changes_nothing(nodes: Nodes) -> None:
    ahead, behind = nodes.new("a"), nodes.new("b")
    busy(behind)
    snapshot = nodes.copy_of(behind)
    busy(ahead, 60)
    before = state_of(ahead)
    assert ahead.install(snapshot) == [
        ("raft", Durable(ahead.last_index)),
        ("raft", SnapshotInstalled(ahead.last_index, TERM, 1_000, MEMBERSHIP)),
    ]
    assert state_of(ahead) == before
    assert not snapshot.exists()
    assert state_of(nodes.restart("a", ahead)) == before


# --- crashes ----------------------------------------------------------------------------------


class Stopped(BaseException):
    """The process has ended at this step."""


STEPS = ("close", "fsync", "rename", "sync_directory", "sync_directory again", "open_environment")


def _stop_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Let an installation end just before a step."""
    calls: list[str] = []

    def stop(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            calls.append(name)
            if step == name + " again" * (calls.count(name) - 1):
                raise Stopped
            return real(*args, **options)

        return run

    for name, owner in (
        ("close", LmdbBackend),
        ("fsync", os),
        ("rename", Path),
        ("sync_directory", backend_module),
        ("open_environment", backend_module),
    ):
        monkeypatch.setattr(owner, name, stop(name, getattr(owner, name)))


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_of_an_installation_leaves_the_old_state_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    nodes = Nodes("lmdb", tmp_path)
    ahead, behind = nodes.new("a"), nodes.new("b")
    busy(ahead)
    behind.apply(Put(b"old", b"1"))
    behind.commit()
    old, new = state_of(behind), state_of(ahead)
    snapshot = nodes.copy_of(ahead)
    opened = finish(read_snapshot(behind.actor.machine, snapshot))
    assert isinstance(opened, NewState)
    with monkeypatch.context() as patch:
        _stop_at(patch, step)
        with pytest.raises(Stopped):
            opened.copy.install()
    behind.backend.close()
    restarted = Node(LmdbBackend(tmp_path / "b"))
    is_renamed = STEPS.index(step) > STEPS.index("rename")
    assert state_of(restarted) == (new if is_renamed else old)
    assert snapshot.exists() != is_renamed
    restarted.actor.close()
    nodes.close()


def test_an_installation_that_fails_stops_the_node_and_commits_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Nodes("lmdb", tmp_path)
    ahead, behind = nodes.new("a"), nodes.new("b")
    busy(ahead)
    behind.apply(Put(b"old", b"1"))
    before = state_of(behind)
    snapshot = nodes.copy_of(ahead)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(5, "I/O error")))
        with pytest.raises(StorageError, match="I/O error"):
            behind.install(snapshot)
    behind.actor.close()
    assert state_of(nodes.restart("b", behind)) == before
    nodes.close()


def test_the_twin_keeps_its_copies_on_the_simulated_disk() -> None:
    disk = SimulatedDisk()
    ahead, behind = Node(MemoryBackend(disk)), Node(MemoryBackend(disk))
    busy(ahead)
    path = Path("/data/copy")
    assert ahead.hear(TakeSnapshot(path))[-1][1] == SnapshotTaken(path, ahead.last_index, TERM)
    disk.crash(lambda _: 0)
    behind.install(path)
    assert disk.paths() == []
    # The backend that the node began with has what was installed, also for another machine.
    assert everything(Machine(behind.backend, FOUNDERS)) == state_of(ahead)
