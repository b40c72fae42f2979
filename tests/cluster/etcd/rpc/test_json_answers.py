"""Responses are written as etcd's gateway writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.etcd.rpc.json_answers import (
    PIECE_BYTES,
    error_json,
    pieces,
    stream_error_json,
    to_json,
)
from cluster.etcd.rpc.mapping import response_of
from cluster.etcd.rpc.schema import HTTP, RPCS, descriptor_of
from cluster.etcd.rpc.status import RpcError

HEADER = {"cluster_id": (1 << 64) - 1, "member_id": 5, "revision": -7, "raft_term": 0}
SHOWN = '"header":{"cluster_id":"18446744073709551615","member_id":"5","revision":"-7"}'
KV = {"key": b"a\xff", "create_revision": 0, "mod_revision": 2, "version": 1, "value": b""}


def written(path: str, **fields: Any) -> str:
    return to_json(response_of(HTTP[path], {"header": HEADER, **fields})).decode()


@pytest.mark.parametrize(
    ("path", "fields", "text"),
    [
        ("/v3/kv/put", {}, f"{{{SHOWN}}}"),
        (
            "/v3/kv/range",
            {"kvs": [KV, KV], "more": True, "count": 3},
            f'{{{SHOWN},"kvs":[{{"key":"Yf8=","mod_revision":"2","version":"1"}},'
            f'{{"key":"Yf8=","mod_revision":"2","version":"1"}}],"more":true,"count":"3"}}',
        ),
        ("/v3/kv/range", {"kvs": [], "more": False, "count": 0}, f"{{{SHOWN}}}"),
        (
            "/v3/kv/txn",
            {"succeeded": True, "responses": [{"response_delete_range": {"header": {}}}]},
            f'{{{SHOWN},"succeeded":true,"responses":'
            '[{"response_delete_range":{"header":{}}}]}',
        ),
        (
            "/v3/watch",
            {"watch_id": -1, "events": [{"type": "DELETE", "kv": {"key": b"a"}}, {"kv": {}}]},
            f'{{{SHOWN},"watch_id":"-1","events":'
            '[{"type":"DELETE","kv":{"key":"YQ=="}},{"kv":{}}]}',
        ),
        (
            "/v3/maintenance/alarm",
            {
                "alarms": [
                    {"memberID": 0, "alarm": "NOSPACE"},
                    {"memberID": 1, "alarm": "DATA_LOSS"},
                ]
            },
            f'{{{SHOWN},"alarms":[{{"alarm":"NOSPACE"}},{{"memberID":"1","alarm":4}}]}}',
        ),
        ("/v3/maintenance/hash", {"hash": 7}, f'{{{SHOWN},"hash":7}}'),
        ("/v3/maintenance/defragment", {}, "{}"),
        ("/v3/lease/timetolive", {"keys": [b"a", b"b"]}, f'{{{SHOWN},"keys":["YQ==","Yg=="]}}'),
        (
            "/v3/maintenance/status",
            {"version": '<é&\u2028">\x08\x0c\x1f\n\x7f'},
            f'{{{SHOWN},"version":"\\u003cé\\u0026\\u2028\\"\\u003e\\u0008\\u000c\\u001f\\n\x7f"}}',
        ),
    ],
)
def test_a_response_is_written_as_etcd_writes_it(
    path: str, fields: dict[str, Any], text: str
) -> None:
    assert written(path, **fields) == text


def test_an_error_has_its_text_twice() -> None:
    text = error_json(RpcError(3, 'a "<b>"'))
    assert text == rb'{"error":"a \"\u003cb\u003e\"","code":3,"message":"a \"\u003cb\u003e\""}'


def test_an_error_within_a_stream_has_codes_of_both_protocols() -> None:
    assert stream_error_json(RpcError(14, "error reading from server: EOF")) == (
        b'{"error":{"grpc_code":14,"http_code":503,"message":"error reading from server: EOF",'
        b'"http_status":"Service Unavailable"}}'
    )


def test_fields_are_declared_in_the_order_of_their_numbers() -> None:
    # etcd writes them in the order of the .proto file, and `to_json` by number.
    for rpc in RPCS.values():
        numbers = [field.number for field in descriptor_of(rpc.response).fields]
        assert numbers == sorted(numbers), rpc.path


def test_a_long_answer_comes_in_pieces_that_make_one_text() -> None:
    kvs = [{"key": b"%d" % number, "value": bytes(1000)} for number in range(500)]
    message = response_of(HTTP["/v3/kv/range"], {"header": HEADER, "kvs": kvs, "count": 500})
    parts = list(pieces(message))
    assert len(parts) > 5
    assert max(map(len, parts)) < 2 * PIECE_BYTES
    assert len(json.loads(b"".join(parts))["kvs"]) == 500


def peak_rss_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_a_large_answer_takes_a_few_times_its_size() -> None:
    size = 32 << 20
    kvs = [{"key": b"k%d" % number, "value": bytes(1 << 20)} for number in range(size >> 20)]
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak_rss_bytes()
    message = response_of(HTTP["/v3/kv/range"], {"header": HEADER, "kvs": kvs})
    del kvs
    written = sum(map(len, drained(pieces(message))))
    assert written > size
    assert peak_rss_bytes() - before < 3 * size


def drained(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The parts, none of which is kept."""
    yield from parts
