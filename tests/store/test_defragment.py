"""A store's file written anew without what it does not use: nothing waits, and nothing is lost."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from actors.language.commands import Compact, DeleteRange, Put
from actors.language.messages import Compacted, Defragment, Replies
from actors.language.results import Done, Failure
from actors.store.disk import compact_copy, lmdb_files
from actors.store.disk.backend import LmdbBackend
from actors.store.machine import Machine
from tests.cluster.test_private import all_taken
from tests.store.driver import FOUNDERS, everything
from tests.store.shell import Node, await_copies
from tests.twins import MemoryBackend


class Wasteful:
    """A node on the disk whose file is much larger than what it holds."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "store"
        self.node = Node(LmdbBackend(self.path))
        self.node.apply(*(Put(b"key%d" % (number % 20), b"v" * 1_000) for number in range(2_000)))
        self.node.commit()
        self.node.apply(Compact(2_000))
        self.node.commit()

    def hear_of_the_copy(self) -> list[tuple[str, Any]]:
        """Wait for the thread, and let the actor hear what it says."""
        await_copies()
        told: list[tuple[str, Any]] = []
        while (message := self.node.actor.mailbox.pop()) is not None:
            assert isinstance(message, Compacted)
            told += self.node.hear(message)
        return told

    def sweep(self) -> None:
        """Let the time pass that a defragmentation waits for the sweeper."""
        for _ in range(200):
            self.node.now_ms += 50
            self.node.tick()

    def is_kept(self) -> bool:
        """Whether a start from the disk, which checks all of it, finds what the node has."""
        expected = everything(self.node.machine)
        self.node.backend.close()
        backend = LmdbBackend(self.path)
        found = everything(Machine(backend, FOUNDERS))
        backend.close()
        return found == expected


@pytest.fixture
def wasteful(tmp_path: Path) -> Any:
    """A node whose file should become smaller."""
    made = Wasteful(tmp_path)
    yield made
    made.node.backend.close()


def answers(told: list[tuple[str, Any]]) -> list[Any]:
    """Tickets and results."""
    return [pair for _, message in told if isinstance(message, Replies) for pair in message.replies]


def test_a_file_is_written_anew_though_connections_have_all_descriptors(
    wasteful: Wasteful,
) -> None:
    before = wasteful.path.stat().st_size
    with all_taken():
        wasteful.node.hear(Defragment(7))
        wasteful.sweep()
        assert answers(wasteful.hear_of_the_copy()) == [(7, Done(2_001))]
    assert wasteful.path.stat().st_size < before / 4
    assert wasteful.is_kept()


def test_a_defragmentation_makes_the_file_smaller_and_loses_nothing(wasteful: Wasteful) -> None:
    node = wasteful.node
    before = wasteful.path.stat().st_size
    node.hear(Defragment(7))
    wasteful.sweep()
    assert answers(wasteful.hear_of_the_copy()) == [(7, Done(2_001))]
    assert wasteful.path.stat().st_size < before / 4
    assert node.backend.size()[0] == wasteful.path.stat().st_size
    node.apply(Put(b"after", b"1"))
    node.commit()
    assert wasteful.is_kept()
    assert sorted(path.name for path in wasteful.path.parent.iterdir()) == ["store", "store-lock"]


def test_what_is_committed_while_the_copy_is_made_is_in_it(wasteful: Wasteful) -> None:
    node = wasteful.node
    node.hear(Defragment(7))
    wasteful.sweep()
    for number in range(10):
        node.apply(Put(b"meanwhile%d" % number, b"x"), DeleteRange(b"key%d" % number))
        node.commit()
    node.apply(Put(b"last", b"not committed"))
    assert answers(wasteful.hear_of_the_copy()) == [(7, Done(node.machine.revision))]
    assert node.machine.committed_index == node.last_index
    assert wasteful.is_kept()


def test_what_is_swept_away_while_the_copy_is_made_is_gone_in_it(wasteful: Wasteful) -> None:
    node = wasteful.node
    node.hear(Defragment(7))
    wasteful.sweep()
    node.apply(*(Put(b"key1", b"again") for _ in range(50)), Compact(2_050))
    node.machine.sweeper.hurry()
    while node.machine.sweeper.is_due:
        node.machine.sweeper.work(1_000)
    node.actor.commit()
    wasteful.hear_of_the_copy()
    assert wasteful.is_kept()


