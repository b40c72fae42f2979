"""The faults: each does its harm to the nodes, waits, makes good, and says if it had an effect.

Copies of the data are destroyed one at a time, and only ever of one member: a majority always has
all that was acknowledged. Which fault befalls whom, and when, is the nemesis' choice.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from actors.runtime.base import EXIT_FAIL_STOP
from cluster import Client, LeaseholdError
from cluster.launcher.nodes.layout import NodeRecord, initial_cluster
from cluster.launcher.nodes.node import EXIT_REMOVED
from cluster.link_plan import LinkFault
from tests.chaos import front_faults
from tests.chaos.control import Layer
from tests.chaos.plans import DiskFault
from tests.chaos.scene import Scene, Steps, is_stopped
from tests.limits import HANG_SECONDS
from tests.linearizability import FindingError

EFFECT_SECONDS: Final = 10.0
"""A node that writes nothing for this time is spared: the fault had no effect."""

REPORT_SECONDS: Final = 2.0
"""What a node reports as it dies may arrive after its end is seen."""

EXIT_DAMAGED: Final = 1


# --- faults of processes -------------------------------------------------------------------------


def kill(scene: Scene, target: str) -> Steps:
    scene.down.add(target)
    scene.cluster.kill(target)
    scene.kills += 1
    effect = scene.cluster.node(target).exit_status == -signal.SIGKILL
    yield from scene.hold(0.0, 1.5)
    yield from scene.start(target)
    return effect


def term(scene: Scene, target: str) -> Steps:
    scene.down.add(target)
    scene.cluster.signal(target, signal.SIGTERM)
    if not (yield from scene.wait(lambda: scene.ended(target), HANG_SECONDS)):
        raise FindingError(f"{target} does not stop within {HANG_SECONDS:g} s of SIGTERM")
    scene.expect_exit(target, 0, "it was told to stop")
    yield from scene.hold(0.0, 1.0)
    yield from scene.start(target)
    return True


def pause(scene: Scene, target: str) -> Steps:
    node = scene.cluster.node(target)
    node.signal(signal.SIGSTOP)
    effect = yield from scene.wait(lambda: is_stopped(node.pid), 1.0)
    yield from scene.hold(0.1, 2.5)
    node.signal(signal.SIGCONT)
    yield from scene.wait_until_in(target)
    return effect


def leader_transfer(scene: Scene) -> Steps:
    leader = scene.leader()
    ids = [n.member_id for n in scene.cluster.voters if n.running and n.name != leader]
    if leader is None or not ids:
        return False
    target = scene.chance.choice(ids)
    endpoint = scene.cluster.node(leader).endpoint
    answer = yield from scene.ask_once([endpoint], lambda client: client.move_leader(target))
    # Refused, or too slow: other faults are in the way.
    return not isinstance(answer, LeaseholdError)


# --- faults of links -----------------------------------------------------------------------------


def cut(scene: Scene, target: str) -> Steps:
    cut = {0: LinkFault(cut=True)}
    effect = yield from scene.imposed(target, Layer(outgoing=cut, incoming=cut), "cut", 0.2, 3.0)
    yield from scene.wait_until_in(target)
    return effect


def _pair(scene: Scene) -> tuple[str, int]:
    """A node, and the id of another."""
    one = scene.someone()
    others = [n.member_id for n in scene.cluster.members if n.name != one]
    return one, scene.chance.choice(others)


def cut_link(scene: Scene) -> Steps:
    one, other = _pair(scene)
    cut = {other: LinkFault(cut=True)}
    layer = Layer(outgoing=cut, incoming=cut)
    return (yield from scene.imposed(one, layer, "cut", 0.5, 4.0))


def one_way_link(scene: Scene) -> Steps:
    one, other = _pair(scene)
    cut = {scene.chance.choice((0, other)): LinkFault(cut=True)}
    if scene.chance.random() < 0.5:
        return (yield from scene.imposed(one, Layer(outgoing=cut), "cut out", 0.5, 3.0))
    return (yield from scene.imposed(one, Layer(incoming=cut), "cut in", 0.5, 3.0))


def delay(scene: Scene) -> Steps:
    fault = LinkFault(delay_ms=scene.chance.randint(1, 60), jitter_ms=scene.chance.randint(0, 60))
    layer = Layer(outgoing={0: fault}, incoming={0: fault})
    return (yield from scene.imposed(scene.someone(), layer, "delay", 0.5, 4.0))


def loss(scene: Scene) -> Steps:
    fault = LinkFault(
        loss=scene.chance.uniform(0.01, 0.3),
        jitter_ms=scene.chance.choice((0, 20)),
        reorder=True,
    )
    layer = Layer(outgoing={0: fault}, incoming={0: fault})
    return (yield from scene.imposed(scene.someone(), layer, "loss", 0.5, 4.0))


# --- faults of disks -----------------------------------------------------------------------------


def slow_fsync(scene: Scene) -> Steps:
    layer = Layer(DiskFault(sync_delay_ms=scene.chance.randint(5, 150)))
    return (yield from scene.imposed(scene.someone(), layer, "slow sync", 0.5, 4.0))


def disk_full(scene: Scene) -> Steps:
    """It refuses writes while it leads, and goes on when there is room again."""
    layer = Layer(DiskFault(full=True))
    return (yield from scene.imposed(scene.someone(), layer, "full", 0.5, 3.0))


def failing_write(scene: Scene, target: str) -> Steps:
    return (yield from _broken_disk(scene, target, DiskFault(write="EIO"), "write"))


def failing_fsync(scene: Scene, target: str) -> Steps:
    return (yield from _broken_disk(scene, target, DiskFault(sync="EIO"), "sync"))


def _broken_disk(scene: Scene, target: str, fault: DiskFault, effect: str) -> Steps:
    """The node must stop itself at the first failure; then its disk works again."""
    token, since = object(), time.monotonic()
    scene.down.add(target)
    scene.server.impose(target, token, Layer(fault))
    try:
        yield from scene.wait(
            lambda: scene.ended(target) or scene.server.took_effect(target, effect, since),
            EFFECT_SECONDS,
        )
        yield from scene.hold(0.0, 1.0)
    finally:
        scene.server.lift(token)
    took_effect = scene.server.took_effect(target, effect, since)
    if took_effect:
        yield from scene.wait(lambda: scene.ended(target), HANG_SECONDS)
    if scene.ended(target):
        scene.expect_exit(target, EXIT_FAIL_STOP, "its disk failed")
        yield from scene.start(target)
    elif took_effect:
        raise FindingError(f"{target} goes on after a failed {effect}")
    scene.down.discard(target)
    return took_effect


def torn_tail(scene: Scene, target: str) -> Steps:
    token, since = object(), time.monotonic()
    scene.down.add(target)
    scene.server.impose(target, token, Layer(DiskFault(torn=True)))
    try:
        yield from scene.wait(lambda: scene.ended(target), EFFECT_SECONDS)
    finally:
        scene.server.lift(token)
    effect = scene.ended(target) and scene.server.wait_for_effect(
        target, "torn write", since, REPORT_SECONDS
    )
    if scene.ended(target):
        scene.expect_exit(target, -signal.SIGKILL, "its last write was torn")
        yield from scene.start(target)
    scene.down.discard(target)
    scene.notes["torn tails repaired"] += scene.server.took_effect(
        target, "torn end repaired", since
    )
    return effect


# --- faults that destroy a copy ------------------------------------------------------------------


def bit_flip(scene: Scene, target: str) -> Steps:
    """A stopped node's log is damaged: it must refuse to start, and is replaced."""
    scene.down.add(target)
    scene.cluster.kill(target)
    scene.kills += 1
    where = flip_a_bit(scene.cluster.directory.node_directory(target) / "wal", scene.chance)
    scene.cluster.launch_node(target)
    if not (yield from scene.wait(lambda: scene.ended(target), HANG_SECONDS)):
        raise FindingError(f"{target} started on a damaged log: {where}")
    scene.expect_exit(target, EXIT_DAMAGED, f"its log is damaged: {where}")
    words = scene.cluster.directory.last_log_line(target)
    if str(where[0]) not in words or "damaged at byte" not in words:
        raise FindingError(f"{target}'s log is damaged at {where}, and it says: {words}")
    record = scene.cluster.plan_node()
    yield from _replaced(scene, target, record)
    return True


