"""Bodies in JSON are read, and refused, as etcd's gateway does."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.etcd.rpc.json_requests import from_json
from cluster.etcd.rpc.mapping import PARTS_MAX
from cluster.etcd.rpc.schema import HTTP
from cluster.etcd.rpc.status import RpcError
from tests.cluster.etcd.rpc.json_cases import KEEP_ALIVE, NO_JSON, RANGE, READ, TXN, WRONG_FIELDS


def refused(path: str, body: bytes) -> RpcError:
    with pytest.raises(RpcError) as caught:
        from_json(HTTP[path], body)
    return caught.value


@pytest.mark.parametrize(("body", "text"), NO_JSON)
def test_a_body_that_is_no_object_is_refused_in_gos_words(body: bytes, text: str) -> None:
    for path, code in ((RANGE, 3), (KEEP_ALIVE, 2)):
        error = refused(path, body)
        assert (error.message, error.code) == (text, code)


@pytest.mark.parametrize(("path", "body", "text"), WRONG_FIELDS)
def test_a_field_of_another_type_is_refused_in_gos_words(path: str, body: bytes, text: str) -> None:
    error = refused(path, body)
    assert (error.message, error.code) == (text, 3)


@pytest.mark.parametrize(("path", "body", "fields"), READ)
def test_a_body_is_the_request_of_its_fields(
    path: str, body: bytes, fields: dict[str, Any]
) -> None:
    rpc = HTTP[path]
    assert from_json(rpc, body) == {"op": rpc.op, **fields}


def test_a_body_that_is_nested_deeply_is_refused() -> None:
    array = b'{"a":' + b"[" * 20_000
    assert refused(RANGE, array).message == "exceeded max depth"
    for depth in (51, 1_000):
        assert refused(TXN, nested(depth)).message == "exceeded max depth"
    assert from_json(HTTP[TXN], nested(50))["op"] == "txn"


def nested(depth: int) -> bytes:
    """A transaction within transactions."""
    opening, end = b'{"success":[{"request_txn":', b"}]}"
    return opening * (depth - 1) + b'{"success":[{}]}' + end * (depth - 1)


def test_a_body_of_more_parts_than_any_transaction_has_is_refused() -> None:
    parts = b",".join([b"{}"] * PARTS_MAX)
    error = refused(TXN, b'{"success":[' + parts + b"]}")
    assert error.message == "etcdserver: too many operations in txn request"
