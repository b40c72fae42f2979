"""The results of a client's calls about users, roles and authentication; `results` has the rest."""

from __future__ import annotations

from typing import NamedTuple

from cluster.client.results import Header


class Permission(NamedTuple):
    """A right to a key, or to the keys from `key` up to but without `range_end`; b"\\0" there
    means every key from `key` on."""

    perm_type: str
    key: bytes
    range_end: bytes = b""


class RoleLimits(NamedTuple):
    """What a role allows to each of its users; 0: the role does not limit it.

    Requests and their bytes in a second, and open watches: at each node. Leases: in the cluster.
    """

    requests_per_second: int = 0
    bytes_per_second: int = 0
    watches: int = 0
    leases: int = 0


class AuthenticateResult(NamedTuple):
    """A token, which stands for the user, and its life in seconds (0: unknown)."""

    header: Header
    token: str
    ttl: int = 0


class AuthResult(NamedTuple):
    """A change of users, of roles, or of authentication itself was made."""

    header: Header


class AuthStatusResult(NamedTuple):
    """Whether requests are checked, and the number of changes of users and roles so far."""

    header: Header
    enabled: bool
    auth_revision: int


class UserGetResult(NamedTuple):
    """The names of a user's roles, and the public keys that stand for the user."""

    header: Header
    roles: tuple[str, ...]
    keys: tuple[bytes, ...] = ()


class UserListResult(NamedTuple):
    """The names of all users."""

    header: Header
    users: tuple[str, ...]


class RoleGetResult(NamedTuple):
    """The permissions of a role, in the order of their keys, and its limits."""

    header: Header
    perm: tuple[Permission, ...]
    limits: RoleLimits = RoleLimits()


class RoleListResult(NamedTuple):
    """The names of all roles."""

    header: Header
    roles: tuple[str, ...]