def member_replace(scene: Scene, target: str) -> Steps:
    """A member that is well is replaced in one step; it ends by itself."""
    record = scene.cluster.plan_node()
    scene.down.add(target)
    yield from _replaced(scene, target, record)
    return True


def _replaced(scene: Scene, target: str, record: NodeRecord) -> Steps:
    old = scene.cluster.node(target)
    url = record.peer_url
    member_id = yield from scene.ask(
        lambda client: _id_at(client, url) or client.member_replace(old.member_id, url).member.id,
        but=target,
    )
    scene.cluster.note_removed(target)
    return (yield from _welcome(scene, target, record, member_id))


def wipe_and_rejoin(scene: Scene, target: str) -> Steps:
    """All data of a node is lost: it is removed, and comes back as a new member, same address.

    Sometimes as a learner first, as a careful operator would do it.
    """
    scene.down.add(target)
    scene.cluster.kill(target)
    scene.kills += 1
    old = scene.cluster.node(target)
    yield from scene.ask(lambda client: _remove(client, old.member_id), but=target)
    scene.cluster.note_removed(target)
    shutil.rmtree(scene.cluster.directory.node_directory(target))
    learner = scene.chance.random() < 0.5
    record = scene.cluster.plan_node(learner=learner)._replace(ports=old.ports)
    members = [node.record for node in scene.cluster.members]
    record = record._replace(joined_with=initial_cluster([*members, record]))
    url = record.peer_url
    member_id = yield from scene.ask(
        lambda client: _id_at(client, url) or client.member_add(url, learner=learner).member.id
    )
    yield from _welcome(scene, target, record, member_id)
    if learner:
        yield from scene.ask(lambda client: _promote(client, member_id))
        scene.cluster.note_promoted(record.name)
        scene.clients.update_members(scene.cluster.endpoints)
    return True


