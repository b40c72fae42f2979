"""An entry that takes several turns: what others see meanwhile, what waits, what a crash leaves."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from actors.language.commands import (
    Command,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Expiry,
    LeaseExpire,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Range,
    Sequence,
    SessionOpen,
    Txn,
)
from actors.language.messages import (
    Apply,
    ConfirmedRead,
    Durable,
    Events,
    LeaseFacts,
    LocalRead,
    Question,
    Replies,
)
from actors.language.queries import HashKV, History, LeaseTimeToLive, MemberList, Query
from actors.language.results import DeleteDone, Failure, RangeDone
from actors.store import writes
from actors.store.machine import Machine
from actors.store.questions import answer
from tests.store.driver import FOUNDERS, everything
from tests.store.shell import HERE, Node, watch
from tests.twins import MemoryBackend

KEYS = 20
ALL = (b"\0", b"\0")
TICKET, READ = 7, 8

LONG: dict[str, Command] = {
    "a deletion": DeleteRange(*ALL),
    "a deletion with values": DeleteRange(*ALL, prev_kv=True),
    "a transaction": Txn((), (Put(b"new", b"1"), DeleteRange(*ALL), Put(b"k03", b"2")), ()),
    "the end of a lease": LeaseRevoke(3),
    "an expiry": LeaseExpire((Expiry(3, 1_500), Expiry(4, 1_500))),
}

QUERIES: dict[str, Query] = {
    "a key": Range(b"k03"),
    "a key that is new": Range(b"new"),
    "all keys": Range(*ALL),
    "their number": Range(*ALL, count_only=True),
    "the last of them": Range(*ALL, keys_only=True, limit=3, min_mod_revision=9),
    "the past": Range(*ALL, revision=9),
    "a transaction": Txn(
        (Compare(CompareTarget.VERSION, CompareResult.GREATER, b"k03", b"", 0),), (Range(*ALL),), ()
    ),
    "a key's history": History(b"k03"),
    "a hash": HashKV(0),
    "an older hash": HashKV(5),
    "members": MemberList(),
}


@pytest.fixture(autouse=True)
def tiny_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step changes two keys, and a turn does one step."""
    monkeypatch.setattr(writes, "ITEMS_PER_STEP", 2)


def filled() -> Node:
    """A node with leases 3 and 4, each with half of the keys; all of it is committed."""
    node = Node(MemoryBackend(), slice_steps_max=1)
    node.apply(LeaseGrant(3, 500), LeaseGrant(4, 500))
    node.apply(*(Put(b"k%02d" % each, b"v", lease=3 + each % 2) for each in range(KEYS)))
    node.time_ms += 500
    node.commit()
    return node


def begin(node: Node, command: Command, *others: Command) -> list[tuple[str, Any]]:
    """Apply a command that takes several turns, and is asked for here, and others after it."""
    entries = [node.entry(command, HERE, TICKET), *(node.entry(each) for each in others)]
    told = node.hear(Apply(tuple(entries)))
    assert node.machine.is_busy
    return told


def replies(told: list[tuple[str, Any]]) -> list[tuple[int, Any]]:
    """All tickets and answers, in order."""
    return [each for _, message in told if isinstance(message, Replies) for each in message.replies]


def done(command: Command) -> dict[str, Any]:
    """What is there when the command was applied whole, and what each query sees of it."""
    node = filled()
    node.machine.apply(node.last_index + 1, 3, node.time_ms, command, None)
    return everything(node.machine)


@pytest.mark.parametrize("command", LONG.values(), ids=LONG)
def test_a_long_entry_does_what_it_would_do_at_once(command: Command) -> None:
    node = filled()
    begin(node, command)
    told = node.settle()
    assert everything(node.machine) == done(command)
    assert [ticket for ticket, _ in replies(told)] == [TICKET]


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize("command", LONG.values(), ids=LONG)
def test_until_its_end_serializable_reads_see_what_was_before(
    command: Command, query: Query
) -> None:
    node = filled()
    before = answer(node.machine, query, 0)
    begin(node, command)
    told: list[tuple[str, Any]] = []
    while node.machine.is_busy:
        told += node.hear(LocalRead((Question(READ, query),)))
        node.now_ms += 1
        told += node.tick()
    found = [result for ticket, result in replies(told) if ticket == READ]
    assert found == [before] * len(found)
    assert len(found) > 3


