"""Responses are written as etcd's gateway writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster import wire
from cluster.etcd.rpc.json_answers import (
    error_json,
    pieces,
    stream_error_json,
    to_json,
)
from cluster.etcd.rpc.mapping import LONG_LISTS, response_of, responses_of
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


def lazy(reply: dict[str, Any]) -> wire.LazyMap:
    """A long reply, as it is received."""
    return wire.unpack_lazily(wire.pack({"header": HEADER, **reply}), LONG_LISTS)


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        ("/v3/kv/range", {"kvs": [], "more": False, "count": 7}),
        ("/v3/kv/range", {"count": 7, "kvs": [KV] * 9_000}),
        ("/v3/kv/deleterange", {"deleted": 1, "prev_kvs": [{**KV, "value": bytes(500_000)}] * 3}),
    ],
)
def test_a_long_answer_comes_in_pieces_that_make_the_same_text(
    path: str, reply: dict[str, Any]
) -> None:
    rpc = HTTP[path]
    parts = list(pieces(responses_of(rpc, lazy(reply))))
    assert b"".join(parts) == written(path, **reply).encode()
    assert len(parts) == 1 or len(parts) >= 4
    assert max(map(len, parts)) < 1_000_000


def peak_rss_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.mark.parametrize("value_bytes", [8, 1 << 20])
def test_a_long_answer_takes_little_beside_the_reply(value_bytes: int) -> None:
    size = 16 << 20
    kvs = [{**KV, "value": bytes(value_bytes)}] * (size // (value_bytes + 90))
    reply = lazy({"kvs": kvs})
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak_rss_bytes()
    length = sum(map(len, pieces(responses_of(HTTP["/v3/kv/range"], reply))))
    assert length > size // 2
    assert peak_rss_bytes() - before < size
