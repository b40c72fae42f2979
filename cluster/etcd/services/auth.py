"""The Auth service of a cluster that has no users and no roles: etcd's answers.

What etcd would keep for later, a user or a role, is refused as not implemented.
"""

from __future__ import annotations

from typing import Any, Final

from cluster.errors import FAILED_PRECONDITION, INVALID_ARGUMENT, UNIMPLEMENTED, Fault
from cluster.etcd.rpc.status import RpcError
from cluster.etcd.services.calls import Request
from cluster.etcd.services.recipes import Recipe, Run

NOT_ENABLED: Final = Fault(FAILED_PRECONDITION, "etcdserver: authentication is not enabled")
NO_ROOT: Final = Fault(FAILED_PRECONDITION, "etcdserver: root user does not exist")
NO_USER: Final = Fault(FAILED_PRECONDITION, "etcdserver: user name not found")
NO_ROLE: Final = Fault(FAILED_PRECONDITION, "etcdserver: role name not found")
EMPTY_USER: Final = Fault(INVALID_ARGUMENT, "etcdserver: user name is empty")
EMPTY_ROLE: Final = Fault(INVALID_ARGUMENT, "etcdserver: role name is empty")
NO_PERMISSION: Final = Fault(INVALID_ARGUMENT, "etcdserver: permission not given")
NO_USERS_YET: Final = Fault(UNIMPLEMENTED, "leasehold: users and roles are not implemented")


def says(**fields: Any) -> Run:
    """What answers with these fields, and the header of now."""

    async def run(recipe: Recipe, request: Request) -> None:
        status = await recipe.ask(op="status")
        await recipe.send({"header": status["header"], **fields})

    return run


def refuses(fault: Fault) -> Run:
    """What refuses every request."""

    async def run(recipe: Recipe, request: Request) -> None:
        raise RpcError(*fault)

    return run


def adds(empty: Fault) -> Run:
    """What refuses to add a user or a role, one without a name as etcd does."""

    async def run(recipe: Recipe, request: Request) -> None:
        raise RpcError(*(NO_USERS_YET if request.get("name") else empty))

    return run


async def grant_permission(recipe: Recipe, request: Request) -> None:
    """Refuse to change a role that is not there."""
    raise RpcError(*(NO_ROLE if "perm" in request else NO_PERMISSION))


METHODS: Final[dict[str, Run]] = {
    "AuthEnable": refuses(NO_ROOT),
    "AuthDisable": says(),
    "AuthStatus": says(enabled=False, authRevision=1),
    "Authenticate": refuses(NOT_ENABLED),
    "UserAdd": adds(EMPTY_USER),
    "UserGet": refuses(NO_USER),
    "UserList": says(),
    "UserDelete": refuses(NO_USER),
    "UserChangePassword": refuses(NO_USER),
    "UserGrantRole": refuses(NO_USER),
    "UserRevokeRole": refuses(NO_USER),
    "RoleAdd": adds(EMPTY_ROLE),
    "RoleGet": refuses(NO_ROLE),
    "RoleList": says(),
    "RoleDelete": refuses(NO_ROLE),
    "RoleGrantPermission": grant_permission,
    "RoleRevokePermission": refuses(NO_ROLE),
}
"""Every method of the service, by name."""
