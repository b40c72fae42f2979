"""The metrics of a node, by the names that dashboards for etcd ask for.

A row says where a value comes from: a field of the node's `metrics` op. Where ours and etcd's mean
the same, the name is etcd's. What only this system has is named `leasehold_...`. Metrics of etcd
that would always be zero here, or mean something else, are left out.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cluster.etcd.web.exposition import MetricKind


class Metric(NamedTuple):
    """A metric without labels: its name, its kind, and the field of the `metrics` op."""

    name: str
    kind: MetricKind
    field: str
    help_text: str


METRICS: Final = (
    Metric("etcd_server_has_leader", "gauge", "has_leader", "1 if this member knows a leader."),
    Metric("etcd_server_is_leader", "gauge", "is_leader", "1 if this member leads."),
    Metric("etcd_server_is_learner", "gauge", "is_learner", "1 if this member is a learner."),
    Metric(
        "etcd_server_leader_changes_seen_total",
        "counter",
        "leader_changes",
        "Changes of the leader that this member has seen.",
    ),
    Metric(
        "etcd_server_proposals_committed_total",
        "gauge",
        "proposals_committed",
        "The index of the last entry that is committed.",
    ),
    Metric(
        "etcd_server_proposals_applied_total",
        "gauge",
        "proposals_applied",
        "The index of the last entry that is applied.",
    ),
    Metric(
        "etcd_server_proposals_pending",
        "gauge",
        "proposals_pending",
        "Changes that wait for their answer here.",
    ),
    Metric(
        "etcd_server_proposals_failed_total",
        "counter",
        "proposals_failed",
        "Changes that ended without a known outcome.",
    ),
    Metric(
        "etcd_server_read_indexes_failed_total",
        "counter",
        "read_indexes_failed",
        "Linearizable reads that found no leader.",
    ),
    Metric(
        "etcd_server_slow_read_indexes_total",
        "counter",
        "slow_read_indexes",
        "Linearizable reads that waited long for their index.",
    ),
    Metric("etcd_server_slow_apply_total", "counter", "slow_applies", "Batches applied slowly."),
    Metric(
        "etcd_server_quota_backend_bytes",
        "gauge",
        "db_quota",
        "The quota of the store, in bytes; 0 means none.",
    ),
    Metric(
        "etcd_disk_wal_fsync_duration_seconds",
        "histogram",
        "wal_syncs",
        "The time of each sync of the log.",
    ),
    Metric(
        "etcd_disk_backend_commit_duration_seconds",
        "histogram",
        "backend_commits",
        "The time of each commit of the store.",
    ),
    Metric(
        "etcd_mvcc_db_total_size_in_bytes",
        "gauge",
        "db_size",
        "The size of the store's file in bytes.",
    ),
    Metric(
        "etcd_mvcc_db_total_size_in_use_in_bytes",
        "gauge",
        "db_size_in_use",
        "The bytes of the store's file that are in use.",
    ),
    Metric("etcd_mvcc_put_total", "counter", "puts", "Puts that were applied."),
    Metric("etcd_mvcc_delete_total", "counter", "deletes", "Deletes that were applied."),
    Metric("etcd_mvcc_range_total", "counter", "ranges", "Ranges that were read."),
    Metric("etcd_mvcc_txn_total", "counter", "txns", "Transactions that were applied."),
    Metric("etcd_debugging_mvcc_keys_total", "gauge", "keys", "The number of keys."),
    Metric("etcd_debugging_mvcc_watcher_total", "gauge", "watchers", "The number of watches."),
    Metric(
        "etcd_debugging_mvcc_watch_stream_total",
        "gauge",
        "watch_streams",
        "Connections that have watches.",
    ),
    Metric(
        "etcd_debugging_mvcc_slow_watcher_total",
        "gauge",
        "slow_watchers",
        "Watches that are behind, because their clients read slowly.",
    ),
    Metric(
        "etcd_debugging_mvcc_pending_events_total",
        "gauge",
        "pending_events",
        "Replies of watches that wait for their clients.",
    ),
    Metric(
        "etcd_debugging_mvcc_events_total",
        "counter",
        "events",
        "Events that were sent to watches.",
    ),
    Metric(
        "etcd_debugging_mvcc_db_compaction_keys_total",
        "counter",
        "compacted_keys",
        "Changes that compactions have removed.",
    ),
    Metric(
        "etcd_debugging_mvcc_compact_revision",
        "gauge",
        "compact_revision",
        "The revision of the last compaction; -1 if there was none.",
    ),
    Metric(
        "etcd_debugging_mvcc_current_revision",
        "gauge",
        "revision",
        "The revision of the store.",
    ),
    Metric("etcd_debugging_lease_granted_total", "counter", "leases_granted", "Leases granted."),
    Metric("etcd_debugging_lease_revoked_total", "counter", "leases_revoked", "Leases revoked."),
    Metric("etcd_debugging_lease_renewed_total", "counter", "leases_renewed", "Leases renewed."),
    Metric(
        "etcd_debugging_server_lease_expired_total",
        "counter",
        "leases_expired",
        "Leases that have expired.",
    ),
    Metric("leasehold_leases", "gauge", "leases", "The number of leases."),
    Metric(
        "leasehold_sessions",
        "gauge",
        "sessions",
        "Sessions, in which the writes of clients are applied once.",
    ),
    Metric(
        "leasehold_requests_under_way",
        "gauge",
        "requests_under_way",
        "Requests that the node has not answered yet.",
    ),
    Metric(
        "leasehold_near_misses_total",
        "counter",
        "near_misses",
        "Heartbeats of the leader that came late, but before an election.",
    ),
    Metric(
        "leasehold_audit_records_lost_total",
        "counter",
        "audit_records_lost",
        "Records of the audit log that could not be written.",
    ),
    Metric("leasehold_loop_turns_total", "counter", "turns", "Turns of the node's loop."),
    Metric(
        "leasehold_loop_turns_over_budget_total",
        "counter",
        "turns_over_budget",
        "Messages that held the node's loop for more than 5 ms.",
    ),
    Metric(
        "leasehold_snapshots_sent_total",
        "counter",
        "snapshots_sent",
        "Snapshots that were sent to other members.",
    ),
    Metric(
        "leasehold_snapshots_received_total",
        "counter",
        "snapshots_received",
        "Snapshots that came from other members.",
    ),
    Metric(
        "leasehold_compactions_total",
        "counter",
        "compactions",
        "Compactions that were applied.",
    ),
)
"""Every metric that is one field of the node's answer."""
