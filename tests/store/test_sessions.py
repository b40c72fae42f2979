"""Exactly once: a retry is answered as the first time, whatever happened in between."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.language.commands import (
    AdvanceClock,
    Command,
    DeleteRange,
    LeaseGrant,
    Put,
    Range,
    Sequence,
    SessionOpen,
    Txn,
)
from actors.language.costs import RESULT_BYTES
from actors.language.results import DeleteDone, Failure, PutDone, Result, SessionOpened, TxnDone
from actors.store.sessions import SESSION_LIMITS, SessionLimits
from actors.store.steps import finish
from actors.store.storage import Backend
from tests.store.driver import Driver, everything

Make = Callable[..., Driver]

NOT_FOUND = Failure("SessionNotFound")
TOO_OLD = Failure("SequenceTooOld")
TOO_MANY = Failure("TooManyOutstanding")
TTL_MS = SESSION_LIMITS.ttl_ms


@pytest.fixture(params=["fresh", "restarted"])
def make(request: pytest.FixtureRequest, backend: Backend) -> Make:
    """Run each test with sessions from memory, and with sessions read back after each entry."""

    def driver(limits: SessionLimits = SESSION_LIMITS) -> Driver:
        return Driver(backend, restarts=request.param == "restarted", session_limits=limits)

    return driver


@pytest.fixture
def driver(make: Make) -> Driver:
    """With the limits that nodes have."""
    return make()


def _open(driver: Driver, session: int = 2**62 + 1) -> int:
    assert driver.do(SessionOpen(session)) == SessionOpened(driver.machine.revision, session)
    return session


def test_an_id_that_is_taken_is_refused_and_its_session_lives_on(driver: Driver) -> None:
    session = _open(driver)
    first = driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    assert driver.do(SessionOpen(session)) == Failure("SessionExist")
    assert driver.do(Put(b"a", b"1"), Sequence(session, 1, 1)) == first


def test_a_repeated_command_is_answered_and_not_applied(driver: Driver) -> None:
    session = _open(driver)
    first = driver.do(Put(b"a", b"1", prev_kv=True), Sequence(session, 1, 1))
    driver.do(Put(b"a", b"2"))
    assert driver.do(Put(b"a", b"1", prev_kv=True), Sequence(session, 1, 1)) == first
    assert driver.machine.revision == 3
    kv = driver.get(b"a")
    assert kv and kv.value == b"2"


def test_a_repeated_failure_fails_again_even_if_it_would_succeed_now(driver: Driver) -> None:
    session = _open(driver)
    put = Put(b"a", b"1", lease=7)
    assert driver.do(put, Sequence(session, 1, 1)) == Failure("LeaseNotFound")
    driver.do(LeaseGrant(7, 60_000))
    assert driver.do(put, Sequence(session, 1, 1)) == Failure("LeaseNotFound")
    assert driver.do(put, Sequence(session, 2, 1)) == PutDone(2)


def test_a_repeated_delete_returns_the_values_it_deleted(driver: Driver) -> None:
    session = _open(driver)
    driver.do(Put(b"a", b"1"))
    delete = DeleteRange(b"a", prev_kv=True)
    first = driver.do(delete, Sequence(session, 1, 1))
    assert driver.do(delete, Sequence(session, 1, 1)) == first
    assert first.prev_kvs[0].value == b"1"


def test_commands_of_one_session_may_arrive_out_of_order(driver: Driver) -> None:
    session = _open(driver)
    assert driver.do(Put(b"b", b"1"), Sequence(session, 2, 1)) == PutDone(2)
    assert driver.do(Put(b"a", b"1"), Sequence(session, 1, 1)) == PutDone(3)
    assert driver.do(Put(b"b", b"1"), Sequence(session, 2, 1)) == PutDone(2)


def test_an_acknowledged_result_is_forgotten_and_not_applied_again(driver: Driver) -> None:
    session = _open(driver)
    for seq in (1, 2, 3):
        driver.do(Put(b"a", b"1"), Sequence(session, seq, 1))
    driver.do(Put(b"a", b"1"), Sequence(session, 4, 3))
    assert driver.do(Put(b"a", b"1"), Sequence(session, 2, 1)) == TOO_OLD
    assert driver.do(Put(b"a", b"1"), Sequence(session, 3, 3)) == PutDone(4)
    assert driver.machine.revision == 5


def test_an_acknowledgement_far_ahead_forgets_all_at_once(driver: Driver) -> None:
    session = _open(driver)
    driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    assert driver.do(Put(b"a", b"1"), Sequence(session, 2**62, 2**62)) == PutDone(3)
    assert driver.do(Put(b"a", b"1"), Sequence(session, 1, 1)) == TOO_OLD
    assert driver.do(Put(b"a", b"1"), Sequence(session, 2**62, 2**62)) == PutDone(3)


def test_an_unknown_session_applies_nothing(driver: Driver) -> None:
    assert driver.do(Put(b"a", b"1"), Sequence(99, 1, 1)) == NOT_FOUND
    assert driver.machine.revision == 1


def test_a_session_with_too_many_results_refuses_new_commands_only(make: Make) -> None:
    driver = make(SessionLimits(results_max=2))
    session = _open(driver)
    driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    driver.do(Put(b"a", b"2"), Sequence(session, 2, 1))
    assert driver.do(Put(b"a", b"3"), Sequence(session, 3, 1)) == TOO_MANY
    assert driver.do(Put(b"a", b"2"), Sequence(session, 2, 1)) == PutDone(3)
    assert driver.do(Put(b"a", b"3"), Sequence(session, 3, 2)) == PutDone(4)


def test_the_lowest_number_is_let_in_whatever_is_kept(make: Make) -> None:
    driver = make(SessionLimits(results_max=2))
    session = _open(driver)
    for seq in (2, 3):
        driver.do(Put(b"a", b"1"), Sequence(session, seq, 1))
    assert driver.do(Put(b"a", b"4"), Sequence(session, 4, 1)) == TOO_MANY
    assert driver.do(Put(b"a", b"1"), Sequence(session, 1, 1)) == PutDone(4)


# --- bytes of results -------------------------------------------------------------------------


def _big_results(driver: Driver, session: int, count: int, value_bytes: int) -> list[Result]:
    """The results of puts that return the value before, none of which is acknowledged."""
    driver.do(Put(b"a", b"v" * value_bytes))
    put = Put(b"a", b"v" * value_bytes, prev_kv=True)
    return [driver.do(put, Sequence(session, seq, 1)) for seq in range(1, count + 1)]


def test_a_session_with_large_results_refuses_new_commands_only(make: Make) -> None:
    driver = make(SessionLimits(results_bytes_max=2_500))
    session = _open(driver)
    kept = _big_results(driver, session, 3, 1_000)
    assert [type(each) for each in kept] == [PutDone, PutDone, Failure]
    assert driver.do(Put(b"a", b"w"), Sequence(session, 2, 1)) == kept[1]
    assert driver.do(Put(b"a", b"w"), Sequence(session, 3, 2)) == PutDone(5)


def test_of_a_result_that_is_too_large_only_that_it_was_given_is_kept(make: Make) -> None:
    driver = make(SessionLimits(result_bytes_max=1_000))
    session = _open(driver)
    (first,) = _big_results(driver, session, 1, 1_000)
    assert isinstance(first, PutDone)
    assert driver.do(Put(b"a", b"w"), Sequence(session, 1, 1)) == TOO_OLD
    assert driver.machine.revision == first.revision


@pytest.mark.parametrize(
    "command",
    [
        Put(b"a", b"w", prev_kv=True),
        DeleteRange(b"a", prev_kv=True),
        Txn((), (Range(b"a"), Put(b"b", b"w")), ()),
        Txn((), (Txn((), (Put(b"a", b"w", prev_kv=True),), ()),), ()),
    ],
)
def test_values_count_wherever_a_result_holds_them(make: Make, command: Command) -> None:
    driver = make(SessionLimits(result_bytes_max=1_000))
    session = _open(driver)
    driver.do(Put(b"a", b"v" * 1_000))
    assert isinstance(driver.do(command, Sequence(session, 1, 1)), PutDone | DeleteDone | TxnDone)
    assert driver.do(command, Sequence(session, 1, 1)) == TOO_OLD


def test_when_all_results_take_too_much_those_sessions_end_that_have_the_most(make: Make) -> None:
    driver = make(SessionLimits(table_bytes_max=7_000))
    modest, greedy, last = (_open(driver, session) for session in (1, 2, 3))
    (small,) = _big_results(driver, modest, 1, 10)
    _big_results(driver, greedy, 3, 1_000)
    (kept,) = _big_results(driver, last, 1, 1_000)
    assert list(driver.machine.sessions.table) == [modest, greedy, last]
    driver.do(Put(b"a", b"w", prev_kv=True), Sequence(last, 2, 1))
    assert driver.do(Put(b"a", b"w"), Sequence(greedy, 1, 1)) == NOT_FOUND
    assert driver.do(Put(b"a", b"w"), Sequence(modest, 1, 1)) == small
    assert driver.do(Put(b"a", b"w"), Sequence(last, 1, 1)) == kept


def test_what_is_acknowledged_or_ended_makes_room(make: Make) -> None:
    driver = make(SessionLimits(table_bytes_max=4 * RESULT_BYTES, ttl_ms=1_000))
    for session in (1, 2, 3):
        _open(driver, session)
        for seq in range(1, 30):
            driver.do(Put(b"a", b"w"), Sequence(session, seq, max(1, seq - 1)))
        assert list(driver.machine.sessions.table) == [session]
        driver.now_ms += 1_000


# --- the end of a session ---------------------------------------------------------------------


def test_a_session_ends_when_it_was_not_used_for_its_ttl(driver: Driver) -> None:
    session = _open(driver)
    driver.now_ms += TTL_MS - 1
    assert driver.do(Put(b"a", b"1"), Sequence(session, 1, 1)) == PutDone(2)
    driver.now_ms += TTL_MS - 1
    assert driver.do(Put(b"a", b"1"), Sequence(session, 1, 1)) == PutDone(2)
    driver.now_ms += TTL_MS
    assert driver.do(Put(b"a", b"1"), Sequence(session, 1, 1)) == NOT_FOUND
    assert driver.machine.revision == 2


def test_cluster_time_that_seems_to_go_back_ends_nothing_and_changes_nothing(
    driver: Driver,
) -> None:
    session = _open(driver)
    driver.now_ms -= 500
    driver.do(AdvanceClock())
    assert driver.machine.cluster_ms == 1_000
    assert driver.do(Put(b"a", b"1"), Sequence(session, 1, 1)) == PutDone(2)


def test_the_least_recently_used_session_makes_room(make: Make) -> None:
    driver = make(SessionLimits(sessions_max=2, spared_ms=1_000))
    first, second = _open(driver, 1), _open(driver, 2)
    driver.do(Put(b"a", b"1"), Sequence(first, 1, 1))
    driver.now_ms += 1_000
    third = _open(driver, 3)
    assert driver.do(Put(b"a", b"1"), Sequence(second, 1, 1)) == NOT_FOUND
    assert driver.do(Put(b"a", b"1"), Sequence(first, 1, 1)) == PutDone(2)
    assert driver.do(Put(b"a", b"1"), Sequence(third, 1, 1)) == PutDone(3)


def test_a_session_in_use_is_not_ended_for_another(make: Make) -> None:
    driver = make(SessionLimits(sessions_max=2, spared_ms=1_000))
    used, other = _open(driver, 1), _open(driver, 2)
    driver.now_ms += 999
    assert driver.do(SessionOpen(3)) == Failure("TooManySessions")
    driver.do(Put(b"a", b"1"), Sequence(used, 1, 1))
    driver.now_ms += 1
    assert driver.do(SessionOpen(3)) == SessionOpened(2, 3)
    assert list(driver.machine.sessions.table) == [used, 3]
    assert driver.do(Put(b"a", b"1"), Sequence(other, 1, 1)) == NOT_FOUND


def test_an_id_that_comes_again_at_once_brings_no_old_results_back(backend: Backend) -> None:
    driver = Driver(backend)
    session = _open(driver)
    driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    driver.commit()
    driver.now_ms += TTL_MS
    driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    _open(driver)
    driver.commit()
    driver.crash()
    assert driver.do(Put(b"a", b"2"), Sequence(session, 1, 1)) == PutDone(3)


def test_an_acknowledged_result_leaves_nothing_on_disk(backend: Backend) -> None:
    driver = Driver(backend, commits=True)
    session = _open(driver)
    for seq in (1, 2, 3):
        driver.do(Put(b"a", b"1"), Sequence(session, seq, seq))
    ((record, results),) = finish(backend.load()).sessions
    assert (record.floor, results) == (3, {3: PutDone(4)})


def test_an_ended_session_leaves_nothing_on_disk(backend: Backend) -> None:
    driver = Driver(backend)
    session = _open(driver)
    driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    driver.commit()
    driver.now_ms += TTL_MS
    assert driver.do(Put(b"a", b"1"), Sequence(session, 2, 1)) == NOT_FOUND
    driver.commit()
    assert finish(backend.load()).sessions == ()


def test_a_session_opened_again_between_two_commits_has_its_own_results_on_disk(
    backend: Backend,
) -> None:
    driver = Driver(backend)
    session = _open(driver)
    driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    driver.do(Put(b"a", b"1"), Sequence(session, 2, 1))
    driver.commit()
    for _ in range(2):
        driver.now_ms += TTL_MS
        assert driver.do(SessionOpen(session)) == SessionOpened(3, session)
    assert driver.do(Put(b"a", b"2"), Sequence(session, 1, 1)) == PutDone(4)
    driver.commit()
    ((_, results),) = finish(backend.load()).sessions
    assert results == {1: PutDone(4)}


def test_a_session_opened_and_ended_between_two_commits_is_not_there_after_a_restart(
    backend: Backend,
) -> None:
    driver = Driver(backend)
    session = _open(driver)
    driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    driver.now_ms += TTL_MS
    other = _open(driver, 5)
    before = everything(driver.machine)
    driver.commit()
    driver.crash()
    assert everything(driver.machine) == before
    assert list(driver.machine.sessions.table) == [other]
