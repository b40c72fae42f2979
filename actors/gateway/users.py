"""Requests on users and roles: the commands and queries that they become.

A password becomes a hash before its command can be made, which takes long: so a request that has
one is made in two steps (`stages.py`). Refuses to know who asks, and whether they may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from actors.gateway.fields import Fields, RefusedError, fault_of
from actors.gateway.passwords import PASSWORD_BYTES_MAX
from actors.language.auth import (
    AuthCommand,
    AuthDisable,
    AuthEnable,
    AuthQuery,
    AuthStatus,
    Permission,
    PermissionType,
    RoleAdd,
    RoleDelete,
    RoleGet,
    RoleGrantPermission,
    RoleList,
    RoleRevokePermission,
    RoleSetLimits,
    UserAdd,
    UserAddKey,
    UserChangePassword,
    UserDelete,
    UserGet,
    UserGrantRole,
    UserList,
    UserRemoveKey,
    UserRevokeRole,
)
from actors.language.limits import UserLimits


class Passworded(NamedTuple):
    """A command that still lacks the hash of a password."""

    command: UserAdd | UserChangePassword
    password: str


class LoginAttempt(NamedTuple):
    """Somebody says who they are, and gives the password."""

    name: str
    password: str


def user_writes(new_secret: Callable[[], bytes]) -> dict[str, Callable[[Fields], AuthCommand]]:
    """The operations that become a command at once; `new_secret` draws what seals tokens."""
    return {**_WRITES, "auth_enable": lambda _: AuthEnable(new_secret())}


def make_user_add(fields: Fields) -> UserAdd | Passworded:
    """The user that a request asks for, perhaps one without a password."""
    command = UserAdd(_text(fields, "name"))
    has_none = fields.get("options", {}).get("no_password", False)
    # Without a name it is refused, after the check of who asks: no password needs a hash for that.
    return command if has_none or not command.name else Passworded(command, _password(fields))


def make_user_change_password(fields: Fields) -> Passworded:
    """The change of a password that a request asks for."""
    return Passworded(UserChangePassword(_text(fields, "name"), b""), _password(fields))


def make_login(fields: Fields) -> LoginAttempt:
    """Who a request says that it is of."""
    return LoginAttempt(_text(fields, "name"), _password(fields))


def _grant(fields: Fields) -> RoleGrantPermission:
    given, permission = fields.get("perm"), None
    if given is not None:
        kind = given.get("permType", PermissionType.READ)
        permission = Permission(kind, given.get("key", b""), given.get("range_end", b""))
    return RoleGrantPermission(_text(fields, "name"), permission)


def _revoke(fields: Fields) -> RoleRevokePermission:
    return RoleRevokePermission(
        _text(fields, "role"), fields.get("key", b""), fields.get("range_end", b"")
    )


def _set_limits(fields: Fields) -> RoleSetLimits:
    # What is left out is 0, which is no limit.
    return RoleSetLimits(_text(fields, "role"), UserLimits(**fields.get("limits", {})))


def _text(fields: Fields, name: str) -> str:
    text: str = fields.get(name, "")
    return text


def _password(fields: Fields) -> str:
    password = _text(fields, "password")
    if len(password.encode()) > PASSWORD_BYTES_MAX:
        raise RefusedError(fault_of(f"a password has at most {PASSWORD_BYTES_MAX:,} bytes"))
    return password


_WRITES: Final[dict[str, Callable[[Fields], AuthCommand]]] = {
    "auth_disable": lambda _: AuthDisable(),
    "user_delete": lambda fields: UserDelete(_text(fields, "name")),
    "user_grant_role": lambda fields: UserGrantRole(_text(fields, "user"), _text(fields, "role")),
    "user_revoke_role": lambda fields: UserRevokeRole(_text(fields, "name"), _text(fields, "role")),
    "user_add_key": lambda fields: UserAddKey(_text(fields, "name"), fields.get("key", b"")),
    "user_remove_key": lambda fields: UserRemoveKey(_text(fields, "name"), fields.get("key", b"")),
    "role_add": lambda fields: RoleAdd(_text(fields, "name")),
    "role_delete": lambda fields: RoleDelete(_text(fields, "role")),
    "role_grant_permission": _grant,
    "role_revoke_permission": _revoke,
    "role_set_limits": _set_limits,
}

USER_READS: Final[dict[str, Callable[[Fields], AuthQuery]]] = {
    "auth_status": lambda _: AuthStatus(),
    "user_get": lambda fields: UserGet(_text(fields, "name")),
    "user_list": lambda _: UserList(),
    "role_get": lambda fields: RoleGet(_text(fields, "role")),
    "role_list": lambda _: RoleList(),
}
