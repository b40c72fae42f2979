"""The client and the protocol's table: requests and results by the names of its fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cluster.cli.fields_printer import FieldsPrinter
from cluster.cli.json_printer import JsonPrinter
from cluster.cli.printers import Printer
from cluster.cli.simple_printer import SimplePrinter
from cluster.client.requests import RANGE_OPTIONS, get_fields, put_fields, request
from cluster.client.result_table import RESULTS
from cluster.client.results import (
    DeleteResult,
    Header,
    IncrementResult,
    KeyValue,
    PutResult,
    RangeResult,
    TxnResult,
)
from cluster.protocol import OPS, RangeOptions
from tests.cluster.page import PAGE, written

NO_RESULT = {"watch_create", "watch_cancel", "watch_progress", "session_open", "move_leader"}
"""Operations that are answered to the client itself, or with nothing."""

USERS = {op for op in OPS if op.startswith(("auth", "user_", "role_"))}

FOR_OTHERS = {"metrics", *USERS}
"""Operations for programs that are no clients of keys."""

UNREAD = {("status", "db_size_quota"), ("status", "max_request_bytes")}
"""Fields of replies that the client's results leave out."""

OTHER_SHAPE = {("lease_leases", "leases")}
"""Fields of replies that the client's results have under another name."""

PUTS: list[dict[str, Any]] = [
    {},
    {"value": b"v", "lease": 7, "prev_kv": True},
    {"ignore_value": True, "ignore_lease": True},
    {"value": b"v", "TTL": 1.5},
]


def test_every_operation_has_a_result() -> None:
    alike = {
        "member_remove",
        "member_update",
        "member_promote",
        "member_replace",
        "member_rotate_key",
    }
    assert RESULTS.keys() | NO_RESULT | FOR_OTHERS | alike == OPS.keys()


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_has_every_field_of_the_reply(name: str) -> None:
    fields = {(name, field.attribute) for field in OPS[name].reply}
    names = getattr(RESULTS[name], "_fields", None) or RESULTS[name].__slots__
    assert fields - UNREAD - OTHER_SHAPE == {(name, each) for each in {*names} - {"header", "ids"}}


@pytest.mark.parametrize("said", PUTS)
def test_a_put_is_the_request_that_the_table_makes(said: dict[str, Any]) -> None:
    fields = put_fields(
        "k",
        said.get("value", b""),
        said.get("lease", 0),
        said.get("prev_kv", False),
        said.get("ignore_value", False),
        said.get("ignore_lease", False),
        said.get("TTL", 0),
    )
    assert fields == request("put", key=b"k", **said)


@pytest.mark.parametrize(("revision", "serializable"), [(0, False), (7, True)])
def test_a_get_is_the_request_that_the_table_makes(revision: int, serializable: bool) -> None:
    made = request("range", key=b"k", revision=revision, serializable=serializable)
    assert get_fields("k", revision, serializable) == made


def test_a_request_says_only_what_its_absence_does_not() -> None:
    assert request("increment", key=b"k", delta=1) == {"op": "increment", "key": b"k"}
    assert request("increment", key=b"k", delta=0) == {"op": "increment", "key": b"k", "delta": 0}
    assert request("alarm", action="GET", memberID=0) == {"op": "alarm"}


def test_a_request_with_a_field_that_is_not_in_the_table_is_our_own_mistake() -> None:
    with pytest.raises(KeyError):
        request("put", key=b"k", unknown=1)


def test_a_read_takes_the_options_of_the_table() -> None:
    assert list(RANGE_OPTIONS) == list(RangeOptions.__annotations__)


HEADER = Header(1, 2, 3, 4)
KV = KeyValue(b"k", b"v", 2, 3, 4, 5)
PUT = PutResult(HEADER, KV, 5, 1.5)
RANGE = RangeResult(HEADER, (KV,), more=True, count=2)
DELETE = DeleteResult(HEADER, 1, (KV,))
TXN = TxnResult(HEADER, True, (PUT, IncrementResult(HEADER, 0)))


@pytest.mark.parametrize(
    ("command", "name", "result"),
    [
        ("put", "put", PUT),
        ("get", "range", RANGE),
        ("delete", "delete_range", DELETE),
        ("txn", "txn", TXN),
        ("plain", "increment", IncrementResult(HEADER, 0)),
    ],
)
def test_json_has_the_fields_of_the_table_in_its_order(
    command: str, name: str, result: Any, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    getattr(JsonPrinter(False), command)(result)
    printed = json.loads(capfdbinary.readouterr().out)
    assert list(printed) == ["header", *(field.name for field in OPS[name].reply)]


@pytest.mark.parametrize(
    ("printer", "lines"),
    [
        (SimplePrinter(False), ["7"]),
        (JsonPrinter(False), ['{"header":{"revision":3},"value":7}']),
        (FieldsPrinter(False), ['"ClusterID" : 0', '"MemberID" : 0', '"Revision" : 3']),
    ],
)
def test_every_format_prints_a_result_that_it_has_no_words_for(
    printer: Printer, lines: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    printer.plain(IncrementResult(Header(0, 0, 3, 0), 7))
    printed = capfdbinary.readouterr().out.decode().splitlines()
    assert printed[: len(lines)] == lines
    assert "7" in printed[-1]


def test_the_page_has_the_tables_that_are_written_from_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "run python -m tests.cluster.page"


def test_what_the_page_says_otherwise_is_written_anew() -> None:
    page = PAGE.read_text(encoding="utf-8")
    stale = page.replace("| `lease_revoke` | `ID` |", "| `lease_revoke` | `id` |")
    assert stale != page
    assert written(stale) == page
    with pytest.raises(ValueError, match="no place for the table"):
        written(page.replace("<!-- end of maps -->", ""))
