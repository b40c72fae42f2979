"""The part of the protocol's table about users, roles and logging in.

Names, order and zero values are those of etcd's rpc.proto and auth.proto, but that options are no
longer than they must be. The table refuses to know what a right is.
"""

from __future__ import annotations

from typing import Final

from cluster.schema import (
    BYTES,
    COUNT,
    FLAG,
    INTEGER,
    KEYS,
    SECONDS,
    TEXT,
    TEXTS,
    Choice,
    Effect,
    Field,
    ListOf,
    Map,
    ProtocolOp,
)

PERMISSION_TYPE: Final = Choice(("READ", "WRITE", "READWRITE"))

_KEY: Final = Field("key", BYTES)
_RANGE_END: Final = Field("range_end", BYTES)

PERMISSION: Final = Map("permission", (Field("permType", PERMISSION_TYPE), _KEY, _RANGE_END))
USER_OPTIONS: Final = Map("user-options", (Field("no_password", FLAG),))
LIMITS: Final = Map(
    "limits",
    (
        Field("requests_per_second", COUNT),
        Field("bytes_per_second", COUNT),
        Field("watches", COUNT),
        Field("leases", COUNT),
    ),
)


_NAME: Final = Field("name", TEXT)
_ROLE: Final = Field("role", TEXT)
_PASSWORD: Final = Field("password", TEXT)
_PUBLIC_KEY: Final = Field("key", BYTES, "32 bytes")

USERS: Final = (
    ProtocolOp("auth_enable", Effect.WRITE, (), ()),
    ProtocolOp("auth_disable", Effect.WRITE, (), ()),
    ProtocolOp(
        "auth_status", Effect.READ, (), (Field("enabled", FLAG), Field("authRevision", INTEGER))
    ),
    ProtocolOp(
        "authenticate",
        Effect.READ,
        (_NAME, _PASSWORD),
        (Field("token", TEXT), Field("TTL", SECONDS, "the token's life", ours=True)),
    ),
    ProtocolOp("user_add", Effect.WRITE, (_NAME, _PASSWORD, Field("options", USER_OPTIONS)), ()),
    ProtocolOp(
        "user_get",
        Effect.READ,
        (_NAME,),
        (Field("roles", TEXTS), Field("keys", KEYS, "public keys", ours=True)),
    ),
    ProtocolOp("user_list", Effect.READ, (), (Field("users", TEXTS),)),
    ProtocolOp("user_delete", Effect.WRITE, (_NAME,), ()),
    ProtocolOp("user_change_password", Effect.WRITE, (_NAME, _PASSWORD), ()),
    ProtocolOp("user_grant_role", Effect.WRITE, (Field("user", TEXT), _ROLE), ()),
    ProtocolOp("user_revoke_role", Effect.WRITE, (_NAME, _ROLE), ()),
    ProtocolOp("user_add_key", Effect.WRITE, (_NAME, _PUBLIC_KEY), (), ours=True),
    ProtocolOp("user_remove_key", Effect.WRITE, (_NAME, _PUBLIC_KEY), (), ours=True),
    ProtocolOp("role_add", Effect.WRITE, (_NAME,), ()),
    ProtocolOp(
        "role_get",
        Effect.READ,
        (_ROLE,),
        (
            Field("perm", ListOf(PERMISSION)),
            Field("limits", LIMITS, "if it has some", optional=True, ours=True),
        ),
    ),
    ProtocolOp("role_list", Effect.READ, (), (Field("roles", TEXTS),)),
    ProtocolOp("role_delete", Effect.WRITE, (_ROLE,), ()),
    ProtocolOp("role_grant_permission", Effect.WRITE, (_NAME, Field("perm", PERMISSION)), ()),
    ProtocolOp("role_revoke_permission", Effect.WRITE, (_ROLE, _KEY, _RANGE_END), ()),
    ProtocolOp("role_set_limits", Effect.WRITE, (_ROLE, Field("limits", LIMITS)), (), ours=True),
)
