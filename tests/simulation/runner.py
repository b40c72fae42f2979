"""One run: a cluster under faults, then in peace; first safety, then liveness, then the verdict."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple
from unittest.mock import patch

from actors.gateway import actor as gateway_actor
from actors.gateway.outbox import ClientOutbox
from actors.gateway.publication import Publication
from actors.gateway.throttle import Throttle
from actors.language.commands import AlarmMember, AlarmType
from actors.raft import leader
from actors.raft.disk import courier
from actors.raft.leader import Leader
from actors.store import (
    backlog,
    compactor,
    digest,
    history,
    long_entry,
    pace,
    ranges,
    steps,
    sweeper,
    txn,
    writes,
)
from actors.watch import actor as watch_actor
from actors.watch import audience, frames
from actors.watch.flow import Flow
from actors.watch.long_batch import LongBatch
from tests.linearizability import FindingError
from tests.simulation.clients import Client, Flood
from tests.simulation.cluster import Cluster
from tests.simulation.effects import Replay, whole_history
from tests.simulation.faults import Hands, Nemesis
from tests.simulation.holders import PEACE_MS, Holder
from tests.simulation.newer import Newer
from tests.simulation.node import Node
from tests.simulation.outsider import Outsider
from tests.simulation.rival import Rival
from tests.simulation.script import Act, Script
from tests.simulation.swarm import Swarm, draw
from tests.simulation.timeline import Chance, Timeline
from tests.simulation.upkeep import Operator
from tests.simulation.watchers import Follower, Watcher
from tests.store.driver import everything

FAULTY_MS = 1_000
FAULTY_ELECTIONS = 10
"""Faults go on for so long, and for so many election timeouts."""

RECOVERY_MS = 15_000
LEASE_MS = 4_500
"""After so long in peace every lease that nobody renews has ended: a flood's last requests are done
or given up within two seconds.
"""

GIVE_UP_MS = 1_000

IN_STEPS = (backlog, digest, history, ranges, steps, txn)
"""What reads long things a bit at a time."""


class Report(NamedTuple):
    """What a run came to. `finding` is empty when nothing was wrong."""

    seed: int
    swarm: Swarm
    digest: str
    events: int
    counts: dict[str, int]
    finding: str
    ended_ms: int
    acts: tuple[Act, ...]

    @property
    def command(self) -> str:
        """How to see it again."""
        return f"python -m tests.simulation --seed {self.seed}"

    @property
    def script(self) -> Script:
        """The run, to be played again without the chance that chose its faults."""
        end_ms = min(self.ended_ms, faulty_ms(self.swarm))
        return Script(self.seed, self.swarm, end_ms, self.acts)


class Stage:
    """A cluster, those who visit it, and what is done to it."""

    def __init__(self, timeline: Timeline, swarm: Swarm) -> None:
        self.timeline = timeline
        self.cluster = Cluster(timeline, swarm)
        self.clients = [Client(self.cluster, 100 + n) for n in range(swarm.clients)]
        for number in range(swarm.watchers):
            kind = Follower if number % 2 else Watcher
            kind(self.cluster, 200 + number)
        self.holders = [Holder(self.cluster, 500 + n) for n in range(swarm.holders)]
        if swarm.flood_every_ms:
            Flood(self.cluster, 300)
        if swarm.outsider_every_ms:
            Outsider(self.cluster)
        if swarm.newer:
            Newer(self.cluster)
        self.operator = Operator(self.cluster, 400)
        self.hands = Hands(self.cluster, self.operator, Rival(self.cluster, 401))


def faulty_ms(swarm: Swarm) -> int:
    """How long faults go on."""
    return max(FAULTY_MS, FAULTY_ELECTIONS * swarm.election_ms)


def run(seed: int) -> Report:
    """Run one seed to its end, or to its first finding."""
    return _play(seed, draw(Chance(seed, "swarm").random), None)


def play(script: Script) -> Report:
    """Run a script: the acts it names are done, and no others."""
    return _play(script.seed, script.swarm, script)


def _play(seed: int, swarm: Swarm, script: Script | None) -> Report:
    timeline = Timeline(seed)
    stage: Stage | None = None
    finding = ""
    try:
        with small_limits(timeline, swarm):
            stage = Stage(timeline, swarm)
            _run(stage, script)
    except FindingError as error:
        finding = str(error)
    except Exception:  # noqa: BLE001 - a node's own assertion or error is a finding like any other
        finding = traceback.format_exc()
    counts: dict[str, int] = {}
    acts: tuple[Act, ...] = ()
    if stage is not None:
        counts = _counts(stage.cluster)
        acts = tuple(stage.hands.done)
    return Report(
        seed, swarm, timeline.digest, timeline.events, counts, finding, timeline.now_ms, acts
    )


@contextmanager
def small_limits(timeline: Timeline, swarm: Swarm) -> Iterator[None]:
    """Limits are small, so that they are met; nothing but the seed decides."""
    chance = timeline.stream("snapshot ids")
    with ExitStack() as stack:
        for module, name, value in (
            (leader, "APPEND_BYTES_MAX", swarm.append_bytes_max),
            (courier, "CHUNK_BYTES", swarm.chunk_bytes),
            (courier, "SYNC_BYTES", 3 * swarm.chunk_bytes),
            (courier, "RESEND_MS", swarm.election_ms // 2),
            (courier, "GIVE_UP_MS", GIVE_UP_MS),
            (pace, "COMMIT_INTERVAL_MS", swarm.commit_ms),
            (backlog, "PORTION_EVENTS_MAX", 5),
            (backlog, "ROWS_AT_ONCE", 7),
            (backlog, "BACKLOG_STEPS_MAX", swarm.steps_per_turn),
            (sweeper, "OUTDATED_MIN", 20),
            (compactor, "PORTION_MIN", 2),
            (compactor, "PORTION_MAX", 8),
            (watch_actor, "FRAMING_BYTES", 0),
            (watch_actor, "EVENTS_AT_ONCE", swarm.keys_per_step),
            (watch_actor, "LongBatch", partial(LongBatch, swarm.steps_per_turn)),
            (watch_actor, "TELLING_STEPS_MAX", swarm.steps_per_turn),
            (watch_actor, "Flow", partial(Flow, *swarm.told_bytes)),
            (gateway_actor, "UNREAD_BYTES_MAX", swarm.unread_bytes),
            (gateway_actor, "SLOW_MS", 100),
            (audience, "EVENTS_PER_STEP", swarm.keys_per_step),
            (frames, "EVENTS_PER_STEP", swarm.keys_per_step),
            (frames, "BYTES_PER_REPLY_MAX", 2_000),
            (
                gateway_actor,
                "Throttle",
                partial(Throttle, swarm.under_way_bytes, write_bytes_min=1),
            ),
            (gateway_actor, "Publication", partial(_published_late, swarm.publish_after_ms)),
            (gateway_actor, "ClientOutbox", partial(ClientOutbox, congested_bytes=1_000)),
            *((module, "ITEMS_PER_STEP", swarm.items_per_step) for module in IN_STEPS),
            (writes, "ITEMS_PER_STEP", swarm.keys_per_step),
            (writes, "LATE_KEYS_MIN", swarm.late_keys_min),
            (long_entry, "ITEMS_PER_STEP", swarm.keys_per_step),
        ):
            stack.enter_context(patch.object(module, name, value))
        stack.enter_context(patch("os.urandom", chance.random.randbytes))
        yield


def _published_late(late_ms: int, now_ms: int) -> Publication:
    """Members tell their names some time after their start."""
    return Publication(now_ms + late_ms)


def _counts(cluster: Cluster) -> dict[str, int]:
    counts = cluster.counts
    counts["messages lost"] = cluster.network.lost
    counts["messages late"] = cluster.network.late
    counts["messages repeated"] = cluster.network.repeated
    counts["sectors lost"] = sum(node.disk.sectors_lost for node in cluster.nodes.values())
    return dict(counts)


def _run(stage: Stage, script: Script | None) -> None:
    timeline, cluster = stage.timeline, stage.cluster
    cluster.begin()
    if script is None:
        nemesis = Nemesis(cluster, stage.hands, stage.operator)
        timeline.run_until(faulty_ms(cluster.swarm))
        nemesis.stop()
    else:
        for each in script.acts:
            timeline.at(each.at_ms, "act", partial(stage.hands.do, each))
        timeline.run_until(script.end_ms)
    cluster.calm()
    stage.operator.is_finishing = True
    _recover(stage)
    if stage.holders:
        _hold(stage)
    has_leases = cluster.swarm.leases or cluster.swarm.breadth or cluster.swarm.holders
    timeline.run_until(timeline.now_ms + (LEASE_MS if has_leases else 100))
    deadline_ms = timeline.now_ms + RECOVERY_MS
    while lagging := _lagging(cluster):
        _advance(stage, deadline_ms, lagging)
    _judge(stage)


def _recover(stage: Stage) -> None:
    """In peace, every client gets its answers, and all nodes come to the same state."""
    deadline_ms = stage.timeline.now_ms + RECOVERY_MS
    for client in stage.clients:
        client.stopping = True
    while not all(client.is_idle for client in stage.clients):
        _advance(stage, deadline_ms, "a client waits for an answer")
    while not stage.operator.is_settled:
        _advance(stage, deadline_ms, "the members are not settled")
    for client in stage.clients:
        client.last()
    while not all(client.is_idle for client in stage.clients):
        _advance(stage, deadline_ms, "a client waits for its last answer")
    while waiting_for := _disagreement(stage.cluster):
        _advance(stage, deadline_ms, waiting_for)


def _hold(stage: Stage) -> None:
    """In peace, leases that are kept last."""
    for holder in stage.holders:
        holder.peace()
    stage.timeline.run_until(stage.timeline.now_ms + PEACE_MS)
    for holder in stage.holders:
        holder.let_go()


def _advance(stage: Stage, deadline_ms: int, waiting_for: str) -> None:
    timeline = stage.timeline
    if timeline.now_ms >= deadline_ms:
        roles = {node.number: _describe(node) for node in stage.cluster.running()}
        members = [each._replace(peers=()) for each in dict.fromkeys(stage.operator.memberships())]
        raise FindingError(
            f"after {RECOVERY_MS} ms without faults {waiting_for}: {roles}, {members}, "
            f"lost {stage.cluster.lost_members}"
        )
    timeline.run_until(timeline.now_ms + 20)


def _describe(node: Node) -> tuple[int, str, int, int, int]:
    core = node.core
    return (
        node.member_id,
        type(core.role).__name__,
        core.term,
        core.replica.commit,
        core.replica.log.last_index,
    )


def _members(cluster: Cluster) -> list[Node]:
    """The hosts of all members that run."""
    hosts = [(peer.id, cluster.host_of(peer.peer_urls[0])) for peer in cluster.members.peers]
    return [host for member, host in hosts if host.runs and host.member_id == member]


def _disagreement(cluster: Cluster) -> str:
    """What keeps the cluster from being whole, and all of the same mind; empty when it is."""
    nodes = _members(cluster)
    if len(nodes) != len(cluster.members.peers):
        return "a member does not run"
    if any(node.core.probation is not None for node in nodes):
        return "a member is on probation"
    leaders = [node for node in nodes if isinstance(node.core.role, Leader)]
    if len(leaders) != 1:
        return "nobody leads, or several do"
    last = max(node.core.replica.log.last_index for node in nodes)
    if any(node.machine.applied_index != last for node in nodes):
        return "the nodes do not agree"
    if silent := _silent(cluster, nodes):
        return f"{silent} has skipped an entry, and raised no alarm"
    # Who was added, and has received nothing yet, knows nobody to ask: it asks when it restarts.
    # Nor does somebody whose fellows have all been replaced at other places: nobody is there.
    removed = {peer.id for peer in cluster.members.former}
    places = {url for peer in cluster.members.peers for url in peer.peer_urls}
    strangers = [
        node
        for node in cluster.running()
        if node.member_id in removed and node.core.replica.log.last_index
        if places & {url for peer in node.core.roster.latest.peers for url in peer.peer_urls}
    ]
    if strangers:
        return f"{', '.join(map(str, strangers))} does not know that it is removed"
    return ""


def _silent(cluster: Cluster, nodes: list[Node]) -> Node | None:
    """Who has skipped an entry that it could not read, without an alarm that stands."""
    for node in nodes:
        alarm = AlarmMember(node.member_id, AlarmType.UNREADABLE)
        has_skipped = (node.member_id, node.incarnation) in cluster.effects.skipped_by
        if has_skipped and alarm not in node.machine.alarms:
            return node
    return None


def _lagging(cluster: Cluster) -> str:
    """Which watcher has not been told everything; empty if none."""
    revision = max(node.machine.revision for node in _members(cluster))
    for number, stream in enumerate(cluster.history.streams):
        if stream.last != revision and revision > 1:
            return f"watcher {number} has heard of {stream.last}, not of {revision}"
    return ""


def _judge(stage: Stage) -> None:
    cluster = stage.cluster
    nodes = _members(cluster)
    newest = max(nodes, key=lambda node: node.machine.applied_index)
    replay = Replay(cluster.swarm)
    for node in sorted(nodes, key=lambda node: node.machine.applied_index):
        expected = replay.at(node.machine.applied_index, cluster.checker.chosen)
        found = everything(node.machine)
        wrong = [name for name, value in found.items() if expected and expected[name] != value]
        if wrong:
            raise FindingError(f"{node} has other {', '.join(wrong)} than its log")
    leases = set().union(*(node.machine.leases.table for node in nodes))
    if leases:
        raise FindingError(f"leases outlived their time: {sorted(leases)}")
    events = whole_history(cluster.swarm, newest.machine.applied_index, cluster.checker.chosen)
    drift_ms = 2_000 * cluster.swarm.drift_ppm // 1_000_000
    early_ms = 1 + cluster.clocks_ahead_ms + drift_ms
    cluster.history.judge(events, cluster.effects.lease_ends_ms, early_ms)
    for holder in stage.holders:
        holder.judge(cluster.effects.lease_ends_ms, early_ms)
