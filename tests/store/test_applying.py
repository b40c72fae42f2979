"""What entries come to for who waits here, and who must hear of a snapshot's difference."""

from __future__ import annotations

from pathlib import Path

from actors.language.codec import encode_command
from actors.language.commands import Command, Compact, LeaseGrant, Put
from actors.language.entries import Entry
from actors.language.errors import StorageError
from actors.language.messages import LeaseFact, LeaseFacts, Skipped
from actors.language.results import Done, PutDone
from actors.store.applying import Applied, Unreadable, apply_entries
from actors.store.compactor import Compactor
from actors.store.installing import NewState, lease_news, read_snapshot, watch_news
from actors.store.listeners import Listeners
from actors.store.steps import finish
from tests.store.driver import TERM, Driver
from tests.store.shell import watch

HERE, ELSEWHERE = 1, 2


def entry(index: int, command: Command, origin: int = HERE, ticket: int = 0) -> Entry:
    return Entry(index, TERM, 1_000, origin, ticket, encode_command(command, None))


def test_only_who_waits_here_is_answered() -> None:
    driver = Driver()
    entries = (
        entry(1, Put(b"a", b"1"), HERE, 7),
        entry(2, Put(b"a", b"2"), ELSEWHERE, 8),
        entry(3, Put(b"a", b"3")),
    )
    applied = apply_entries(driver.machine, entries, HERE, Compactor(None))
    assert applied.replies == [(7, PutDone(2))]
    assert applied.bytes == sum(len(each.command) for each in entries)
    assert driver.machine.revision == 4


def test_what_nobody_can_read_moves_only_the_place_in_the_log() -> None:
    driver = Driver()
    odd = entry(1, Put(b"a", b"1"), HERE, 7)._replace(command=b"\xc1")
    replies, unreadable, size, _ = apply_entries(driver.machine, (odd,), HERE, Compactor(None))
    assert (replies, size, driver.machine.applied_index) == ([], 0, 1)
    ((index, term, reason),) = unreadable
    assert (index, term) == (1, TERM)
    assert reason
    assert isinstance(unreadable[0], Unreadable)


def test_an_empty_entry_of_rafts_is_passed() -> None:
    driver = Driver()
    noop = entry(1, Put(b"a", b"1"))._replace(command=b"")
    assert apply_entries(driver.machine, (noop,), HERE, Compactor(None)) == Applied([], [], 0, ())
    assert driver.machine.applied_index == 1


def test_a_compaction_that_is_to_be_done_on_the_disk_is_answered_later() -> None:
    driver, compactor = Driver(), Compactor(None)
    entries = (
        entry(1, Put(b"a", b"1")),
        entry(2, Compact(2, physical=True), HERE, 7),
        entry(3, Compact(2), HERE, 8),
    )
    applied = apply_entries(driver.machine, entries, HERE, compactor)
    assert [ticket for ticket, _ in applied.replies] == [8]
    driver.sweep()
    assert compactor.take_done(driver.machine.sweeper.swept_revision) == ((7, Done(2)),)


# --- snapshots --------------------------------------------------------------------------------


def copied(driver: Driver, path: Path) -> Path:
    """A copy of what a driver has committed."""
    driver.commit()
    failures: list[StorageError | None] = []
    driver.backend.copy(path, failures.append)
    assert failures == [None]
    return path


def test_a_snapshot_that_is_newer_is_of_use(tmp_path: Path) -> None:
    ahead, behind = Driver(), Driver()
    ahead.do(Put(b"a", b"1"))
    found = finish(read_snapshot(behind.machine, copied(ahead, tmp_path / "copy")))
    assert isinstance(found, NewState)
    assert found.machine.revision == ahead.machine.revision


def test_a_snapshot_that_is_not_new_is_of_none(tmp_path: Path) -> None:
    one, other = Driver(), Driver()
    for driver in (one, other):
        driver.do(Put(b"a", b"1"))
    path = copied(one, tmp_path / "copy")
    assert finish(read_snapshot(other.machine, path)) == "it is no newer than the store"


def test_a_damaged_snapshot_is_of_none_either(tmp_path: Path) -> None:
    ahead, behind = Driver(), Driver()
    ahead.do(Put(b"a", b"1"))
    path = copied(ahead, tmp_path / "copy")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    reason = finish(read_snapshot(behind.machine, path))
    assert isinstance(reason, str)
    assert "damaged" in reason


def test_lease_hears_of_all_there_are_and_of_those_that_are_gone() -> None:
    old, new = Driver(), Driver()
    for driver, leases in ((old, (9, 5, 3)), (new, (3, 4))):
        for lease in leases:
            driver.do(LeaseGrant(lease, 5_000))
    gone = [LeaseFact(9, 0), LeaseFact(5, 0)]
    there = [LeaseFact(3, 6_000), LeaseFact(4, 6_000)]
    news = finish(lease_news(old.machine, new.machine))
    assert news == (LeaseFacts((*gone, *there), 1_000),)


def test_watch_hears_that_something_happened_in_between() -> None:
    old, new = Driver(), Driver()
    assert watch_news(old.machine, new.machine) is None
    new.do(Put(b"a", b"1"))
    assert watch_news(old.machine, new.machine) == Skipped(2)


# --- who watches ------------------------------------------------------------------------------


def test_values_before_are_gathered_while_somebody_wants_them() -> None:
    machine, listeners = Driver().machine, Listeners()
    listeners.open(watch(b"a"), machine)
    assert not machine.gather_previous
    listeners.open(watch(b"b", prev_kv=True), machine)
    assert machine.gather_previous
    listeners.forget((b"another",), machine)
    assert machine.gather_previous
    listeners.forget((b"client",), machine)
    assert not machine.gather_previous
    assert not listeners.connections
