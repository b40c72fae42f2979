"""What was done to a cluster in one run, as text that people read and the simulation plays again.

A script is a seed, the swarm, when it ends, and one line for each fault: the time in ms, the name
of what was done, and to whom. Knows nothing of what a fault does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.simulation.swarm import Swarm


class Act(NamedTuple):
    """One thing done to the cluster; `words` say to whom, and how."""

    at_ms: int
    kind: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((f"{self.at_ms:6}", self.kind, *self.words))


def act(at_ms: int, kind: str, *words: object) -> Act:
    """An act whose words are given as they are."""
    return Act(at_ms, kind, tuple(map(str, words)))


class Script(NamedTuple):
    """A run that can be played again."""

    seed: int
    swarm: Swarm
    end_ms: int
    acts: tuple[Act, ...]

    def without(self, acts: Sequence[Act]) -> Script:
        """The same, but for these acts."""
        left_out = set(acts)
        return self._replace(acts=tuple(each for each in self.acts if each not in left_out))


def write(script: Script, finding: str) -> str:
    """The script as text, with what it found as a comment."""
    lines = [f"# {line}" for line in finding.splitlines()]
    lines += [f"seed {script.seed}", f"faults until {script.end_ms}"]
    lines += [f"{name} {json.dumps(value)}" for name, value in script.swarm._asdict().items()]
    lines += [str(each) for each in script.acts]
    return "\n".join(lines) + "\n"


def read(text: str) -> Script:
    """What `write` wrote; fields of the swarm that are not named have their calmest value."""
    seed, end_ms = 0, 0
    fields: dict[str, Any] = {}
    acts: list[Act] = []
    for line in text.splitlines():
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if words[0].isdigit():
            acts.append(Act(int(words[0]), words[1], tuple(words[2:])))
        elif words[0] == "seed":
            seed = int(words[1])
        elif words[0] == "faults":
            end_ms = int(words[2])
        else:
            fields[words[0]] = json.loads(words[1])
    return Script(seed, Swarm()._replace(**fields), end_ms, tuple(acts))
