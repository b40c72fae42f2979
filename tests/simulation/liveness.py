"""Networks that are broken for good, though a majority is connected: there must be a leader soon.

Each topology is made around whoever leads when it begins; the cluster must then serve writes within
a few election timeouts, and go on serving them. These shapes have brought real systems to a halt
(reference 2.1: etcd 2020, Howard and Abraham 2020, openraft 2080).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from tests.simulation.clients import Client
from tests.simulation.cluster import Cluster
from tests.simulation.runner import small_limits
from tests.simulation.saved import require
from tests.simulation.swarm import Swarm
from tests.simulation.timeline import Timeline

SEEDS: Final = 20
ELECTION_MS: Final = 60
ELECTIONS_MAX: Final = 10
"""So many election timeouts may pass until a write is answered, at first and from then on."""

WATCHED_ELECTIONS: Final = 30
START_MS: Final = 400

Way = tuple[int, int]


class Topology(NamedTuple):
    """A shape of the network: `cut` takes the leader and the others and gives what is cut."""

    name: str
    nodes: int
    cut: Callable[[int, list[int]], Iterable[Way]]
    pauses_leader: bool = False


def both_ways(pairs: Iterable[Way]) -> set[Way]:
    """The pairs, and the pairs turned round."""
    return {way for a, b in pairs for way in ((a, b), (b, a))}


def all_but(hosts: list[int], kept: Iterable[Way]) -> set[Way]:
    """Every way there is, but for these pairs."""
    return {(a, b) for a in hosts for b in hosts if a != b} - both_ways(kept)


def _bridge(leader: int, others: list[int]) -> set[Way]:
    a, b, bridge, _ = others
    return all_but([leader, *others], [(leader, bridge), (a, b), (a, bridge), (b, bridge)])


def _howard(leader: int, others: list[int]) -> set[Way]:
    one, two, three, five = others
    return all_but(
        [leader, *others], [(one, two), (two, three), (one, three), (leader, two), (five, three)]
    )


def _howard_inner(leader: int, others: list[int]) -> set[Way]:
    two, three, four, five = others
    return all_but(
        [leader, *others],
        [(leader, two), (two, three), (leader, three), (four, two), (five, three)],
    )


def _star(leader: int, others: list[int]) -> set[Way]:
    hub, *rest = others
    return all_but([leader, *others], [(hub, leader), *((hub, each) for each in rest)])


TOPOLOGIES: Final = (
    Topology("a chain, the leader at its end", 3, lambda leader, o: both_ways([(leader, o[1])])),
    Topology("a bridge keeps the old leader alive", 5, _bridge),
    Topology("4-2 and 5-3, the leader outside", 5, _howard),
    Topology("4-2 and 5-3, the leader inside", 5, _howard_inner),
    Topology("only one member reaches a majority", 5, _star),
    Topology("the leader does not hear one member", 3, lambda leader, o: [(o[0], leader)]),
    Topology("one member does not hear the leader", 3, lambda leader, o: [(leader, o[0])]),
    Topology(
        "one member hears nobody, and is heard", 3, lambda leader, o: [(leader, o[0]), (o[1], o[0])]
    ),
    Topology(
        "the leader is heard, and hears nobody", 5, lambda leader, o: [(each, leader) for each in o]
    ),
    Topology(
        "the leader hears, and is not heard", 5, lambda leader, o: [(leader, each) for each in o]
    ),
    Topology(
        "two followers do not hear each other", 3, lambda leader, o: both_ways([(o[0], o[1])])
    ),
    Topology("the leader is frozen", 3, lambda leader, o: [], pauses_leader=True),
)


class Served(NamedTuple):
    """How one topology went: the longest time without an answered write, and changes of leader."""

    gap_elections: float
    leaders: int


def try_out(topology: Topology, seed: int) -> Served:
    """Bring one topology about; FindingError if it is not served in time."""
    timeline = Timeline(seed)
    swarm = Swarm(nodes=topology.nodes, election_ms=ELECTION_MS, think_ms=1, hints=False)
    with small_limits(timeline, swarm):
        cluster = Cluster(timeline, swarm)
        return _try_out(topology, timeline, cluster)


def _try_out(topology: Topology, timeline: Timeline, cluster: Cluster) -> Served:
    for number in range(3):
        Client(cluster, 100 + number)
    cluster.begin()
    timeline.run_until(START_MS)
    leader = cluster.leader()
    require(leader is not None, f"nobody leads after {START_MS} ms")
    assert leader is not None
    others = [node.number for node in cluster.running() if node is not leader]
    timeline.stream("shape").random.shuffle(others)
    cluster.network.block(topology.cut(leader.number, others))
    if topology.pauses_leader:
        leader.stall(WATCHED_ELECTIONS * ELECTION_MS)
    terms_before = max(node.core.term for node in cluster.running())
    answered_ms = timeline.now_ms
    gap_ms, seen = 0, _puts(cluster)
    end_ms = timeline.now_ms + WATCHED_ELECTIONS * ELECTION_MS
    while timeline.now_ms < end_ms:
        timeline.run_until(timeline.now_ms + 5)
        if _puts(cluster) > seen:
            answered_ms, seen = timeline.now_ms, _puts(cluster)
        gap_ms = max(gap_ms, timeline.now_ms - answered_ms)
        waited = gap_ms / ELECTION_MS
        require(
            waited <= ELECTIONS_MAX,
            f"{topology.name}: no write was answered for {waited:.1f} election timeouts",
        )
    terms = max(node.core.term for node in cluster.running()) - terms_before
    return Served(gap_ms / ELECTION_MS, terms)


def _puts(cluster: Cluster) -> int:
    return cluster.counts["put"]


def table(seeds: int) -> int:
    """Print a line for each topology; 1 if one is not served in time."""
    failed = 0
    for topology in TOPOLOGIES:
        served: list[Served] = []
        finding = ""
        for seed in range(seeds):
            try:
                served.append(try_out(topology, seed))
            except AssertionError as error:
                finding = f"seed {seed}: {error}"
                failed += 1
                break
        gaps = sorted(each.gap_elections for each in served) or [0.0]
        sys.stdout.write(
            f"{topology.name}: {len(served)} seeds, longest wait {gaps[-1]:.1f} election timeouts, "
            f"median {gaps[len(gaps) // 2]:.1f}, at most "
            f"{max((each.leaders for each in served), default=0)} new terms"
            + (f"; FINDING {finding}" if finding else "")
            + "\n"
        )
    sys.stdout.write(f"{len(TOPOLOGIES)} topologies, {failed} findings\n")
    return 1 if failed else 0
