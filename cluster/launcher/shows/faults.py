"""The faults that chaos plants, by name: each does it by commands, waits, and mends it.

Which node is hit is decided when it happens, by the order of the random choices alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final, NamedTuple

from cluster.launcher.errands.errand import Errand
from cluster.launcher.shows.show import Stage

STRUCK_SECONDS: Final = 1.5
"""How long a fault lasts, at least."""

SLOW: Final = "60ms 20ms"
LOSS: Final = "20%"

Strike = Callable[[Stage, Random], Errand[str]]


class ChaosFault(NamedTuple):
    """A fault of chaos. `strike` plants it, waits, mends it, and returns who was hit.

    With `unseats` another node leads afterwards: that is waited for, and measured.
    """

    name: str
    help: str
    strike: Strike
    unseats: bool = False


def _killed(stage: Stage, random: Random, *, leader: bool, verb: str) -> Errand[str]:
    """End a node's process, and start it again."""
    name = _victim(stage, random, leader=leader)
    yield from stage.do(f"{verb} {name}")
    yield from _while_struck(stage, name if leader else "")
    yield from stage.do(f"start {name}")
    return name


def _all_killed(stage: Stage, random: Random) -> Errand[str]:
    """End every node's process, and start all again."""
    yield from stage.do("kill all")
    yield from stage.hold(STRUCK_SECONDS * random.random())
    yield from stage.do("start all")
    return "all"


def _restarted(stage: Stage, random: Random) -> Errand[str]:
    name = _victim(stage, random, leader=False)
    yield from stage.do(f"restart {name}")
    return name


def _transferred(stage: Stage, random: Random) -> Errand[str]:
    name = _victim(stage, random, leader=False)
    yield from stage.do(f"transfer {name}")
    yield from stage.hold(STRUCK_SECONDS)
    return name


def _paused(stage: Stage, random: Random, *, leader: bool) -> Errand[str]:
    name = _victim(stage, random, leader=leader)
    yield from stage.do(f"pause {name}")
    yield from _while_struck(stage, name if leader else "")
    yield from stage.do(f"resume {name}")
    return name


def _cut_off(stage: Stage, random: Random, *, way: str) -> Errand[str]:
    """The leader hears nobody, or nobody hears it, or both."""
    name = _victim(stage, random, leader=True)
    yield from stage.do(f"isolate {name} {way}".rstrip())
    # A leader that nobody hears is followed no longer; one that hears nobody gives up by itself.
    yield from _while_struck(stage, name)
    yield from stage.do("heal")
    return name


def _parted(stage: Stage, random: Random) -> Errand[str]:
    """The leader and a random minority on one side, the majority on the other."""
    leader = _victim(stage, random, leader=True)
    others = [node.name for node in stage.desk.cluster.voters if node.name != leader]
    random.shuffle(others)
    beside = len(others) // 2 - 1
    minority, majority = [leader, *others[:beside]], others[beside:]
    yield from stage.do(f"partition {','.join(minority)} | {','.join(majority)}")
    yield from _while_struck(stage, leader)
    yield from stage.do("heal")
    return ",".join(minority)


def _impaired(stage: Stage, random: Random, *, verb: str, how: str) -> Errand[str]:
    name = random.choice([node.name for node in stage.desk.cluster.voters])
    yield from stage.do(f"{verb} {name} {how}")
    yield from stage.hold(2 * STRUCK_SECONDS)
    yield from stage.do("heal")
    return name


FAULTS: Final = {
    fault.name: fault
    for fault in (
        ChaosFault(
            "kill-leader",
            "kill -9 of the leader",
            partial(_killed, leader=True, verb="kill"),
            unseats=True,
        ),
        ChaosFault(
            "stop-leader",
            "a graceful stop of the leader",
            partial(_killed, leader=True, verb="stop"),
            unseats=True,
        ),
        ChaosFault(
            "kill-follower", "kill -9 of a follower", partial(_killed, leader=False, verb="kill")
        ),
        ChaosFault("kill-all", "kill -9 of all nodes", _all_killed),
        ChaosFault("restart-follower", "a graceful restart of a follower", _restarted),
        ChaosFault("pause", "SIGSTOP of the leader", partial(_paused, leader=True), unseats=True),
        ChaosFault("pause-follower", "SIGSTOP of a follower", partial(_paused, leader=False)),
        ChaosFault("partition", "the leader in a minority", _parted, unseats=True),
        ChaosFault("isolate", "the leader alone", partial(_cut_off, way=""), unseats=True),
        ChaosFault(
            "isolate-out", "nobody hears the leader", partial(_cut_off, way="out"), unseats=True
        ),
        ChaosFault(
            "isolate-in", "the leader hears nobody", partial(_cut_off, way="in"), unseats=True
        ),
        ChaosFault("slow", "slow links of a node", partial(_impaired, verb="slow", how=SLOW)),
        ChaosFault(
            "lossy", "links of a node that lose", partial(_impaired, verb="lossy", how=LOSS)
        ),
        ChaosFault("transfer", "the lead is handed over", _transferred, unseats=True),
    )
}
"""All faults, by name."""

DEFAULT_PLAN: Final = ("kill-leader", "stop-leader", "kill-follower", "pause", "partition")


def _victim(stage: Stage, random: Random, *, leader: bool) -> str:
    leads = stage.leader()
    if leader:
        return leads
    return random.choice([n.name for n in stage.desk.cluster.voters if n.name != leads])


def _while_struck(stage: Stage, unseated: str) -> Errand[None]:
    """Wait for another leader than the one that was unseated, and a little."""
    if unseated:
        yield from stage.until_another_leads(unseated)
    yield from stage.hold(STRUCK_SECONDS)