def test_who_asks_during_a_defragmentation_is_answered_with_the_first(wasteful: Wasteful) -> None:
    wasteful.node.hear(Defragment(7))
    wasteful.node.hear(Defragment(8))
    wasteful.sweep()
    wasteful.node.hear(Defragment(9))
    told = answers(wasteful.hear_of_the_copy())
    assert [ticket for ticket, _ in told] == [7, 8, 9]


def test_a_copy_that_cannot_follow_is_given_up_and_the_store_is_as_it_was(
    wasteful: Wasteful, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact_copy, "NOTED_BYTES_MAX", 1_000)
    node = wasteful.node
    node.hear(Defragment(7))
    wasteful.sweep()
    node.apply(*(Put(b"meanwhile%d" % number, b"x" * 500) for number in range(10)))
    node.commit()
    assert answers(wasteful.hear_of_the_copy()) == [(7, Failure("CopyFailed"))]
    node.apply(Put(b"after", b"1"))
    node.commit()
    assert wasteful.is_kept()
    assert sorted(path.name for path in wasteful.path.parent.iterdir()) == ["store", "store-lock"]


def test_a_defragmentation_waits_for_the_copy_that_a_client_fetches(
    wasteful: Wasteful, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = wasteful.node.backend
    monkeypatch.setattr(type(backend), "is_copying", property(lambda _: True))
    wasteful.node.hear(Defragment(7))
    wasteful.sweep()
    assert wasteful.hear_of_the_copy() == []
    monkeypatch.undo()
    wasteful.sweep()
    assert answers(wasteful.hear_of_the_copy()) == [(7, Done(2_001))]


def test_on_a_disk_that_is_nearly_full_no_copy_is_begun(
    wasteful: Wasteful, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmdb_files, "SPARE_BYTES", 1 << 60)
    wasteful.node.hear(Defragment(7))
    wasteful.sweep()
    assert answers(wasteful.hear_of_the_copy()) == [(7, Failure("CopyFailed"))]
    assert wasteful.is_kept()


def test_what_a_crash_leaves_of_a_compact_copy_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "store"
    LmdbBackend(path).close()
    for suffix in (".compact", ".compact.part", ".compact-lock"):
        path.with_name(path.name + suffix).write_bytes(b"half")
    LmdbBackend(path).close()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["store", "store-lock"]


def test_without_a_disk_a_defragmentation_is_done_at_once() -> None:
    node = Node(MemoryBackend())
    node.apply(Put(b"a", b"1"))
    node.hear(Defragment(7))
    message = node.actor.mailbox.pop()
    assert answers(node.hear(message)) == [(7, Done(2))]


# --- kills ------------------------------------------------------------------------------------

KILLED = 9


def defragment_until_step(path: Path, step: int, committed: int) -> None:
    """Write and defragment, and die before the `step`-th thing done to files; never returns.

    The revision that is on disk is written to `committed` each time.
    """
    left = step

    def dying(do: Any) -> Any:
        def done(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if not left:
                os._exit(KILLED)
            return do(*arguments, **options)

        return done

    made = Wasteful(path.parent)
    node = made.node
    for name in ("fsync", "rename", "unlink"):
        setattr(os, name, dying(getattr(os, name)))
    os.write(committed, b"%d\n" % node.machine.revision)
    node.hear(Defragment(7))
    made.sweep()
    for number in range(6):
        node.apply(Put(b"meanwhile%d" % number, b"x"))
        node.commit()
        os.write(committed, b"%d\n" % node.machine.revision)
    made.hear_of_the_copy()
    node.apply(Put(b"last", b"x"))
    node.commit()
    os.write(committed, b"%d\n" % node.machine.revision)
    os._exit(0)


@pytest.mark.process
def test_a_kill_at_any_step_of_a_defragmentation_loses_nothing(tmp_path: Path) -> None:
    for step in itertools.count(1):
        path = tmp_path / str(step) / "store"
        path.parent.mkdir()
        heard, committed = os.pipe()
        child = os.fork()
        if not child:
            try:
                defragment_until_step(path, step, committed)
            finally:
                os._exit(1)
        os.close(committed)
        _, status = os.waitpid(child, 0)
        with os.fdopen(heard) as file:
            revisions = [int(line) for line in file]
        backend = LmdbBackend(path)
        machine = Machine(backend, FOUNDERS)
        assert machine.revision >= revisions[-1]
        assert len(machine.store.index.live) == 20 + machine.revision - 2_001
        backend.close()
        assert not list(path.parent.glob("store.compact*"))
        if os.waitstatus_to_exitcode(status) != KILLED:
            break
    assert os.waitstatus_to_exitcode(status) == 0
    assert step > 5
