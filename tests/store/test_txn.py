"""Transactions by etcd's rules, case by case, and increments; the model is in test_txn_model."""

from __future__ import annotations

import pytest

from actors.language.commands import (
    Change,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Increment,
    LeaseGrant,
    Put,
    Range,
    Txn,
    TxnOp,
)
from actors.language.queries import LeaseTimeToLive
from actors.language.results import (
    DeleteDone,
    Failure,
    Incremented,
    LeaseLife,
    PutDone,
    RangeDone,
    TxnDone,
)
from actors.store.backlog import portion
from actors.store.steps import finish
from tests.store.driver import Driver, everything

VERSION, CREATE, MOD, VALUE, LEASE, COUNT = CompareTarget
EQUAL, GREATER, LESS, NOT_EQUAL = CompareResult


def do(*operations: TxnOp) -> Txn:
    """A transaction without conditions."""
    return Txn((), operations, ())


def holds(
    driver: Driver,
    target: CompareTarget,
    result: CompareResult,
    operand: int | bytes,
    key: bytes = b"a",
    range_end: bytes = b"",
) -> bool:
    """Whether a compare holds; asked as a query and as a command."""
    txn = Txn((Compare(target, result, key, range_end, operand),), (), ())
    done = driver.do(txn)
    assert done == driver.ask(txn)
    assert isinstance(done, TxnDone)
    return done.succeeded


@pytest.mark.parametrize(
    ("target", "found", "less", "more"),
    [
        (VERSION, 2, 1, 3),
        (CREATE, 2, 1, 3),
        (MOD, 3, 2, 4),
        (LEASE, 7, 6, 8),
        (VALUE, b"bb", b"ab", b"bbb"),
        (COUNT, 1, 0, 2),
    ],
)
def test_each_target_is_compared_in_each_way(
    driver: Driver,
    target: CompareTarget,
    found: int | bytes,
    less: int | bytes,
    more: int | bytes,
) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.do(Put(b"a", b"x"))
    driver.do(Put(b"a", b"bb", lease=7))
    assert [holds(driver, target, EQUAL, each) for each in (less, found, more)] == [0, 1, 0]
    assert [holds(driver, target, NOT_EQUAL, each) for each in (less, found, more)] == [1, 0, 1]
    assert [holds(driver, target, GREATER, each) for each in (less, found, more)] == [1, 0, 0]
    assert [holds(driver, target, LESS, each) for each in (less, found, more)] == [0, 0, 1]


@pytest.mark.parametrize("range_end", [b"", b"b", b"\0"])
def test_an_absent_key_compares_as_zero_and_its_value_never(
    driver: Driver, range_end: bytes
) -> None:
    for target in (VERSION, CREATE, MOD, LEASE, COUNT):
        assert holds(driver, target, EQUAL, 0, range_end=range_end)
        assert holds(driver, target, LESS, 1, range_end=range_end)
    for result in CompareResult:
        assert not holds(driver, VALUE, result, b"", range_end=range_end)


def test_each_key_of_an_interval_must_satisfy_a_compare(driver: Driver) -> None:
    for key in (b"a", b"b", b"c"):
        driver.do(Put(key, b"1"))
    assert holds(driver, VERSION, EQUAL, 1, range_end=b"d")
    assert holds(driver, MOD, LESS, 5, b"a", b"d")
    assert not holds(driver, MOD, LESS, 4, b"a", b"d")
    assert holds(driver, MOD, LESS, 4, b"a", b"c")
    assert holds(driver, COUNT, EQUAL, 3, b"\0", b"\0")
    assert not holds(driver, COUNT, EQUAL, 3, b"b", b"\0")


def test_all_changes_are_one_revision_in_the_order_of_the_operations(driver: Driver) -> None:
    driver.do(Put(b"old", b"1"))
    driver.machine.take_events()
    inner = do(Put(b"b", b"2"), Increment(b"n", 5))
    done = driver.do(do(Put(b"a", b"1"), inner, DeleteRange(b"old")))
    assert done == TxnDone(
        3, True, (PutDone(3), TxnDone(0, True, (PutDone(3), Incremented(3, 5))), DeleteDone(3, 1))
    )
    events = driver.machine.take_events()
    assert [(event.kv.key, event.kv.mod_revision) for event in events] == [
        (b"a", 3),
        (b"b", 3),
        (b"n", 3),
        (b"old", 3),
    ]
    assert events[-1].change is Change.DELETED
    assert driver.history(b"\0", b"\0", 3, False) == events


