"""Which result each operation of the protocol has."""

from __future__ import annotations

from typing import Any, Final

from cluster.client import auth_results, results

AUTH_CHANGES: Final = (
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
)
"""The operations on users and roles that are answered with a header."""

RESULTS: Final[dict[str, type[Any]]] = {
    "range": results.RangeResult,
    "put": results.PutResult,
    "delete_range": results.DeleteResult,
    "txn": results.TxnResult,
    "increment": results.IncrementResult,
    "history": results.HistoryResult,
    "compact": results.CompactResult,
    "lease_grant": results.LeaseGrantResult,
    "lease_revoke": results.LeaseRevokeResult,
    "lease_keep_alive": results.LeaseKeepAliveResult,
    "lease_time_to_live": results.LeaseTimeToLiveResult,
    "lease_leases": results.LeaseListResult,
    "member_list": results.MemberListResult,
    "member_add": results.MemberAddResult,
    "hash": results.HashResult,
    "hash_kv": results.HashKvResult,
    "status": results.StatusResult,
    "alarm": results.AlarmResult,
    "defragment": results.DefragmentResult,
    "snapshot": results.SnapshotPart,
    "authenticate": auth_results.AuthenticateResult,
    "auth_status": auth_results.AuthStatusResult,
    "user_get": auth_results.UserGetResult,
    "user_list": auth_results.UserListResult,
    "role_get": auth_results.RoleGetResult,
    "role_list": auth_results.RoleListResult,
    **dict.fromkeys(AUTH_CHANGES, auth_results.AuthResult),
}
"""The result of each operation of the protocol; reply fields are read by their names.

Changes of members are answered like `member_list` or `member_add`.
"""
