"""An unstarted StoreActor between probes, and a log that feeds it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from actors.language.codec import encode_command
from actors.language.commands import Command
from actors.language.entries import Entry
from actors.language.messages import Apply, InstallSnapshot, SnapshotInstalled, WatchOpen
from actors.runtime.base import Ring
from actors.store.actor import StoreActor
from actors.store.long_entry import ENTRY_STEPS_MAX
from actors.store.machine import Machine
from actors.store.pace import COMMIT_INTERVAL_MS
from actors.store.storage import Backend, CommitWaits
from actors.store.upkeep import NO_UPKEEP, UpkeepSettings
from tests.store.driver import FOUNDERS, TERM
from tests.twins import ImmediateWaits

HERE = 1


class Probe:
    """An address that keeps what it is told, in one list for all."""

    def __init__(self, name: str, told: list[tuple[str, Any]]) -> None:
        self.name = name
        self.told = told

    def tell(self, message: Any) -> None:
        self.told.append((self.name, message))


class Node:
    """An unstarted StoreActor on a backend, with a clock and a log at hand."""

    def __init__(
        self,
        backend: Backend,
        upkeep: UpkeepSettings = NO_UPKEEP,
        member_id: int = HERE,
        slice_steps_max: int = ENTRY_STEPS_MAX,
        waits: CommitWaits | None = None,
    ) -> None:
        self.now_ms = 50_000
        self.time_ms = 1_000
        self.told: list[tuple[str, Any]] = []
        self.backend = backend
        self.machine = Machine(backend, FOUNDERS)
        self.actor = StoreActor(
            self.machine,
            backend,
            ImmediateWaits() if waits is None else waits,
            member_id,
            lambda: self.now_ms,
            upkeep=upkeep,
            slice_steps_max=slice_steps_max,
        )
        self.actor.join(Ring(*(Probe(name, self.told) for name in Ring._fields)))
        self.last_index = self.machine.applied_index
        self.actor.receive(watch(b"elsewhere"))
        self.told.clear()

    def entry(
        self, command: Command | None, origin: int = HERE, ticket: int = 0, sequence: Any = None
    ) -> Entry:
        """The next entry of the log; None is Raft's no-op."""
        self.last_index += 1
        data = encode_command(command, sequence) if command is not None else b""
        return Entry(self.last_index, TERM, self.time_ms, origin, ticket, data)

    def apply(self, *commands: Command | None) -> list[tuple[str, Any]]:
        """Apply commands that nobody here waits for, and return what was told."""
        return self.hear(Apply(tuple(self.entry(command) for command in commands)))

    def hear(self, message: Any) -> list[tuple[str, Any]]:
        """Handle one message and return what was told."""
        self.told.clear()
        self.actor.receive(message)
        return list(self.told)

    def install(self, path: Path) -> list[tuple[str, Any]]:
        """Let a snapshot be installed, turn by turn; returns what was told until its end."""
        told = self.hear(InstallSnapshot(path))
        while not any(isinstance(message, SnapshotInstalled) for _, message in told):
            told += self.tick()
        return told

    def settle(self) -> list[tuple[str, Any]]:
        """Let a long entry come to its end, turn by turn; returns what was told until then."""
        told: list[tuple[str, Any]] = []
        while self.actor.machine.is_busy:
            told += self.tick()
            while (message := self.actor.mailbox.pop()) is not None:
                told += self.hear(message)
        return told

    def commit(self) -> list[tuple[str, Any]]:
        """Let the interval pass, so that what is new is made durable."""
        self.now_ms += COMMIT_INTERVAL_MS
        told = self.tick()
        # A large commit takes several turns.
        while (due_ms := self.actor.mailbox.next_wake_ms) is not None and due_ms <= self.now_ms:
            told += self.tick()
        return told

    def tick(self) -> list[tuple[str, Any]]:
        """Handle the actor's timer if it is due."""
        tick = self.actor.mailbox.pop_tick(self.now_ms)
        return self.hear(tick) if tick else []


def await_copies() -> None:
    """Return when no copy is being made any more."""
    for thread in threading.enumerate():
        if thread.name == "store copy":
            thread.join()


def watch(key: bytes, range_end: bytes = b"", start: int = 0, prev_kv: bool = False) -> WatchOpen:
    return WatchOpen((b"client",), b"", 0, key, range_end, start, prev_kv, False, False)
