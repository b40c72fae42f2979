"""The classes of etcd's messages, and the table of its RPCs.

Owns what the .proto files say: `descriptors.binpb` is compiled from them (`python -m
tests.etcd.descriptors`), and the classes are made from it in a pool of descriptors of their own. So
no generated module is tied to a version of protobuf, and a program may import etcd's own generated
modules as well. Refuses to know what an RPC does, and how its messages travel.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple, cast

from google.protobuf.descriptor import (
    Descriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

DESCRIPTORS: Final = Path(__file__).parent / "protos" / "descriptors.binpb"


class RpcKind(Enum):
    """Which side of an RPC sends one message, and which sends a stream of them."""

    UNARY = "one request, one response"
    SERVER_STREAM = "one request, a stream of responses"
    BOTH_STREAM = "a stream of requests, a stream of responses"


class Rpc(NamedTuple):
    """One RPC. `op` is the operation of the client protocol that carries it out on the node; None
    if the front does so itself. `http_paths` are those of etcd's JSON gateway.

    For Watch the op depends on the request, so it is None here; `mapping.decode` says which one.
    """

    path: bytes
    op: str | None
    request: type[Message]
    response: type[Message]
    kind: RpcKind
    http_paths: tuple[str, ...] = ()

    @property
    def service(self) -> str:
        """The full name of its service, such as `etcdserverpb.KV`."""
        return self.path.decode().split("/")[1]

    @property
    def method(self) -> str:
        """Its name within the service, such as `Put`."""
        return self.path.decode().split("/")[2]


_OPS: Final = {
    "etcdserverpb.KV": {
        "Range": "range",
        "Put": "put",
        "DeleteRange": "delete_range",
        "Txn": "txn",
        "Compact": "compact",
    },
    "etcdserverpb.Lease": {
        "LeaseGrant": "lease_grant",
        "LeaseRevoke": "lease_revoke",
        "LeaseKeepAlive": "lease_keep_alive",
        "LeaseTimeToLive": "lease_time_to_live",
        "LeaseLeases": "lease_leases",
    },
    "etcdserverpb.Cluster": {
        "MemberAdd": "member_add",
        "MemberRemove": "member_remove",
        "MemberUpdate": "member_update",
        "MemberList": "member_list",
        "MemberPromote": "member_promote",
    },
    "etcdserverpb.Maintenance": {
        "Alarm": "alarm",
        "Status": "status",
        "Defragment": "defragment",
        "Hash": "hash",
        "HashKV": "hash_kv",
        "Snapshot": "snapshot",
        "MoveLeader": "move_leader",
    },
    "etcdserverpb.Auth": {
        "AuthEnable": "auth_enable",
        "AuthDisable": "auth_disable",
        "AuthStatus": "auth_status",
        "Authenticate": "authenticate",
        "UserAdd": "user_add",
        "UserGet": "user_get",
        "UserList": "user_list",
        "UserDelete": "user_delete",
        "UserChangePassword": "user_change_password",
        "UserGrantRole": "user_grant_role",
        "UserRevokeRole": "user_revoke_role",
        "RoleAdd": "role_add",
        "RoleGet": "role_get",
        "RoleList": "role_list",
        "RoleDelete": "role_delete",
        "RoleGrantPermission": "role_grant_permission",
        "RoleRevokePermission": "role_revoke_permission",
    },
}
"""The operation of the client protocol for each RPC that has one."""

_HTTP_PATHS: Final = {
    "etcdserverpb.KV": {
        "Range": "kv/range",
        "Put": "kv/put",
        "DeleteRange": "kv/deleterange",
        "Txn": "kv/txn",
        "Compact": "kv/compaction",
    },
    "etcdserverpb.Watch": {"Watch": "watch"},
    "etcdserverpb.Lease": {
        "LeaseGrant": "lease/grant",
        "LeaseRevoke": "lease/revoke kv/lease/revoke",
        "LeaseKeepAlive": "lease/keepalive",
        "LeaseTimeToLive": "lease/timetolive kv/lease/timetolive",
        "LeaseLeases": "lease/leases kv/lease/leases",
    },
    "etcdserverpb.Cluster": {
        "MemberAdd": "cluster/member/add",
        "MemberRemove": "cluster/member/remove",
        "MemberUpdate": "cluster/member/update",
        "MemberList": "cluster/member/list",
        "MemberPromote": "cluster/member/promote",
    },
    "etcdserverpb.Maintenance": {
        "Alarm": "maintenance/alarm",
        "Status": "maintenance/status",
        "Defragment": "maintenance/defragment",
        "Hash": "maintenance/hash",
        "HashKV": "maintenance/hashkv",  # etcd's since 3.6; 3.5 has no path for it
        "Snapshot": "maintenance/snapshot",
        "MoveLeader": "maintenance/transfer-leadership",
        "Downgrade": "maintenance/downgrade",
    },
    "etcdserverpb.Auth": {
        "AuthEnable": "auth/enable",
        "AuthDisable": "auth/disable",
        "AuthStatus": "auth/status",
        "Authenticate": "auth/authenticate",
        "UserAdd": "auth/user/add",
        "UserGet": "auth/user/get",
        "UserList": "auth/user/list",
        "UserDelete": "auth/user/delete",
        "UserChangePassword": "auth/user/changepw",
        "UserGrantRole": "auth/user/grant",
        "UserRevokeRole": "auth/user/revoke",
        "RoleAdd": "auth/role/add",
        "RoleGet": "auth/role/get",
        "RoleList": "auth/role/list",
        "RoleDelete": "auth/role/delete",
        "RoleGrantPermission": "auth/role/grant",
        "RoleRevokePermission": "auth/role/revoke",
    },
    "v3lockpb.Lock": {"Lock": "lock/lock", "Unlock": "lock/unlock"},
    "v3electionpb.Election": {
        "Campaign": "election/campaign",
        "Proclaim": "election/proclaim",
        "Leader": "election/leader",
        "Observe": "election/observe",
        "Resign": "election/resign",
    },
}
"""The paths of etcd's JSON gateway, behind `/v3/`."""


