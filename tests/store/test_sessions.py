"""Exactly once: a retry is answered as the first time, whatever happened in between."""

from __future__ import annotations

import pytest

from actors.store import sessions
from actors.store.commands import AdvanceClock, DeleteRange, LeaseGrant, Put, Sequence, SessionOpen
from actors.store.results import Failure, PutDone, SessionOpened
from actors.store.storage import Backend
from tests.store.driver import Driver, everything

NOT_FOUND = Failure("SessionNotFound")


@pytest.fixture(params=["fresh", "restarted"])
def driver(request: pytest.FixtureRequest, backend: Backend) -> Driver:
    """Run each test with sessions from memory, and with sessions read back after each entry."""
    return Driver(backend, restarts=request.param == "restarted")


def _open(driver: Driver) -> int:
    opened = driver.do(SessionOpen())
    assert isinstance(opened, SessionOpened)
    return opened.session


def test_a_session_is_named_by_the_entry_that_opened_it(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    assert driver.do(SessionOpen()) == SessionOpened(2, 2)


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
    assert driver.do(Put(b"a", b"1"), Sequence(session, 2, 1)) == Failure("SequenceTooOld")
    assert driver.do(Put(b"a", b"1"), Sequence(session, 3, 3)) == PutDone(4)
    assert driver.machine.revision == 5


def test_an_acknowledgement_far_ahead_forgets_all_at_once(driver: Driver) -> None:
    session = _open(driver)
    driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    assert driver.do(Put(b"a", b"1"), Sequence(session, 2**62, 2**62)) == PutDone(3)
    assert driver.do(Put(b"a", b"1"), Sequence(session, 1, 1)) == Failure("SequenceTooOld")
    assert driver.do(Put(b"a", b"1"), Sequence(session, 2**62, 2**62)) == PutDone(3)


def test_an_unknown_session_applies_nothing(driver: Driver) -> None:
    assert driver.do(Put(b"a", b"1"), Sequence(99, 1, 1)) == NOT_FOUND
    assert driver.machine.revision == 1


def test_a_session_with_too_many_results_refuses_new_commands_only(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SESSION_RESULTS_MAX", 2)
    session = _open(driver)
    driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    driver.do(Put(b"a", b"2"), Sequence(session, 2, 1))
    refused = driver.do(Put(b"a", b"3"), Sequence(session, 3, 1))
    assert refused == Failure("TooManyOutstanding")
    assert driver.do(Put(b"a", b"2"), Sequence(session, 2, 1)) == PutDone(3)
    assert driver.do(Put(b"a", b"3"), Sequence(session, 3, 2)) == PutDone(4)


def test_a_session_ends_when_it_was_not_used_for_its_ttl(driver: Driver) -> None:
    session = _open(driver)
    driver.now_ms += sessions.SESSION_TTL_MS - 1
    assert driver.do(Put(b"a", b"1"), Sequence(session, 1, 1)) == PutDone(2)
    driver.now_ms += sessions.SESSION_TTL_MS - 1
    assert driver.do(Put(b"a", b"1"), Sequence(session, 1, 1)) == PutDone(2)
    driver.now_ms += sessions.SESSION_TTL_MS
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


def test_the_least_recently_used_session_makes_room(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SESSIONS_MAX", 2)
    first, second = _open(driver), _open(driver)
    driver.do(Put(b"a", b"1"), Sequence(first, 1, 1))
    third = _open(driver)
    assert driver.do(Put(b"a", b"1"), Sequence(second, 1, 1)) == NOT_FOUND
    assert driver.do(Put(b"a", b"1"), Sequence(first, 1, 1)) == PutDone(2)
    assert driver.do(Put(b"a", b"1"), Sequence(third, 1, 1)) == PutDone(3)


def test_an_acknowledged_result_leaves_nothing_on_disk(backend: Backend) -> None:
    driver = Driver(backend, commits=True)
    session = _open(driver)
    for seq in (1, 2, 3):
        driver.do(Put(b"a", b"1"), Sequence(session, seq, seq))
    ((record, results),) = backend.load().sessions
    assert (record.floor, results) == (3, {3: PutDone(4)})


def test_an_ended_session_leaves_nothing_on_disk(backend: Backend) -> None:
    driver = Driver(backend)
    session = _open(driver)
    driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    driver.commit()
    driver.now_ms += sessions.SESSION_TTL_MS
    assert driver.do(Put(b"a", b"1"), Sequence(session, 2, 1)) == NOT_FOUND
    driver.commit()
    assert backend.load().sessions == ()


def test_a_session_opened_and_ended_between_two_commits_is_not_there_after_a_restart(
    backend: Backend,
) -> None:
    driver = Driver(backend)
    session = _open(driver)
    driver.do(Put(b"a", b"1"), Sequence(session, 1, 1))
    driver.now_ms += sessions.SESSION_TTL_MS
    other = _open(driver)
    before = everything(driver.machine)
    driver.commit()
    driver.crash()
    assert everything(driver.machine) == before
    assert list(driver.machine.sessions.table) == [other]
