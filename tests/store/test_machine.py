"""The machine is a function of its log: restarts, commits and who runs it make no difference."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.language.commands import (
    AdvanceClock,
    AlarmActivate,
    AlarmDeactivate,
    AlarmType,
    Command,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Event,
    Expiry,
    Increment,
    LeaseExpire,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseRevoke,
    Member,
    MemberPeers,
    MemberPublish,
    Put,
    Range,
    Sequence,
    SessionOpen,
    SetMembers,
    Txn,
)
from actors.language.queries import MemberList, RaftStatus, Status
from actors.language.results import Done, Members, Result, StatusDone
from actors.store.disk.backend import LmdbBackend
from actors.store.machine import Machine
from actors.store.sessions import SessionLimits
from actors.store.storage import Backend
from tests.store.driver import FOUNDERS, TERM, Driver, commit, everything, history
from tests.twins import MemoryBackend

_keys = st.sampled_from([b"a", b"b", b"b1", b"c"])
_leases = st.integers(1, 3)
_flags = st.booleans()

_counters = st.just(b"n")
_puts = st.builds(
    Put,
    _keys,
    st.binary(max_size=3),
    st.just(0) | _leases,
    _flags,
    _flags,
    _flags,
    st.sampled_from([0, 0, 900]),
)
_compares = st.builds(
    Compare,
    st.sampled_from([CompareTarget.VERSION, CompareTarget.LEASE, CompareTarget.COUNT]),
    st.sampled_from(CompareResult),
    _keys,
    st.sampled_from([b"", b"\0"]),
    st.integers(0, 2),
)
_operations = st.one_of(
    _puts,
    st.builds(DeleteRange, _keys, st.sampled_from([b"", b"c"]), _flags),
    st.builds(Increment, _counters, st.integers(-3, 3)),
    st.builds(Range, _keys, st.just(b"\0"), st.integers(0, 2)),
)
_branches = st.lists(_operations, max_size=3).map(tuple)
_txns = st.builds(Txn, st.lists(_compares, max_size=1).map(tuple), _branches, _branches)
_alarm = (st.integers(0, 2), st.sampled_from(AlarmType))

_commands: st.SearchStrategy[Command | None] = st.one_of(
    _puts,
    st.builds(Increment, _keys | _counters, st.integers(-3, 3)),
    _txns,
    st.builds(DeleteRange, _keys, st.sampled_from([b"", b"c", b"\0"]), _flags),
    st.builds(LeaseGrant, _leases, st.integers(1, 4).map(lambda seconds: seconds * 1_000)),
    st.builds(LeaseRevoke, _leases),
    st.builds(LeaseKeepAlive, _leases),
    st.builds(AlarmActivate, *_alarm),
    st.builds(AlarmDeactivate, *_alarm),
    st.builds(AlarmDeactivate, st.just(0), st.just(AlarmType.NONE)),
    st.builds(SessionOpen, st.integers(1, 3)),
    st.just(AdvanceClock()),
    st.none(),  # Raft's no-op
    st.builds(MemberPublish, st.integers(1, 3), st.text(max_size=3), st.just(("tcp://c:1",))),
    st.builds(
        SetMembers,
        st.lists(
            st.builds(MemberPeers, st.integers(1, 4), st.just(("tcp://d:1",)), _flags),
            min_size=1,
            max_size=4,
            unique_by=lambda member: member.id,
        ).map(tuple),
        st.binary(max_size=3),
    ),
)

# Deadlines guessed at random are never due: the run fills in the real ones.
_expire = st.just("expire what is due")

_sequences = st.none() | st.builds(
    Sequence, st.integers(1, 3), st.integers(1, 6), st.integers(1, 5)
)

LIMITS = SessionLimits(
    sessions_max=2,
    ttl_ms=20_000,
    spared_ms=700,
    results_max=3,
    results_bytes_max=800,
    result_bytes_max=900,
    table_bytes_max=1_200,
)
"""So small that all of them are met."""

_steps = st.tuples(
    st.sampled_from([0, 0, 1, 700, 2_500, LIMITS.ttl_ms // 2]),
    _commands | _expire,
    _sequences,
    st.sampled_from(["go on", "go on", "commit", "crash"]),
)

Entry = tuple[int, Command | None, Sequence | None]


def _machine(backend: Backend) -> Machine:
    return Machine(backend, FOUNDERS, LIMITS, leases_max=2)


def _apply(machine: Machine, entry: Entry) -> Result | None:
    time_ms, command, sequence = entry
    index = machine.applied_index + 1
    term = 1 + index // 5
    if command is None:
        machine.skip(index, term, time_ms)
        return None
    return machine.apply(index, term, time_ms, command, sequence)


def _due(machine: Machine, time_ms: int) -> LeaseExpire:
    leases = machine.leases.table.values()
    return LeaseExpire(
        tuple(Expiry(each.id, each.deadline_ms) for each in leases if time_ms >= each.deadline_ms)
    )


def _run(
    backend: Backend, steps: list[tuple[int, Command | str | None, Sequence | None, str]]
) -> None:
    """One machine that never stops, and one that commits and crashes: they must not differ."""
    steady, shaken = _machine(MemoryBackend()), _machine(backend)
    log: list[Entry] = []
    results: list[Result | None] = []
    events: list[Event] = []
    time_ms = 1_000
    opening = [(0, SessionOpen(session), None, "go on") for session in (1, 2)]
    for pause_ms, command, sequence, then in [*opening, *steps]:
        time_ms += pause_ms
        made = _due(steady, time_ms) if isinstance(command, str) else command
        log.append((time_ms, made, sequence))
        results.append(_apply(steady, log[-1]))
        events += steady.take_events()
        assert _apply(shaken, log[-1]) == results[-1]
        if then == "commit":
            commit(shaken, backend)
        if then == "crash":
            shaken = _machine(backend)
            for index in range(shaken.applied_index, len(log)):
                assert _apply(shaken, log[index]) == results[index]
        assert everything(shaken) == everything(steady)
    told = [event._replace(prev_kv=None) for event in events]
    assert told == list(history(steady, b"\0", b"\0", 0, False))


@settings(max_examples=300)
@given(st.lists(_steps, max_size=40))
def test_a_machine_that_crashes_equals_one_that_does_not(
    steps: list[tuple[int, Command | str | None, Sequence | None, str]],
) -> None:
    _run(MemoryBackend(), steps)


@settings(max_examples=40)
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
            driver.machine.apply(index, TERM, 1_000, Put(b"a", b"1"), None)
        with pytest.raises(AssertionError, match=f"entry {index} after 1"):
            driver.machine.skip(index, TERM, 1_000)
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


def test_members_that_are_known_keep_what_they_published_and_others_come_and_go(
    driver: Driver,
) -> None:
    driver.do(MemberPublish(1, "n1", ("tcp://a:2379",)))
    one = MemberPeers(1, ("tcp://a:9",), False)
    three = MemberPeers(3, ("tcp://c:2380",), True)
    done = driver.do(SetMembers((three, one), b"raft's own"))
    assert done == Members(
        1,
        (
            Member(1, "n1", ("tcp://a:9",), ("tcp://a:2379",), False),
            Member(3, "", ("tcp://c:2380",), (), True),
        ),
    )
    assert driver.ask(MemberList()) == done
    driver.commit()
    driver.crash()
    assert driver.ask(MemberList()) == done
    assert driver.machine.membership == b"raft's own"


def test_a_removed_member_that_publishes_late_does_not_come_back(driver: Driver) -> None:
    driver.do(SetMembers((MemberPeers(1, ("tcp://a:2380",), False),), b""))
    driver.do(MemberPublish(2, "n2", ("tcp://b:2379",)))
    assert [member.id for member in driver.ask(MemberList()).members] == [1]


def test_the_term_of_the_last_entry_is_kept_with_its_index(driver: Driver) -> None:
    driver.machine.apply(1, 4, 1_000, Put(b"a", b"1"), None)
    driver.machine.skip(2, 7, 1_000)
    driver.commit()
    driver.crash()
    assert (driver.machine.applied_index, driver.machine.applied_term) == (2, 7)


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
