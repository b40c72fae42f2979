"""The vocabulary of users, roles and rights, and the commands that change them (etcd's authpb).

Passwords are hashed before a command is made: no command, and so no log, holds one. Refuses to know
how somebody shows who they are.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from actors.language.bounds import Unsigned
from actors.language.intervals import KeySet
from actors.language.limits import NO_LIMITS, UserLimits

ROOT: Final = "root"
"""The name of the user that must exist before authentication is switched on, and of the role that
may do everything. The role is there without being added."""


class Principal(NamedTuple):
    """Who asks: a user's id, and the auth revision at which it was shown who that is.

    A later change may make that worthless: see `User`.
    """

    user_id: int
    shown_at: Unsigned = 0


NODE: Final = Principal(-1)
"""A node itself, which puts entries into the log unasked."""

NOBODY: Final = Principal(0)
"""Somebody who has not shown who they are."""

UNKNOWN: Final = Principal(-2)
"""Somebody who has shown what is worth nothing: a token that is too old, or that no node made."""


class PermissionType(IntEnum):
    """What a role may do with an interval of keys (authpb Permission.Type)."""

    READ = 0
    WRITE = 1
    READWRITE = 2


class Permission(NamedTuple):
    """A right to a key or to [key, range_end); range_end b"\\0" means every key >= key."""

    kind: PermissionType
    key: bytes
    range_end: bytes = b""


class User(NamedTuple):
    """A user. The id is the index of the entry that added it, or another that no user has.

    `password` is a hash (b"": none can be given). `keys` are the public CURVE keys that stand for
    the user. What was shown before the auth revision `valid_from` is worth nothing: then the user
    got another password or lost a key.
    """

    id: Unsigned
    name: str
    password: bytes
    keys: tuple[bytes, ...] = ()
    roles: tuple[str, ...] = ()
    valid_from: Unsigned = 0


class Role(NamedTuple):
    """A role: its permissions in the order of their keys, and the limits of each of its users."""

    name: str
    permissions: tuple[Permission, ...] = ()
    limits: UserLimits = NO_LIMITS


class AuthState(NamedTuple):
    """Whether requests are checked, the number of changes of users and roles (etcd's auth revision,
    which begins at 1), and what seals tokens (b"" while requests are not checked)."""

    enabled: bool = False
    revision: Unsigned = 1
    secret: bytes = b""


AUTH_OFF: Final = AuthState()
"""The state of a cluster to which nobody was ever added."""


# --- commands -----------------------------------------------------------------------------------


class AuthEnable(NamedTuple):
    """Check requests from now on; the user root, with the role root, must exist.

    `secret` is what seals tokens from then on. It is new each time, so older tokens are worthless.
    """

    secret: bytes


class AuthDisable(NamedTuple):
    """Check requests no longer."""


class UserAdd(NamedTuple):
    """Add a user (rpc.proto AuthUserAddRequest); `password` is a hash, or b"" for none."""

    name: str
    password: bytes = b""


class UserDelete(NamedTuple):
    """Delete a user."""

    name: str


class UserChangePassword(NamedTuple):
    """Give a user another password; `password` is its hash."""

    name: str
    password: bytes


class UserGrantRole(NamedTuple):
    """Give a user the rights of a role."""

    name: str
    role: str


class UserRevokeRole(NamedTuple):
    """Take the rights of a role from a user."""

    name: str
    role: str


class UserAddKey(NamedTuple):
    """Let a public key stand for a user (not in etcd)."""

    name: str
    key: bytes


class UserRemoveKey(NamedTuple):
    """Let a public key no longer stand for a user (not in etcd)."""

    name: str
    key: bytes


class RoleAdd(NamedTuple):
    """Add a role without permissions."""

    name: str


class RoleDelete(NamedTuple):
    """Delete a role, and take it from all users."""

    name: str


class RoleGrantPermission(NamedTuple):
    """Give a role a permission, in place of the one that it had for the same interval.

    etcd's clients may leave the permission out: that is refused, after the check of who asks.
    """

    name: str
    permission: Permission | None


class RoleRevokePermission(NamedTuple):
    """Take from a role the permission for exactly this interval."""

    name: str
    key: bytes
    range_end: bytes = b""


class RoleSetLimits(NamedTuple):
    """Give a role these limits in place of those that it had (not in etcd)."""

    name: str
    limits: UserLimits


AuthCommand = (
    AuthEnable
    | AuthDisable
    | UserAdd
    | UserDelete
    | UserChangePassword
    | UserGrantRole
    | UserRevokeRole
    | UserAddKey
    | UserRemoveKey
    | RoleAdd
    | RoleDelete
    | RoleGrantPermission
    | RoleRevokePermission
    | RoleSetLimits
)


# --- queries --------------------------------------------------------------------------------------


class AuthStatus(NamedTuple):
    """Whether authentication is on, and its revision."""


class UserGet(NamedTuple):
    """The roles and the public keys of a user."""

    name: str


class UserList(NamedTuple):
    """The names of all users."""


class RoleGet(NamedTuple):
    """The permissions and the limits of a role."""

    name: str


class RoleList(NamedTuple):
    """The names of all roles."""


class UserSecret(NamedTuple):
    """What a node needs to check a user's password, and to make a token; never for clients."""

    name: str


BUILT_IN: Final = (ROOT, "operator", "backup", "monitor")
"""Roles that are there without being added; all but root are not in etcd."""


AuthQuery = AuthStatus | UserGet | UserList | RoleGet | RoleList | UserSecret


# --- what a node's actors tell each other -----------------------------------------------------


class AuthNews(NamedTuple):
    """Store -> Gateway: users and roles are like this now, by which requests are checked.

    `users` are those that have changed, by id (None: deleted), and `limits` those of the roles that
    have changed, by name. If `is_whole`, they are all users, and all roles that limit something.
    """

    state: AuthState
    users: tuple[tuple[int, User | None], ...]
    is_whole: bool
    limits: tuple[tuple[str, UserLimits], ...] = ()


class WatchRights(NamedTuple):
    """Store -> Watch: the keys that each may watch now who watches here; end all other watches."""

    readable: tuple[tuple[Principal, KeySet], ...]
