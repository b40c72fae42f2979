"""The upkeep of a store: its alarm when it is full, and copies for clients."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from actors.language.auth import NODE
from actors.language.codec import encode_command
from actors.language.commands import (
    AlarmActivate,
    AlarmDeactivate,
    AlarmType,
    Compact,
    DeleteRange,
    Put,
)
from actors.language.entries import Proposal
from actors.language.messages import (
    Apply,
    CopyMade,
    Durable,
    NoRoom,
    Propose,
    ReadSnapshot,
    Replies,
)
from actors.language.results import Failure, SnapshotBlob
from actors.store.disk import spool as spool_module
from actors.store.disk.backend import LmdbBackend
from actors.store.disk.snapshot_file import verify
from actors.store.disk.spool import FILES_MAX, IDLE_MS, SpoolDirectory
from actors.store.machine import Machine
from actors.store.storage import Backend
from actors.store.upkeep import UpkeepSettings
from actors.store.warden import PROPOSE_AGAIN_MS
from tests.store.driver import FOUNDERS, everything
from tests.store.shell import HERE, Node, await_copies
from tests.twins import MemoryBackend

QUOTA = 100_000
RAISE = AlarmActivate(HERE, AlarmType.NOSPACE)
CLEAR = AlarmDeactivate(HERE, AlarmType.NOSPACE)


def proposed(command: Any) -> tuple[str, Any]:
    """What Raft is told when the store itself wants something in the log."""
    return "raft", Propose((Proposal(HERE, 0, encode_command(command, None, NODE)),))


@pytest.fixture
def full() -> Node:
    """A node that was filled up to its quota, and has not raised its alarm yet."""
    node = Node(MemoryBackend(), UpkeepSettings(quota_bytes=QUOTA))
    node.apply(*(Put(b"key%d" % number, b"v" * 1_000) for number in range(95)))
    node.commit()
    return node


# --- quota ------------------------------------------------------------------------------------


def test_what_may_be_over_the_quota_is_measured_before_the_alarm_is_raised(full: Node) -> None:
    # Commands are larger than what becomes of them: on disk there is room for these.
    told = full.apply(*(Put(b"more%d" % number, b"v" * 35) for number in range(100)))
    assert ("raft", Durable(full.machine.applied_index)) in told
    assert proposed(RAISE) not in told
    assert proposed(RAISE) in full.apply(Put(b"and", b"v" * 500))


def test_alarm_is_raised_again_at_once_when_what_made_room_is_used_up(full: Node) -> None:
    full.hear(NoRoom())
    full.apply(RAISE)
    full.apply(DeleteRange(b"key", b"kez"), Compact(97, physical=True))
    told = full.commit()
    while not told or told[-1] != proposed(CLEAR):
        full.now_ms += 50
        told += full.tick()
    full.apply(CLEAR)
    refilled = full.apply(*(Put(b"new%d" % number, b"v" * 1_010) for number in range(100)))
    assert proposed(RAISE) in refilled, "though something was proposed a moment ago"


def test_a_store_over_its_quota_raises_the_alarm_without_waiting_for_its_next_commit(
    full: Node,
) -> None:
    told = full.apply(*(Put(b"more%d" % number, b"v" * 1_000) for number in range(10)))
    assert proposed(RAISE) in told


def test_a_store_without_a_quota_tells_nobody_of_its_size() -> None:
    node = Node(MemoryBackend())
    node.apply(Put(b"key", b"v" * 1_000))
    assert [address for address, _ in node.commit()] == ["raft"]


def test_when_there_is_room_again_the_store_clears_its_alarm_by_itself(full: Node) -> None:
    full.hear(NoRoom())
    full.apply(RAISE)
    full.apply(DeleteRange(b"key1", b"key2"), Compact(97))
    told: list[Any] = []
    for _ in range(2_000):
        full.now_ms += 50
        told += full.tick()
    assert proposed(CLEAR) in told
    assert proposed(RAISE) not in told
    full.apply(CLEAR)
    full.now_ms += 10 * PROPOSE_AGAIN_MS
    assert not [message for message in full.tick() if isinstance(message[1], Propose)]


def test_after_a_restart_the_alarm_of_this_member_is_cleared_when_there_is_room() -> None:
    backend = MemoryBackend()
    node = Node(backend)
    node.apply(RAISE)
    node.commit()
    node = Node(backend, UpkeepSettings(quota_bytes=QUOTA))
    node.told.clear()
    node.actor.open()
    assert proposed(CLEAR) in node.told


# --- snapshots for clients --------------------------------------------------------------------


class Served:
    """A node that makes snapshots for clients."""

    def __init__(self, backend: Backend, directory: Path) -> None:
        directory.mkdir()
        self.spool = SpoolDirectory(directory)
        self.node = Node(backend, UpkeepSettings(spool=self.spool))
        self._ticket = 100

    def answer(self, name: str = "", offset: int = 0) -> Any:
        """What the answer to a request is, once a copy is made if need be."""
        self._ticket += 1
        told = self.node.hear(ReadSnapshot(self._ticket, name, offset))
        told += self.copies()
        (replies,) = [message for _, message in told if isinstance(message, Replies)]
        ((ticket, result),) = replies.replies
        assert ticket == self._ticket
        return result

    def copies(self) -> list[tuple[str, Any]]:
        """Hear of the copies that are done; what was told."""
        await_copies()
        told: list[tuple[str, Any]] = []
        while (message := self.node.actor.mailbox.pop()) is not None:
            assert isinstance(message, CopyMade)
            told += self.node.hear(message)
        return told

    def whole(self) -> tuple[SnapshotBlob, bytes]:
        """The first part of a new snapshot, and all parts together."""
        first = part = self.answer()
        content = part.blob
        while part.remaining_bytes:
            part = self.answer(first.name, len(content))
            assert part.blob
            content += part.blob
        return first, content


@pytest.fixture
def served(backend: Backend, tmp_path: Path) -> Served:
    """A node with a few keys, on the disk and on its twin."""
    made = Served(backend, tmp_path / "spool")
    made.node.apply(*(Put(b"key%d" % number, b"v" * 1_000) for number in range(50)))
    return made


def test_a_client_reads_a_snapshot_in_parts(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "PART_BYTES_MAX", 10_000)
    first, content = served.whole()
    assert len(first.blob) == 10_000
    assert first.remaining_bytes == len(content) - 10_000
    assert sha256(content).digest() == first.sha256
    path = tmp_path / "fetched"
    path.write_bytes(content)
    store_bytes = verify(path)
    path.write_bytes(content[:store_bytes])
    copy = served.node.backend.open_copy(path)
    assert everything(Machine(copy, FOUNDERS)) == everything(served.node.machine)
    copy.close()


def test_a_snapshot_holds_what_was_applied_before_it_was_asked_for(served: Served) -> None:
    first, content = served.whole()
    served.node.apply(Put(b"later", b"news"))
    second, newer = served.whole()
    assert first.name != second.name
    assert b"later" not in content
    assert b"later" in newer


def test_who_asks_while_a_copy_is_made_gets_the_next_one(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = served.node
    copy = node.backend.copy
    begun: list[Callable[[], None]] = []
    monkeypatch.setattr(node.backend, "copy", lambda *of: begun.append(lambda: copy(*of)))
    for ticket in (1, 2, 3):
        node.hear(ReadSnapshot(ticket, "", 0))
        node.apply(Put(b"after%d" % ticket, b"x"))
    assert len(begun) == 1
    begun[0]()
    told = served.copies()
    assert [[t for t, _ in m.replies] for _, m in told if isinstance(m, Replies)] == [[1]]
    begun[1]()
    told = served.copies()
    assert [[t for t, _ in m.replies] for _, m in told if isinstance(m, Replies)] == [[2, 3]]
    assert len(begun) == 2


@pytest.mark.parametrize(
    ("name", "offset"), [("../lock", 0), ("00000001", 0), ("{}", 1 << 40), ("{}", -1)]
)
def test_what_is_no_snapshot_is_not_read(served: Served, name: str, offset: int) -> None:
    known = served.answer().name
    assert served.answer(name.format(known), offset) == Failure("SnapshotNotFound")


def test_a_copy_that_somebody_took_away_costs_nothing_but_itself(served: Served) -> None:
    name = served.answer().name
    for path in served.spool._directory.iterdir():
        path.unlink()
    assert served.answer(name) == Failure("SnapshotNotFound")
    assert isinstance(served.answer(), SnapshotBlob)


def test_a_snapshot_that_nobody_reads_ends(served: Served) -> None:
    name = served.answer().name
    served.node.now_ms += IDLE_MS - 1
    served.node.tick()
    assert isinstance(served.answer(name), SnapshotBlob)
    served.node.now_ms += IDLE_MS
    served.node.tick()
    assert served.answer(name) == Failure("SnapshotNotFound")
    assert list(served.spool._directory.iterdir()) == []


def test_snapshots_that_are_being_read_are_few_and_are_not_taken_away(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "PART_BYTES_MAX", 10_000)
    names = [served.answer().name for _ in range(FILES_MAX)]
    assert served.answer() == Failure("TooManyRequests")
    last = served.answer(names[1], 50_000)
    while last.remaining_bytes:
        last = served.answer(names[1], 50_000 + last.remaining_bytes)
    assert isinstance(served.answer(), SnapshotBlob)
    assert served.answer(names[1]) == Failure("SnapshotNotFound")


def test_a_copy_that_fails_is_answered_and_leaves_nothing(served: Served) -> None:
    served.spool._directory.rmdir()
    assert served.answer() == Failure("CopyFailed")
    served.spool._directory.mkdir()
    assert isinstance(served.answer(), SnapshotBlob)


def test_entries_are_applied_while_a_snapshot_is_made(tmp_path: Path) -> None:
    backend = LmdbBackend(tmp_path / "store")
    served = Served(backend, tmp_path / "spool")
    served.node.apply(Put(b"a", b"1"))
    served.node.hear(ReadSnapshot(1, "", 0))
    told = served.node.hear(Apply((served.node.entry(Put(b"b", b"2"), ticket=7),)))
    assert [m.replies[0][0] for _, m in told if isinstance(m, Replies)] == [7]
    assert [m.replies[0][0] for _, m in served.copies() if isinstance(m, Replies)] == [1]
    backend.close()
