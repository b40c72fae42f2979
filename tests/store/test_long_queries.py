"""Queries that take long, in the StoreActor: in slices, of one revision, and in nobody's way."""

from __future__ import annotations

from typing import Any

import pytest

from actors.language.commands import Compact, Put, Range, SortOrder, SortTarget, Txn
from actors.language.messages import (
    Apply,
    ConfirmedRead,
    Lengthy,
    LocalRead,
    Question,
    Replies,
)
from actors.language.queries import HashKV, History, Page, Query
from actors.language.results import Done, Failure, HashDone, RangeDone
from actors.store import long_queries, ranges
from actors.store.long_queries import QUERIES_WAITING_MAX, QUERY_PAUSE_MS, RUNNING_MAX
from actors.store.steps import ITEMS_PER_STEP
from tests.store.shell import HERE, Node
from tests.twins import MemoryBackend

KEYS = 3 * ITEMS_PER_STEP
EVERYTHING = Range(b"\0", b"\0")


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node with many keys, which does one step at a time."""
    monkeypatch.setattr(long_queries, "SLICE_STEPS_MAX", 1)
    node = Node(MemoryBackend())
    node.apply(*(Put(b"k%04d" % number, b"1") for number in range(KEYS)))
    node.commit()
    return node


def replies(told: list[tuple[str, Any]]) -> dict[int, Any]:
    """Tickets and answers among what was told."""
    found: dict[int, Any] = {}
    for address, message in told:
        if address == "gateway" and isinstance(message, Replies):
            found.update(message.replies)
    return found


def work(node: Node) -> dict[int, Any]:
    """Let the actor have its next slices until something is answered."""
    for _ in range(20 * RUNNING_MAX):
        node.now_ms += QUERY_PAUSE_MS
        if found := replies(node.tick()):
            return found
    return {}


def test_a_long_range_lets_others_pass_and_does_not_show_what_they_write(node: Node) -> None:
    told = node.hear(ConfirmedRead((Question(1, EVERYTHING), Question(2, Range(b"k0000"))), 0))
    assert list(replies(told)) == [2]
    put = node.entry(Put(b"k0001", b"2"), HERE, 3)
    other = node.entry(Put(b"z", b"new"), HERE, 4)
    assert list(replies(node.hear(Apply((put, other))))) == [3, 4]
    (answer,) = work(node).values()
    assert isinstance(answer, RangeDone)
    assert (answer.revision, answer.count, len(answer.kvs)) == (KEYS + 1, KEYS, KEYS)
    assert {kv.value for kv in answer.kvs} == {b"1"}


def test_gateway_hears_which_answers_take_long(node: Node) -> None:
    told = node.hear(LocalRead((Question(1, EVERYTHING), Question(2, Range(b"k0000")))))
    assert ("gateway", Lengthy((1,))) in told
    assert list(work(node)) == [1]


def test_page_has_no_count_and_one_of_the_past_does_not_go_through_all_keys(node: Node) -> None:
    past = node.machine.revision
    node.apply(Put(b"z", b"new"))
    page = EVERYTHING._replace(limit=2, revision=past)
    (answer,) = replies(node.hear(LocalRead((Question(1, Page(page)),)))).values()
    assert (len(answer.kvs), answer.more, answer.count) == (2, True, 0)
    assert replies(node.hear(LocalRead((Question(2, page),)))) == {}, "its count takes long"
    (whole,) = work(node).values()
    assert whole == answer._replace(count=KEYS)


@pytest.mark.parametrize(
    "query",
    [
        EVERYTHING,
        EVERYTHING._replace(sort_order=SortOrder.DESCEND, sort_target=SortTarget.VALUE),
        Txn((), (EVERYTHING,), ()),
    ],
)
def test_answer_that_would_be_too_large_is_refused(
    node: Node, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "ANSWER_BYTES_MAX", KEYS * (ranges.KEY_VALUE_BYTES + 5))
    node.hear(LocalRead((Question(1, query),)))
    assert work(node) == {1: Failure("AnswerTooLarge")}
    monkeypatch.setattr(ranges, "ANSWER_BYTES_MAX", KEYS * (ranges.KEY_VALUE_BYTES + 6))
    node.hear(LocalRead((Question(2, query),)))
    assert not isinstance(work(node)[2], Failure)


def test_parts_of_one_answer_share_what_it_may_take(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "ANSWER_BYTES_MAX", KEYS * (ranges.KEY_VALUE_BYTES + 6))
    twice = Txn((), (EVERYTHING, Txn((), (Range(b"k0000"),), ())), ())
    node.hear(LocalRead((Question(1, twice),)))
    assert work(node) == {1: Failure("AnswerTooLarge")}


def test_history_that_would_be_too_large_is_refused(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.apply(*(Put(b"k", b"v") for _ in range(3)))
    size = ranges.KEY_VALUE_BYTES + 2
    monkeypatch.setattr(ranges, "ANSWER_BYTES_MAX", 3 * size - 1)
    told = replies(node.hear(LocalRead((Question(1, History(b"k")),))))
    assert told == {1: Failure("AnswerTooLarge")}
    told = replies(node.hear(LocalRead((Question(2, History(b"k", limit=2)),))))
    assert len(told[2].events) == 2


def test_several_long_queries_take_turns(node: Node) -> None:
    first_half = Range(b"\0", b"k%04d" % (KEYS // 2))
    node.hear(LocalRead((Question(1, EVERYTHING), Question(2, first_half))))
    assert list(work(node)) == [2]
    assert list(work(node)) == [1]
    assert work(node) == {}


def test_what_a_compaction_outdates_is_kept_for_the_queries_that_began_before(node: Node) -> None:
    node.hear(LocalRead((Question(1, EVERYTHING._replace(revision=KEYS + 1)),)))
    node.apply(*(Put(b"k%04d" % number, b"2") for number in range(KEYS)))
    compact = node.entry(Compact(node.machine.revision, physical=True), HERE, 2)
    assert replies(node.hear(Apply((compact,)))) == {}
    ((ticket, answer),) = work(node).items()
    assert ticket == 1
    assert {kv.value for kv in answer.kvs} == {b"1"}
    assert work(node) == {2: Done(node.machine.revision)}


def test_queries_that_begin_after_the_compaction_do_not_keep_what_it_outdates(node: Node) -> None:
    node.apply(*(Put(b"k%04d" % number, b"2") for number in range(KEYS)))
    node.commit()
    node.hear(Apply((node.entry(Compact(node.machine.revision, physical=True), HERE, 1),)))
    answered: dict[int, Any] = {}
    for ticket in range(2, 200):
        node.hear(LocalRead((Question(ticket, HashKV()),)))
        answered.update(work(node))
        if 1 in answered:
            break
    assert answered.pop(1) == Done(node.machine.revision)
    assert len({done.hash for done in answered.values() if isinstance(done, HashDone)}) == 1


def test_more_long_queries_than_can_be_waiting_are_refused(node: Node) -> None:
    asked = RUNNING_MAX + QUERIES_WAITING_MAX + 1
    questions = tuple(Question(ticket, EVERYTHING) for ticket in range(asked))
    told = replies(node.hear(LocalRead(questions)))
    assert told == {asked - 1: Failure("TooManyRequests")}
    answered: dict[int, Any] = {}
    while found := work(node):
        answered.update(found)
        if len(answered) > 2 * RUNNING_MAX:
            break
    assert set(answered) <= set(range(asked - 1))
    assert {len(answer.kvs) for answer in answered.values()} == {KEYS}


def test_a_snapshot_that_is_installed_lets_queries_begin_again_on_what_it_brought(
    node: Node, tmp_path: Any
) -> None:
    newer = Node(MemoryBackend())
    newer.apply(*(Put(b"k%04d" % number, b"9") for number in range(KEYS + 5)))
    newer.commit()
    path = tmp_path / "copy"
    newer.backend.copy(path, lambda error: None)
    node.hear(LocalRead((Question(1, EVERYTHING),)))
    node.install(path)
    (answer,) = work(node).values()
    assert isinstance(answer, RangeDone)
    assert (answer.revision, answer.count) == (KEYS + 6, KEYS + 5)
    assert {kv.value for kv in answer.kvs} == {b"9"}
