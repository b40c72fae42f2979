"""Codes, their HTTP statuses, and texts in a header."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from cluster.etcd.rpc.status import CODES, RpcError, code_of, error_in, grpc_message
from cluster.faults import FAULTS


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("etcdserver: key is not provided", b"etcdserver: key is not provided"),
        ("100% of\n", b"100%25 of%0A"),
        ("~ \x7f é", b"~ %7F %C3%A9"),
        ("\ud800", b"?"),
    ],
)
def test_a_text_is_escaped_as_the_header_needs_it(text: str, encoded: bytes) -> None:
    assert grpc_message(text) == encoded
    assert unquote(encoded.decode()) == text.encode(errors="replace").decode()


def test_every_error_of_a_node_has_a_status() -> None:
    for fault in FAULTS.values():
        assert 400 <= code_of(fault.code).http_status <= 504
    assert code_of(404).http_status == 500
    assert [code_of(code).http_status for code in range(len(CODES))] == [
        *(200, 408, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)
    ]


def test_a_reply_with_an_error_is_an_error_with_its_code_and_text() -> None:
    error = error_in({"id": 1, "error": {"code": 5, "message": "gone", "unknown": True}})
    assert error is not None
    assert (error.code, error.message, error.http_status) == (5, "gone", 404)
    assert error_in({"id": 1, "header": {}}) is None
    assert str(RpcError(3, "x")) == "x"
