"""What etcd's Auth service answers where nobody was ever added, and authentication is off.

There are no users and no roles here yet. So every answer of etcd's that needs none is given, word
for word; only what would add the first user or role is refused. Refuses to know how a call travels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cluster.etcd.rpc.schema import Rpc
from cluster.etcd.rpc.status import RpcError
from cluster.faults import FAILED_PRECONDITION, INVALID_ARGUMENT, UNIMPLEMENTED

SERVICE: Final = "etcdserverpb.Auth"

Fields = dict[str, Any]


def answer(rpc: Rpc, request: Fields) -> Fields:
    """The fields of the response beside its header, to a request of this service.

    Raises RpcError where etcd answers with an error, and for what is not served.
    """
    return _ANSWERS[rpc.method](request)


def _fails(code: int, message: str) -> Callable[[Fields], Fields]:
    def fail(_: Fields) -> Fields:
        raise RpcError(code, message)

    return fail


def _nothing(_: Fields) -> Fields:
    return {}


def _status(_: Fields) -> Fields:
    return {"authRevision": 1}


def _addition(missing: str) -> Callable[[Fields], Fields]:
    def refuse(request: Fields) -> Fields:
        if "name" not in request:
            raise RpcError(INVALID_ARGUMENT, missing)
        raise RpcError(UNIMPLEMENTED, "leasehold: users and roles are not supported yet")

    return refuse


def _grant_to_role(request: Fields) -> Fields:
    if "perm" not in request:
        raise RpcError(INVALID_ARGUMENT, "etcdserver: permission not given")
    return _no_role(request)


_no_user: Final = _fails(FAILED_PRECONDITION, "etcdserver: user name not found")
_no_role: Final = _fails(FAILED_PRECONDITION, "etcdserver: role name not found")

_ANSWERS: Final = {
    "AuthEnable": _fails(FAILED_PRECONDITION, "etcdserver: root user does not exist"),
    "AuthDisable": _nothing,
    "AuthStatus": _status,
    "Authenticate": _fails(FAILED_PRECONDITION, "etcdserver: authentication is not enabled"),
    "UserAdd": _addition("etcdserver: user name is empty"),
    "UserGet": _no_user,
    "UserList": _nothing,
    "UserDelete": _no_user,
    "UserChangePassword": _no_user,
    "UserGrantRole": _no_user,
    "UserRevokeRole": _no_user,
    "RoleAdd": _addition("etcdserver: role name is empty"),
    "RoleGet": _no_role,
    "RoleList": _nothing,
    "RoleDelete": _no_role,
    "RoleGrantPermission": _grant_to_role,
    "RoleRevokePermission": _no_role,
}
