"""Leases: ids, times to live, keys attached and detached, their end."""

from __future__ import annotations

from tests.differential.language import Program, op

ALL = {"key": b"\0", "range_end": b"\0"}

CASES: dict[str, Program] = {
    "times to live": [
        op("lease_cycle", TTL=0),
        op("lease_cycle", TTL=-5),
        op("lease_cycle", TTL=1),
        op("lease_cycle", TTL=3, ID=5),
        op("lease_cycle", TTL=9_000_000_000, ID=5),
        op("lease_cycle", TTL=9_000_000_001, ID=5),
    ],
    "ids of leases": [
        op("lease_grant", ID=1, TTL=1000),
        op("lease_grant", ID=1, TTL=2000),
        op("lease_grant", ID=1, TTL=9_000_000_001),
        op("lease_grant", ID=2, TTL=500),
        op("lease_grant", ID=3, TTL=2000),
        op("lease_leases"),
        op("lease_keep_alive", ID=1),
        op("lease_keep_alive", ID=9),
        op("lease_keep_alive", ID=0),
        op("lease_time_to_live", ID=1),
        op("lease_time_to_live", ID=9, keys=True),
        op("lease_time_to_live", ID=0),
        op("lease_revoke", ID=9),
        op("lease_revoke", ID=0),
        op("lease_revoke", ID=1),
        op("lease_revoke", ID=1),
        op("lease_leases"),
    ],
    "keys attached, moved and detached": [
        op("lease_grant", ID=1, TTL=1000),
        op("lease_grant", ID=2, TTL=2000),
        op("put", key=b"a", lease=1),
        op("put", key=b"b", lease=1),
        op("put", key=b"c", lease=1),
        op("put", key=b"d", lease=1),
        op("lease_time_to_live", ID=1, keys=True),
        op("put", key=b"b", lease=2),
        op("put", key=b"c"),
        op("delete_range", key=b"d"),
        op("put", key=b"d"),
        op("lease_time_to_live", ID=1, keys=True),
        op("lease_time_to_live", ID=2, keys=True),
        op("lease_revoke", ID=1),
        op("range", **ALL),
        op("lease_revoke", ID=2),
        op("range", **ALL),
        op("put", key=b"a", lease=1),
    ],
    "a lease without keys takes no revision": [
        op("lease_grant", ID=1, TTL=1000),
        op("lease_revoke", ID=1),
        op("range", key=b"a"),
    ],
    "the end of a lease deletes its keys in one revision": [
        op("lease_grant", ID=1, TTL=1),
        op("put", key=b"b", value=b"1", lease=1),
        op("put", key=b"a", value=b"1", lease=1),
        op("put", key=b"c", value=b"1"),
        op("watch_create", **ALL, prev_kv=True),
        op("watch_wait", events=2),
        op("lease_time_to_live", ID=1, keys=True),
        op("lease_leases"),
        op("range", **ALL),
    ],
}