def test_later_operations_see_what_earlier_ones_did(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    done = driver.do(do(Range(b"a"), Put(b"a", b"2"), Range(b"a"), Range(b"a", revision=2)))
    assert isinstance(done, TxnDone)
    before, _, after, past = done.responses
    values = [each.kvs[0].value for each in (before, after, past) if isinstance(each, RangeDone)]
    assert values == [b"1", b"2", b"1"]
    assert [each.revision for each in done.responses] == [2, 3, 3, 3]


def test_nested_compares_are_of_the_state_before_the_whole(driver: Driver) -> None:
    absent = Compare(VERSION, EQUAL, b"a", b"", 0)
    inner = Txn((absent,), (Put(b"b", b"was not there"),), (Put(b"b", b"was there"),))
    driver.do(do(Put(b"a", b"1"), inner))
    found = driver.get(b"b")
    assert found is not None
    assert found.value == b"was not there"


def test_a_transaction_that_changes_nothing_takes_no_revision(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    for txn in (do(), do(Range(b"a")), do(DeleteRange(b"x")), do(do())):
        assert driver.do(txn).revision == 2
    assert driver.ask(do(Range(b"a"))) == driver.do(do(Range(b"a")))


LEASE_NOT_FOUND, KEY_NOT_FOUND = Failure("LeaseNotFound"), Failure("KeyNotFound")
COMPACTED, FUTURE = Failure("Compacted"), Failure("FutureRev")
DUPLICATE = Failure("DuplicateKey")


@pytest.mark.parametrize(
    ("operation", "failure"),
    [
        (Put(b"x", b"1", lease=9), LEASE_NOT_FOUND),
        (Put(b"x", b"", ignore_value=True), KEY_NOT_FOUND),
        (Put(b"x", b"1", ignore_lease=True), KEY_NOT_FOUND),
        (Put(b"x", b"", lease=9, ignore_value=True), KEY_NOT_FOUND),
        (Put(b"x", b"1", lease=7, ttl_ms=5), Failure("LeaseExist")),
        (Put(b"x", b"1", lease=0, ttl_ms=5), LEASE_NOT_FOUND),
        (Put(b"x", b"1", lease=1 << 63, ttl_ms=5), LEASE_NOT_FOUND),
        (Put(b"x", b"1", lease=8, ttl_ms=1 << 60), Failure("LeaseTTLTooLarge")),
        (Range(b"a", revision=99), FUTURE),
        (Range(b"a", revision=2), COMPACTED),
        (Range(b"a", revision=-1), COMPACTED),
        (Increment(b"text", 1), Failure("NotAnInteger")),
        (Increment(b"most", 1), Failure("IncrementOverflow")),
        (do(do(Increment(b"text", 1))), Failure("NotAnInteger")),
        (Increment(b"first", 1), DUPLICATE),
        (Put(b"first", b"", ignore_value=True), KEY_NOT_FOUND),
        (Put(b"b", b"", ignore_value=True), KEY_NOT_FOUND),
    ],
)
def test_what_cannot_be_done_leaves_nothing_done(
    driver: Driver, operation: TxnOp, failure: Failure
) -> None:
    driver.do(LeaseGrant(7, 5_000))
    driver.do(Put(b"a", b"1", lease=7))
    driver.do(Put(b"text", b"1x"))
    driver.do(Put(b"most", b"9223372036854775807"))
    driver.do(Compact(3))
    before = everything(driver.machine)
    assert driver.do(do(Put(b"first", b"1"), DeleteRange(b"b", b"c"), operation)) == failure
    after = everything(driver.machine)
    assert after.pop("place") > before.pop("place")
    assert after == before


@pytest.mark.parametrize(
    "keeps", [Put(b"x", b"", ignore_value=True), Put(b"x", b"1", ignore_lease=True)]
)
def test_what_was_never_there_is_not_found_also_after_a_delete(driver: Driver, keeps: Put) -> None:
    everything_goes = DeleteRange(b"\0", b"\0")
    assert driver.do(do(everything_goes, keeps)) == KEY_NOT_FOUND
    driver.do(Put(b"x", b"1"))
    assert driver.do(do(everything_goes, keeps)) == DUPLICATE


def test_what_would_fail_in_the_branch_not_taken_does_no_harm(driver: Driver) -> None:
    done = driver.do(Txn((), (), (Put(b"x", b"1", lease=9), Range(b"a", revision=99))))
    assert done == TxnDone(1, True, ())


def test_faults_of_changes_come_before_those_of_ranges(driver: Driver) -> None:
    txn = do(Range(b"a", revision=99), do(Put(b"x", b"1", lease=9)))
    assert driver.do(txn) == LEASE_NOT_FOUND


@pytest.mark.parametrize(("revision", "failure"), [(99, FUTURE), (-5, COMPACTED)])
def test_a_read_only_transaction_fails_as_a_command_does(
    driver: Driver, revision: int, failure: Failure
) -> None:
    txn = do(Range(b"a", revision=revision))
    assert (driver.ask(txn), driver.do(txn)) == (failure, failure)


def test_a_query_of_a_transaction_answers_as_the_command(driver: Driver) -> None:
    for key in (b"a", b"b", b"c"):
        driver.do(Put(key, key))
    bigger = Compare(VALUE, GREATER, b"a", b"d", b"A")
    inner = Txn((Compare(COUNT, EQUAL, b"a", b"d", 3),), (Range(b"c"),), ())
    txn = Txn((bigger,), (Range(b"a", b"d", limit=2), inner, Range(b"a", revision=2)), ())
    assert driver.ask(txn) == driver.do(txn)


def test_a_transaction_without_sound_form_is_done_whole_or_refused(driver: Driver) -> None:
    twice = do(Put(b"a", b"1"), DeleteRange(b"a"), Put(b"a", b"2"), Put(b"a", b"3"))
    assert driver.do(twice).revision == 2
    state = everything(driver.machine)
    driver.commit()
    driver.crash()
    assert everything(driver.machine) == state
    found = driver.get(b"a")
    assert found is not None
    assert (found.value, found.version, found.create_revision) == (b"3", 2, 2)


# --- what watchers are told -------------------------------------------------------------------

FROM_A = DeleteRange(b"a", b"\0", prev_kv=True)


@pytest.mark.parametrize("was_there", [True, False])
@pytest.mark.parametrize(
    "operations",
    [
        (Put(b"a", b"2", prev_kv=True), FROM_A),
        (FROM_A, Put(b"a", b"2", prev_kv=True)),
        (Put(b"b", b"1"), Put(b"a", b"2"), FROM_A, Put(b"a", b"3"), FROM_A),
        (Increment(b"a", 2), do(FROM_A, Put(b"a", b"3"))),
    ],
)
def test_watchers_see_the_value_before_the_revision_however_often_a_key_is_changed_in_it(
    driver: Driver, was_there: bool, operations: tuple[TxnOp, ...]
) -> None:
    driver.machine.gather_previous = True
    driver.do(Put(b"a" if was_there else b"z", b"1"))
    (first,) = driver.machine.take_events()
    revision = driver.do(do(*operations)).revision
    events = driver.machine.take_events()
    told = [event for event in events if event.kv.key == b"a"]
    assert len(told) >= 1 + was_there
    for change, kv, previous in told:
        # As in etcd, what a put creates anew has nothing before it.
        is_created = change is Change.PUT and kv.version == 1
        assert previous == (first.kv if was_there and not is_created else None)
    for _ in range(2):
        store = driver.machine.store
        assert driver.history(b"\0", b"\0", revision, True) == events
        assert finish(portion(store, revision, (), True)) == (revision, events)
        driver.commit()


def test_the_answers_have_the_value_before_the_operation(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    first = driver.get(b"a")
    put = Put(b"a", b"2", prev_kv=True)
    changed, deleted = driver.do(do(put, FROM_A)).responses
    assert (changed, deleted.deleted) == (PutDone(3, first), 1)
    assert [kv.value for kv in deleted.prev_kvs] == [b"2"]
    driver.do(Put(b"a", b"3"))
    deleted, created = driver.do(do(FROM_A, put)).responses
    assert [kv.value for kv in deleted.prev_kvs] == [b"3"]
    assert created == PutDone(5)


# --- leases in puts ---------------------------------------------------------------------------


def test_a_put_with_a_ttl_grants_its_lease_in_the_same_entry(driver: Driver) -> None:
    put = Put(b"a", b"1", lease=7, ttl_ms=1_500)
    assert driver.do(put) == PutDone(2, None, 7, 1_500)
    assert driver.ask(LeaseTimeToLive(7, keys=True)) == LeaseLife(2, 7, 1_500, 1_500, (b"a",))
    assert driver.do(put) == Failure("LeaseExist")
    assert driver.machine.take_lease_facts() == [(7, 2_500)]
    assert driver.machine.revision == 2


def test_a_put_with_a_ttl_that_fails_grants_nothing(driver: Driver) -> None:
    put = Put(b"a", b"", lease=7, ignore_value=True, ttl_ms=1_500)
    assert driver.do(put) == KEY_NOT_FOUND
    assert driver.ask(LeaseTimeToLive(7)) == LeaseLife(1, 7, -1, 0)


def test_a_lease_granted_in_a_transaction_can_be_used_further_on_in_it(driver: Driver) -> None:
    grants = Put(b"a", b"1", lease=7, ttl_ms=1_500)
    done = driver.do(do(grants, Put(b"b", b"2", lease=7)))
    assert done.responses == (PutDone(2, None, 7, 1_500), PutDone(2))
    assert driver.ask(LeaseTimeToLive(7, keys=True)).keys == (b"a", b"b")
    assert driver.do(do(Put(b"c", b"1", lease=8), grants)) == LEASE_NOT_FOUND
    again = Put(b"d", b"1", lease=8, ttl_ms=1)
    assert driver.do(do(again, again._replace(key=b"e"))) == Failure("LeaseExist")


# --- increments -------------------------------------------------------------------------------


def test_a_counter_begins_at_nothing_and_keeps_its_lease(driver: Driver) -> None:
    assert driver.do(Increment(b"n", 5)) == Incremented(2, 5)
    driver.do(LeaseGrant(7, 5_000))
    driver.do(Put(b"n", b"", lease=7, ignore_value=True))
    assert driver.do(Increment(b"n", -7)) == Incremented(4, -2)
    found = driver.get(b"n")
    assert found is not None
    assert (found.value, found.lease, found.version, found.create_revision) == (b"-2", 7, 3, 2)


@pytest.mark.parametrize(
    ("value", "delta", "result"),
    [
        (b"0", 0, Incremented(3, 0)),
        (b"9223372036854775807", -1, Incremented(3, 2**63 - 2)),
        (b"-9223372036854775808", 0, Incremented(3, -(2**63))),
        (b"9223372036854775807", 1, Failure("IncrementOverflow")),
        (b"-9223372036854775808", -1, Failure("IncrementOverflow")),
        (b"9223372036854775808", -1, Failure("NotAnInteger")),
        (b"1", 2**64 - 1, Failure("IncrementOverflow")),
        *[
            (value, 1, Failure("NotAnInteger"))
            for value in (b"", b"-", b"-0", b"007", b" 1", b"1 ", b"1_0", b"+1", b"1.0", b"0x1")
        ],
        (b"1" * 5_000, 1, Failure("NotAnInteger")),
        ("٣".encode(), 1, Failure("NotAnInteger")),
    ],
)
def test_only_a_plain_decimal_integer_of_64_bits_can_be_incremented(
    driver: Driver, value: bytes, delta: int, result: object
) -> None:
    driver.do(Put(b"n", value))
    assert driver.do(Increment(b"n", delta)) == result


def test_watchers_see_the_value_before_an_increment(driver: Driver) -> None:
    driver.machine.gather_previous = True
    driver.do(Increment(b"n", 5))
    driver.do(do(Increment(b"n", 5)))
    previous = [event.prev_kv and event.prev_kv.value for event in driver.machine.take_events()]
    assert previous == [None, b"5"]
