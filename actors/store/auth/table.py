"""AuthTable: users, roles and whether requests are checked, as replicated state.

It is a pure function of the commands applied, so all members agree. What etcd refuses is refused
here, in its words and its order (etcd server/auth/store.go). It refuses to know what a request is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, assert_never
from zlib import crc32

from actors.language.auth import (
    BUILT_IN,
    ROOT,
    AuthCommand,
    AuthDisable,
    AuthEnable,
    AuthNews,
    Permission,
    PermissionType,
    Principal,
    Role,
    RoleAdd,
    RoleDelete,
    RoleGrantPermission,
    RoleRevokePermission,
    RoleSetLimits,
    User,
    UserAdd,
    UserAddKey,
    UserChangePassword,
    UserDelete,
    UserGrantRole,
    UserRemoveKey,
    UserRevokeRole,
)
from actors.language.intervals import EVERY_KEY, KeySet, interval_of
from actors.language.limits import NO_LIMITS, UserLimits, limits_together
from actors.store.auth.news import Untold
from actors.store.auth.ready import Ready
from actors.store.storage import NO_AUTH, AuthChange, AuthRecords
from cluster.faults import MaybeFault

USERS_MAX: Final = 100_000
ROLES_MAX: Final = 10_000
PERMISSIONS_MAX: Final = 10_000
"""The permissions of one role."""

KEYS_PER_USER_MAX: Final = 100
"""The public keys of one user."""

KEY_BYTES: Final = 32
"""The bytes of a public key (Curve25519)."""

NAME_BYTES_MAX: Final = 256
"""The bytes of a name in UTF-8."""


class Rights(NamedTuple):
    """What one user may do, and how much, made of its roles; root may do all. `valid_from` is the
    user's."""

    roles: frozenset[str]
    reads: KeySet
    writes: KeySet
    valid_from: int
    is_root: bool
    limits: UserLimits


