"""Revisions, ranges and deletes by etcd's rules, on the disk and on its twin."""

from __future__ import annotations

import pytest

from actors.language.commands import Change, Compact, DeleteRange, Event, KeyValue, Put, Range
from actors.language.results import DeleteDone, Failure, PutDone, RangeDone
from actors.store.storage import Backend
from tests.store.driver import Driver

ALL = (b"\0", b"\0")


def _keys(result: RangeDone) -> list[bytes]:
    return [kv.key for kv in result.kvs]


@pytest.fixture(params=["fresh", "committed", "restarted"])
def driver(request: pytest.FixtureRequest, backend: Backend) -> Driver:
    """Run each test three times: reads from memory, from the backend, and from a rebuilt index."""
    return Driver(
        backend, commits=request.param == "committed", restarts=request.param == "restarted"
    )


def test_an_empty_store_is_at_revision_1_and_the_first_write_is_2(driver: Driver) -> None:
    assert driver.ask(Range(b"a")) == RangeDone(1, (), False, 0)
    assert driver.do(Put(b"a", b"1")) == PutDone(2)
    assert driver.machine.revision == 2


def test_metadata_counts_from_the_creation_of_the_key(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    driver.do(Put(b"b", b"1"))
    driver.do(Put(b"a", b"1"))
    assert driver.get(b"a") == KeyValue(b"a", 2, 4, 2, b"1", 0)


def test_a_key_put_again_after_its_deletion_begins_anew(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    driver.do(Put(b"a", b"2"))
    driver.do(DeleteRange(b"a"))
    driver.do(Put(b"a", b"3"))
    assert driver.get(b"a") == KeyValue(b"a", 5, 5, 1, b"3", 0)


def test_an_empty_value_is_a_value(driver: Driver) -> None:
    driver.do(Put(b"a", b""))
    assert driver.get(b"a") == KeyValue(b"a", 2, 2, 1, b"", 0)


def test_a_range_is_deleted_in_one_revision(driver: Driver) -> None:
    for key in (b"c", b"a", b"b", b"d"):
        driver.do(Put(key, b"1"))
    assert driver.do(DeleteRange(b"a", b"d")) == DeleteDone(6, 3)
    assert _keys(driver.ask(Range(*ALL))) == [b"d"]
    tombstones = [KeyValue(key, 0, 6, 0, b"", 0) for key in (b"a", b"b", b"c")]
    history = driver.history(*ALL, 6, False)
    assert history == tuple(Event(Change.DELETED, kv, None) for kv in tombstones)


def test_deleting_nothing_takes_no_revision(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    assert driver.do(DeleteRange(b"b", b"z")) == DeleteDone(2, 0)
    assert driver.do(DeleteRange(b"z", b"a")) == DeleteDone(2, 0)
    assert driver.machine.revision == 2


def test_previous_values_are_returned_only_when_asked_for(driver: Driver) -> None:
    first = KeyValue(b"a", 2, 2, 1, b"1", 0)
    assert driver.do(Put(b"a", b"1", prev_kv=True)) == PutDone(2, None)
    assert driver.do(Put(b"a", b"2", prev_kv=True)) == PutDone(3, first)
    assert driver.do(Put(b"a", b"3")) == PutDone(4, None)
    last = KeyValue(b"a", 2, 4, 3, b"3", 0)
    assert driver.do(DeleteRange(b"a", prev_kv=True)) == DeleteDone(5, 1, (last,))


def test_ignore_value_keeps_the_value_and_needs_the_key(driver: Driver) -> None:
    assert driver.do(Put(b"a", b"", ignore_value=True)) == Failure("KeyNotFound")
    assert driver.machine.revision == 1
    driver.do(Put(b"a", b"1"))
    assert driver.do(Put(b"a", b"", ignore_value=True)) == PutDone(3)
    assert driver.get(b"a") == KeyValue(b"a", 2, 3, 2, b"1", 0)


def test_ignore_lease_needs_the_key(driver: Driver) -> None:
    assert driver.do(Put(b"a", b"1", ignore_lease=True)) == Failure("KeyNotFound")
    assert driver.get(b"a") is None


@pytest.mark.parametrize(
    ("key", "range_end", "expected"),
    [
        (b"b", b"", [b"b"]),
        (b"x", b"", []),
        (b"b", b"d", [b"b", b"c"]),
        (b"b", b"\0", [b"b", b"c", b"d"]),
        (b"\0", b"\0", [b"a", b"b", b"c", b"d"]),
        (b"c", b"b", []),
        (b"b", b"b", []),
        (b"b\0", b"c", []),
    ],
)
def test_an_interval_holds_its_start_and_not_its_end(
    driver: Driver, key: bytes, range_end: bytes, expected: list[bytes]
) -> None:
    for each in (b"d", b"b", b"a", b"c"):
        driver.do(Put(each, b"1"))
    result = driver.ask(Range(key, range_end))
    assert (_keys(result), result.count) == (expected, len(expected))
    driver.do(DeleteRange(*ALL))
    past = driver.ask(Range(key, range_end, revision=5))
    assert (_keys(past), past.count) == (expected, len(expected))


@pytest.mark.parametrize("revision", [0, 4])
def test_a_limit_cuts_the_answer_and_not_the_count(driver: Driver, revision: int) -> None:
    for key in (b"a", b"b", b"c", b"d"):
        driver.do(Put(key, b"1"))
    whole = 3 if revision else 4
    result = driver.ask(Range(*ALL, limit=2, revision=revision))
    assert (_keys(result), result.more, result.count) == ([b"a", b"b"], True, whole)
    result = driver.ask(Range(*ALL, limit=whole, revision=revision))
    assert (len(result.kvs), result.more, result.count) == (whole, False, whole)


@pytest.mark.parametrize("revision", [0, 3])
def test_keys_only_and_count_only_spare_what_they_say(driver: Driver, revision: int) -> None:
    driver.do(Put(b"a", b"1"))
    driver.do(Put(b"a", b"2"))
    driver.do(Put(b"a", b"3"))
    now = KeyValue(b"a", 2, 3 if revision else 4, 2 if revision else 3, b"", 0)
    result = driver.ask(Range(*ALL, revision=revision, keys_only=True))
    assert result == RangeDone(4, (now,), False, 1)
    result = driver.ask(Range(*ALL, revision=revision, count_only=True))
    assert result == RangeDone(4, (), False, 1)


def test_a_read_of_the_past_sees_it_and_answers_with_the_present_revision(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    driver.do(Put(b"a", b"2"))
    driver.do(DeleteRange(b"a"))
    driver.do(Put(b"a", b"3"))
    values = [kv and kv.value for kv in (driver.get(b"a", revision) for revision in range(1, 6))]
    assert values == [None, b"1", b"2", None, b"3"]
    assert driver.ask(Range(b"a", revision=2)).revision == 5


def test_a_revision_ahead_of_the_store_is_refused(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    assert driver.ask(Range(b"a", revision=3)) == Failure("FutureRev")
    assert driver.ask(Range(b"a", revision=2)).count == 1


def test_a_revision_behind_the_compaction_is_refused(driver: Driver) -> None:
    for value in (b"1", b"2", b"3"):
        driver.do(Put(b"a", value))
    driver.do(Compact(3))
    assert driver.ask(Range(b"a", revision=2)) == Failure("Compacted")
    assert driver.get(b"a", 3) == KeyValue(b"a", 2, 3, 2, b"2", 0)


def test_history_tells_each_change_with_the_value_before_it(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    driver.do(Put(b"b", b"1"))
    driver.do(Put(b"a", b"2"))
    driver.do(DeleteRange(*ALL))
    driver.do(Put(b"a", b"3"))
    a1, b1 = KeyValue(b"a", 2, 2, 1, b"1", 0), KeyValue(b"b", 3, 3, 1, b"1", 0)
    a2, a3 = KeyValue(b"a", 2, 4, 2, b"2", 0), KeyValue(b"a", 6, 6, 1, b"3", 0)
    assert driver.history(*ALL, 4, True) == (
        Event(Change.PUT, a2, a1),
        Event(Change.DELETED, KeyValue(b"a", 0, 5, 0, b"", 0), a2),
        Event(Change.DELETED, KeyValue(b"b", 0, 5, 0, b"", 0), b1),
        Event(Change.PUT, a3, None),
    )
    assert driver.history(b"b", b"", 3, False)[0] == Event(Change.PUT, b1, None)
    assert driver.history(*ALL, 7, True) == ()
