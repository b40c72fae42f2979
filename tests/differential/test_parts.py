"""The parts of the comparison that need no server: programs, answers, shrinking, reports."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.differential.cli_masks import ON_PURPOSE
from tests.differential.deliberate import NOT_COMPARED, TABLE, is_tolerated
from tests.differential.etcd import from_json, to_json
from tests.differential.generator import MOOD, NAMES, mood_of, program_of
from tests.differential.language import NAMES as SAYABLE
from tests.differential.language import Fields, Op, Program, base, listing, now, op, resolved
from tests.differential.leasehold import common
from tests.differential.parts import parts_that_differ
from tests.differential.report import report
from tests.differential.runner import Difference
from tests.differential.shrink import shrunk
from tests.differential.ties import without_order_of_ties
from tests.differential.watches import Heard

pytestmark = pytest.mark.quick

PROTOCOL_PAGE = Path(__file__).resolve().parents[2] / "cluster" / "PROTOCOL.md"


def _event(key: bytes, revision: int) -> Fields:
    return {"kv": {"key": key, "mod_revision": revision}}


def test_a_seed_makes_one_program_and_another_seed_another() -> None:
    assert program_of(5) == program_of(5) != program_of(6)
    assert 100 <= len(program_of(5)) <= 300


def test_programs_have_every_operation_and_every_option() -> None:
    text = "".join(listing(program_of(seed)) for seed in range(200))
    names = {NAMES.get(kind, kind) for kind in MOOD}
    assert all(f'op("{name}"' in text for name in names)
    options = [
        "limit",
        "revision",
        "sort_order",
        "sort_target",
        "serializable",
        "keys_only",
        "count_only",
        "filters",
        "min_mod_revision",
        "max_mod_revision",
        "min_create_revision",
        "max_create_revision",
        "prev_kv",
        "lease",
        "ignore_value",
        "ignore_lease",
        "range_end",
        "start_revision",
        "progress_notify",
        "fragment",
        "watch_id",
        "physical",
        "request_txn",
        "request_range",
        "request_put",
        "request_delete_range",
        "create_revision",
        "mod_revision",
        "version",
        "value",
        "NOT_EQUAL",
        "NOPUT",
        "NODELETE",
        "ACTIVATE",
        "DEACTIVATE",
    ]
    assert [option for option in options if option not in text] == []


def test_moods_differ_in_what_programs_do() -> None:
    moods = [mood_of(Random(seed)) for seed in range(50)]
    assert any("watch_create" in mood for mood in moods)
    assert any("watch_create" not in mood for mood in moods)
    assert not any({"no_space", "corrupt"} <= set(mood) for mood in moods)


def test_a_listing_is_the_python_that_makes_the_program() -> None:
    program = [*program_of(3), op("put", key=b"a", value=b"x" * 1000), op("range", revision=now())]
    assert eval(listing(program), dict(SAYABLE)) == program
    assert len(listing(program[-2:])) < 100


def test_revisions_are_resolved_at_any_depth() -> None:
    fields = {"a": [{"b": now(-1)}, base(2)], "c": 5}
    assert resolved(fields, lambda wanted: 100 + wanted.offset) == {"a": [{"b": 99}, 102], "c": 5}


def test_values_go_into_the_gateways_json_and_come_back() -> None:
    fields = {"key": b"\xff", "lease": 7, "sort_order": 2, "prev_kv": True, "filters": ["NOPUT"]}
    assert to_json(fields) == {**fields, "key": "/w==", "lease": "7"}
    reply = {"result": {"header": {"revision": "9"}, "kvs": [{"key": "/w==", "version": "1"}]}}
    assert from_json(reply) == {"header": {"revision": 9}, "kvs": [{"key": b"\xff", "version": 1}]}
    assert from_json({"error": "x", "code": 5, "message": "x"}) == {
        "error": {"code": 5, "message": "x"}
    }


def test_our_replies_lose_zeros_and_what_etcd_does_not_have() -> None:
    deleted = {"type": "DELETE", "reason": "deleted", "kv": {"key": b"a", "version": 0}}
    reply = {"header": {"revision": 3}, "events": [deleted, {"type": "PUT", "kv": {"version": 1}}]}
    assert common(reply) == {
        "header": {"revision": 3},
        "events": [{"type": "DELETE", "kv": {"key": b"a"}}, {"kv": {"version": 1}}],
    }


def test_a_delete_event_without_a_reason_is_a_fault_of_ours() -> None:
    with pytest.raises((AssertionError, KeyError)):
        common({"header": {}, "events": [{"type": "DELETE", "kv": {"key": b"a"}}]})


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([[_event(b"a", 5)], [_event(b"b", 5)]], "in two messages"),
        ([[_event(b"a", 5)], [_event(b"a", 4)]], "in two messages"),
        ([[_event(b"a", 6), _event(b"a", 5)]], "out of order"),
        ([[_event(b"a", 11)]], "before its events"),
    ],
)
def test_a_stream_that_breaks_a_promise_is_a_fault(
    messages: list[list[Fields]], fault: str
) -> None:
    heard = Heard()
    for events in messages:
        heard.take({"events": events, "header": {"revision": 10}})
    assert fault in heard.fault


def test_fragments_are_one_message() -> None:
    heard = Heard()
    heard.take({"events": [_event(b"a", 5)], "fragment": True, "header": {"revision": 5}})
    heard.take({"events": [_event(b"b", 5)], "header": {"revision": 5}})
    assert (heard.fault, len(heard.told(5)["events"])) == ("", 2)


def test_keys_that_sort_alike_may_come_in_any_order_and_others_not() -> None:
    one, two, other = ({"key": key, "version": v} for key, v in ((b"a", 1), (b"b", 1), (b"c", 2)))
    fields = {"sort_target": "VERSION"}

    def seen(*kvs: Fields, more: bool = False) -> Fields:
        return without_order_of_ties("range", fields, {"kvs": list(kvs), "more": more})

    assert seen(one, two, other) == seen(two, one, other) != seen(other, one, two)
    assert seen(one, more=True) == seen(two, more=True) != seen(other, more=True)


def test_ranges_in_transactions_are_treated_alike() -> None:
    fields = {"success": [{"request_txn": {"failure": [{"request_range": {"sort_target": 1}}]}}]}

    def seen(*kvs: Fields) -> Fields:
        inner = {"responses": [{"response_range": {"kvs": list(kvs)}}]}
        reply = {"succeeded": True, "responses": [{"response_txn": inner}]}
        return without_order_of_ties("txn", fields, reply)

    one, two = {"key": b"a", "version": 1}, {"key": b"b", "version": 1}
    assert seen(one, two) == seen(two, one) != seen(one, one)


def test_only_two_good_reasons_are_tolerated() -> None:
    space = {"error": {"code": 8, "message": "etcdserver: mvcc: database space exceeded"}}
    large = {"error": {"code": 11, "message": "etcdserver: too large lease TTL"}}
    assert is_tolerated(space, large)
    assert not is_tolerated(large, space)
    assert not is_tolerated(space, {"header": {}})


def test_shrinking_leaves_what_it_takes_and_no_more() -> None:
    program = [op("put", key=b"%d" % number, value=b"1") for number in range(100)]

    def fails(trial: Program) -> bool:
        keys = [operation.fields.get("key") for operation in trial]
        return b"17" in keys and b"60" in keys[keys.index(b"17") :]

    assert shrunk(program, fails) == [op("put", key=b"17"), op("put", key=b"60")]


def test_shrinking_takes_transactions_apart() -> None:
    nested = {"request_txn": {"success": [{"request_put": {"key": b"a"}}, {"request_range": {}}]}}
    program = [op("txn", compare=[{"key": b"x"}], success=[nested])]

    def fails(trial: Program) -> bool:
        return "request_range" in repr(trial)

    smallest = [op("txn", success=[{"request_txn": {"success": [{"request_range": {}}]}}])]
    assert shrunk(program, fails) == smallest


def test_a_report_shows_the_program_the_parts_and_the_way_back() -> None:
    program = [op("put", key=b"a"), op("range", key=b"a", revision=now(-1))]
    etcd = {"kvs": [{"key": b"a", "version": 1}], "count": 1}
    own = {"kvs": [{"key": b"a", "version": 2}]}
    text = report(program, Difference(1, program[1], etcd, own), seed=42)
    assert "kvs[0].version: 1 != 2" in text
    assert "count: 1 != nothing" in text
    assert "op(\"range\", key=b'a', revision=now(-1))," in text
    assert text.endswith("python -m tests.differential --programs 1 --seed 42")


def test_differences_of_a_kind_have_one_signature() -> None:
    asked = Op("range", {})

    def signature(etcd: Fields, own: Fields) -> object:
        return Difference(0, asked, etcd, own).signature()

    one = signature({"kvs": [{"version": 1}]}, {"kvs": [{"version": 2}]})
    assert one == signature({"kvs": [{}, {"version": 3}]}, {"kvs": [{}, {"version": 4}]})
    assert one != signature({"kvs": [{"version": 1}]}, {"error": {"message": "x"}})


def test_lists_of_different_lengths_differ_where_one_ends() -> None:
    (part,) = parts_that_differ({"kvs": [1, 2]}, {"kvs": [1]})
    assert (part.place, part.etcd, repr(part.own)) == ("kvs[1]", 2, "nothing")


def test_the_protocol_page_tells_of_each_deliberate_difference() -> None:
    _, _, rest = PROTOCOL_PAGE.read_text().partition("\n## Differences from etcd 3.5.1\n")
    section, _, _ = rest.partition("\n## ")
    told = [line[2:-1] for line in section.splitlines() if line.startswith("* ")]
    rows = [f"{name}: {difference.why}" for name, difference in TABLE.items()]
    rows += [f"{name}: {why}" for name, why in NOT_COMPARED.items()]
    rows += [purpose.reason for purpose in ON_PURPOSE]
    assert told == [row[0].upper() + row[1:] for row in rows]
