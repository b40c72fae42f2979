"""Compaction: what it ends, what it leaves, and that its work shows nowhere but on the disk."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from actors.language.commands import (
    Change,
    Compact,
    DeleteRange,
    Event,
    KeyValue,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Range,
    Sequence,
    SessionOpen,
)
from actors.language.errors import StorageError
from actors.language.results import Done, Failure
from actors.store import sweeper as sweeper_module
from actors.store.disk.backend import LmdbBackend
from actors.store.machine import Machine
from actors.store.steps import finish
from actors.store.storage import EMPTY, SUB_BITS, Backend, Batch
from tests.store.driver import FOUNDERS, Driver, everything

ALL = (b"\0", b"\0")
VALUE = b"v" * 256


def _overwrite(driver: Driver, count: int, keys: int, seed: int = 1) -> None:
    """Put keys at random and commit now and then, as a node does."""
    chance = random.Random(seed)
    for number in range(count):
        driver.do(Put(b"key%06d" % chance.randrange(keys), VALUE))
        if number % 1_000 == 999:
            driver.machine.take_events()
            driver.commit()


def _kept(backend: Backend) -> list[tuple[int, bytes]]:
    """Revision and key of everything that is on the disk."""
    finish(backend.load())
    return [(row[0] >> SUB_BITS, row[2]) for row in backend.scan()]


# --- what it means ----------------------------------------------------------------------------


def test_a_revision_that_is_compacted_or_not_there_yet_is_refused(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    driver.do(Put(b"a", b"2"))
    assert driver.do(Compact(4)) == Failure("FutureRev")
    assert driver.do(Compact(3)) == Done(3)
    assert driver.do(Compact(3)) == driver.do(Compact(2)) == Failure("Compacted")


def test_an_empty_store_can_be_compacted_at_0_once_as_in_etcd(driver: Driver) -> None:
    answers = [driver.do(Compact(revision)) for revision in (-1, 0, 0, 1, 1)]
    compacted = Failure("Compacted")
    assert answers == [compacted, Done(1), compacted, Done(1), compacted]


def test_a_compaction_makes_no_revision_and_no_event(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    driver.machine.take_events()
    driver.do(Compact(2, physical=True))
    assert (driver.machine.revision, driver.machine.take_events()) == (2, ())


def test_the_compacted_revision_is_read_and_those_before_it_are_not(driver: Driver) -> None:
    for command in (Put(b"a", b"1"), Put(b"a", b"2"), Put(b"b", b"1"), Put(b"a", b"3")):
        driver.do(command)
    driver.do(Compact(4))
    for swept in (False, True):
        if swept:
            driver.sweep()
        assert driver.ask(Range(*ALL, revision=3)) == Failure("Compacted")
        assert [kv.value for kv in driver.ask(Range(*ALL, revision=4)).kvs] == [b"2", b"1"]
        assert [kv.value for kv in driver.ask(Range(*ALL)).kvs] == [b"3", b"1"]


def test_of_each_key_only_the_last_version_is_left_and_none_of_one_that_was_deleted(
    driver: Driver,
) -> None:
    driver.do(Put(b"a", b"1"))
    driver.do(Put(b"b", b"1"))
    driver.do(Put(b"a", b"2"))
    driver.do(DeleteRange(b"b"))
    driver.do(Put(b"c", b"1"))
    driver.do(Compact(6))
    driver.sweep()
    assert _kept(driver.backend) == [(4, b"a"), (6, b"c")]
    index = driver.machine.store.index
    assert (index._past, list(index._gone), set(index.live)) == ({}, [], {b"a", b"c"})


def test_a_delete_at_the_compacted_revision_is_told_until_the_next_compaction(
    driver: Driver,
) -> None:
    driver.do(Put(b"a", b"1"))
    driver.do(DeleteRange(b"a"))
    driver.do(Put(b"b", b"1"))
    driver.do(Compact(3))
    gone = Event(Change.DELETED, KeyValue(b"a", 0, 3, 0, b"", 0), None)
    for _ in range(3):
        assert driver.history(b"a", b"", 3, True) == (gone,)
        driver.sweep()
        driver.crash()
    driver.do(Compact(4))
    driver.sweep()
    assert _kept(driver.backend) == [(4, b"b")]


def test_what_was_before_the_compacted_revision_is_no_previous_value_any_more(
    driver: Driver,
) -> None:
    for value in (b"1", b"2", b"3"):
        driver.do(Put(b"a", value))
    driver.do(Compact(3))
    for swept in (False, True):
        if swept:
            driver.sweep()
        events = driver.history(b"a", b"", 3, True)
        assert [event.prev_kv and event.prev_kv.value for event in events] == [None, b"2"]


def test_what_a_lease_held_goes_with_the_deletes_it_made(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.do(Put(b"a", b"1", lease=7))
    driver.do(Put(b"b", b"1", lease=7))
    driver.do(LeaseRevoke(7))
    driver.do(LeaseGrant(8, 5_000))
    driver.do(Put(b"c", b"1", lease=8))
    driver.do(Compact(5))
    driver.sweep()
    driver.crash()
    assert _kept(driver.backend) == [(5, b"c")]
    assert driver.machine.leases.table[8].keys == {b"c"}


def test_a_retried_compaction_gets_its_first_answer(driver: Driver) -> None:
    session = driver.do(SessionOpen(77)).session
    driver.do(Put(b"a", b"1"))
    compact, sequence = Compact(2), Sequence(session, 1, 1)
    assert driver.do(compact, sequence) == driver.do(compact, sequence) == Done(2)
    assert driver.do(compact) == Failure("Compacted")


# --- how the work is done ---------------------------------------------------------------------


def test_a_portion_is_no_larger_than_asked(driver: Driver) -> None:
    for number in range(20):
        driver.do(Put(b"a", b"%d" % number))
    driver.commit()
    driver.do(Compact(21))
    sweeper, removed = driver.machine.sweeper, []
    sweeper.hurry()
    while sweeper.is_due:
        sweeper.work(4)
        removed.append(sweeper.removed)
    assert removed == [0] * 6 + [4, 8, 12, 16, 19], "first all is found, then it is removed"
    assert sweeper.swept_revision == 22


def test_little_that_is_outdated_lingers_until_somebody_is_in_a_hurry(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper_module, "OUTDATED_MIN", 10)
    sweeper = driver.machine.sweeper
    for count, removed in ((5, 0), (4, 0), (5, 13)):
        for _ in range(count):
            driver.do(Put(b"a", b"1"))
        driver.commit()
        driver.do(Compact(driver.machine.revision))
        while sweeper.is_due:
            sweeper.work(100)
        assert (sweeper.removed, sweeper.lingers) == (removed, not removed)
    driver.do(Put(b"a", b"1"))
    driver.commit()
    driver.do(Compact(driver.machine.revision))
    driver.sweep()
    assert len(_kept(driver.backend)) == 1


def test_very_much_is_removed_before_all_is_found(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper_module, "OUTDATED_MAX", 10)
    for _ in range(100):
        driver.do(Put(b"a", b"1"))
    driver.commit()
    driver.do(Compact(101))
    sweeper, most = driver.machine.sweeper, 0
    while sweeper.is_due:
        sweeper.work(5)
        most = max(most, sweeper._count)
        if sweeper.removed > 30:
            driver.commit()
            driver.crash()
            sweeper = driver.machine.sweeper
    driver.sweep()
    assert (_kept(driver.backend), most) == ([(101, b"a")], 14)


def test_what_is_not_committed_yet_waits_for_the_commit(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    driver.commit()
    driver.do(Put(b"a", b"2"))
    driver.do(Compact(3))
    sweeper = driver.machine.sweeper
    sweeper.hurry()
    sweeper.work(100)
    assert (sweeper.is_due, sweeper.removed, sweeper.swept_revision) == (False, 0, 3)
    driver.commit()
    assert sweeper.is_due
    driver.sweep()
    assert _kept(driver.backend) == [(3, b"a")]


@pytest.mark.parametrize("lost_after", range(1, 14))
def test_a_crash_at_any_portion_loses_nothing_and_the_rest_is_done_later(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, lost_after: int
) -> None:
    monkeypatch.setattr(sweeper_module, "_BATCH_BITS", SUB_BITS + 3)
    driver.do(Put(b"b", b"0"))  # a value and its tombstone fall into different batches
    for number in range(6):
        driver.do(Put(b"a", b"%d" % number))
        driver.do(DeleteRange(b"a"))
    driver.do(Put(b"b", b"1"))
    driver.do(Compact(15))
    driver.commit()
    state = everything(driver.machine)
    driver.machine.sweeper.hurry()
    for _ in range(lost_after):
        if driver.machine.sweeper.is_due:
            driver.machine.sweeper.work(3)
        driver.commit()
    driver.crash()
    assert everything(driver.machine) == state
    driver.sweep()
    assert everything(driver.machine) == state
    assert _kept(driver.backend) == [(15, b"b")]


def test_members_that_have_swept_unequally_far_give_equal_answers() -> None:
    quick, slow = Driver(), Driver()
    chance = random.Random(7)
    for _ in range(400):
        key = b"%d" % chance.randrange(9)
        command = chance.choice((Put(key, b"v"), Put(key, b"w"), DeleteRange(key)))
        compact = Compact(chance.randrange(1, quick.machine.revision + 1))
        for each in (command, compact):
            assert quick.do(each) == slow.do(each)
        quick.sweep()
        assert everything(quick.machine) == everything(slow.machine)
    slow.commit()
    assert 3 * len(_kept(quick.backend)) < len(_kept(slow.backend))


# --- the file ---------------------------------------------------------------------------------


def test_the_file_stays_as_large_under_endless_overwrites(path: Path) -> None:
    driver = Driver(LmdbBackend(path))
    sizes = []
    for round_number in range(12):
        _overwrite(driver, 3_000, 100, seed=round_number)
        driver.do(Compact(driver.machine.revision - 500))
        driver.sweep()
        sizes.append(path.stat().st_size)
    assert max(sizes[3:]) == sizes[3] < 4_000_000
    assert len(_kept(driver.backend)) <= 600
    driver.backend.close()


def test_a_file_with_many_free_pages_passes_its_check_at_the_start(path: Path) -> None:
    driver = Driver(LmdbBackend(path))
    _overwrite(driver, 20_000, 500)
    driver.do(Put(b"large", b"x" * 50_000))
    driver.do(Compact(driver.machine.revision))
    driver.sweep()
    _overwrite(driver, 1_000, 500)
    driver.commit()
    state = everything(driver.machine)
    driver.backend.close()
    backend = LmdbBackend(path)
    assert everything(Machine(backend, FOUNDERS)) == state
    _, in_use = backend.size()
    assert in_use < path.stat().st_size / 4
    backend.close()


def test_a_map_that_is_too_small_for_a_removal_grows(path: Path) -> None:
    driver = Driver(LmdbBackend(path))
    _overwrite(driver, 3_000, 600)
    state = everything(driver.machine)
    driver.backend.close()
    backend = LmdbBackend(path, map_size_bytes=1)  # LMDB makes it as large as what is there
    driver = Driver(backend)
    before = backend._map_size_bytes
    assert everything(driver.machine) == state
    driver.do(Compact(driver.machine.revision))
    driver.machine.sweeper.hurry()
    while driver.machine.sweeper.is_due:
        driver.machine.sweeper.work(100)
    driver.sweep()
    assert backend._map_size_bytes > before
    state = everything(driver.machine)
    backend.close()
    backend = LmdbBackend(path)
    assert everything(Machine(backend, FOUNDERS)) == state
    assert len(_kept(backend)) == len(state["live"])
    backend.close()


def test_a_copy_made_during_a_sweep_is_whole_and_can_be_swept(tmp_path: Path) -> None:
    driver = Driver(LmdbBackend(tmp_path / "store"))
    _overwrite(driver, 2_000, 50)
    driver.do(Compact(1_500))
    driver.commit()
    driver.machine.sweeper.hurry()
    for _ in range(18):
        driver.machine.sweeper.work(100)
    assert 0 < driver.machine.sweeper.removed < 1_400
    driver.commit()
    errors: list[StorageError | None] = []
    driver.backend.copy(tmp_path / "copy", errors.append)
    driver.sweep()
    state = everything(driver.machine)
    assert driver.backend._copier.wait()  # type: ignore[attr-defined]
    assert errors == [None]
    opened = Driver(driver.backend.open_copy(tmp_path / "copy"))
    assert everything(opened.machine) == state
    opened.backend.install()
    opened.sweep()
    assert everything(opened.machine) == state
    assert 500 < len(_kept(opened.backend)) <= 551
    opened.backend.close()


def test_a_change_that_should_be_removed_and_is_not_there_is_a_fault(path: Path) -> None:
    backend = LmdbBackend(path)
    with pytest.raises(StorageError, match="revision 9 is missing"):
        backend.remove([9 << SUB_BITS])
        backend.commit(Batch(EMPTY, {}, {}, (), ()))
    backend.close()


def test_a_record_that_changes_on_disk_is_noticed_when_it_is_swept(path: Path) -> None:
    driver = Driver(LmdbBackend(path))
    _overwrite(driver, 1_000, 1_000)
    content = bytearray(path.read_bytes())
    at = next(key for key in driver.machine.store.index.live)
    content[content.index(at) + len(at) + 10] ^= 1
    path.write_bytes(content)
    driver.do(Compact(driver.machine.revision))
    with pytest.raises(StorageError, match=r"store\.lmdb: damaged: revision \d+ has a wrong"):
        driver.sweep()
    driver.backend.close()


def test_rows_are_those_between_two_positions_and_no_more_than_asked(backend: Backend) -> None:
    driver = Driver(backend)
    for number in range(9):
        driver.do(Put(b"%d" % number, b"v"))
    driver.do(DeleteRange(*ALL))
    driver.commit()

    def keys(start: int, end: int, rows_max: int = 100) -> list[bytes]:
        return [row[2] for row in backend.rows(start, end, rows_max)]

    assert keys(3 << SUB_BITS, 6 << SUB_BITS) == [b"1", b"2", b"3"]
    assert keys(3 << SUB_BITS, 6 << SUB_BITS, 2) == [b"1", b"2"]
    assert keys((11 << SUB_BITS) + 7, 12 << SUB_BITS) == [b"7", b"8"]
    assert keys(12 << SUB_BITS, 99 << SUB_BITS) == keys(5, 5) == []
