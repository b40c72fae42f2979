"""The machine is a function of its log: restarts, commits and who runs it make no difference."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.store.backend import LmdbBackend
from actors.store.commands import (
    AdvanceClock,
    Command,
    DeleteRange,
    Done,
    Event,
    Expiry,
    LeaseExpire,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseRevoke,
    Member,
    MemberList,
    MemberPublish,
    Members,
    Put,
    RaftStatus,
    Result,
    Sequence,
    SessionOpen,
    Status,
    StatusDone,
)
from actors.store.machine import Machine
from actors.store.sessions import SESSION_TTL_MS
from actors.store.storage import Backend
from tests.store.driver import FOUNDERS, Driver, everything
from tests.twins import MemoryBackend

_keys = st.sampled_from([b"a", b"b", b"b1", b"c"])
_leases = st.integers(1, 3)
_flags = st.booleans()

_commands: st.SearchStrategy[Command | None] = st.one_of(
    st.builds(Put, _keys, st.binary(max_size=3), st.just(0) | _leases, _flags, _flags, _flags),
    st.builds(DeleteRange, _keys, st.sampled_from([b"", b"c", b"\0"]), _flags),
    st.builds(LeaseGrant, _leases, st.integers(1, 4).map(lambda seconds: seconds * 1_000)),
    st.builds(LeaseRevoke, _leases),
    st.builds(LeaseKeepAlive, _leases),
    st.just(SessionOpen()),
    st.just(AdvanceClock()),
    st.none(),  # Raft's no-op
    st.builds(MemberPublish, st.integers(1, 3), st.text(max_size=3), st.just(("tcp://c:1",))),
)

# Deadlines guessed at random are never due: the run fills in the real ones.
_expire = st.just("expire what is due")

_sequences = st.none() | st.builds(
    Sequence, st.integers(1, 3), st.integers(1, 6), st.integers(1, 5)
)

_steps = st.tuples(
    st.sampled_from([0, 0, 1, 700, 2_500, SESSION_TTL_MS // 2]),
    _commands | _expire,
    _sequences,
    st.sampled_from(["go on", "go on", "commit", "crash"]),
)

Entry = tuple[int, Command | None, Sequence | None]


def _apply(machine: Machine, entry: Entry) -> Result | None:
    time_ms, command, sequence = entry
    index = machine.applied_index + 1
    if command is None:
        machine.skip(index, time_ms)
        return None
    return machine.apply(index, time_ms, command, sequence)


def _due(machine: Machine, time_ms: int) -> LeaseExpire:
    leases = machine.leases.table.values()
    return LeaseExpire(
        tuple(Expiry(each.id, each.deadline_ms) for each in leases if time_ms >= each.deadline_ms)
    )


def _run(
    backend: Backend, steps: list[tuple[int, Command | str | None, Sequence | None, str]]
) -> None:
    """One machine that never stops, and one that commits and crashes: they must not differ."""
    steady, shaken = Machine(MemoryBackend(), FOUNDERS), Machine(backend, FOUNDERS)
    log: list[Entry] = []
    results: list[Result | None] = []
    events: list[Event] = []
    time_ms = 1_000
    opening = [(0, SessionOpen(), None, "go on")] * 2
    for pause_ms, command, sequence, then in [*opening, *steps]:
        time_ms += pause_ms
        made = _due(steady, time_ms) if isinstance(command, str) else command
        log.append((time_ms, made, sequence))
        results.append(_apply(steady, log[-1]))
        events += steady.take_events()
        assert _apply(shaken, log[-1]) == results[-1]
        if then == "commit":
            backend.commit(shaken.take_changes())
        if then == "crash":
            shaken = Machine(backend, FOUNDERS)
            for index in range(shaken.applied_index, len(log)):
                assert _apply(shaken, log[index]) == results[index]
        assert everything(shaken) == everything(steady)
    told = [event._replace(prev_kv=None) for event in events]
    assert told == list(steady.history(b"\0", b"\0", 0, False))


@settings(max_examples=300, deadline=None)
@given(st.lists(_steps, max_size=40))
def test_a_machine_that_crashes_equals_one_that_does_not(
    steps: list[tuple[int, Command | str | None, Sequence | None, str]],
) -> None:
    _run(MemoryBackend(), steps)


@settings(max_examples=40, deadline=None)
@given(st.lists(_steps, max_size=40))
def test_a_machine_on_disk_that_crashes_equals_one_in_memory_that_does_not(
    steps: list[tuple[int, Command | str | None, Sequence | None, str]],
) -> None:
    directory = Path(tempfile.mkdtemp())
    backend = LmdbBackend(directory / "store.lmdb", map_size_bytes=1 << 18)
    try:
        _run(backend, steps)
    finally:
        backend.close()
        shutil.rmtree(directory)


def test_entries_must_follow_one_another(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    for index in (1, 3):
        with pytest.raises(AssertionError, match=f"entry {index} after 1"):
            driver.machine.apply(index, 1_000, Put(b"a", b"1"), None)
        with pytest.raises(AssertionError, match=f"entry {index} after 1"):
            driver.machine.skip(index, 1_000)
    assert driver.machine.revision == 2


def test_founding_members_have_no_name_until_they_publish_one(driver: Driver) -> None:
    first, second = sorted(FOUNDERS)
    assert driver.ask(MemberList()) == Members(1, (first, second))
    assert driver.do(MemberPublish(1, "n1", ("tcp://a:2379",))) == Done(1)
    published = Member(1, "n1", ("tcp://a:2380",), ("tcp://a:2379",), False)
    assert driver.ask(MemberList()) == Members(1, (published, second))
    driver.commit()
    driver.crash()
    assert driver.ask(MemberList()) == Members(1, (published, second))


def test_a_stranger_publishes_nothing(driver: Driver) -> None:
    assert driver.do(MemberPublish(3, "n3", ())) == Done(1)
    assert driver.ask(MemberList()) == Members(1, tuple(sorted(FOUNDERS)))


def test_a_status_adds_the_store_s_facts_to_raft_s(driver: Driver) -> None:
    driver.do(Put(b"a", b"1"))
    driver.commit()
    raft = RaftStatus(leader=1, term=3, last_index=9, is_learner=False)
    status = driver.ask(Status(raft))
    size, in_use = driver.backend.size()
    assert status == StatusDone(2, size, in_use, 1, raft)
    assert 0 < in_use <= size


def test_events_carry_the_previous_value_only_while_somebody_wants_it(driver: Driver) -> None:
    driver.do(LeaseGrant(7, 1_000))
    driver.do(Put(b"a", b"1", lease=7))
    driver.do(Put(b"a", b"2", lease=7))
    assert [event.prev_kv for event in driver.machine.take_events()] == [None, None]
    driver.machine.gather_previous = True
    driver.do(Put(b"a", b"3", lease=7))
    driver.do(LeaseRevoke(7))
    events = driver.machine.take_events()
    assert [event.prev_kv and event.prev_kv.value for event in events] == [b"2", b"3"]
