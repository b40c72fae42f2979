"""Leases on cluster time: never early, exact, and the same after a restart."""

from __future__ import annotations

import pytest

from actors.language.commands import (
    AdvanceClock,
    Change,
    DeleteRange,
    Event,
    Expiry,
    KeyValue,
    LeaseExpire,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseRevoke,
    Put,
    Range,
    Txn,
)
from actors.language.queries import LeaseLeases, LeaseTimeToLive
from actors.language.results import (
    Done,
    Failure,
    LeaseGranted,
    LeaseKeptAlive,
    LeaseLife,
    LeaseRevoked,
    Leases,
    PutDone,
)
from actors.store import writes
from actors.store.storage import Backend
from tests.store.driver import Driver

ALL = Range(b"\0", b"\0")


@pytest.fixture(params=["fresh", "restarted"])
def driver(request: pytest.FixtureRequest, backend: Backend) -> Driver:
    """Run each test with leases from memory, and with leases read back after each entry."""
    return Driver(backend, restarts=request.param == "restarted")


def _life(driver: Driver, lease_id: int) -> tuple[int, int, tuple[bytes, ...] | None]:
    life = driver.ask(LeaseTimeToLive(lease_id, keys=True))
    assert isinstance(life, LeaseLife)
    return life.remaining_ms, life.granted_ms, life.keys


def test_a_grant_takes_no_revision_and_an_id_only_once(driver: Driver) -> None:
    assert driver.do(LeaseGrant(7, 5_000)) == LeaseGranted(1, 7, 5_000)
    assert driver.do(LeaseGrant(7, 9_000)) == Failure("LeaseExist")
    assert _life(driver, 7) == (5_000, 5_000, ())


def test_a_cluster_has_only_so_many_leases_at_a_time(backend: Backend) -> None:
    driver = Driver(backend, restarts=True, leases_max=2)
    too_many = Failure("TooManyLeases")
    for lease_id in (7, 8):
        driver.do(LeaseGrant(lease_id, 5_000))
    assert driver.do(LeaseGrant(9, 5_000)) == too_many
    assert driver.do(LeaseGrant(8, 5_000)) == Failure("LeaseExist")
    assert driver.do(Put(b"a", b"1", lease=9, ttl_ms=5_000)) == too_many
    assert driver.do(LeaseKeepAlive(8)) == LeaseKeptAlive(1, 8, 5_000)
    driver.do(LeaseRevoke(7))
    two = tuple(Put(key, b"1", lease=lease, ttl_ms=5_000) for key, lease in ((b"a", 7), (b"b", 9)))
    assert driver.do(Txn((), two, ())) == too_many
    assert driver.do(Txn((), two[:1], ())).succeeded
    assert sorted(driver.machine.leases.table) == [7, 8]