class AuthTable:
    """The users and roles. `state` says whether requests are checked."""

    def __init__(self, records: AuthRecords = NO_AUTH) -> None:
        self.state = records.state
        # While requests are checked; an attribute of its own, because each entry asks.
        self.enabled = records.state.enabled
        self.users = {user.name: user for user in records.users}
        self.roles = {role.name: role for role in records.roles}
        self._by_id = {user.id: user for user in self.users.values()}
        self._by_key = {key: user for user in self.users.values() for key in user.keys}
        # What users may do, by their ids, as far as somebody has asked since the last change.
        self._rights: dict[int, Rights] = {}
        self.ready = Ready()
        self._is_changed = False
        self._changed_users: set[str] = set()
        self._changed_roles: set[str] = set()
        self._untold = Untold(is_news=records != NO_AUTH)

    # --- what others ask ---

    def of_id(self, user_id: int) -> User | None:
        """The user with this id, if it still exists."""
        return self._by_id.get(user_id)

    def of_key(self, key: bytes) -> User | None:
        """The user that a public key stands for."""
        return self._by_key.get(key)

    def rights_of(self, user_id: int) -> Rights | None:
        """What the user with this id may do; None: there is no such user."""
        found = self._rights.get(user_id)
        if found is None:
            user = self._by_id.get(user_id)
            if user is None:
                return None
            found = self._rights[user_id] = self._rights_from(user)
        return found

    def rights_shown(self, principal: Principal) -> Rights | None:
        """What a principal may do; None: what it has shown is worth nothing any more, or never was.

        The answer is ready from then on, until the next change.
        """
        found = self.rights_of(principal.user_id)
        if found is None or principal.shown_at < found.valid_from:
            return None
        self.ready.keep(principal, found.reads, found.writes)
        return found

    def _rights_from(self, user: User) -> Rights:
        names = frozenset(user.roles)
        if ROOT in names:
            return Rights(names, EVERY_KEY, EVERY_KEY, user.valid_from, True, NO_LIMITS)
        roles = [self.roles[name] for name in user.roles if name in self.roles]
        given = [each for role in roles for each in role.permissions]
        reads = [each for each in given if each.kind is not PermissionType.WRITE]
        writes = [each for each in given if each.kind is not PermissionType.READ]
        limits = limits_together(role.limits for role in roles)
        return Rights(names, _keys(reads), _keys(writes), user.valid_from, False, limits)

    def limits_of(self, user_id: int) -> UserLimits:
        """How much the user with this id may take, while requests are checked."""
        rights = self.rights_of(user_id) if self.enabled else None
        return NO_LIMITS if rights is None else rights.limits

    # --- commands ---

    def do(self, command: AuthCommand, index: int) -> MaybeFault:
        """Carry out the command of the entry at `index`, or say why not."""
        match command:
            case AuthEnable(secret):
                return self._enable(secret)
            case AuthDisable():
                return self._disable()
            case UserAdd(name, password):
                return self._add_user(name, password, index)
            case UserDelete(name):
                return self._delete_user(name)
            case UserChangePassword(name, password):
                return self._change_password(name, password)
            case UserGrantRole(name, role):
                return self._grant_role(name, role)
            case UserRevokeRole(name, role):
                return self._revoke_role(name, role)
            case UserAddKey(name, key):
                return self._add_key(name, key)
            case UserRemoveKey(name, key):
                return self._remove_key(name, key)
            case RoleAdd(name):
                return self._add_role(name)
            case RoleDelete(name):
                return self._delete_role(name)
            case RoleGrantPermission(name, permission):
                return self._grant_permission(name, permission)
            case RoleRevokePermission(name, key, range_end):
                return self._revoke_permission(name, key, range_end)
            case RoleSetLimits(name, limits):
                return self._set_limits(name, limits)
            case _:
                assert_never(command)

    @property
    def _next(self) -> int:
        """The revision of the change under way."""
        return self.state.revision + 1

    def _enable(self, secret: bytes) -> MaybeFault:
        root = self.users.get(ROOT)
        if self.enabled:
            return ""  # as etcd, which also leaves its revision as it is
        if root is None:
            return "RootUserNotExist"
        if ROOT not in root.roles:
            return "RootRoleNotExist"
        if not root.password and not root.keys:
            return "RootCannotLogIn"
        self._switch(True, secret)
        return ""

    def _disable(self) -> MaybeFault:
        if self.enabled:
            self._switch(False, b"")
            self._changed()
        return ""

    def _switch(self, enabled: bool, secret: bytes) -> None:
        self.enabled = enabled
        self.state = self.state._replace(enabled=enabled, secret=secret)
        self._is_changed = self._untold.is_news = True

    def _add_user(self, name: str, password: bytes, index: int) -> MaybeFault:
        if not name:
            return "UserEmpty"
        if name in self.users:
            return "UserAlreadyExist"
        if len(name.encode()) > NAME_BYTES_MAX:
            return "NameTooLong"
        if len(self.users) >= USERS_MAX:
            return "TooManyUsers"
        # In a cluster that was restored from a snapshot, indexes begin again.
        user_id = max(self._by_id) + 1 if index in self._by_id else index
        self._set_user(User(user_id, name, password, valid_from=self._next))
        return ""

    def _delete_user(self, name: str) -> MaybeFault:
        if self.enabled and name == ROOT:
            return "InvalidAuthMgmt"
        user = self.users.pop(name, None)
        if user is None:
            return "UserNotFound"
        del self._by_id[user.id]
        self._untold.note_user(user.id)
        for key in user.keys:
            del self._by_key[key]
        self._changed_users.add(name)
        self._changed()
        return ""

    def _change_password(self, name: str, password: bytes) -> MaybeFault:
        user = self.users.get(name)
        # As in etcd, a user that was added without a password keeps having none.
        password = password if user is None or user.password else b""
        return self._change_user(name, password=password, valid_from=self._next)

    def _grant_role(self, name: str, role: str) -> MaybeFault:
        user = self.users.get(name)
        if user is None:
            return "UserNotFound"
        if role not in BUILT_IN and role not in self.roles:
            return "RoleNotFound"
        if role in user.roles:
            return ""  # as etcd, which also leaves its revision as it is
        return self._change_user(name, roles=tuple(sorted((*user.roles, role))))

    def _revoke_role(self, name: str, role: str) -> MaybeFault:
        if self.enabled and name == role == ROOT:
            return "InvalidAuthMgmt"
        user = self.users.get(name)
        if user is None:
            return "UserNotFound"
        if role not in user.roles:
            return "RoleNotGranted"
        return self._change_user(name, roles=tuple(each for each in user.roles if each != role))

    def _add_key(self, name: str, key: bytes) -> MaybeFault:
        user = self.users.get(name)
        if user is None:
            return "UserNotFound"
        if len(key) != KEY_BYTES:
            return "NotAKey"
        if key in self._by_key:
            return "KeyInUse"
        if len(user.keys) >= KEYS_PER_USER_MAX:
            return "TooManyKeys"
        return self._change_user(name, keys=(*user.keys, key))

    def _remove_key(self, name: str, key: bytes) -> MaybeFault:
        user = self.users.get(name)
        if user is None:
            return "UserNotFound"
        if key not in user.keys:
            return "KeyNotOfUser"
        left = tuple(each for each in user.keys if each != key)
        if self.enabled and name == ROOT and not left and not user.password:
            return "RootCannotLogIn"
        return self._change_user(name, keys=left, valid_from=self._next)

    def _add_role(self, name: str) -> MaybeFault:
        if not name:
            return "RoleEmpty"
        if name in self.roles:
            return "RoleAlreadyExist"
        if len(name.encode()) > NAME_BYTES_MAX:
            return "NameTooLong"
        if len(self.roles) >= ROLES_MAX:
            return "TooManyRoles"
        self._set_role(Role(name))
        return ""

    def _delete_role(self, name: str) -> MaybeFault:
        if self.enabled and name == ROOT:
            return "InvalidAuthMgmt"
        if name not in self.roles:
            return "RoleNotFound"
        del self.roles[name]
        self._changed_roles.add(name)
        self._untold.note_role(name)
        for user in list(self.users.values()):
            if name in user.roles:
                left = tuple(each for each in user.roles if each != name)
                self._keep(user._replace(roles=left))
        self._changed()
        return ""

    def _grant_permission(self, name: str, permission: Permission | None) -> MaybeFault:
        if permission is None:
            return "PermissionNotGiven"
        role = self.roles.get(name)
        if role is None:
            return "RoleNotFound"
        granted = [permission if each[1:] == permission[1:] else each for each in role.permissions]
        if permission not in granted:
            if len(granted) >= PERMISSIONS_MAX:
                return "TooManyPermissions"
            granted.append(permission)
        # Equal keys in the order in which they were granted, as in etcd.
        granted.sort(key=lambda each: each.key)
        self._set_role(role._replace(permissions=tuple(granted)))
        return ""

    def _revoke_permission(self, name: str, key: bytes, range_end: bytes) -> MaybeFault:
        role = self.roles.get(name)
        if role is None:
            return "RoleNotFound"
        left = tuple(each for each in role.permissions if each[1:] != (key, range_end))
        if len(left) == len(role.permissions):
            return "PermissionNotGranted"
        self._set_role(role._replace(permissions=left))
        return ""

    def _set_limits(self, name: str, limits: UserLimits) -> MaybeFault:
        role = self.roles.get(name)
        if role is None:
            return "RoleNotFound"
        self._set_role(role._replace(limits=limits))
        return ""

    # --- inside ---

    def _change_user(self, name: str, **fields: object) -> MaybeFault:
        user = self.users.get(name)
        if user is None:
            return "UserNotFound"
        self._set_user(user._replace(**fields))  # type: ignore[arg-type]
        return ""

    def _set_user(self, user: User) -> None:
        self._keep(user)
        self._changed()

    def _keep(self, user: User) -> None:
        before = self.users.get(user.name)
        for key in before.keys if before is not None else ():
            del self._by_key[key]
        self.users[user.name] = self._by_id[user.id] = user
        self._changed_users.add(user.name)
        self._untold.note_user(user.id)
        for key in user.keys:
            self._by_key[key] = user

    def _set_role(self, role: Role) -> None:
        self.roles[role.name] = role
        self._changed_roles.add(role.name)
        self._untold.note_role(role.name)
        self._changed()

    def _changed(self) -> None:
        self.state = self.state._replace(revision=self._next)
        self._rights.clear()
        self.ready.forget()
        self._is_changed = self._untold.is_news = True

    def take_changes(self) -> AuthChange | None:
        """What has changed since the last call; None: nothing has."""
        if not self._is_changed:
            return None
        users = {name: self.users.get(name) for name in sorted(self._changed_users)}
        roles = {name: self.roles.get(name) for name in sorted(self._changed_roles)}
        self._is_changed = False
        self._changed_users.clear()
        self._changed_roles.clear()
        return AuthChange(self.state, users, roles)

    def news(self) -> AuthNews | None:
        """What the node's gateway must hear since the last call; None: nothing."""
        return self._untold.take(self.state, self._by_id, self.roles)

    def hash(self, found: int = 0) -> int:
        """The CRC-32 of everything here; `found` is that of what came before."""
        users = [self.users[name] for name in sorted(self.users)]
        roles = [self.roles[name] for name in sorted(self.roles)]
        texts = [repr(tuple(each)) for each in (self.state, *users, *roles)]
        return crc32("\n".join(texts).encode(), found)


def _keys(permissions: Iterable[Permission]) -> KeySet:
    return KeySet(interval_of(key, range_end) for _, key, range_end in permissions)