def serialized_files(descriptor_set: bytes) -> Iterator[bytes]:
    """The files of a FileDescriptorSet, those that others import first: its field 1, repeated.

    Read by hand, because the module with its class takes tens of milliseconds to import.
    """
    position = 0
    while position < len(descriptor_set):
        position += 1  # the tag
        size = shift = 0
        more = True
        while more:
            byte = descriptor_set[position]
            size |= (byte & 0x7F) << shift
            more, shift, position = byte > 0x7F, shift + 7, position + 1
        yield descriptor_set[position : position + size]
        position += size


def _rpc(service: ServiceDescriptor, method: MethodDescriptor) -> Rpc:
    if method.client_streaming:
        kind = RpcKind.BOTH_STREAM
    else:
        kind = RpcKind.SERVER_STREAM if method.server_streaming else RpcKind.UNARY
    name = service.full_name
    paths = _HTTP_PATHS.get(name, {}).get(method.name, "").split()
    return Rpc(
        f"/{name}/{method.name}".encode(),
        _OPS.get(name, {}).get(method.name),
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
        kind,
        tuple([f"/v3/{path}" for path in paths]),
    )


_POOL: Final = DescriptorPool()
_FILES: Final[list[FileDescriptor]] = [
    _POOL.AddSerializedFile(file) for file in serialized_files(DESCRIPTORS.read_bytes())
]

SERVICES: Final = {
    service.full_name: service for file in _FILES for service in file.services_by_name.values()
}
"""The services by full name."""

RPCS: Final = {
    rpc.path: rpc
    for service in SERVICES.values()
    for rpc in [_rpc(service, method) for method in service.methods]
}
"""Every RPC by gRPC's path, such as b"/etcdserverpb.KV/Put"."""

HTTP: Final = {path: rpc for rpc in RPCS.values() for path in rpc.http_paths}
"""Every RPC that etcd's JSON gateway has, by path, such as "/v3/kv/put"."""


def message_class(full_name: str) -> type[Message]:
    """The class of a message, such as `mvccpb.KeyValue`; KeyError if there is none."""
    return GetMessageClass(_POOL.FindMessageTypeByName(full_name))


def descriptor_of(kind: type[Message]) -> Descriptor:
    """The descriptor of a class of messages."""
    return cast(Descriptor, kind.DESCRIPTOR)
