"""Our messages beside those of a real etcd: its descriptors, its JSON, and its errors."""

from __future__ import annotations

import http.client
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.message import DecodeError

from cluster.etcd.rpc.json_answers import error_json, to_json
from cluster.etcd.rpc.json_requests import from_json
from cluster.etcd.rpc.mapping import decode
from cluster.etcd.rpc.schema import DESCRIPTORS, HTTP, RPCS, Rpc
from cluster.etcd.rpc.status import RpcError
from tests.cluster.etcd.rpc.json_cases import KEEP_ALIVE, NO_JSON, RANGE, READ, WRONG_FIELDS
from tests.differential.etcd import MISSING, Etcd, binaries
from tests.limits import HANG_SECONDS

NOT_EMBEDDED = "health.proto"
"""gRPC's own file, which Go keeps in another form."""


class Server(NamedTuple):
    """An etcd, and connections to it."""

    web: http.client.HTTPConnection
    channel: grpc.Channel

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body of an answer of the JSON gateway."""
        self.web.request("POST", path, body)
        answer = self.web.getresponse()
        return answer.status, answer.read()

    def call(self, rpc: Rpc, data: bytes) -> bytes:
        """The bytes of the response to the bytes of a request."""
        method = self.channel.unary_unary(rpc.path.decode())
        answer: bytes = method(data, timeout=HANG_SECONDS)
        return answer


@pytest.fixture(scope="module")
def etcd() -> Iterator[Server]:
    if binaries() is None:
        pytest.skip(MISSING)
    process = Etcd()
    try:
        client, _ = process.addresses
        web = http.client.HTTPConnection(client, timeout=HANG_SECONDS)
        with grpc.insecure_channel(client) as channel:
            yield Server(web, channel)
        web.close()
    finally:
        process.stop()


# --- descriptors ------------------------------------------------------------------------------


def embedded() -> dict[str, FileDescriptorProto]:
    """The descriptors that a program of Go's holds, zipped, by the names of their files."""
    programs = binaries()
    if programs is None:
        pytest.skip(MISSING)
    program = (programs / "etcd").read_bytes()
    found = {}
    for start in re.finditer(rb"\x1f\x8b\x08", program):
        try:
            data = zlib.decompressobj(31).decompress(program[start.start() :][: 1 << 17])
            file = FileDescriptorProto.FromString(data)
        except (zlib.error, DecodeError):
            continue
        found[file.name] = file
    return found


def shape(message: DescriptorProto) -> dict[str, Any]:
    """All that clients depend on: names, numbers and types; not etcd's options for Go."""
    unions = [union.name for union in message.oneof_decl]
    return {
        "fields": [
            (
                *(field.number, field.name, field.json_name, field.type, field.label),
                *(field.type_name, unions[field.oneof_index] if unions else ""),
            )
            for field in message.field
        ],
        "messages": {each.name: shape(each) for each in message.nested_type},
        "enums": enums(message.enum_type),
    }


def enums(declared: Any) -> dict[str, list[tuple[int, str]]]:
    kinds: list[EnumDescriptorProto] = list(declared)
    return {kind.name: [(each.number, each.name) for each in kind.value] for kind in kinds}


def methods(file: FileDescriptorProto) -> list[tuple[Any, ...]]:
    return [
        (
            *(service.name, method.name, method.input_type, method.output_type),
            *(method.client_streaming, method.server_streaming),
        )
        for service in file.service
        for method in service.method
    ]


def test_our_proto_files_say_what_etcds_say() -> None:
    theirs = embedded()
    for ours in FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        if ours.name == NOT_EMBEDDED:
            continue
        file = theirs[ours.name]
        assert {each.name: shape(each) for each in ours.message_type} == {
            each.name: shape(each) for each in file.message_type
        }
        assert (enums(ours.enum_type), ours.package) == (enums(file.enum_type), file.package)
        assert methods(ours) == methods(file)


def test_the_paths_of_the_gateway_are_etcds() -> None:
    theirs = {}
    for file in embedded().values():
        for service in file.service:
            for method in service.method:
                # The option google.api.http holds the paths as they are.
                options = method.options.SerializeToString()
                paths = tuple(path.decode() for path in re.findall(rb"/v3/[a-z/-]+", options))
                theirs[f"/{file.package}.{service.name}/{method.name}".encode()] = paths
    # 3.5 has one path for Hash and HashKV, and Hash is what answers; 3.6 has one for each.
    assert theirs.pop(b"/etcdserverpb.Maintenance/HashKV") == ("/v3/maintenance/hash",)
    assert theirs == {path: RPCS[path].http_paths for path in theirs}


