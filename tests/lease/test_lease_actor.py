"""The lease actor, unstarted: only a leader with a clock proposes, in time and in batches."""

from __future__ import annotations

from actors.language.codec import decode_command
from actors.language.commands import AdvanceClock, Command, Expiry, LeaseExpire
from actors.language.entries import ClusterClock
from actors.language.messages import Leadership, LeaseFact, LeaseFacts, Propose, Tick
from actors.lease.actor import CLOCK_ENTRY_INTERVAL_MS, EXPIRIES_PER_ENTRY_MAX, LeaseActor
from actors.lease.book import LeaseBook
from tests.probes import ManualClock, ProbeRing

# Cluster time is 100,000 when the monotonic clock shows 1,000.
CLUSTER = ClusterClock(cluster_ms=100_000, monotonic_ms=1_000)
LEADING = Leadership(leader=1, term=3, clock=CLUSTER)
FOLLOWING = Leadership(leader=2, term=4, clock=None)


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock(1_000)
        self.probes = ProbeRing()
        self.actor = LeaseActor(LeaseBook(), self.clock)
        self.actor.join(self.probes.ring)

    def learn(self, *facts: tuple[int, int]) -> None:
        told = tuple(LeaseFact(*fact) for fact in facts)
        self.actor.receive(LeaseFacts(told, CLUSTER.at(self.clock.now_ms)))

    def proposed(self) -> list[Command]:
        messages = self.probes.raft.take()
        assert all(isinstance(message, Propose) for message in messages)
        proposals = [proposal for message in messages for proposal in message.proposals]
        assert all(proposal.ticket == 0 for proposal in proposals)
        return [decode_command(proposal.command)[0] for proposal in proposals]

    def wake(self) -> int:
        """Go on to the time the actor asked for; returns that time."""
        wake_ms = self.actor.mailbox.next_wake_ms
        assert wake_ms is not None
        self.clock.now_ms = max(self.clock.now_ms, wake_ms)
        tick = self.actor.mailbox.pop_tick(self.clock.now_ms)
        assert tick is not None
        self.actor.receive(tick)
        return wake_ms


def test_the_leader_wakes_at_the_deadline_and_proposes_the_expiry() -> None:
    bench = Bench()
    bench.actor.receive(LEADING)
    bench.learn((7, 100_500))
    assert bench.proposed() == []
    assert bench.wake() == 1_500
    assert bench.proposed() == [LeaseExpire((Expiry(7, 100_500),))]


def test_a_node_that_does_not_lead_proposes_nothing() -> None:
    bench = Bench()
    bench.actor.receive(FOLLOWING)
    bench.learn((7, 1))
    bench.actor.receive(Tick(50_000))
    assert bench.proposed() == []
    assert bench.actor.mailbox.next_wake_ms is None


def test_a_new_leader_goes_on_with_what_it_learned_as_a_follower() -> None:
    bench = Bench()
    bench.learn((7, 99_000), (8, 100_001))
    bench.actor.receive(LEADING)
    assert bench.proposed() == [LeaseExpire((Expiry(7, 99_000),))]
    assert bench.wake() == 1_001
    assert bench.proposed() == [LeaseExpire((Expiry(8, 100_001),))]


def test_a_deposed_leader_stops_and_proposes_again_when_it_is_back() -> None:
    bench = Bench()
    bench.actor.receive(LEADING)
    bench.learn((7, 100_000))
    assert len(bench.proposed()) == 1
    bench.actor.receive(FOLLOWING)
    bench.wake()
    assert bench.proposed() == []
    bench.actor.receive(LEADING)
    assert LeaseExpire((Expiry(7, 100_000),)) in bench.proposed()


def test_many_expiries_go_into_small_entries_one_after_the_other() -> None:
    bench = Bench()
    bench.actor.receive(LEADING)
    bench.learn(*((lease, 100_000) for lease in range(1, 5_001)))
    for first in range(1, 501, EXPIRIES_PER_ENTRY_MAX):
        (entry,) = bench.proposed()
        ended = range(first, first + EXPIRIES_PER_ENTRY_MAX)
        assert entry == LeaseExpire(tuple(Expiry(lease, 100_000) for lease in ended))
        bench.learn(*((lease, 0) for lease in ended))


def test_the_clock_is_logged_while_the_leader_has_leases_and_only_then() -> None:
    bench = Bench()
    bench.actor.receive(LEADING)
    bench.learn((7, 900_000))
    assert bench.wake() == 1_000 + CLOCK_ENTRY_INTERVAL_MS
    assert bench.wake() == 1_000 + 2 * CLOCK_ENTRY_INTERVAL_MS
    assert bench.proposed() == [AdvanceClock(), AdvanceClock()]
    bench.learn((7, 0))
    bench.wake()
    assert bench.proposed() == []
    assert bench.actor.mailbox.next_wake_ms is None


def test_a_renewed_lease_is_not_proposed_when_its_old_deadline_comes() -> None:
    bench = Bench()
    bench.actor.receive(LEADING)
    bench.learn((7, 100_500))
    bench.learn((7, 100_900))
    bench.wake()
    assert bench.proposed() == []
    assert bench.wake() == 1_900
    assert bench.proposed() == [LeaseExpire((Expiry(7, 100_900),))]
