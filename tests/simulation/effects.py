"""What entries did to the stores: the same everywhere, and each numbered command once.

Also when leases ended, by the simulation's own time. Knows nothing of logs or of who leads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from actors.language.codec import decode_command
from actors.language.commands import (
    AlarmActivate,
    AlarmType,
    Command,
    Event,
    IntegrityReport,
    LeaseExpire,
)
from actors.language.commands import Sequence as Numbered
from actors.language.entries import Entry
from actors.language.results import Failure, Result
from actors.raft.for_store import for_store
from actors.store.machine import Machine
from tests.simulation.saved import require
from tests.simulation.swarm import Swarm
from tests.store.driver import everything
from tests.twins import MemoryBackend

if TYPE_CHECKING:
    from tests.simulation.node import Node


class Effects:
    """`lease_ends_ms` tells when the end of a lease was first seen by anybody."""

    def __init__(self, counts: Counter[str]) -> None:
        self.lease_ends_ms: dict[int, int] = {}
        self.is_off = False
        # Entries of a later version that stand in some log, by index and term.
        self.unreadable: set[tuple[int, int]] = set()
        # Processes that have skipped one of them: member and incarnation.
        self.skipped_by: set[tuple[int, int]] = set()
        self._counts = counts
        self._results: dict[int, tuple[Result, int]] = {}
        self._executed: dict[tuple[int, int], Result] = {}

    def skipped(self, node: Node, index: int, term: int, command: bytes) -> None:
        """An entry was passed: a no-op, or one of a later version."""
        if command:
            known = (index, term) in self.unreadable
            require(known, f"{node} skips entry {index} of term {term}: {command!r}")
            self.skipped_by.add((node.member_id, node.incarnation))
            self._counts["entries skipped unread"] += 1

    def applied(
        self,
        node: Node,
        index: int,
        command: Command,
        sequence: Numbered | None,
        result: Result,
        revision: int,
        leases_ended: list[int],
    ) -> None:
        """An entry was applied: everywhere with the same effect, and each number once."""
        if self.is_off:
            return
        if isinstance(command, AlarmActivate):
            wrong = (AlarmType.CORRUPT, AlarmType.DATA_LOSS)
            expected = bool(node.cluster.rolled_back) or command.alarm not in wrong
            require(expected, f"{node} applies {command}")
        for lease in leases_ended:
            # A node may be ahead of the others by the time its work takes.
            ended_ms = self.lease_ends_ms.get(lease, node.true_ms)
            self.lease_ends_ms[lease] = min(ended_ms, node.true_ms)
        known = self._results.get(index)
        if known is not None:
            require(
                known == (result, revision),
                f"entry {index} gave {result} at {revision} on {node}, elsewhere {known}",
            )
            return
        self._results[index] = (result, revision)
        self._counts["entries applied"] += 1
        if isinstance(command, IntegrityReport):
            self._counts["integrity reports"] += 1
        if leases_ended:
            if isinstance(command, LeaseExpire):
                self._counts["leases expired"] += len(leases_ended)
        elif isinstance(command, LeaseExpire):
            self._counts["expiries refused"] += 1
        if isinstance(result, Failure):
            self._counts[f"applied: {result.name}"] += 1
            return
        if sequence is None:
            return
        number = (sequence.session, sequence.seq)
        first = self._executed.setdefault(number, result)
        if first is not result:
            before = self._results.get(index - 1)
            require(first == result, f"a retry of {number} had another result")
            require(
                before is None or before[1] == revision, f"a retry of {number} changed the store"
            )
            self._counts["retries answered"] += 1


class Replay:
    """The whole log applied anew, without any restart or snapshot: what every store must be."""

    def __init__(self, swarm: Swarm) -> None:
        self._machine = Machine(MemoryBackend(), (), *swarm.machine_limits)

    def at(self, index: int, chosen: Sequence[Entry]) -> dict[str, Any] | None:
        """The state at an index; None if the replay is beyond that."""
        machine = self._machine
        if index < machine.applied_index:
            return None
        for entry in for_store(tuple(chosen[machine.applied_index : index])):
            _apply(machine, entry)
        return everything(machine)


def whole_history(swarm: Swarm, index: int, chosen: Sequence[Entry]) -> tuple[Event, ...]:
    """All changes that the log makes up to an index, those too that were compacted away since."""
    machine = Machine(MemoryBackend(), (), *swarm.machine_limits)
    for entry in for_store(tuple(chosen[:index])):
        _apply(machine, entry)
    return tuple(machine.take_events())


def _apply(machine: Machine, entry: Entry) -> None:
    index, term, time_ms, _, _, data = entry
    try:
        decoded = decode_command(data) if data else None
    except ValueError:
        decoded = None
    if decoded is None:
        machine.skip(index, term, time_ms)
    else:
        machine.apply(index, term, time_ms, *decoded)