# --- JSON -------------------------------------------------------------------------------------


def test_etcd_refuses_the_same_bodies_in_the_same_words(etcd: Server) -> None:
    anywhere = [(path, body) for body, _ in NO_JSON for path in (RANGE, KEEP_ALIVE)]
    for path, body in anywhere + [(path, body) for path, body, _ in WRONG_FIELDS]:
        with pytest.raises(RpcError) as refused:
            from_json(HTTP[path], body)
        expected = (refused.value.http_status, error_json(refused.value))
        assert etcd.post(path, body) == expected, (path, body)


def test_etcd_reads_the_bodies_that_we_read(etcd: Server) -> None:
    for path, body, _ in READ:
        if path != KEEP_ALIVE:  # its answer is a stream
            _, answer = etcd.post(path, body)
            assert json.loads(answer).get("message", "etcdserver:").startswith("etcdserver:"), body


ANSWERED: list[tuple[str, dict[str, Any]]] = [
    ("/v3/kv/range", {"key": b"\0", "range_end": b"\0"}),
    ("/v3/kv/range", {"key": b"none"}),
    ("/v3/kv/range", {"key": b"a", "count_only": True}),
    ("/v3/kv/range", {"key": b"a", "range_end": b"z", "limit": 1, "sort_order": 2}),
    ("/v3/kv/deleterange", {"key": b"none"}),
    (
        "/v3/kv/txn",
        {
            "compare": [{"key": b"a", "target": 3, "result": 2, "value": b"z"}],
            "success": [
                {"request_range": {"key": b"a"}},
                {"request_delete_range": {"key": b"none"}},
                {"request_txn": {"success": [{"request_range": {"key": b"b"}}]}},
            ],
        },
    ),
    ("/v3/cluster/member/list", {}),
    ("/v3/maintenance/alarm", {}),
    ("/v3/maintenance/defragment", {}),
    ("/v3/lease/timetolive", {"ID": 5, "keys": True}),
    ("/v3/lease/leases", {}),
    ("/v3/auth/status", {}),
    ("/v3/auth/user/list", {}),
]


def test_etcd_writes_the_same_message_in_the_same_json(etcd: Server) -> None:
    put, grant = HTTP["/v3/kv/put"], HTTP["/v3/lease/grant"]
    etcd.call(grant, grant.request(ID=5, TTL=1_000_000).SerializeToString())
    for key, lease in ((b"a", 5), (b"b\xff", 0), (b"c", 0)):
        etcd.call(put, put.request(key=key, value=key * 3, lease=lease).SerializeToString())
    for path, fields in ANSWERED:
        rpc = HTTP[path]
        request = rpc.request(**fields)
        answer: Any = rpc.response.FromString(etcd.call(rpc, request.SerializeToString()))
        status, body = etcd.post(path, to_json(request))
        if path == "/v3/lease/timetolive":  # its remaining seconds may differ
            body = re.sub(rb'"TTL":"\d+"', b'"TTL":"%d"' % answer.TTL, body)
        assert (status, body) == (200, to_json(answer)), path


# --- bytes that are no message ----------------------------------------------------------------

BROKEN = [
    b"\x0a",
    b"\x0a\x05ab",
    b"\x80",
    b"\x18" + b"\xff" * 10 + b"\x01",
    b"\x0a" + b"\xff" * 9 + b"\x01",
    b"\x02\x00",
    b"\x0c",
    b"\x9f\x06",
    b"\x9b\x06\x08",
    b"\x99\x06\x08",
    b"\x9d\x06\x08",
    b"\x08\x01",
    b"\x18\x80",
    b"\x2a\x01a",
    b"\xfa\xff\xff\xff\x7f\x00",
    b"\x9b\x06\x10\x01\x9c\x06\x0a",
]


def test_etcd_refuses_the_same_bytes_in_the_same_words(etcd: Server) -> None:
    put, txn = HTTP["/v3/kv/put"], HTTP["/v3/kv/txn"]
    nested = [(txn, b"\x12\x04\x12\x02\x08\x01"), (txn, b"\x12\x04\x12\x02\x0a\x07")]
    for rpc, data in [(put, data) for data in BROKEN] + nested:
        with pytest.raises(RpcError) as ours:
            decode(rpc, data)
        with pytest.raises(grpc.RpcError) as theirs:
            etcd.call(rpc, data)
        assert (theirs.value.code().value[0], theirs.value.details()) == (
            ours.value.code,
            ours.value.message,
        ), data