def test_linearizable_reads_and_later_entries_wait_in_their_order() -> None:
    node = filled()
    everything_there = Question(READ, Range(*ALL, keys_only=True))
    begin(node, DeleteRange(*ALL), Put(b"a", b"1"))
    assert node.hear(ConfirmedRead((everything_there,), 0)) == []
    assert node.hear(Apply((node.entry(Put(b"b", b"1")),))) == []
    assert node.hear(ConfirmedRead((everything_there._replace(ticket=9),), 0)) == []
    (_, deleted), (_, first), (_, second) = replies(node.settle())
    assert deleted == DeleteDone(KEYS + 2, KEYS, ())
    assert [[kv.key for kv in found.kvs] for found in (first, second)] == [[b"a"], [b"a", b"b"]]


def test_watchers_hear_of_it_at_once_and_as_a_whole() -> None:
    node = filled()
    told = node.hear(
        Apply((node.entry(Put(b"a", b"1")), node.entry(DeleteRange(*ALL)), node.entry(None)))
    )
    node.hear(watch(b"later"))
    told += node.settle()
    events = [message for _, message in told if isinstance(message, Events)]
    assert [(each.revision, len(each.events)) for each in events] == [
        (KEYS + 2, 1),
        (KEYS + 3, KEYS + 1),
    ]


def test_what_watchers_were_told_of_it_is_kept_no_longer() -> None:
    node = filled()
    told = begin(node, LeaseRevoke(3)) + node.settle()
    (events,) = [message.events for _, message in told if isinstance(message, Events)]
    ended = events[0]
    assert type(events) is tuple
    assert not [each for each in gc.get_referrers(ended) if type(each) is list]


def test_nobody_hears_of_a_lease_before_the_expiry_is_done() -> None:
    node = filled()
    node.apply(LeaseGrant(2, 0))
    told = begin(node, LeaseExpire((Expiry(2, node.time_ms), Expiry(3, 1_500))))
    assert not [message for _, message in told if isinstance(message, LeaseFacts)]
    (facts,) = [message for _, message in node.settle() if isinstance(message, LeaseFacts)]
    assert [lease for lease, _ in facts.facts] == [2, 3]


def test_a_lease_is_not_asked_for_while_it_ends() -> None:
    node = filled()
    begin(node, LeaseRevoke(3))
    questions = Question(READ, LeaseTimeToLive(3, keys=True)), Question(9, MemberList())
    assert [ticket for ticket, _ in replies(node.hear(LocalRead(questions)))] == [9]
    _, (ticket, life) = replies(node.settle())
    assert (ticket, life.remaining_ms) == (READ, -1)


@pytest.mark.parametrize("command", LONG.values(), ids=LONG)
def test_a_commit_has_nothing_of_it_until_its_end(command: Command) -> None:
    node = filled()
    before = everything(node.machine)
    begin(node, command)
    while node.machine.is_busy:
        told = node.commit()
        if node.machine.is_busy:
            assert not [message for _, message in told if isinstance(message, Durable)]
            assert everything(Machine(node.backend, FOUNDERS)) == before
    node.commit()
    assert everything(Machine(node.backend, FOUNDERS)) == done(command)


def test_a_stop_in_the_middle_leaves_it_to_the_log() -> None:
    node = filled()
    before = everything(node.machine)
    begin(node, DeleteRange(*ALL))
    node.actor.close()
    assert everything(Machine(node.backend, FOUNDERS)) == before


def test_a_retry_gets_the_answer_of_the_long_entry() -> None:
    node = filled()
    node.apply(SessionOpen(77))
    sequence = Sequence(77, 1, 1)
    command = DeleteRange(*ALL)
    node.hear(Apply((node.entry(command, HERE, TICKET, sequence),)))
    assert node.hear(Apply((node.entry(command, HERE, 9, sequence),))) == []
    (_, first), (_, again) = replies(node.settle())
    assert first is again
    assert first.deleted == KEYS


def test_a_transaction_that_writes_is_refused_if_it_reads_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.store.txn.ANSWER_BYTES_MAX", 100 * 3 * KEYS)
    node = filled()
    before = everything(node.machine)
    puts: tuple[Any, ...] = (Put(b"a", b"1"),)
    entry = node.entry(Txn((), puts + 4 * (Range(*ALL),), ()), HERE, TICKET)
    told = node.hear(Apply((entry,))) + node.settle()
    assert replies(told) == [(TICKET, Failure("AnswerTooLarge"))]
    assert everything(node.machine) == before | {"place": everything(node.machine)["place"]}
    entry = node.entry(Txn((), puts + 2 * (Range(*ALL),) + (Range(*ALL, limit=2),), ()), HERE, 9)
    ((_, found),) = replies(node.hear(Apply((entry,))) + node.settle())
    assert [len(each.kvs) for each in found.responses if isinstance(each, RangeDone)] == [
        KEYS + 1,
        KEYS + 1,
        2,
    ]
