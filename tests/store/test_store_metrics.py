"""What a store counts, for whoever watches over the node: the actor between probes."""

from __future__ import annotations

from actors.language.commands import (
    AlarmActivate,
    AlarmType,
    Compact,
    DeleteRange,
    Expiry,
    Increment,
    LeaseExpire,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseRevoke,
    Put,
    Range,
    SessionOpen,
    Txn,
)
from actors.language.messages import LocalRead, Question, TakeSnapshot
from actors.language.metrics import StoreMetrics, Survey
from actors.language.queries import LeaseLeases, Page
from actors.store.sessions import SESSION_LIMITS
from actors.store.upkeep import UpkeepSettings
from tests.store.shell import Node, await_copies
from tests.store.test_snapshots import Nodes, busy, nodes
from tests.twins import MemoryBackend

__all__ = ["nodes"]


def counted(node: Node) -> StoreMetrics:
    """The store's part of a survey."""
    ((name, survey),) = node.hear(Survey(5))
    assert (name, survey.ticket, survey.revision) == ("watch", 5, node.actor.machine.revision)
    store = survey.store
    assert isinstance(store, StoreMetrics)
    return store


def test_changes_of_keys_and_reads_are_counted() -> None:
    node = Node(MemoryBackend(), UpkeepSettings(quota_bytes=1 << 30))
    node.apply(Put(b"a", b"v"), Put(b"b", b"v"), Increment(b"n", 1))
    node.apply(Txn((), (Put(b"c", b"v"), DeleteRange(b"a")), ()), DeleteRange(b"missing"))
    node.hear(LocalRead((Question(1, Range(b"a")), Question(2, Page(Range(b"a"))))))
    node.hear(LocalRead((Question(3, LeaseLeases()),)))
    found = counted(node)
    assert (found.puts, found.deletes, found.txns, found.ranges, found.keys) == (4, 1, 1, 2, 3)
    assert (found.proposals_applied, found.db_quota) == (node.last_index, 1 << 30)


def test_leases_are_counted_by_what_became_of_them() -> None:
    node = Node(MemoryBackend())
    node.apply(*[LeaseGrant(number, 1_000) for number in (1, 2, 3)])
    node.apply(LeaseKeepAlive(1), LeaseKeepAlive(9), LeaseRevoke(2), LeaseRevoke(9))
    node.time_ms += 1_000
    node.apply(LeaseExpire((Expiry(3, 2_000), Expiry(1, 1))))
    found = counted(node)
    assert (found.leases_granted, found.leases_renewed) == (3, 1)
    # As in etcd, a lease that has expired counts as a revoked one, too.
    assert (found.leases_revoked, found.leases_expired, found.leases) == (2, 1, 1)


def test_sessions_are_counted_until_they_end() -> None:
    node = Node(MemoryBackend())
    node.apply(SessionOpen(1), SessionOpen(2))
    assert counted(node).sessions == 2
    node.time_ms += SESSION_LIMITS.ttl_ms + 1
    node.apply(SessionOpen(3))
    assert counted(node).sessions == 1


def test_commits_compactions_and_alarms_are_counted() -> None:
    node = Node(MemoryBackend())
    assert counted(node).compact_revision == -1
    node.apply(*[Put(b"k", b"%d" % number) for number in range(20)])
    node.commit()
    node.apply(Compact(15, physical=True), AlarmActivate(2, AlarmType.CORRUPT))
    node.actor.machine.sweeper.hurry()
    while node.actor.machine.sweeper.is_due:
        node.commit()
    found = counted(node)
    assert (found.compactions, found.compacted_keys, found.compact_revision) == (1, 13, 15)
    assert found.backend_commits.counts[-1] >= 2
    assert [tuple(alarm) for alarm in found.alarms] == [(2, AlarmType.CORRUPT)]


def test_what_was_counted_goes_on_when_a_snapshot_is_installed(nodes: Nodes) -> None:
    source, node = nodes.new("a"), nodes.new("b")
    busy(source)
    source.hear(TakeSnapshot(nodes.snapshot))
    await_copies()
    node.apply(LeaseGrant(7, 5_000), Put(b"k", b"v", lease=7), DeleteRange(b"k"))
    before = counted(node)
    node.install(nodes.snapshot)
    after = counted(node)
    assert after.keys != before.keys
    assert (before.leases_granted, before.deletes, before.puts) == (1, 1, 1)
    assert (after.leases_granted, after.deletes, after.puts) == (1, 1, 1)
