"""How a simulated host makes its actors from what is on its disk, as `actors.node` does.

Limits and times are the simulation's. Knows nothing of when the actors run, or of crashes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from actors import node as shipped
from actors.gateway.actor import GatewayActor
from actors.gateway.intake import GatewaySettings
from actors.lease.actor import LeaseActor
from actors.lease.book import LeaseBook
from actors.offline import recovery
from actors.raft.actor import RaftActor
from actors.raft.disk.shipping import Shipping
from actors.raft.disk.wal import Contents, Wal
from actors.raft.outcome import CoreConfig, Recovered
from actors.raft.probation import Probation
from actors.raft.seams import Links
from actors.raft.surroundings import LogRetention, Polling, Surroundings
from actors.runtime.base import Ring
from actors.store.actor import StoreActor
from actors.store.machine import Machine
from actors.store.upkeep import UpkeepSettings
from actors.watch.actor import WatchActor
from cluster.config import NodeConfig
from tests.simulation.network import CLUSTER_ID
from tests.simulation.seams import (
    SimulatedDoor,
    SimulatedLinks,
    SimulatedWaits,
    TappedCodec,
    TappedMachine,
    TappedWal,
)
from tests.spec.watching import WatchedCore
from tests.twins import AtOnce, system_at

if TYPE_CHECKING:
    from tests.simulation.node import Node

CHECK_MS = 1_000
"""So often the leader has its members compared."""

PROGRESS_INTERVAL_MS = 150
FRAGMENT_BYTES = 300
LEASE_TTL_MS_MIN = 100
LOG_KEPT_BYTES = 1 << 20
SNAPSHOTS = Path("/snapshots")
MILLION = 1_000_000

Actors = shipped.Actors


class _Config(NamedTuple):
    """As much of a NodeConfig as making a node from its disk needs."""

    data_dir: Path


def make_actors(node: Node, wal: Wal, contents: Contents) -> Actors:
    """The five actors of a node, joined to a ring; the checker is shown what was found on disk."""
    cluster = node.cluster
    machine = TappedMachine(node.backend, (), *cluster.swarm.machine_limits)
    machine.node = node
    cluster.checker.recovered(node, contents, machine.applied_index)
    tapped = TappedWal(node, wal)
    config = cast(NodeConfig, _Config(Path("/data")))
    contents = recovery.reconcile(config, cast(Wal, tapped), contents, machine)
    actors = Actors(
        watch=WatchActor(
            CLUSTER_ID,
            node.member_id,
            shipped.NO_LEADER_ELECTIONS * cluster.swarm.election_ms,
            node.clock,
            progress_interval_ms=PROGRESS_INTERVAL_MS,
            request_bytes_max=FRAGMENT_BYTES,
        ),
        lease=LeaseActor(LeaseBook(), node.clock),
        store=StoreActor(
            machine,
            node.backend,
            SimulatedWaits(node, cluster.swarm.late_commits),
            node.member_id,
            node.clock,
            upkeep=UpkeepSettings(cluster.swarm.quota_bytes, check_ms=CHECK_MS),
            slice_steps_max=cluster.swarm.store_steps_per_turn,
        ),
        raft=_make_raft(node, wal, tapped, contents, machine),
        gateway=_make_gateway(node),
    )
    ring = Ring(**{name: actor.mailbox for name, actor in actors._asdict().items()})
    for actor in actors:
        actor.join(ring)
    return actors


def _make_raft(
    node: Node, wal: Wal, tapped: TappedWal, contents: Contents, machine: Machine
) -> RaftActor:
    cluster, swarm = node.cluster, node.cluster.swarm
    codec = TappedCodec(node)
    wal.use_encoder(codec.entries)
    config = CoreConfig(
        node.member_id, swarm.election_ms // 6, swarm.election_ms, swarm.request_timeout_ms
    )
    recovered = Recovered(
        contents.hard_state,
        contents.log,
        contents.membership,
        machine.applied_index,
        recovery.last_time(contents, machine),
        Probation(1 + node.chance(MILLION)) if node.mark.stands() else None,
    )
    core = WatchedCore(config, recovered, node.clock(), node.chance, cluster.checker.spec(node))
    cluster.checker.watch(node, core.watch)

    def open_links(mailbox: Polling) -> Links:
        node.links = SimulatedLinks(node)
        return node.links

    return RaftActor(
        core,
        tapped,
        SimulatedWaits(node, swarm.late_syncs),
        node.mark,
        codec,
        Shipping(core, tapped, SNAPSHOTS, node.disk, random_bits),
        LogRetention(swarm.entries_kept, LOG_KEPT_BYTES),
        Surroundings(open_links, (node.url,), node.others, random_bits, node.ended),
        node.clock,
    )


def random_bits(bits: int) -> int:
    """What nobody guesses; in a simulation the seed decides."""
    return int.from_bytes(os.urandom(bits // 8))


def _make_gateway(node: Node) -> GatewayActor:
    random = node.chance.random
    settings = GatewaySettings(
        cluster_id=CLUSTER_ID,
        member_id=node.member_id,
        version="0",
        request_bytes_max=1_500_000,
        lease_ttl_ms_min=LEASE_TTL_MS_MIN,
        request_timeout_ms=node.cluster.swarm.request_timeout_ms,
        first_ticket=random.getrandbits(31) << 32 | 1,
        name=f"n{node.number}",
        advertised_urls=(f"tcp://h{node.number}:2379",),
        password_cost_log2=1,
    )
    system = system_at(random.getrandbits(40))
    session_ids = node.cluster.session_ids
    return GatewayActor(
        settings, lambda: SimulatedDoor(node), node.clock, system, session_ids, AtOnce()
    )
