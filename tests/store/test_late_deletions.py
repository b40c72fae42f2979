"""Deletions that count at once and are worked off later, against a store that does all at once.

Nobody may see how far the work is. So a question is asked, or a command applied, at any of its
steps, and both stores must say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.language.commands import (
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Event,
    Expiry,
    Increment,
    LeaseExpire,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Range,
    SortOrder,
    SortTarget,
    Txn,
)
from actors.language.messages import (
    Apply,
    ConfirmedRead,
    Events,
    LocalRead,
    Question,
    ReadHistory,
    Replies,
)
from actors.language.queries import HashKV, History, LeaseTimeToLive, WholeHash
from actors.language.results import DeleteDone, LeaseLife, RangeDone, TxnDone
from actors.store import long_entry, writes
from actors.store.machine import Machine
from tests.store.driver import FOUNDERS, Driver, everything
from tests.store.shell import HERE, Node
from tests.twins import MemoryBackend

ALL = (b"\0", b"\0")
LEASES = (3, 4)
NEVER = 1_000_000
LATE_MIN = 2

_keys = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
_ends = st.sampled_from([b"", b"\0", b"\0", b"c", b"e", b"f"])
_no = st.just(False)
_leases = st.sampled_from([0, 0, *LEASES])
_revisions = st.just(0) | st.integers(2, 30)

_puts = st.builds(
    Put, _keys, st.sampled_from([b"1", b"2"]), _leases, _no, _no, st.booleans(), st.just(0)
)
_deletes = st.builds(DeleteRange, _keys, _ends, st.sampled_from([False, False, False, True]))
_ranges = st.builds(
    Range,
    _keys,
    _ends,
    st.integers(0, 2),
    _revisions,
    st.booleans(),
    st.booleans(),
    st.sampled_from(SortOrder),
    st.just(SortTarget.KEY),
    *[st.just(0)] * 4,
)
_compares = st.builds(
    Compare,
    st.sampled_from([CompareTarget.VERSION, CompareTarget.COUNT, CompareTarget.LEASE]),
    st.just(CompareResult.EQUAL),
    _keys,
    _ends,
    st.integers(0, 3),
)
_changes = _puts | _deletes | st.just(DeleteRange(*ALL)) | _ranges
_branches = st.lists(_changes, max_size=3).map(tuple)
_compared = st.lists(_compares, max_size=1).map(tuple)
_inner = st.builds(Txn, _compared, _branches, _branches)
_outer_branches = st.lists(_changes | _inner, max_size=4).map(tuple)
_commands = st.one_of(
    *[_puts] * 6,
    _deletes,
    st.just(DeleteRange(*ALL)),
    st.builds(Increment, _keys, st.just(1)),
    st.builds(Txn, _compared, _outer_branches, _branches),
    st.builds(Compact, st.integers(2, 30)),
    st.builds(LeaseGrant, st.sampled_from(LEASES), st.just(500)),
    st.builds(LeaseRevoke, st.sampled_from(LEASES)),
    st.builds(LeaseExpire, st.just(tuple(Expiry(each, 1_500) for each in LEASES))),
)
_queries = st.one_of(
    _ranges,
    st.builds(History, _keys, st.integers(0, 2), _revisions),
    st.builds(HashKV, _revisions),
    st.builds(LeaseTimeToLive, st.sampled_from(LEASES), st.just(True)),
    st.just(WholeHash()),
)
_chores = st.sampled_from(
    ["settle 1", "settle 2", "commit", "sweep 2", "restart", "past", "history", "prev"]
)
_programs = st.lists(_commands | _commands | _queries | _chores, min_size=10, max_size=60)


@contextmanager
def late_from(keys: int) -> Iterator[None]:
    with patch.object(writes, "LATE_KEYS_MIN", keys):
        yield


class Pair:
    """A store that works deletions off later, and one that does not; both have the same log."""

    def __init__(self) -> None:
        self.late, self.prompt = Driver(), Driver()
        self._log: list[tuple[Command, int]] = []

    def do(self, step: Any) -> None:
        """One step of a program, in both."""
        match step:
            case str():
                self._work(step)
            case Range() | History() | HashKV() | LeaseTimeToLive() | WholeHash():
                assert self.late.ask(step) == self.prompt.ask(step)
            case _:
                self.late.now_ms += 100
                self.prompt.now_ms = self.late.now_ms
                self._log.append((step, self.late.now_ms))
                with late_from(LATE_MIN):
                    done = self.late.do(step)
                with late_from(NEVER):
                    assert self.prompt.do(step) == done
                assert self.told(self.late) == self.told(self.prompt)

    def _work(self, chore: str) -> None:
        late, prompt = self.late, self.prompt
        number = int(chore.split()[1]) if " " in chore else 0
        if chore.startswith("settle"):
            late.machine.store.index.settle(number)
        elif chore == "commit":
            late.commit()
        elif chore.startswith("sweep"):
            late.machine.sweeper.hurry()
            if late.machine.sweeper.is_due:
                late.machine.sweeper.work(number)
        elif chore == "restart":
            late.crash()
            late.machine.gather_previous = prompt.machine.gather_previous
            for command, now_ms in self._log[late.machine.applied_index :]:
                late.now_ms = now_ms
                with late_from(LATE_MIN):
                    late.do(command)
            self.told(late)
        elif chore == "past":
            prompt_store = prompt.machine.store
            for revision in range(max(1, prompt_store.compact_revision), prompt_store.revision + 1):
                at = Range(*ALL, revision=revision)
                assert late.ask(at) == prompt.ask(at)
        elif chore == "history":
            start = max(1, late.machine.store.compact_revision)
            assert late.history(*ALL, start, True) == prompt.history(*ALL, start, True)
        else:  # somebody watches with prev_kv, or does not any more
            for each in (late, prompt):
                each.machine.gather_previous = not each.machine.gather_previous

    @staticmethod
    def told(driver: Driver) -> list[Event]:
        """What watchers are told of the last command, taken in two ways that must agree."""
        events = driver.machine.take_events()
        assert [events[at] for at in range(len(events))] == list(events)
        assert [*events[:2], *events[2:]] == list(events)
        return list(events)

    def compare(self) -> None:
        """All there is, as it is now, when all is worked off, and after a restart."""
        expected = everything(self.prompt.machine)
        assert everything(self.late.machine) == expected
        index = self.late.machine.store.index
        while index.is_late:
            index.settle(1)
        assert everything(self.late.machine) == expected
        ever = list(index.ever_between(b"", None, descending=False))
        assert ever == sorted(set(ever))
        self.late.commit()
        self.late.crash()
        expected["place"] = (*expected["place"][:2], self.late.machine.cluster_ms)
        assert everything(self.late.machine) == expected


@settings(max_examples=200)
@given(_programs)
def test_nobody_sees_how_far_a_deletion_is_worked_off(program: list[Any]) -> None:
    pair = Pair()
    for lease in LEASES:
        pair.do(LeaseGrant(lease, 500))
    for step in program:
        pair.do(step)
    pair.compare()


@settings(max_examples=200)
@given(
    st.lists(_leases, min_size=5, max_size=5),
    st.sampled_from([ALL, (b"a", b"c"), (b"b", b"e"), (b"c", b"\0")]),
    st.none() | st.tuples(_branches, _outer_branches),
    st.lists(_puts | st.sampled_from(["settle 1", "past"]), max_size=3),
    _programs,
)
def test_after_many_were_deleted_nobody_sees_how_far_that_is(
    leases: list[int],
    interval: tuple[bytes, bytes],
    around: tuple[tuple[Any, ...], tuple[Any, ...]] | None,
    first: list[Any],
    program: list[Any],
) -> None:
    pair = Pair()
    puts = [Put(b"%c" % key, b"0", lease) for key, lease in zip(b"abcde", leases, strict=True)]
    granted = [LeaseGrant(lease, 500) for lease in LEASES]
    plain = DeleteRange(*interval)
    deletion = plain if around is None else Txn((), (*around[0], plain, *around[1]), ())
    for step in [*granted, *puts, deletion, *first, "past", *program]:
        pair.do(step)
    pair.compare()


# --- the actor -----------------------------------------------------------------------------------

KEYS = 20


def filled() -> Node:
    """A node with KEYS keys on lease 3, all of it committed; a turn works off two keys."""
    node = Node(MemoryBackend(), slice_steps_max=1)
    node.apply(LeaseGrant(3, 500), *(Put(b"k%02d" % each, b"v", lease=3) for each in range(KEYS)))
    node.commit()
    return node


@contextmanager
def small_steps() -> Iterator[None]:
    with late_from(LATE_MIN), patch.object(long_entry, "ITEMS_PER_STEP", 2):
        yield


def replies(told: list[tuple[str, Any]]) -> dict[int, Any]:
    """Answers by ticket."""
    found = [message for _, message in told if isinstance(message, Replies)]
    return {ticket: result for each in found for ticket, result in each.replies}


@small_steps()
def test_writes_and_linearizable_reads_do_not_wait_for_a_large_deletion() -> None:
    node = filled()
    deletion = node.entry(DeleteRange(*ALL), HERE, 7)
    told = node.hear(Apply((deletion, node.entry(Put(b"k03", b"w"), HERE, 8))))
    told += node.hear(ConfirmedRead((Question(9, Range(*ALL, keys_only=True)),), 0))
    found = replies(told)
    assert node.machine.store.index.is_late
    assert found[7] == DeleteDone(KEYS + 2, KEYS, ())
    assert found[8].revision == KEYS + 3
    assert isinstance(found[9], RangeDone)
    assert [(kv.key, kv.version) for kv in found[9].kvs] == [(b"k03", 1)]


@small_steps()
def test_watchers_are_told_of_it_before_what_follows() -> None:
    node = filled()
    told = node.apply(Put(b"a", b"1"), DeleteRange(*ALL), Put(b"b", b"1"))
    (events,) = [message for _, message in told if isinstance(message, Events)]
    assert events.revision == KEYS + 4
    assert [event.kv.mod_revision for event in events.events] == [
        KEYS + 2,
        *[KEYS + 3] * (KEYS + 1),
        KEYS + 4,
    ]


@small_steps()
def test_it_is_worked_off_turn_by_turn_while_others_go_on() -> None:
    node = filled()
    node.apply(DeleteRange(*ALL))
    turns = 0
    while node.machine.store.index.is_late:
        node.now_ms += 1
        node.tick()
        node.apply(Put(b"k%02d" % turns, b"w"))
        turns += 1
    assert turns >= KEYS // 2
    assert node.machine.store.index.count(*ALL) == turns
    assert node.machine.leases.table[3].keys == set()


@small_steps()
def test_a_commit_need_not_wait_for_the_work_and_holds_all_of_it() -> None:
    node = filled()
    node.apply(DeleteRange(*ALL), Put(b"k03", b"w"))
    expected = everything(node.machine)
    node.actor.commit_now()
    assert node.machine.store.index.is_late
    assert everything(Machine(node.backend, FOUNDERS)) == expected


@small_steps()
def test_nobody_sees_a_part_of_a_transaction_that_deletes_very_many() -> None:
    node = filled()
    changes = Put(b"a", b"1"), DeleteRange(*ALL), Put(b"k03", b"w"), Range(*ALL, keys_only=True)
    with patch.object(writes, "ITEMS_PER_STEP", 1):
        told = node.hear(
            Apply((node.entry(Put(b"b", b"1")), node.entry(Txn((), changes, ()), HERE, 7)))
        )
        seen = []
        while node.machine.is_busy:
            (read,) = node.hear(LocalRead((Question(9, Range(*ALL, keys_only=True)),)))
            seen.append((node.machine.store.index.is_late, len(replies([read])[9].kvs)))
            node.now_ms += 1
            told += node.tick()
    assert set(seen) >= {(True, KEYS + 1)}
    assert {count for _, count in seen} == {KEYS + 1}
    done = replies(told)[7]
    assert isinstance(done, TxnDone)
    put, deletion, _, found = done.responses
    assert (put.revision, deletion) == (KEYS + 3, DeleteDone(KEYS + 3, KEYS + 2, ()))
    assert isinstance(found, RangeDone)
    assert [(kv.key, kv.version) for kv in found.kvs] == [(b"k03", 1)]
    first, whole = [message for _, message in told if isinstance(message, Events)]
    assert (first.revision, len(first.events)) == (KEYS + 2, 1)
    there = sorted([b"a", b"b", *(b"k%02d" % each for each in range(KEYS))])
    assert [event.kv.key for event in whole.events] == [b"a", *there, b"k03"]
    assert {event.kv.mod_revision for event in whole.events} == {KEYS + 3}


@small_steps()
def test_a_lease_has_lost_its_keys_at_once() -> None:
    node = filled()
    node.apply(DeleteRange(*ALL), Put(b"k05", b"w", lease=3))
    told = node.hear(ConfirmedRead((Question(9, LeaseTimeToLive(3, keys=True)),), 0))
    while 9 not in replies(told):
        node.now_ms += 1
        told += node.tick()
    life = replies(told)[9]
    assert isinstance(life, LeaseLife)
    assert life.keys == (b"k05",)


@small_steps()
def test_a_watch_that_reads_the_past_sees_it_while_it_is_worked_off() -> None:
    node = filled()
    node.apply(DeleteRange(*ALL), Put(b"k03", b"w"))
    told = node.hear(ReadHistory(KEYS + 2, (), False))
    while not any(name == "watch" for name, _ in told):
        node.now_ms += 1
        told += node.tick()
    (portion,) = [message for name, message in told if name == "watch"]
    assert len(portion.events) == KEYS + 1
    assert portion.events[-1].kv.key == b"k03"
