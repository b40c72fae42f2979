"""The classes and the table are what the .proto files and the client protocol say."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from cluster.etcd.rpc.schema import (
    DESCRIPTORS,
    HTTP,
    RPCS,
    Rpc,
    RpcKind,
    descriptor_of,
    message_class,
)
from cluster.protocol import OPS
from tests.etcd.descriptors import compiled

FIELDS_OF_FIELDS = {
    "create_request": "watch_create",
    "cancel_request": "watch_cancel",
    "progress_request": "watch_progress",
}
WATCH = RPCS[b"/etcdserverpb.Watch/Watch"]


def names(message: type[Message]) -> set[str]:
    return {field.name for field in message.DESCRIPTOR.fields}


def test_the_descriptors_are_compiled_from_the_proto_files() -> None:
    kept = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    assert kept == FileDescriptorSet.FromString(compiled()), "run python -m tests.etcd.descriptors"


def test_every_rpc_of_every_service_is_in_the_table() -> None:
    files = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file
    paths = [
        f"/{file.package}.{service.name}/{method.name}"
        for file in files
        for service in file.service
        for method in service.method
    ]
    assert [path.encode() for path in paths] == list(RPCS)
    assert all(rpc.path.decode() == f"/{rpc.service}/{rpc.method}" for rpc in RPCS.values())


def test_the_streams_are_those_of_etcd() -> None:
    found = {rpc.method: rpc.kind for rpc in RPCS.values() if rpc.http_paths}
    streams = {method: kind for method, kind in found.items() if kind is not RpcKind.UNARY}
    assert streams == {
        "Watch": RpcKind.BOTH_STREAM,
        "LeaseKeepAlive": RpcKind.BOTH_STREAM,
        "Snapshot": RpcKind.SERVER_STREAM,
        "Observe": RpcKind.SERVER_STREAM,
    }


def test_every_operation_that_etcd_has_is_some_rpc() -> None:
    served = {rpc.op for rpc in RPCS.values()} | set(FIELDS_OF_FIELDS.values())
    unserved = {name for name in OPS if name.startswith(("auth", "user_", "role_"))}
    assert {name for name, op in OPS.items() if not op.ours} - unserved <= served


def test_the_fields_of_an_rpc_are_those_of_its_operation() -> None:
    for rpc in RPCS.values():
        if rpc.op is not None:
            check_requests(rpc.op, rpc.request)
            check_replies(rpc)
    for union, name in FIELDS_OF_FIELDS.items():
        kind = descriptor_of(WATCH.request).fields_by_name[union].message_type
        assert kind is not None
        check_requests(name, message_class(kind.full_name))


def check_requests(name: str, request: type[Message]) -> None:
    # A hash of a password is taken from nobody.
    known = {field.name for field in OPS[name].request} | {"hashedPassword"}
    assert names(request) <= known, name


def check_replies(rpc: Rpc) -> None:
    assert rpc.op is not None
    ours = {field.name for field in OPS[rpc.op].reply}
    # etcd has never set the error of a LeaseGrantResponse.
    assert names(rpc.response) - {"header", "error"} <= ours, rpc.op


def test_every_rpc_of_etcd_has_a_path_of_its_own_over_http() -> None:
    served = {rpc.path for rpc in RPCS.values() if rpc.service != "grpc.health.v1.Health"}
    assert {rpc.path for rpc in HTTP.values()} == served
    assert len(HTTP) == sum(len(rpc.http_paths) for rpc in RPCS.values())
    assert HTTP["/v3/kv/lease/revoke"] is HTTP["/v3/lease/revoke"]


def test_a_program_may_have_other_messages_of_these_names() -> None:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.descriptor_pool import Default

    theirs = FileDescriptorProto(name="kv.proto", package="mvccpb", syntax="proto3")
    theirs.message_type.add(name="KeyValue")
    Default().AddSerializedFile(theirs.SerializeToString())
    assert len(names(message_class("mvccpb.KeyValue"))) == 6