def test_what_remains_of_a_lease_follows_cluster_time_and_stops_at_0(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.now_ms += 1_200
    assert _life(driver, 7) == (3_800, 5_000, ())
    driver.now_ms += 10_000
    assert _life(driver, 7) == (0, 5_000, ())


def test_a_query_with_an_older_time_than_the_state_uses_the_state_s(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.now_ms += 1_000
    driver.do(AdvanceClock())
    driver.now_ms -= 900
    assert _life(driver, 7) == (4_000, 5_000, ())


def test_a_missing_lease_has_no_life_left(driver: Driver) -> None:
    assert driver.ask(LeaseTimeToLive(7, keys=True)) == LeaseLife(1, 7, -1, 0, None)


def test_a_put_with_an_unknown_lease_writes_nothing(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    assert driver.do(Put(b"a", b"2", lease=7)) == Failure("LeaseNotFound")
    assert driver.get(b"a") == KeyValue(b"a", 2, 2, 1, b"1", 0)


def test_a_put_without_a_lease_detaches_the_key(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.do(Put(b"a", b"1", lease=7))
    assert _life(driver, 7)[2] == (b"a",)
    driver.do(Put(b"a", b"2"))
    assert _life(driver, 7)[2] == ()
    assert driver.do(LeaseRevoke(7)) == LeaseRevoked(3)
    assert driver.get(b"a") == KeyValue(b"a", 2, 3, 2, b"2", 0)


def test_a_key_moves_to_the_lease_of_its_last_put(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.do(LeaseGrant(8, 5_000))
    driver.do(Put(b"a", b"1", lease=7))
    driver.do(Put(b"a", b"2", lease=8))
    assert (_life(driver, 7)[2], _life(driver, 8)[2]) == ((), (b"a",))


def test_ignore_lease_keeps_the_key_attached(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.do(Put(b"a", b"1", lease=7))
    assert driver.do(Put(b"a", b"2", ignore_lease=True)) == PutDone(3)
    assert driver.get(b"a") == KeyValue(b"a", 2, 3, 2, b"2", 7)
    assert _life(driver, 7)[2] == (b"a",)


def test_a_deleted_key_leaves_its_lease(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.do(Put(b"a", b"1", lease=7))
    driver.do(DeleteRange(b"a"))
    driver.do(Put(b"a", b"2"))
    assert _life(driver, 7)[2] == ()
    assert driver.do(LeaseRevoke(7)) == LeaseRevoked(4)


def test_revoking_deletes_the_keys_in_order_in_one_revision(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    for key in (b"c", b"a", b"b"):
        driver.do(Put(key, b"1", lease=7))
    driver.do(Put(b"other", b"1"))
    assert driver.do(LeaseRevoke(7)) == LeaseRevoked(6)
    assert [kv.key for kv in driver.ask(ALL).kvs] == [b"other"]
    assert driver.history(b"\0", b"\0", 6, False) == tuple(
        Event(Change.LEASE_REVOKED, KeyValue(key, 0, 6, 0, b"", 0), None)
        for key in (b"a", b"b", b"c")
    )
    assert driver.do(LeaseRevoke(7)) == Failure("LeaseNotFound")


def test_revoking_a_lease_without_keys_takes_no_revision(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    assert driver.do(LeaseRevoke(7)) == LeaseRevoked(1)


def test_a_keep_alive_starts_the_ttl_anew(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.now_ms += 4_000
    assert driver.do(LeaseKeepAlive(7)) == LeaseKeptAlive(1, 7, 5_000)
    assert _life(driver, 7) == (5_000, 5_000, ())
    assert driver.do(LeaseKeepAlive(8)) == LeaseKeptAlive(1, 8, 0)


def test_an_expiry_before_the_deadline_does_nothing(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.do(Put(b"a", b"1", lease=7))
    driver.now_ms += 4_999
    assert driver.do(LeaseExpire((Expiry(7, 6_000),))) == Done(2)
    driver.now_ms += 1
    assert driver.do(LeaseExpire((Expiry(7, 6_000),))) == Done(3)
    assert driver.get(b"a") is None


def test_an_expiry_of_a_deadline_that_has_moved_does_nothing(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.now_ms += 6_000
    assert driver.do(LeaseKeepAlive(7)) == LeaseKeptAlive(1, 7, 5_000)
    driver.now_ms += 60_000
    driver.do(LeaseExpire((Expiry(7, 6_000),)))
    assert driver.ask(LeaseLeases()) == Leases(1, (7,))


def test_a_lease_past_its_deadline_lives_until_an_entry_ends_it(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.now_ms += 60_000
    assert driver.do(Put(b"a", b"1", lease=7)) == PutDone(2)
    assert driver.get(b"a") is not None


def test_each_expired_lease_with_keys_takes_one_revision(driver: Driver) -> None:
    for lease_id in (7, 8, 9):
        driver.do(LeaseGrant(lease_id, 5_000))
    for key, lease_id in ((b"b", 7), (b"a", 7), (b"c", 9)):
        driver.do(Put(key, b"1", lease=lease_id))
    driver.now_ms += 5_000
    expiries = tuple(Expiry(lease_id, 6_000) for lease_id in (9, 8, 7, 6))
    assert driver.do(LeaseExpire(expiries)) == Done(6)
    events = driver.history(b"\0", b"\0", 5, False)
    assert [(change, kv.key, kv.mod_revision) for change, kv, _ in events] == [
        (Change.LEASE_EXPIRED, b"c", 5),
        (Change.LEASE_EXPIRED, b"a", 6),
        (Change.LEASE_EXPIRED, b"b", 6),
    ]
    assert driver.ask(LeaseLeases()) == Leases(6, ())


def test_leases_are_listed_by_deadline_and_then_by_id(driver: Driver) -> None:
    for lease_id, ttl_ms in ((9, 3_000), (5, 8_000), (3, 8_000), (-4, 1_000)):
        driver.do(LeaseGrant(lease_id, ttl_ms))
    driver.now_ms += 500
    driver.do(LeaseKeepAlive(9))
    assert driver.ask(LeaseLeases()) == Leases(1, (-4, 9, 3, 5))


def test_facts_tell_of_each_grant_renewal_and_end_in_order(backend: Backend) -> None:
    driver = Driver(backend)
    driver.do(LeaseGrant(7, 5_000))
    driver.now_ms += 1_000
    driver.do(LeaseKeepAlive(7))
    driver.do(LeaseRevoke(7))
    driver.do(LeaseRevoke(7))
    driver.do(LeaseKeepAlive(7))
    assert driver.machine.take_lease_facts() == [(7, 6_000), (7, 7_000), (7, 0)]
    assert driver.machine.take_lease_facts() == []


def test_an_entry_expires_no_more_leases_when_it_has_deleted_very_many_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Driver()
    monkeypatch.setattr(writes, "EXPIRED_KEYS_MAX", 3)
    for lease in (1, 2, 3):
        driver.do(LeaseGrant(lease, 1_000))
        driver.do(Put(b"a%d" % lease, b"1", lease=lease))
        driver.do(Put(b"b%d" % lease, b"1", lease=lease))
    driver.machine.take_lease_facts()
    driver.now_ms += 1_000
    due = LeaseExpire(tuple(Expiry(lease, 2_000) for lease in (1, 2, 3)))
    driver.do(due)
    assert driver.machine.take_lease_facts() == [(1, 0), (2, 0), (3, 2_000)]
    driver.do(due)
    assert driver.machine.take_lease_facts() == [(3, 0)]
    assert driver.ask(ALL).count == 0
