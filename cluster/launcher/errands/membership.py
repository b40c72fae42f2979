"""Errands that change the members of a cluster, or its leader: add, promote, remove, transfer.

Each asks one running node, tries again what is refused only for a moment, and tells what came of
it in the journal. It refuses to know who asked for it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from cluster.faults import FAULTS
from cluster.launcher.errands.errand import Ask, Errand, NoAnswerError, OrderRefusedError, Until
from cluster.launcher.errands.running import START_SECONDS, stop, until_joined
from cluster.launcher.nodes.layout import LauncherError, NodeRecord
from cluster.launcher.nodes.node import NodeProcess
from cluster.launcher.nodes.processes import Processes

REMOVED_SECONDS: Final = 15.0
"""A removed node ends by itself; one that runs longer is stopped."""

CHANGE_SECONDS: Final = 30.0
"""How long a change of members is tried while it is refused only for a moment."""

TRANSFER_SECONDS: Final = 10.0

AGAIN_SECONDS: Final = 0.05
"""The pause before a change that was refused is tried again."""

PASSING: Final = frozenset(
    FAULTS[name].message for name in ("Unhealthy", "LearnerNotReady", "NoLeader", "LeaderChanged")
)
"""Refusals that pass when starting nodes are ready, or a leader is elected."""


def add(
    cluster: Processes,
    name: str | None = None,
    *,
    learner: bool = False,
    in_place_of: str = "",
    seconds: float = START_SECONDS,
) -> Errand[str]:
    """Add a member, start it, and wait until it knows the leader; its name."""
    # A second voter that does not run yet would be one of two, and nothing could be written. So
    # the second node is added as a learner and promoted when it has caught up.
    must_learn = learner or len(cluster.voters) == 1
    record = cluster.plan_node(name, must_learn, in_place_of)
    request: dict[str, Any] = {"op": "member_add", "peerURLs": [record.peer_url]}
    if must_learn:
        request["isLearner"] = True
    reply = yield from ask_leader(cluster, request | _key_of(record))
    role = "learner" if must_learn else "voter"
    tell_member(cluster, "added", record.name, f"{record.name} was added as a {role}")
    cluster.enlist(record, reply["member"]["ID"])
    yield from until_joined(cluster, cluster.node(record.name), seconds)
    if must_learn and not learner:
        yield from promote(cluster, cluster.node(record.name), seconds)
    return record.name


def promote(cluster: Processes, node: NodeProcess, seconds: float = START_SECONDS) -> Errand[None]:
    """Make a learner a voter, as soon as it has caught up."""
    yield from ask_leader(cluster, {"op": "member_promote", "ID": node.member_id}, seconds)
    cluster.note_promoted(node.name)
    tell_member(cluster, "promoted", node.name, f"{node.name} is a voter now")


def remove(cluster: Processes, node: NodeProcess, seconds: float = REMOVED_SECONDS) -> Errand[None]:
    """Remove a member for good, and wait until its process has ended."""
    refuse_to_lose_quorum(cluster.voters, node)
    yield from ask_leader(cluster, {"op": "member_remove", "ID": node.member_id}, but=node.name)
    cluster.note_removed(node.name)
    tell_member(cluster, "removed", node.name, f"{node.name} was removed from the cluster")
    yield from until_removed(node, seconds)


def replace(
    cluster: Processes,
    node: NodeProcess,
    name: str | None = None,
    seconds: float = START_SECONDS,
) -> Errand[str]:
    """Remove a voter and add another in one step, and start the new one; its name."""
    record = cluster.plan_node(name, in_place_of=node.name)
    request: dict[str, Any] = {
        "op": "member_replace",
        "ID": node.member_id,
        "peerURLs": [record.peer_url],
    }
    reply = yield from ask_leader(cluster, request | _key_of(record), but=node.name)
    cluster.note_removed(node.name)
    text = f"{node.name} was removed, and a new {record.name} was added in its place"
    tell_member(cluster, "removed", node.name, text)
    cluster.enlist(record, reply["member"]["ID"])
    yield from until_joined(cluster, cluster.node(record.name), seconds)
    yield from until_removed(node, REMOVED_SECONDS)
    return record.name


def transfer(cluster: Processes, node: NodeProcess | None = None) -> Errand[str]:
    """Hand the lead over, by default to the voter that has applied most; its name."""
    leader = yield from until_led(cluster)
    successor = node or successor_of(cluster, leader)
    if successor.name == leader:
        raise LauncherError(f"{leader} leads already")
    if successor.is_learner:
        raise LauncherError(f"{successor.name} is a learner: promote {successor.name} first")
    if not successor.is_at_work:
        state = "paused" if successor.is_paused else "not running"
        raise LauncherError(f"{successor.name} is {state}: it cannot lead")
    yield Ask(leader, {"op": "move_leader", "targetID": successor.member_id})
    otherwise = f"{successor.name} does not lead {TRANSFER_SECONDS:g} s after {leader} gave up"
    yield Until(partial(_leads, cluster, successor.name), TRANSFER_SECONDS, otherwise)
    return successor.name


# --- the parts ---


def until_led(cluster: Processes, seconds: float = CHANGE_SECONDS) -> Errand[str]:
    """Wait until a leader is known; its name."""
    yield Until(lambda: cluster.heard_leader is not None, seconds, "no leader is known just now")
    leader = cluster.heard_leader
    assert leader is not None, "Until looks at once before the errand goes on"
    return leader


def successor_of(
    cluster: Processes, leader: str | None, but: Sequence[NodeProcess] = ()
) -> NodeProcess:
    """The running voter, other than the leader and these, that has applied most."""
    found = [
        (node.status.applied_index, node.name)
        for node in cluster.voters
        if node.status is not None
        and node.name != leader
        and node not in but
        and not node.is_paused
    ]
    if not found:
        raise LauncherError("there is no other node that could lead")
    return cluster.node(max(found)[1])


def until_removed(node: NodeProcess, seconds: float) -> Errand[None]:
    """Wait for the end of a removed node, and stop it if it does not end by itself."""
    node.end_is_meant = True
    until = time.monotonic() + seconds
    if node.is_paused:
        node.resume()
    yield Until(lambda: not node.running or time.monotonic() >= until, seconds + 1, "")
    if node.running:
        yield from stop([node])


def refuse_to_lose_quorum(voters: Sequence[NodeProcess], node: NodeProcess) -> None:
    """LauncherError if these voters could write nothing any more without this one."""
    if node.is_learner:
        return
    left = [other for other in voters if other is not node]
    if not left:
        raise LauncherError(f"{node.name} is the last voter: the cluster cannot be without it")
    running = [other for other in left if other.is_at_work]
    needed = len(left) // 2 + 1
    if len(running) >= needed:
        return
    missing = ", ".join(other.name for other in left if other not in running)
    number = "none" if not running else f"only {len(running)}"
    raise LauncherError(
        f"without {node.name} {number} of {len(left)} voters would run, and {needed} must:"
        f" start or remove {missing} first"
    )


def tell_member(cluster: Processes, what: str, name: str, text: str) -> None:
    """Tell that the members have changed, and how clients find them now."""
    endpoints = ",".join(cluster.endpoints)
    cluster.journal.tell("member", text, what=what, victim=name, endpoints=endpoints)


def ask_leader(
    cluster: Processes,
    request: dict[str, Any],
    seconds: float = CHANGE_SECONDS,
    but: str = "",
) -> Errand[Any]:
    """Ask for a change that the leader makes; try again while it is refused only for a moment."""
    until = time.monotonic() + seconds
    while True:
        server = _server(cluster, but)
        try:
            return (yield Ask(server, request))
        except OrderRefusedError as error:
            if str(error) not in PASSING or time.monotonic() > until:
                raise
        except NoAnswerError as error:
            raise LauncherError(f"{error}; look at the members with ls") from None
        yield pause()


def pause() -> Until:
    """A short wait before something is asked again."""
    until = time.monotonic() + AGAIN_SECONDS
    return Until(lambda: time.monotonic() >= until, AGAIN_SECONDS + 1, "")


def _key_of(record: NodeRecord) -> dict[str, str]:
    """The field of a request that names a new member's key, if it has one."""
    return {"member_key": record.key} if record.key else {}


def _leads(cluster: Processes, name: str) -> bool:
    return cluster.heard_leader == name


def _server(cluster: Processes, but: str) -> str:
    """The node to ask: the leader, else a running voter; `but` only if there is no other."""
    # Not the node that goes, if possible: it may end before it has answered.
    leader = cluster.heard_leader
    running = [node for node in cluster.voters if node.is_at_work]
    running.sort(key=lambda node: (node.name == but, node.name != leader))
    if not running:
        raise LauncherError("no voter is running")
    return running[0].name