def _welcome(scene: Scene, target: str, record: NodeRecord, member_id: int) -> Steps:
    """The old process is gone or goes, the new one comes and catches up."""
    if not (yield from scene.wait(lambda: scene.ended(target), HANG_SECONDS)):
        scene.notes["removed members that did not notice"] += 1
        scene.cluster.stop(target)
    elif scene.cluster.node(target).exit_status == EXIT_REMOVED:
        scene.notes["removed members that ended by themselves"] += 1
    shutil.rmtree(scene.cluster.directory.node_directory(target), ignore_errors=True)
    # Its interpreter must have loaded before another fault stops it: SIGTERM would just kill it.
    scene.down.add(record.name)
    scene.cluster.enlist(record, member_id)
    scene.clients.update_members(scene.cluster.endpoints)
    scene.note(f"{record.name} in place of {target}")
    is_in = yield from scene.wait_until_in(record.name)
    scene.down.discard(record.name)
    return is_in


def _id_at(client: Client, peer_url: str) -> int:
    """The member at this URL, 0 if there is none: an earlier try may have been done after all."""
    ids = [m.id for m in client.member_list().members if peer_url in m.peer_urls]
    return ids[0] if ids else 0


def _remove(client: Client, member_id: int) -> None:
    if any(member.id == member_id for member in client.member_list().members):
        client.member_remove(member_id)


def _promote(client: Client, member_id: int) -> None:
    members = client.member_list().members
    if any(member.id == member_id and member.is_learner for member in members):
        client.member_promote(member_id)


def flip_a_bit(directory: Path, chance: random.Random) -> tuple[Path, int]:
    """Change one bit of what a log's last segment holds; which file, and where.

    A byte that is not zero before and after: a sector of zeros would look like a torn write.
    """
    path = max(directory.glob("*.wal"))
    file = os.open(path, os.O_RDWR)
    try:
        used = len(os.pread(file, os.fstat(file).st_size, 0).rstrip(b"\0"))
        while True:
            offset = chance.randrange(used)
            (byte,) = os.pread(file, 1, offset)
            flipped = byte ^ 1 << chance.randrange(8)
            if byte and flipped:
                os.pwrite(file, bytes([flipped]), offset)
                return path, offset
    finally:
        os.close(file)


HARD: Final[Mapping[str, Callable[[Scene, str], Steps]]] = {
    "kill": kill,
    "term": term,
    "pause": pause,
    "cut": cut,
    "failing write": failing_write,
    "failing fsync": failing_fsync,
    "torn tail": torn_tail,
    "bit flip": bit_flip,
    "wipe and rejoin": wipe_and_rejoin,
    "member replace": member_replace,
}
"""Faults of one node, which cannot be counted on meanwhile."""

SOFT: Final[Mapping[str, Callable[[Scene], Steps]]] = {
    "cut link": cut_link,
    "one-way link": one_way_link,
    "delay": delay,
    "loss": loss,
    "slow fsync": slow_fsync,
    "disk full": disk_full,
    "leader transfer": leader_transfer,
    **front_faults.KINDS,
}
"""Faults that each node should bear."""

DESTRUCTIVE: Final = frozenset({"bit flip", "wipe and rejoin", "member replace"})
BRIEF: Final = frozenset({"kill", "term", "pause", "cut"})
"""Those that may take the quorum for a moment."""

KINDS: Final = (*HARD, *SOFT)
