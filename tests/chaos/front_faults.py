"""Faults of fronts alone: their nodes go on. Each waits until the front is back, or its node went.

A front has two halves, the keeper and the process that serves. Whatever befalls one of them, a node
that runs has both again at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from cluster.launcher.nodes.node import NodeProcess
from cluster.processes import descendants
from tests.chaos.scene import Scene, Steps, is_stopped
from tests.limits import HANG_SECONDS
from tests.linearizability import FindingError

KEEPER, SERVING = 0, 1


def front_kill(scene: Scene) -> Steps:
    return (yield from _ended(scene, SERVING, signal.SIGKILL))


def front_term(scene: Scene) -> Steps:
    """It ends as it does when a node stops: calls under way are answered."""
    return (yield from _ended(scene, SERVING, signal.SIGTERM))


def keeper_kill(scene: Scene) -> Steps:
    """The process that serves goes on, and is one that nobody keeps until it ends."""
    return (yield from _ended(scene, KEEPER, signal.SIGKILL))


def front_pause(scene: Scene) -> Steps:
    node = scene.cluster.node(scene.someone())
    halves = _halves(node)
    if not halves:
        return False
    serving = halves[SERVING]
    with suppress(ProcessLookupError):
        os.kill(serving, signal.SIGSTOP)
    effect = yield from scene.wait(lambda: is_stopped(serving), 1.0)
    yield from scene.hold(0.1, 2.5)
    with suppress(ProcessLookupError):  # its node has ended meanwhile, and it with the node
        os.kill(serving, signal.SIGCONT)
    return effect


def _ended(scene: Scene, half: int, number: int) -> Steps:
    """End one half of some front, and see the next one in its place."""
    name = scene.someone()
    node = scene.cluster.node(name)
    pid, before = node.pid, _halves(node)
    if not before:
        return False  # it was just started
    with suppress(ProcessLookupError):
        os.kill(before[half], number)

    def is_back() -> bool:
        now = _halves(node)
        return bool(now) and now[half] != before[half]

    def is_over() -> bool:
        return is_back() or not node.running or node.pid != pid or name in scene.down

    if not (yield from scene.wait(is_over, HANG_SECONDS)):
        raise FindingError(f"the front of {name} is not back {HANG_SECONDS:g} s after its end")
    return is_back()


def _halves(node: NodeProcess) -> tuple[int, ...]:
    """The keeper and the process that serves; nothing if both are not there just now."""
    halves = tuple(descendants(node.pid))
    return halves if len(halves) == 2 else ()


KINDS: Final[Mapping[str, Callable[[Scene], Steps]]] = {
    "front kill": front_kill,
    "front term": front_term,
    "front pause": front_pause,
    "keeper kill": keeper_kill,
}
"""Faults that each node, and the clients of each, should bear."""
