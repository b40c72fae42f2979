"""What a store has counted: the state machine's own counts, and those of the ones before it.

A snapshot that is installed brings another machine, and what was counted goes on. Refuses to know
who asks.
"""

from __future__ import annotations

from collections import Counter

from actors.language.metrics import Histogram, StoreMetrics, Survey
from actors.store.machine import Machine


class StoreCounts:
    """The counts of one store since its node started, and how long its commits took on the disk."""

    def __init__(self, quota_bytes: int, commits: Histogram) -> None:
        self._commits = commits
        self._quota_bytes = quota_bytes
        self._before: Counter[str] = Counter()

    def replaced(self, machine: Machine) -> None:
        """Another machine takes the place of this one."""
        self._before.update(_counted(machine))

    def add_to(self, survey: Survey, machine: Machine) -> Survey:
        """The survey with the store's part."""
        size, size_in_use = machine.backend.size()
        counted = {name: self._before[name] + count for name, count in _counted(machine).items()}
        metrics = StoreMetrics(
            proposals_applied=machine.applied_index,
            backend_commits=self._commits.read(),
            db_size=size,
            db_size_in_use=size_in_use,
            db_quota=self._quota_bytes,
            keys=len(machine.store.index.live),
            compact_revision=machine.store.compact_revision,
            leases=len(machine.leases.table),
            sessions=len(machine.sessions.table),
            alarms=tuple(machine.alarms),
            **counted,
        )
        return survey._replace(revision=machine.revision, store=metrics)


def _counted(machine: Machine) -> dict[str, int]:
    """What the parts of a machine have counted; entries that were applied again count as well."""
    store, leases, writes = machine.store, machine.leases, machine.writes
    return {
        "puts": store.puts,
        "deletes": store.deletes,
        "ranges": store.ranges,
        "txns": writes.txns,
        "compactions": store.compactions,
        "compacted_keys": machine.sweeper.removed_ever,
        "leases_granted": leases.granted,
        "leases_renewed": leases.renewed,
        "leases_revoked": leases.ended,
        "leases_expired": writes.expired,
    }
