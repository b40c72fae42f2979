"""From a run with a finding to a short script that shows it still: less goes wrong, less is done.

Each attempt plays a smaller script. Whatever finding comes is good enough: a bug that shows as
another violation is the same bug more often than not, and each is worth a look.
"""

from __future__ import annotations

import time
from pathlib import Path

from tests.simulation.runner import Report, play
from tests.simulation.script import Script, write
from tests.simulation.swarm import CLASSES

SECONDS_MAX = 60.0
SCRIPTS = Path(__file__).parent / "scripts"


class Shrinker:
    """Keeps the smallest script known to fail."""

    def __init__(self, report: Report, seconds_max: float = SECONDS_MAX) -> None:
        self.script = report.script
        self.finding = report.finding
        self.plays = 0
        self._until = time.monotonic() + seconds_max

    def shrink(self) -> bool:
        """Make the script smaller; False if it does not show the finding even as it is."""
        if not self._fails(self.script):
            return False
        size = -1
        while size != (size := self._size()) and time.monotonic() < self._until:
            self._leave_out_classes()
            self._leave_out_acts()
        return True

    def _size(self) -> int:
        return len(self.script.acts) * 1_000 + sum(map(bool, self.script.swarm))

    def _leave_out_classes(self) -> None:
        for calmer in CLASSES.values():
            swarm = self.script.swarm._replace(**calmer)
            if swarm != self.script.swarm:
                self._fails(self.script._replace(swarm=swarm))

    def _leave_out_acts(self) -> None:
        """Delta debugging: halves, quarters, ... single acts."""
        parts = 2
        while parts <= 2 * len(self.script.acts) and time.monotonic() < self._until:
            acts = self.script.acts
            width = max(1, len(acts) // parts)
            smaller = False
            for start in range(0, len(acts), width):
                left_out = acts[start : start + width]
                smaller = self._fails(self.script.without(left_out)) or smaller
            if width == 1 and not smaller:
                return
            parts = 2 if smaller and width > 1 else parts * 2

    def _fails(self, script: Script) -> bool:
        """Whether the script finds something; then it is the smallest known."""
        if time.monotonic() >= self._until:
            return False
        self.plays += 1
        report = play(script)
        if not report.finding:
            return False
        end_ms = min(script.end_ms, report.ended_ms)
        acts = tuple(each for each in script.acts if each.at_ms <= end_ms)
        self.script = script._replace(end_ms=end_ms, acts=acts)
        self.finding = report.finding
        return True


def tell(report: Report) -> str:
    """The shrunk script of a finding, and where it is kept."""
    shrinker = Shrinker(report)
    if not shrinker.shrink():
        return "the finding needs the very course of this seed: it could not be shrunk\n"
    text = write(shrinker.script, shrinker.finding)
    path = SCRIPTS / f"seed-{report.seed}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return (
        f"shrunk in {shrinker.plays} runs from {len(report.acts)} acts to "
        f"{len(shrinker.script.acts)}:\n{text}kept as {path}; to see it again: "
        f"python -m tests.simulation play {path}\n"
    )
