"""A random life of a write-ahead log on a disk that loses power, beside a model of what it holds.

Each step may be the last before a crash, in the middle of the repair after the last one too. What
the log says of itself when it is opened must be what the model held before the step, or after it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from actors.language.entries import Entry
from actors.raft.disk.wal import Contents, Wal
from actors.raft.disk.wal_reader import Identity
from actors.raft.log import LogStart
from actors.raft.rpc import HardState
from tests.raft.harness import entry, voters
from tests.simulation.disk import SimulatedDisk
from tests.simulation.seams import CrashError

DIRECTORY = Path("/data/wal")
IDENTITY = Identity(0xA1, 0xC1)
MEMBERS = voters(3)
SEGMENT_BYTES = 2_048
COMMAND_BYTES_MAX = 1_400
STEPS = 120
EFFECTS_UNTIL_CRASH_MAX = 40


class Model(NamedTuple):
    """What a log must hold: all entries after `start`; `cut` is how far the store holds them."""

    start: tuple[int, int] = (0, 0)
    entries: tuple[Entry, ...] = ()
    state: tuple[int, int] = (0, 0)
    expected: tuple[int, int] = (0, 0)
    cut: int = 0

    @property
    def last(self) -> tuple[int, int]:
        """Index and term of the last entry."""
        return (self.entries[-1].index, self.entries[-1].term) if self.entries else self.start

    def before(self, index: int) -> tuple[int, int]:
        """Index and term of what stands before an entry."""
        kept = index - 1 - self.start[0]
        return (index - 1, self.entries[kept - 1].term) if kept else self.start

    def is_held_by(self, contents: Contents) -> bool:
        """Whether a log holds this; it may hold more of what the store has too, or less."""
        log = contents.log
        stored = log.slice(log.first_index, log.last_index + 1, 1 << 60)
        return (
            log.first_index <= max(self.cut, self.start[0]) + 1
            and log.last_index == self.last[0]
            and log.term(self.start[0]) in (self.start[1], None)
            and [e for e in stored if e.index > self.cut]
            == [e for e in self.entries if e.index > self.cut]
            and contents.hard_state[:2] == self.state
            # What the log has caught up with by itself may be forgotten.
            and (contents.expected == self.expected or self.expected[0] <= self.last[0])
        )


class Life:
    """One log; `chance(n)` is 0 <= x < n."""

    def __init__(self, seed: int) -> None:
        self.chance: Callable[[int], int] = Random(seed).randrange
        self.disk = SimulatedDisk(self._effect)
        self.model = Model()
        self._effects_left = 0
        self.wal, _ = Wal.create(DIRECTORY, IDENTITY, MEMBERS, SEGMENT_BYTES, self.disk)

    def _effect(self) -> None:
        self._effects_left -= 1
        if self._effects_left == 0:
            raise CrashError

    def live(self) -> str:
        """Go through the steps; what was wrong with what was found on the disk, if anything."""
        for _ in range(STEPS):
            after = self._choose()
            self._effects_left = self.chance(EFFECTS_UNTIL_CRASH_MAX)
            try:
                self._do(after)
                self.model = after
            except CrashError:
                finding = self._crash(after)
                if finding:
                    return finding
        return self._crash(self.model)

    def _choose(self) -> Model:
        """What is to be held next."""
        model = self.model
        term, vote = model.state
        match self.chance(12):
            case 0:
                return model._replace(state=(term + 1, self.chance(4)))
            case 1 if model.last[0] > model.cut:
                cut = model.cut + 1 + self.chance(model.last[0] - model.cut)
                return model._replace(cut=cut)
            case 2:
                expected = model.last[0] + 1 + self.chance(3), term + 1
                return model._replace(expected=expected, state=(term + 1, vote))
            case 3 if self.chance(4) == 0:
                index = model.last[0] + self.chance(5)
                return Model((index, max(term, 1)), (), (max(term, 1), vote), (0, 0), index)
            case 4 | 5 if model.last[0] > max(model.cut, model.start[0]):
                lowest = max(model.cut, model.start[0]) + 1
                first = lowest + self.chance(model.last[0] - lowest + 1)
                return self._with_entries(term + 1, vote, first)
            case _:
                return self._with_entries(max(term, 1), vote, model.last[0] + 1)

    def _with_entries(self, term: int, vote: int, first: int) -> Model:
        model = self.model
        sizes = [self.chance(COMMAND_BYTES_MAX) for _ in range(1 + self.chance(3))]
        fresh = tuple(entry(first + n, term, b"v" * size) for n, size in enumerate(sizes))
        kept = model.entries[: first - 1 - model.start[0]]
        return model._replace(entries=kept + fresh, state=(term, vote))

    def _do(self, after: Model) -> None:
        """Do what makes the difference."""
        before = self.model
        hard_state = HardState(*after.state, after.cut)
        if after.expected not in (before.expected, (0, 0)):
            self.wal.expect_snapshot(hard_state, after.expected, LogStart(*before.last, MEMBERS))
        elif after.start != before.start:
            self.wal.reset(hard_state, (), LogStart(*after.start, MEMBERS))
        elif after.cut != before.cut:
            self.wal.cut(after.cut)
        else:
            fresh = tuple(e for e in after.entries if e not in before.entries)
            start = after.before(fresh[0].index) if fresh else after.last
            self.wal.save(hard_state, fresh, LogStart(*start, MEMBERS))

    def _crash(self, after: Model) -> str:
        """Lose power, and open the log again, which may crash too; what is wrong with it then."""
        while True:
            self.disk.crash(self.chance)
            self._effects_left = self.chance(6)
            try:
                self.wal, contents = Wal.open(DIRECTORY, SEGMENT_BYTES, self.disk)
                break
            except CrashError:
                continue
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
                return f"{type(error).__name__}: {error}"
        for held in (after, self.model):
            if held.is_held_by(contents):
                self.model = held._replace(expected=contents.expected)
                return ""
        return f"it holds {contents}, not {self.model} or {after}"


def first_finding(seeds: int) -> tuple[int, str]:
    """The first seed whose life ends with a finding, and the finding; (seeds, "") if none does."""
    for seed in range(seeds):
        finding = Life(seed).live()
        if finding:
            return seed, finding
    return seeds, ""
