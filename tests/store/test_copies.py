"""Who waits for a copy of the store's file, when it is made, and what they are answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.language.commands import Compact, Put
from actors.language.errors import StorageError
from actors.language.messages import CopyMade, Defragment, ReadSnapshot
from actors.language.results import Done, Failure, SnapshotBlob
from actors.store.copies import COPIES_WAITING_MAX, LOOK_AGAIN_MS, SWEEP_MS_MAX, Copies
from actors.store.disk.spool import FILES_MAX, IDLE_MS, SpoolDirectory
from actors.store.orders import CopyForClients, WriteAnew
from tests.store.driver import Driver
from tests.store.ordered import answered

REVISION = 17
BUSY = Failure("TooManyRequests")


class Desk:
    """Copies with a spool on the disk; what they order is done when the test says so."""

    def __init__(self, directory: Path) -> None:
        self.driver = Driver()
        self.copies = Copies(SpoolDirectory(directory))
        self.now_ms = 5_000
        self.is_copying = False

    def ask(self, ticket: int, name: str = "", offset: int = 0) -> list[Any]:
        asked = ReadSnapshot(ticket, name, offset)
        return self.copies.asked(asked, REVISION, self.now_ms, is_copying=self.is_copying)

    def defragment(self, ticket: int) -> list[Any]:
        machine = self.driver.machine
        return self.copies.defragment(ticket, machine, self.now_ms, is_copying=self.is_copying)

    def finish(self, order: CopyForClients, content: bytes = b"content") -> list[Any]:
        """The copy is complete, or with no content could not be made."""
        order.path.write_bytes(content)
        made = CopyMade(order.path, len(content), b"sha" if content else b"")
        return self.copies.made(made, REVISION, self.now_ms, is_copying=self.is_copying)

    def tick(self, after_ms: int) -> list[Any]:
        self.now_ms += after_ms
        machine, busy = self.driver.machine, self.is_copying
        return self.copies.tick(machine, self.now_ms, is_copying=busy)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_who_asks_waits_for_the_copy_and_gets_its_first_part(desk: Desk) -> None:
    (order,) = desk.ask(1)
    ((ticket, blob),) = answered(desk.finish(order))
    assert ticket == 1
    assert isinstance(blob, SnapshotBlob)
    assert (blob.revision, blob.blob, blob.remaining_bytes) == (REVISION, b"content", 0)
    ((_, part),) = answered(desk.ask(2, blob.name, 3))
    assert isinstance(part, SnapshotBlob)
    assert part.blob == b"tent"


def test_who_asks_while_a_copy_is_made_gets_the_next_one(desk: Desk) -> None:
    (first,) = desk.ask(1)
    assert desk.ask(2) == desk.ask(3) == []
    *told, second = desk.finish(first)
    assert [ticket for ticket, _ in answered(told)] == [1]
    assert isinstance(second, CopyForClients)
    assert [ticket for ticket, _ in answered(desk.finish(second))] == [2, 3]


def test_a_copy_that_fails_is_answered_and_leaves_no_file(desk: Desk) -> None:
    (order,) = desk.ask(1)
    assert answered(desk.finish(order, b"")) == [(1, Failure("CopyFailed"))]
    assert not order.path.exists()


def test_clients_that_wait_are_few(desk: Desk) -> None:
    desk.ask(0)
    for ticket in range(COPIES_WAITING_MAX):
        assert desk.ask(ticket) == []
    assert answered(desk.ask(99)) == [(99, BUSY)]


def test_copies_that_nobody_has_read_yet_are_few(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr("actors.store.disk.spool.PART_BYTES_MAX", 3)
    for ticket in range(FILES_MAX):
        (order,) = desk.ask(ticket)
        desk.finish(order)
    assert answered(desk.ask(99)) == [(99, BUSY)]


def test_a_copy_waits_for_another_one_that_is_made(desk: Desk) -> None:
    desk.is_copying = True
    assert desk.ask(1) == []
    assert desk.copies.next_wake_ms() == desk.now_ms + LOOK_AGAIN_MS
    assert desk.tick(LOOK_AGAIN_MS) == []
    desk.is_copying = False
    assert desk.tick(LOOK_AGAIN_MS - 1) == []
    (order,) = desk.tick(1)
    assert isinstance(order, CopyForClients)
    assert desk.copies.next_wake_ms() is None


def test_a_copy_that_nobody_reads_ends(desk: Desk) -> None:
    (order,) = desk.ask(1)
    desk.finish(order)
    assert desk.copies.next_wake_ms() == desk.now_ms + IDLE_MS
    desk.tick(IDLE_MS)
    assert not order.path.exists()


def test_without_a_spool_nobody_gets_a_copy() -> None:
    asked = Copies(None).asked(ReadSnapshot(1, "", 0), REVISION, 0, is_copying=False)
    assert answered(asked) == [(1, Failure("CopyFailed"))]


# --- defragmentation --------------------------------------------------------------------------


def test_all_who_ask_during_a_defragmentation_are_answered_with_the_first(desk: Desk) -> None:
    assert desk.defragment(Defragment(1).ticket) == [WriteAnew()]
    assert desk.defragment(2) == []
    done = desk.copies.changed_over(None, REVISION)
    assert answered(done) == [(1, Done(REVISION)), (2, Done(REVISION))]
    assert desk.defragment(3) == [WriteAnew()]


def test_a_defragmentation_that_fails_is_answered_so(desk: Desk) -> None:
    desk.defragment(1)
    failed = desk.copies.changed_over(StorageError("no room"), REVISION)
    assert answered(failed) == [(1, Failure("CopyFailed"))]


def test_a_defragmentation_waits_for_what_is_outdated_to_go(desk: Desk) -> None:
    for _ in range(3):
        desk.driver.do(Put(b"a", b"1"))
    desk.driver.do(Compact(4))
    desk.driver.commit()
    assert desk.defragment(1) == []
    assert desk.tick(LOOK_AGAIN_MS) == []
    while desk.driver.machine.sweeper.is_due:
        desk.driver.machine.sweeper.work(100)
    assert desk.tick(LOOK_AGAIN_MS) == [WriteAnew()]


def test_it_does_not_wait_for_that_for_ever(desk: Desk) -> None:
    for _ in range(3):
        desk.driver.do(Put(b"a", b"1"))
    desk.driver.do(Compact(4))
    desk.driver.commit()
    desk.defragment(1)
    assert desk.tick(SWEEP_MS_MAX - 1) == []
    assert desk.tick(LOOK_AGAIN_MS) == [WriteAnew()]


def test_a_client_waits_for_the_defragmentation_that_is_begun_first(desk: Desk) -> None:
    desk.is_copying = True
    desk.ask(1)
    desk.defragment(2)
    desk.is_copying = False
    assert desk.tick(LOOK_AGAIN_MS) == [WriteAnew()]
    assert isinstance(desk.tick(LOOK_AGAIN_MS)[0], CopyForClients)


def test_those_who_wait_for_a_smaller_file_are_few(desk: Desk) -> None:
    for ticket in range(COPIES_WAITING_MAX):
        desk.defragment(ticket)
    assert answered(desk.defragment(99)) == [(99, BUSY)]
