"""The nemesis: does harm to the nodes of a cluster, several kinds at a time, from a seed.

It draws the faults from a bag that holds each kind once, and takes no more nodes away than a
quorum can spare, but now and then for a moment.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from tests.chaos.harm import BRIEF, DESTRUCTIVE, HARD, KINDS, SOFT
from tests.chaos.scene import Scene, Steps
from tests.limits import HANG_SECONDS
from tests.linearizability import FindingError

OVERLAP_CHANCE: Final = 0.15
"""So often a fault may take the quorum: nobody can be served then."""


class _Fault(NamedTuple):
    """A fault under way; `target` is the node that cannot be counted on meanwhile, or empty."""

    kind: str
    target: str
    steps: Steps
    began: float


class Span(NamedTuple):
    """A fault that is over; until `ended` the node may still have been catching up."""

    kind: str
    target: str
    began: float
    ended: float


class Nemesis:
    """`run` until it returns; then everything is in order again, or FindingError was raised."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.started: Counter[str] = Counter()
        self.effective: Counter[str] = Counter()
        self.spans: list[Span] = []
        self.fault_seconds = 0.0
        self._faults: list[_Fault] = []
        self._bag: list[str] = []

    def run(
        self, goes_on: Callable[[], bool], kinds: Callable[[], Sequence[str]] = lambda: KINDS
    ) -> None:
        """Do harm while `goes_on` says so; then let everything heal. Each bag holds `kinds`."""
        scene = self.scene
        heal_by: float | None = None
        turned = time.monotonic()
        while True:
            self._turn()
            now = time.monotonic()
            self.fault_seconds += len(self._faults) * (now - turned)
            turned = now
            if heal_by is None and goes_on():
                if len(self._faults) < scene.chance.randint(2, self._minority + 2):
                    self._begin(kinds)
                continue
            if heal_by is None:
                heal_by = now + HANG_SECONDS
                scene.healing = True
            if not self._faults:
                break
            if now > heal_by:
                left = ", ".join(fault.kind for fault in self._faults)
                raise FindingError(f"not in order {HANG_SECONDS:g} s after the end: {left}")
        scene.close()

    @property
    def _minority(self) -> int:
        return (len(self.scene.cluster.voters) - 1) // 2

    def _turn(self) -> None:
        """One step of every fault."""
        self.scene.turn()
        for fault in list(self._faults):
            try:
                next(fault.steps)
            except StopIteration as end:
                self._faults.remove(fault)
                self.spans.append(Span(fault.kind, fault.target, fault.began, time.monotonic()))
                self.effective[fault.kind] += bool(end.value)
                self.scene.note(f"{fault.kind} on {fault.target or '-'} ends, effect: {end.value}")

    def _begin(self, kinds: Callable[[], Sequence[str]]) -> None:
        """Begin the next fault of the bag that may begin now."""
        if not self._bag:
            self._bag = list(kinds())
            self.scene.chance.shuffle(self._bag)
        for kind in self._bag:
            target = "" if kind in SOFT else self._target(kind)
            if target is None:
                continue
            self._bag.remove(kind)
            self.started[kind] += 1
            self.scene.note(f"{kind} on {target or '-'}")
            steps = HARD[kind](self.scene, target) if target else SOFT[kind](self.scene)
            self._faults.append(_Fault(kind, target, steps, time.monotonic()))
            return

    def _target(self, kind: str) -> str | None:
        """A node for a fault that takes it out, if one may be taken."""
        chance, cluster = self.scene.chance, self.scene.cluster
        taken = {fault.target for fault in self._faults if fault.target}
        if kind in DESTRUCTIVE and any(fault.kind in DESTRUCTIVE for fault in self._faults):
            return None
        overlap = kind in BRIEF and chance.random() < OVERLAP_CHANCE
        away = taken | self.scene.down
        free = [node.name for node in cluster.voters if node.running and node.name not in away]
        if len(taken) >= self._minority + overlap or not free:
            return None
        leader = self.scene.leader()
        if leader in free and chance.random() < 0.5:
            return leader
        return chance.choice(free)
