"""The judges of the data model find what is wrong with an answer, an effect or a stream."""

from __future__ import annotations

from typing import Any

import pytest

from actors.language.commands import Change, Event, KeyValue
from tests.linearizability import FindingError, Outcome
from tests.simulation.answers import Answers
from tests.simulation.history import Operation
from tests.simulation.model import Past
from tests.simulation.streams import Stream, Told, Wishes

pytestmark = pytest.mark.quick


def _put(revision: int, key: bytes, value: bytes, created: int, version: int) -> Event:
    return Event(Change.PUT, KeyValue(key, created, revision, version, value, 0), None)


PAST = Past(
    [
        _put(2, b"k0", b"a", 2, 1),
        _put(3, b"k0", b"b", 2, 2),
        _put(3, b"n0", b"5", 3, 1),
        _put(4, b"n0", b"12", 3, 2),
        Event(Change.DELETED, KeyValue(b"k0", 0, 5, 0, b"", 0), None),
    ]
)

TXN = {
    "op": "txn",
    "compare": [{"key": b"k0", "target": "VERSION", "result": "EQUAL", "version": 1}],
    "success": [
        {"request_put": {"key": b"k0", "value": b"b", "prev_kv": True}},
        {"request_increment": {"key": b"n0", "delta": 5}},
    ],
    "failure": [],
}
BEFORE = {
    "key": b"k0",
    "create_revision": 2,
    "mod_revision": 2,
    "version": 1,
    "value": b"a",
    "lease": 0,
}
DONE = [
    {"response_put": {"header": {"revision": 3}, "prev_kv": BEFORE}},
    {"response_increment": {"header": {"revision": 3}, "value": 5}},
]


def _answered(fields: dict[str, Any], revision: int, **reply: Any) -> Operation:
    operation = Operation("c", fields, 1, 10)
    operation.reply = {"id": 1, "header": {"revision": revision}, **reply}
    operation.outcome, operation.ended_ms = Outcome.OK, 20
    return operation


def _refused(fields: dict[str, Any], why: str) -> Operation:
    operation = Operation("c", fields, 4, 10)
    operation.outcome, operation.refusal, operation.ended_ms = Outcome.FAILED, why, 20
    return operation


def test_transaction_that_was_done_and_told_as_it_should_passes() -> None:
    done = _answered(TXN, 3, succeeded=True, responses=DONE)
    assert Answers([done], PAST).check() == 1


@pytest.mark.parametrize(
    "operation",
    [
        _answered(TXN, 3, succeeded=False, responses=[]),
        _answered(TXN, 3, succeeded=True, responses=DONE[:1]),
        _answered(TXN, 4, succeeded=True, responses=DONE),
        _answered({**TXN, "success": TXN["success"][:1]}, 3, succeeded=True, responses=DONE[:1]),
        _answered({"op": "increment", "key": b"n0", "delta": 7}, 4, value=7),
        _answered({"op": "delete_range", "key": b"k0"}, 5, deleted=2),
        _answered({"op": "range", "key": b"n0"}, 4, kvs=[], more=False, count=0),
        _refused(TXN, "etcdserver: requested lease not found"),
        _refused(
            {"op": "range", "key": b"k0", "revision": 3}, "required revision is a future revision"
        ),
        _refused({"op": "range", "key": b"k0", "revision": 3}, "it has been compacted"),
    ],
    ids=lambda operation: f"{operation.fields['op']} {operation.outcome}",
)
def test_answer_or_effect_that_could_not_be_is_found(operation: Operation) -> None:
    with pytest.raises(FindingError):
        Answers([operation], PAST).check()


def test_request_nobody_knows_the_fate_of_did_all_or_nothing() -> None:
    lost = Operation("c", TXN, 1, 10)
    assert Answers([lost], PAST).check() == 1
    elsewhere = Operation("c", {**TXN, "success": TXN["success"][:1]}, 1, 10)
    with pytest.raises(FindingError, match="left"):
        Answers([elsewhere], PAST).check()
    never = Operation("c", {"op": "put", "key": b"k0", "value": b"never"}, 1, 10)
    assert Answers([never], PAST).check() == 0


# --- streams ----------------------------------------------------------------------------------

SEEN = (
    Told(2, b"k0", b"a", Change.PUT, None),
    Told(3, b"k0", b"b", Change.PUT, (2, b"a")),
    Told(5, b"k0", b"", Change.DELETED, (3, b"b")),
)
WISHES = Wishes(b"k0", b"", prev_kv=True)


def _judge(stream: Stream, compacted: int = 0) -> None:
    stream.judge(PAST, lambda time_ms: compacted)


def _stream(*told: Told) -> Stream:
    stream = Stream(WISHES)
    stream.take(told)
    return stream


def test_stream_of_what_was_wished_for_passes() -> None:
    stream = _stream(*SEEN)
    stream.reach(5)
    _judge(stream)


@pytest.mark.parametrize(
    "told",
    [
        (SEEN[0], SEEN[2]),
        (SEEN[0], SEEN[1]._replace(previous=None), SEEN[2]),
        (SEEN[0], SEEN[1]._replace(previous=(2, b"b")), SEEN[2]),
        (SEEN[0], SEEN[1]._replace(value=b"c"), SEEN[2]),
        (SEEN[0], SEEN[1], SEEN[2]._replace(change=Change.LEASE_EXPIRED)),
    ],
)
def test_stream_with_a_fault_is_found(told: tuple[Told, ...]) -> None:
    with pytest.raises(FindingError):
        _judge(_stream(*told))


def test_bookmark_before_its_events_is_found() -> None:
    stream = _stream(SEEN[0])
    stream.reach(3)
    with pytest.raises(FindingError):
        _judge(stream)


def test_watch_may_miss_only_what_was_compacted() -> None:
    stream = Stream(WISHES)
    stream.skip(3, 10)
    stream.take((SEEN[1]._replace(previous=None), SEEN[2]))
    _judge(stream, compacted=3)
    with pytest.raises(FindingError, match="compaction"):
        _judge(stream, compacted=2)
