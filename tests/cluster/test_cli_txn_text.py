"""Transactions as text: each compare and operation that can be typed, and what is no such thing."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import ops
from cluster.cli.ending import CommandError
from cluster.cli.txn_text import parse_compare, parse_operation


@pytest.mark.parametrize(
    ("line", "compare"),
    [
        ('ver("k") > "0"', ops.version("k") > 0),
        ('version("k") = "1"', ops.version("k") == 1),
        ('c("k") < "2"', ops.create_revision("k") < 2),
        ('create("k") != "-3"', ops.create_revision("k") != -3),
        ('m("k") = "+4"', ops.mod_revision("k") == 4),
        ('mod(`k`) = "4"', ops.mod_revision("k") == 4),
        ('val("k\\n") = "a \\"b\\""', ops.value("k\n") == 'a "b"'),
        ('value("\\xff") > ""', ops.value(b"\xff") > b""),
        ('lease("k") = "1f"', ops.lease("k") == 0x1F),
        ('count("k") = "1"', ops.count("k") == 1),
        ('count("a", "z") < "5"', ops.count("a", "z") < 5),
        ('ver("a/",prefix) = "1"', ops.version("a/", prefix=True) == 1),
    ],
)
def test_each_target_and_operator_can_be_typed(line: str, compare: ops.Compare) -> None:
    assert parse_compare(line).fields == compare.fields


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("k > 0", "malformed comparison: k > 0"),
        ('ver(k) > "0"', 'malformed comparison: ver(k) > "0"; got ver("")  ""'),
        ('ver("k")>"0"', 'malformed comparison: ver("k")>"0"; got ver("k")  ""'),
        ('ver("k", z) > "0"', 'malformed comparison: ver("k", z) > "0"; got ver("k")  ""'),
        ('ver("k") > 0', 'malformed comparison: ver("k") > 0; got ver("k") > ""'),
        ('ver("k") >= "0"', 'malformed comparison: ver("k") >= "0" (unknown operator >=)'),
        ('age("k") > "0"', 'malformed comparison: age("k") > "0" (unknown target age)'),
        ('ver("k") > "x"', 'invalid txn compare request: ver("k") > "x"'),
        ('lease("k") > "x"', 'invalid txn compare request: lease("k") > "x"'),
    ],
)
def test_a_compare_that_makes_no_sense_is_named(line: str, message: str) -> None:
    with pytest.raises(CommandError) as raised:
        parse_compare(line)
    assert (raised.value.message, raised.value.exit_code) == (message, 3)


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ('put "a b" v --prev-kv', ops.put("a b", "v", prev_kv=True)),
        ("put --lease=1f k -- -v", ops.put("k", "-v", lease=0x1F)),
        ("put k v --ttl=2.5", ops.put("k", "v", ttl=2.5)),
        ("put k --ignore-value", ops.put("k", ignore_value=True)),
        ("del a z", ops.delete("a", "z")),
        ("del a --prefix --prev-kv=true", ops.delete("a", prefix=True, prev_kv=True)),
        ("incr k", ops.increment("k")),
        ("incr k -- -5", ops.increment("k", -5)),
        (
            "g a --prefix --limit 2 --order=descend --sort-by=modify",
            ops.get("a", prefix=True, limit=2, sort_order="DESCEND", sort_target="MOD"),
        ),
        ("get a --min-mod-rev=7 --keys-only", ops.get("a", min_mod_revision=7, keys_only=True)),
    ],
)
def test_each_operation_can_be_typed(line: str, operation: ops.Op) -> None:
    assert parse_operation(line) == operation


@pytest.mark.parametrize(
    ("line", "ending"),
    [
        ("put", ("invalid txn compare request: put", 3)),
        ("jump k", ("invalid txn request: jump k", 3)),
        ("get k --bogus", ("invalid txn request: get k --bogus", 3)),
        ("get k -w json", ("invalid txn request: get k -w json", 3)),
        ('put k "\\q"', ("invalid syntax", 3)),
        ("get k --order=up", ("bad sort order up", 4)),
        ("get k --history", ("`--history` cannot be set in a transaction", 128)),
        ("incr k x", ('bad delta (strconv.ParseInt: parsing "x": invalid syntax)', 128)),
        ("incr k 1 2", ("incr command needs a key and an optional delta", 128)),
    ],
)
def test_an_operation_that_makes_no_sense_is_named(line: str, ending: Any) -> None:
    with pytest.raises(CommandError) as raised:
        parse_operation(line)
    assert (raised.value.message, raised.value.exit_code) == ending
