"""What is shown of users and roles: to whom is the business of `check`."""

from __future__ import annotations

from typing import assert_never

from actors.language.auth import (
    AuthQuery,
    AuthStatus,
    RoleGet,
    RoleList,
    UserGet,
    UserList,
    UserSecret,
)
from actors.language.results import (
    AuthStatusDone,
    Failure,
    Result,
    RoleDone,
    RoleNames,
    UserDone,
    UserNames,
    UserSecretDone,
)
from actors.store.auth.table import AuthTable


def answer_auth(table: AuthTable, query: AuthQuery, revision: int) -> Result:
    """The whole answer; `revision` is that of the keys, which each answer has."""
    match query:
        case AuthStatus():
            return AuthStatusDone(revision, table.state.enabled, table.state.revision)
        case UserGet(name):
            user = table.users.get(name)
            return UserDone(revision, user.roles, user.keys) if user else Failure("UserNotFound")
        case RoleGet(name):
            role = table.roles.get(name)
            if role is None:
                return Failure("RoleNotFound")
            return RoleDone(revision, role.permissions, role.limits)
        case UserList():
            return UserNames(revision, tuple(sorted(table.users)))
        case RoleList():
            return RoleNames(revision, tuple(sorted(table.roles)))
        case UserSecret(name):
            return _secret(table, name, revision)
        case _:
            assert_never(query)


def _secret(table: AuthTable, name: str, revision: int) -> Result:
    _, auth_revision, secret = table.state
    if not table.enabled:
        return Failure("AuthNotEnabled")
    user = table.users.get(name)
    user_id, password = (user.id, user.password) if user else (0, b"")
    return UserSecretDone(revision, user_id, password, auth_revision, secret)
