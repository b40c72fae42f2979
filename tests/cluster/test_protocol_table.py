"""The client and the protocol's table: requests and results by the names of its fields."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.client.requests import RANGE_OPTIONS, get_fields, put_fields, request
from cluster.client.results import RESULTS
from cluster.protocol import OPS, RangeOptions

NO_RESULT = {"watch_create", "watch_cancel", "watch_progress", "session_open", "move_leader"}
"""Operations that are answered to the client itself, or with nothing."""

UNREAD = {("status", "db_size_quota")}
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
    alike = {"member_remove", "member_update", "member_promote", "member_replace"}
    assert RESULTS.keys() | NO_RESULT | alike == OPS.keys()


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
