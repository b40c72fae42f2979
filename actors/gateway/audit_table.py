"""The table of the audit log: from which level on each operation is recorded, and which fields.

A field is recorded only if it is named here. Refuses to know requests, and who makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from cluster.faults import FAULTS


class Level(IntEnum):
    """How much is recorded; each level has what the ones before it have."""

    AUTH = 0
    WRITES = 1
    ALL = 2
    NEVER = 3


LEVELS: Final[Mapping[str, Level]] = {
    **dict.fromkeys(
        (
            # who is let in, and who may do what
            "authenticate",
            "auth_enable",
            "auth_disable",
            "user_add",
            "user_delete",
            "user_change_password",
            "user_grant_role",
            "user_revoke_role",
            "user_add_key",
            "user_remove_key",
            "role_add",
            "role_delete",
            "role_grant_permission",
            "role_revoke_permission",
            "role_set_limits",
            # members
            "member_add",
            "member_remove",
            "member_update",
            "member_promote",
            "member_replace",
            "member_rotate_key",
            "move_leader",
            # maintenance; a snapshot gives away all keys and values
            "alarm",
            "compact",
            "defragment",
            "snapshot",
        ),
        Level.AUTH,
    ),
    **dict.fromkeys(
        ("put", "delete_range", "increment", "txn", "lease_grant", "lease_revoke"), Level.WRITES
    ),
    # Beside reads: what changes no key, and comes at the rate of a clock.
    **dict.fromkeys(
        (
            "range",
            "history",
            "watch_create",
            "lease_keep_alive",
            "lease_time_to_live",
            "lease_leases",
            "session_open",
            "member_list",
            "hash",
            "hash_kv",
            "status",
            "metrics",
            "auth_status",
            "user_get",
            "user_list",
            "role_get",
            "role_list",
        ),
        Level.ALL,
    ),
    # They reach nothing but the watches of their own connection.
    **dict.fromkeys(("watch_cancel", "watch_progress"), Level.NEVER),
}
"""From which level on each operation is recorded. What only reads of an operation that may do both
(txn, alarm) is recorded from ALL on, and so is each part of a snapshot but the first."""

RECORDED: Final = frozenset(
    {
        "key",
        "range_end",
        "lease",
        "ID",
        "TTL",
        "revision",
        "start_revision",
        "watch_id",
        "serializable",
        "linearizable",
        "count_only",
        "keys_only",
        "prev_kv",
        "physical",
        "name",
        "user",
        "role",
        "perm",
        "permType",
        "limits",
        "requests_per_second",
        "bytes_per_second",
        "watches",
        "leases",
        "options",
        "no_password",
        "peerURLs",
        "isLearner",
        "member_key",
        "targetID",
        "memberID",
        "alarm",
        "action",
    }
)
"""The fields of requests, and of maps within them, that are recorded. `key` is that of a pair; the
public key of a user is recorded in the form in which `user get` shows it."""

REFUSED: Final = frozenset(
    FAULTS[name]
    for name in (
        "PermissionDenied",
        "InvalidAuthToken",
        "UserEmpty",
        "AuthFailed",
        "NoPasswordUser",
    )
)
"""The errors of somebody who may not: requests with these outcomes are recorded at each level."""
