"""History: what the numbered writes and the reads of one client say about the cluster.

A write that was acknowledged and is not there is lost; one that was applied twice is doubled. The
reads are linearizable if one register that does one thing at a time could have answered them.
Pure: it knows times and numbers, and refuses to know sockets and faults.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import inf
from typing import Final, NamedTuple

from cluster.launcher.probing.records import Held, Operation, ProbeKind, ProbeOutcome

WRITES_KEPT_MAX: Final = 50_000
READS_KEPT_MAX: Final = 50_000
"""Older ones are forgotten: they were checked after the faults of their time."""


class Wrongs(NamedTuple):
    """The numbers of the writes that are not as they should be, each with the reason."""

    lost: dict[int, str]
    doubled: dict[int, str]


class WriteHistory:
    """The newest numbered writes and the reads of one client, in the order in which they ended."""

    def __init__(self) -> None:
        self._writes: dict[int, Operation] = {}
        self._reads: deque[Operation] = deque(maxlen=READS_KEPT_MAX)
        self._began = -inf

    def begin_again(self, at: float) -> None:
        """A user has deleted the key: what was sent until now says nothing more."""
        self._began = at
        self._writes.clear()
        self._reads.clear()

    def add(self, operation: Operation) -> None:
        """Take note of a request that has ended; only its numbered writes and its reads count."""
        if operation.began <= self._began:
            return
        if operation.kind is ProbeKind.WRITE:
            if operation.number:
                self._writes[operation.number] = operation
                if len(self._writes) > WRITES_KEPT_MAX:
                    del self._writes[next(iter(self._writes))]
        elif operation.is_done:
            self._reads.append(operation)

    def fault_since(self, began: float) -> str:
        """Why what ended since then is not linearizable; nothing if it is."""
        reads = [read for read in self._reads if read.ended >= began]
        # From the oldest number that was read: the writes behind it tell if that was too old.
        first = min((read.number for read in reads), default=0)
        writes = [
            write
            for write in self._writes.values()
            if write.number >= first or write.ended >= began
        ]
        return fault_of_register([*writes, *reads])

    def wrongs(self, helds: Sequence[Held]) -> Wrongs:
        """What is wrong with the acknowledged writes, as these nodes hold them."""
        wrongs = Wrongs({}, {})
        for held in helds:
            self._find_lost(held, wrongs.lost)
            _find_doubled(held, wrongs.doubled)
        _find_differences(helds, wrongs.lost)
        return wrongs

    def _find_lost(self, held: Held, lost: dict[int, str]) -> None:
        first = _first_of(held)
        there = {(row.number, row.revision) for row in held.rows}
        for write in self._writes.values():
            due = write.is_done and write.ended <= held.began
            if due and write.revision >= first and (write.number, write.revision) not in there:
                lost[write.number] = f"{held.node} lacks it at revision {write.revision}"


def _first_of(held: Held) -> float:
    """The first revision from which on the node has told all that it holds."""
    if held.is_all:
        return 0
    return held.rows[-1].revision if held.rows else inf


def _find_doubled(held: Held, doubled: dict[int, str]) -> None:
    for number, count in Counter(row.number for row in held.rows).items():
        if number and count > 1:
            doubled[number] = f"{held.node} applied it {count} times"
    for after, before in pairwise(held.rows):
        # Nobody else writes this key, so a version that is skipped is a write that was repeated.
        if after.number and after.version != before.version + 1:
            doubled[after.number] = (
                f"{held.node} counts {after.version} after {before.version} of write"
                f" {before.number}"
            )


def _find_differences(helds: Sequence[Held], lost: dict[int, str]) -> None:
    """What one node holds and another lacks, of what both must have."""
    for one in helds:
        for other in helds:
            first = _first_of(other)
            there = {(row.number, row.revision) for row in other.rows}
            for row in one.rows:
                due = first <= row.revision <= other.revision and row.number
                if due and (row.number, row.revision) not in there:
                    lost.setdefault(row.number, f"{one.node} has it, and {other.node} has not")


# --- one register -----------------------------------------------------------------------------


class _Zone(NamedTuple):
    """A write and the reads of its number: the first end among them, and the last beginning.

    In every order that explains the reads they stand together. So one group must come before
    another if anything in it ended before something in the other began.
    """

    number: int
    first_end: float
    last_begin: float


def fault_of_register(operations: Iterable[Operation]) -> str:
    """Why these writes of different numbers, and reads, are not those of one register; or "".

    It is the test of Gibbons and Korach (1997, "Testing shared memories", read-mapping known): two
    groups, each of which must come before the other, are the only way to be wrong, beside a read
    that ended before its write began. To sort what is nearly in order takes linear time. What ends
    as another begins is concurrent with it. A number whose write is not among the operations was
    written before all of them; or it is under way, if writes of smaller numbers are among them.
    """
    writes: dict[int, Operation] = {}
    reads: list[Operation] = []
    for operation in operations:
        if operation.kind is ProbeKind.WRITE:
            writes[operation.number] = operation
        elif operation.is_done:
            reads.append(operation)
    for read in reads:
        write = writes.get(read.number)
        if write is None:
            continue
        if write.outcome is ProbeOutcome.REFUSED:
            return f"write {read.number} was refused, and {_name(read)} saw it"
        if read.ended < write.began:
            return f"{_name(read)} ended before write {read.number} began"
    return _fault_of_zones(_zones(writes, reads))


def _zones(writes: dict[int, Operation], reads: Iterable[Operation]) -> list[_Zone]:
    ends: dict[int, float] = {}
    begins: dict[int, float] = {}
    for number, write in writes.items():
        if write.outcome is not ProbeOutcome.REFUSED:
            # A write of unknown outcome may have been applied at any time after it began.
            ends[number] = write.ended if write.is_done else inf
            begins[number] = write.began
    numbers = sorted(writes)
    for read in reads:
        number = read.number
        if number not in ends:
            place = bisect_left(numbers, number)
            # Numbers are given in the order of sending: it was sent after the one before it.
            begins[number] = writes[numbers[place - 1]].began if place else -inf
            ends[number] = inf if place else -inf
        ends[number] = min(ends[number], read.ended)
        begins[number] = max(begins[number], read.began)
    # A write of unknown outcome that nobody read may never have been: its first end is infinite.
    return [_Zone(number, end, begins[number]) for number, end in ends.items() if end != inf]


def _fault_of_zones(zones: Iterable[_Zone]) -> str:
    """The first pair of groups each of which must come before the other, in words."""
    long: list[_Zone] = []
    short: list[_Zone] = []
    for zone in zones:
        # The others are as if they had happened at one moment: two of those are never at odds.
        (long if zone.first_end < zone.last_begin else short).append(zone)
    long.sort(key=lambda zone: zone.first_end)
    for before, after in pairwise(long):
        if after.first_end < before.last_begin:
            return _clash(before, after)
    starts = [zone.first_end for zone in long]
    for zone in short:
        # The long ones are apart from each other: only the last that starts before can hold it.
        place = bisect_left(starts, zone.last_begin) - 1
        if place >= 0 and zone.first_end < long[place].last_begin:
            return _clash(long[place], zone)
    return ""


def _clash(one: _Zone, other: _Zone) -> str:
    return (
        f"write {one.number} was seen before and after write {other.number}"
        f" ({other.first_end:.6f} to {other.last_begin:.6f} s)"
    )


def _name(read: Operation) -> str:
    return f"a read through {read.node} ({read.began:.6f} to {read.ended:.6f} s)"
