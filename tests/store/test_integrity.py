"""What members hash of their state, and whom the hashes accuse."""

from __future__ import annotations

import pytest

from actors.language.commands import (
    AlarmActivate,
    AlarmType,
    Command,
    Compact,
    DeleteRange,
    IntegrityCheck,
    IntegrityReport,
    LeaseGrant,
    LeaseKeepAlive,
    MemberPublish,
    Put,
    SessionOpen,
)
from actors.store import integrity as integrity_module
from actors.store.digest import hash_revisions
from actors.store.integrity import Check, Tally, next_slice
from actors.store.steps import finish
from tests.store.driver import Driver

MEMBERS = (1, 2, 3)


def tally(**hashes: int) -> Tally:
    """What members reported, led by member 1."""
    made = Tally(10, leader=1)
    for name, found in hashes.items():
        made.add(int(name[1:]), found)
    return made


def check_of(driver: Driver) -> Check:
    """A check at the beginning of a round, as it is applied."""
    driver.do(IntegrityCheck(1, 0, driver.machine.revision + 1))
    (check,) = driver.machine.take_checks()
    assert isinstance(check, Check)
    return check


# --- whom the hashes accuse -------------------------------------------------------------------


def test_members_that_agree_accuse_nobody() -> None:
    assert tally(m1=5, m2=5, m3=5).accused(MEMBERS) == []
    assert tally(m2=5).accused(MEMBERS) == []
    assert tally().accused(MEMBERS) == []


@pytest.mark.parametrize("odd", MEMBERS)
def test_the_majority_accuses_who_differs_even_the_leader(odd: int) -> None:
    hashes = {f"m{member}": 7 if member == odd else 5 for member in MEMBERS}
    assert tally(**hashes).accused(MEMBERS) == [odd]


def test_without_a_majority_the_leader_is_believed() -> None:
    assert tally(m1=5, m2=6, m3=7).accused(MEMBERS) == [2, 3]
    assert tally(m1=5, m3=7).accused(MEMBERS) == [3]
    assert tally(m2=6, m3=7).accused(MEMBERS) == []
    assert tally(m1=5, m2=6).accused((1, 2)) == [2]


def test_half_is_no_majority() -> None:
    four = (1, 2, 3, 4)
    assert tally(m1=5, m2=6, m3=6).accused(four) == [2, 3]
    assert tally(m1=5, m2=6, m3=6, m4=6).accused(four) == [1]


def test_a_member_that_is_none_any_more_does_not_count() -> None:
    assert tally(m1=5, m2=5, m9=6).accused(MEMBERS) == []
    assert not tally(m1=5, m2=5, m9=6).is_complete(MEMBERS)
    assert tally(m1=5, m2=5, m3=6).is_complete(MEMBERS)


def test_the_first_report_of_a_member_counts() -> None:
    made = tally(m1=5, m2=5)
    made.add(2, 6)
    assert made.accused(MEMBERS) == []


# --- what is hashed ---------------------------------------------------------------------------


def test_the_slices_of_a_round_cover_every_revision_once(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity_module, "SLICE_CHANGES", 30)
    for number in range(1_000):
        driver.do(Put(b"key%d" % (number % 50), b"v"))
    driver.do(DeleteRange(b"key1", b"key4"))
    driver.do(Compact(500))
    driver.sweep()
    store = driver.machine.store
    start, covered = 0, []
    while start <= store.revision:
        begin, end = finish(next_slice(store, start))
        assert begin == start < end
        covered.append((begin, end))
        start = end
    assert len(covered) > 1
    assert finish(next_slice(store, start)) == covered[0]


def test_a_slice_ends_with_many_bytes_too(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity_module, "SLICE_BYTES", 100)
    for _ in range(400):
        driver.do(Put(b"key", b"v"))
    driver.do(Put(b"key", b"v" * 1_000))
    driver.commit()
    start, end = finish(next_slice(driver.machine.store, 0))
    assert (start, end) == (0, 258)


def test_a_store_without_keys_has_one_empty_slice(driver: Driver) -> None:
    assert finish(next_slice(driver.machine.store, 0)) == (0, 2)
    assert finish(next_slice(driver.machine.store, 2)) == (0, 2)


def test_the_hash_of_a_slice_does_not_change_with_what_comes_later(driver: Driver) -> None:
    for number in range(100):
        driver.do(Put(b"key%d" % (number % 9), b"%d" % number))
    driver.do(Compact(60))
    store = driver.machine.store
    before = finish(hash_revisions(store, 0, 102))
    driver.do(Put(b"key1", b"later"))
    driver.do(DeleteRange(b"key2"))
    driver.sweep()
    assert finish(hash_revisions(store, 0, 102)) == before
    assert finish(hash_revisions(store, 0, 103)) != before


@pytest.mark.parametrize(
    "command",
    [
        LeaseGrant(9, 1_000),
        LeaseKeepAlive(7),
        SessionOpen(9),
        MemberPublish(1, "other", ("tcp://h:1",)),
        AlarmActivate(2, AlarmType.NOSPACE),
    ],
)
def test_the_beginning_of_a_round_hashes_all_that_is_no_revision(command: Command) -> None:
    drivers = [Driver(), Driver()]
    for driver in drivers:
        driver.do(LeaseGrant(7, 5_000))
        driver.do(SessionOpen(7))
        driver.now_ms += 10
    assert len({check_of(driver).state_hash for driver in drivers}) == 1
    drivers[0].do(command)
    drivers[1].do(Put(b"no", b"state"))
    assert len({check_of(driver).state_hash for driver in drivers}) == 2


def test_a_restart_hashes_the_same() -> None:
    driver = Driver()
    driver.do(LeaseGrant(7, 5_000))
    driver.do(SessionOpen(7))
    driver.do(MemberPublish(1, "n1", ("tcp://h:1",)))
    driver.commit()
    restarted = Driver(driver.backend)
    assert check_of(driver).state_hash == check_of(restarted).state_hash


def test_many_leases_have_their_turn_one_part_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(integrity_module, "RECORDS_MAX", 10)
    odd, sound = Driver(), Driver()
    for driver in (odd, sound):
        for lease_id in range(1, 36):
            driver.do(LeaseGrant(lease_id, 5_000))
    odd.machine.leases.table[17].deadline_ms += 1
    differ = [check_of(odd).state_hash != check_of(sound).state_hash for _ in range(8)]
    assert differ.count(True) == 2


def test_checks_and_reports_change_nothing() -> None:
    driver = Driver()
    revision = driver.do(Put(b"a", b"1")).revision
    assert driver.do(IntegrityCheck(1, 0, 3)).revision == revision
    assert driver.do(IntegrityReport(2, 1, 99)).revision == revision
    assert len(driver.machine.take_checks()) == 2
    assert driver.machine.take_checks() == []
