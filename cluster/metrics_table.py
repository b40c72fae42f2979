"""The part of the protocol's table for `metrics`: what a node has counted, for who watches over it.

Each number stands under the actor of the node that counts it. Names of etcd's metrics are the
business of those who show them to Prometheus.
"""

from __future__ import annotations

from typing import Final

from cluster.schema import (
    COUNT,
    COUNTS,
    FLAG,
    INTEGER,
    MEMBER_ID,
    SECONDS,
    SECONDS_LIST,
    Field,
    ListOf,
    Map,
)

DURATIONS: Final = Map(
    "histogram",
    (
        Field("bounds", SECONDS_LIST),
        Field("counts", COUNTS, "of durations up to each bound, and of all"),
        Field("sum", SECONDS),
    ),
)

PEER: Final = Map(
    "peer",
    (Field("ID", MEMBER_ID), Field("is_active", FLAG), Field("round_trips", DURATIONS)),
)


def _counted(names: str) -> list[Field]:
    return [Field(name, COUNT) for name in names.split()]


METRICS: Final = (
    # The gateway, and the loop.
    *_counted("turns turns_over_budget slow_applies requests_under_way proposals_pending"),
    *_counted("proposals_failed read_indexes_failed pending_events audit_records_lost"),
    Field("wall_ms", INTEGER, "since 1970, by its wall clock"),
    Field("resident_bytes", COUNT, "of memory that its process takes"),
    # Raft.
    Field("has_leader", FLAG),
    Field("is_leader", FLAG),
    Field("is_learner", FLAG),
    Field("vote", MEMBER_ID, "for whom it voted in its term, 0: for nobody"),
    *_counted("leader_changes near_misses proposals_committed slow_read_indexes"),
    *_counted("snapshots_sent snapshots_received"),
    Field("wal_syncs", DURATIONS),
    Field("peers", ListOf(PEER)),
    # The store.
    *_counted("proposals_applied db_size db_size_in_use db_quota keys puts deletes ranges txns"),
    *_counted("compactions compacted_keys"),
    Field("compact_revision", INTEGER, "-1: nothing is compacted"),
    *_counted("leases leases_granted leases_renewed leases_revoked leases_expired sessions"),
    Field("backend_commits", DURATIONS),
    # The watches.
    *_counted("watchers watch_streams slow_watchers events"),
)
