"""What a node counts of itself, and how the actors tell it to whoever watches over the node.

Each actor counts what is its own, where it happens: an addition, or a call where a disk is waited
for anyway. Only a Survey puts the numbers together. The fields are those of the protocol's
`metrics`; numbers that only rise begin at 0 when the node starts.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final, NamedTuple

from actors.language.auth import NOBODY, Principal
from actors.language.commands import AlarmMember
from actors.language.messages import Ticket

_NS_PER_SECOND: Final = 1_000_000_000

DISK_FIRST_NS: Final = 1_000_000
DISK_BOUNDS: Final = 14
"""The bounds of etcd's histograms of syncs and commits: 1 ms, doubled up to 8.192 s."""

TRIP_FIRST_NS: Final = 100_000
TRIP_BOUNDS: Final = 16
"""The bounds of etcd's histogram of round trips: 0.1 ms, doubled up to 3.2768 s."""


class Durations(NamedTuple):
    """A histogram: how many took at most each bound, then how many there were; seconds."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


class Histogram:
    """Durations by how long they took; the bounds begin with `first_ns` and double."""

    __slots__ = ("_bounds", "_counts", "_first_ns", "_sum_ns")

    def __init__(self, first_ns: int = DISK_FIRST_NS, bounds: int = DISK_BOUNDS) -> None:
        self._first_ns = first_ns
        self._bounds = bounds
        # Between two bounds; the last one is beyond all bounds.
        self._counts = [0] * (bounds + 1)
        self._sum_ns = 0

    def add(self, took_ns: int) -> None:
        """Count one; it belongs to the first bound that it does not exceed."""
        place = ((took_ns - 1) // self._first_ns).bit_length() if took_ns > 0 else 0
        self._counts[place if place < self._bounds else self._bounds] += 1
        self._sum_ns += took_ns

    def read(self) -> Durations:
        """All that was counted."""
        bounds = [(self._first_ns << place) / _NS_PER_SECOND for place in range(self._bounds)]
        return Durations(
            tuple(bounds), tuple(accumulate(self._counts)), self._sum_ns / _NS_PER_SECOND
        )


class PeerMetrics(NamedTuple):
    """Another member: whether it answers, and in which time."""

    id: int
    is_active: bool
    round_trips: Durations


class RaftMetrics(NamedTuple):
    """Raft's part of a survey; `vote` is the member it voted for in its term, 0: for none."""

    has_leader: bool
    is_leader: bool
    is_learner: bool
    vote: int
    leader_changes: int
    near_misses: int
    proposals_committed: int
    slow_read_indexes: int
    wal_syncs: Durations
    snapshots_sent: int
    snapshots_received: int
    peers: tuple[PeerMetrics, ...]


class StoreMetrics(NamedTuple):
    """The store's part of a survey."""

    proposals_applied: int
    backend_commits: Durations
    db_size: int
    db_size_in_use: int
    db_quota: int
    keys: int
    puts: int
    deletes: int
    ranges: int
    txns: int
    compactions: int
    compacted_keys: int
    compact_revision: int
    leases: int
    leases_granted: int
    leases_renewed: int
    leases_revoked: int
    leases_expired: int
    sessions: int
    alarms: tuple[AlarmMember, ...]


class WatchMetrics(NamedTuple):
    """The watches' part of a survey."""

    watchers: int
    watch_streams: int
    slow_watchers: int
    events: int


class GatewayMetrics(NamedTuple):
    """The gateway's part of a survey, with that of the loop."""

    turns: int
    turns_over_budget: int
    slow_applies: int
    requests_under_way: int
    proposals_pending: int
    proposals_failed: int
    read_indexes_failed: int
    pending_events: int
    audit_records_lost: int
    wall_ms: int
    resident_bytes: int


class Survey(NamedTuple):
    """Gateway -> Raft -> Store -> Watch -> Gateway: add what you have counted, and pass it on.

    `revision` is the store's.
    """

    ticket: Ticket
    revision: int = 0
    raft: RaftMetrics | None = None
    store: StoreMetrics | None = None
    watch: WatchMetrics | None = None
    principal: Principal = NOBODY
