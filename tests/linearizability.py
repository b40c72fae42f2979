"""Whether one store that does one thing at a time could have given the answers that clients got.

Two checkers that trust different things. `check_revisions` believes the revisions in the answers:
they give the order, and one pass compares it with real time and each answer with the replay of all
changes up to its revision. `check_key` believes nothing but times and values: it searches for an
order of one key's operations (Wing and Gong 1993, with Lowe's memory of what was tried). An
operation whose outcome nobody knows may have happened at any time after it began, or never. A
search that takes too long is a failure too. Knows nothing of nodes, sockets or clocks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from math import inf
from typing import Final, NamedTuple

STEPS_MAX: Final = 2_000_000
"""A search gives up after so many steps; a few hundred operations rarely need a thousand."""


class FindingError(AssertionError):
    """The history could not have come from a correct store; the message says why."""


class InconclusiveError(FindingError):
    """The search was given up: nothing is shown, and that counts as a failure."""


class Outcome(StrEnum):
    """What a client knows of its operation."""

    OK = "ok"
    FAILED = "failed"  # surely without effect
    UNKNOWN = "unknown"


class Held(NamedTuple):
    """A key as a read returned it, or as the replay holds it."""

    key: str
    value: str
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


class Operation(NamedTuple):
    """One request of one client. `op`: put, delete, range (of one key if `end` is empty).

    Times are seconds of one clock; `ended` is infinite where no answer ever came. Every value is
    put once, and a delete is of one key. `revision` is the header's; `held` what a range returned;
    `deleted` a delete's count.
    """

    client: str
    op: str
    key: str
    began: float
    ended: float
    outcome: Outcome
    revision: int = 0
    value: str = ""
    end: str = ""
    lease: int = 0
    serializable: bool = False
    deleted: int = 0
    held: tuple[Held, ...] = ()

    def holds(self, key: str) -> bool:
        """Whether it is about this key."""
        return self.key <= key < self.end if self.end else key == self.key


class Change(NamedTuple):
    """One event of the store's history; a deletion says in `reason` why."""

    revision: int
    key: str
    value: str | None
    create_revision: int = 0
    version: int = 0
    lease: int = 0
    reason: str = ""


class Seen(NamedTuple):
    """Somebody who watched had seen this revision at this time."""

    at: float
    revision: int


# --- by revisions -----------------------------------------------------------------------------


def check_revisions(
    operations: Sequence[Operation], changes: Sequence[Change], seen: Iterable[Seen] = ()
) -> None:
    """Check all operations of all clients against the whole history of the store."""
    floors = check_real_time(operations, seen)
    _check_effects(operations, changes, floors)
    _check_answers(operations, changes)


def check_real_time(operations: Sequence[Operation], seen: Iterable[Seen] = ()) -> list[int]:
    """What was seen before an operation began is not missing from its answer.

    Returns the greatest revision seen before each operation began.
    """
    # What ends at the very time at which another begins was concurrent with it.
    known = [(op.ended, op.revision) for op in operations if op.outcome is Outcome.OK]
    known = sorted([*known, *((one.at, one.revision) for one in seen)])
    times = [at for at, _ in known]
    highest = [0]
    for _, revision in known:
        highest.append(max(highest[-1], revision))
    floors = []
    for op in operations:
        before = bisect_right(times, op.began)
        while before and times[before - 1] == op.began:
            before -= 1
        floors.append(highest[before])
        if op.outcome is Outcome.OK and not op.serializable:
            lowest = floors[-1] + (op.op == "put" or op.deleted > 0)
            _require(
                op.revision >= lowest,
                f"{_name(op)} answered with revision {op.revision}, but {floors[-1]} had been seen "
                "before it began",
            )
    return floors


def _check_effects(
    operations: Sequence[Operation], changes: Sequence[Change], floors: Sequence[int]
) -> None:
    """Every change was asked for, once; what was acknowledged is there, what failed is not."""
    puts = {op.value: (op, floor) for op, floor in zip(operations, floors, strict=True) if op.value}
    applied: dict[str, Change] = {}
    for change in changes:
        if change.value is None:
            continue
        again = applied.setdefault(change.value, change)
        _require(again is change, f"{change.value} was put twice: {again} and {change}")
        _require(change.value in puts, f"nobody put {change}")
        op, floor = puts[change.value]
        _require(op.outcome is not Outcome.FAILED, f"{_name(op)} failed, but there is {change}")
        _require((op.key, op.lease) == (change.key, change.lease), f"{_name(op)} made {change}")
        late = op.outcome is Outcome.UNKNOWN or op.revision == change.revision
        _require(late, f"{_name(op)} was acknowledged at {op.revision}, but there is {change}")
        _require(change.revision > floor, f"{change} is from before {_name(op)} began")
    for op, _ in puts.values():
        lost = op.outcome is Outcome.OK and op.value not in applied
        _require(not lost, f"{_name(op)}, acknowledged at revision {op.revision}, is lost")
    _check_deletes(operations, changes, floors)


def _check_deletes(
    operations: Sequence[Operation], changes: Sequence[Change], floors: Sequence[int]
) -> None:
    """Every deletion is one acknowledged delete's, or that of one whose outcome is unknown."""
    done: dict[tuple[str, int], Operation] = {}
    unknown: dict[str, list[int]] = defaultdict(list)
    for op, floor in zip(operations, floors, strict=True):
        if op.op == "delete" and op.outcome is Outcome.UNKNOWN:
            unknown[op.key].append(floor)
        elif op.op == "delete" and op.outcome is Outcome.OK and op.deleted:
            place = (op.key, op.revision)
            _require(place not in done, f"{_name(op)} and another deleted at {op.revision}")
            done[place] = op
    for change in changes:
        if change.value is not None or change.reason != "deleted":
            continue
        if done.pop((change.key, change.revision), None) is None:
            begun = [floor for floor in unknown[change.key] if floor < change.revision]
            _require(bool(begun), f"nobody asked for {change}")
            # Whichever it was: each of them could be a later one's just as well.
            unknown[change.key].remove(begun[0])
    for op in done.values():
        raise FindingError(f"{_name(op)}, acknowledged at revision {op.revision}, is lost")


def replay(changes: Iterable[Change]) -> Iterator[tuple[int, Mapping[str, Held]]]:
    """Each revision and the store after it, from the history's first revision on.

    Checks what a history promises by itself: revisions follow each other, versions count, deleted
    keys were there. The mapping is the same object every time.
    """
    state: dict[str, Held] = {}
    revision = 1
    for change in changes:
        if change.revision != revision:
            yield revision, state
            _require(change.revision == revision + 1, f"after revision {revision} comes {change}")
            revision = change.revision
        before = state.get(change.key)
        if change.value is None:
            _require(before is not None, f"{change} deletes what is not there")
            del state[change.key]
            continue
        created, version = (revision, 1)
        if before is not None:
            created, version = before.create_revision, before.version + 1
        same = (change.create_revision, change.version) == (created, version)
        _require(same, f"{change} should have been created at {created}, version {version}")
        state[change.key] = Held(change.key, change.value, created, revision, version, change.lease)
    yield revision, state


def _check_answers(operations: Sequence[Operation], changes: Sequence[Change]) -> None:
    """Each answer is what the store held at its revision."""
    answered = [op for op in operations if op.outcome is Outcome.OK and op.op != "put"]
    answered.sort(key=lambda op: op.revision)
    position = revision = 0
    for revision, state in replay(changes):
        while position < len(answered) and answered[position].revision <= revision:
            op = answered[position]
            held = _within(op, state)
            _require(
                op.held == held if op.op == "range" else not held,
                f"{_name(op)} at revision {op.revision} returned {op.held}, but there was {held}",
            )
            position += 1
    for op in answered[position:]:
        raise FindingError(f"{_name(op)} answered with {op.revision}, but the last is {revision}")


def _within(op: Operation, state: Mapping[str, Held]) -> tuple[Held, ...]:
    if not op.end:
        held = state.get(op.key)
        return () if held is None else (held,)
    return tuple(state[key] for key in sorted(state) if op.holds(key))


# --- by times and values alone ----------------------------------------------------------------


class _Event:
    """A call or an answer, in a list that is linked both ways."""

    __slots__ = ("after", "answer", "before", "number")

    def __init__(self, number: int, answer: _Event | None) -> None:
        self.number = number
        self.answer = answer  # None: this is an answer itself
        self.before: _Event = self
        self.after: _Event | None = None


def check_keys(operations: Iterable[Operation], steps_max: int = STEPS_MAX) -> int:
    """Check each key by itself; returns how many there were. Serializable reads may be old."""
    by_key: dict[str, list[Operation]] = defaultdict(list)
    for op in operations:
        if not op.end and not op.serializable and op.outcome is not Outcome.FAILED:
            by_key[op.key].append(op)
    for key in sorted(by_key):
        check_key(by_key[key], steps_max)
    return len(by_key)


def check_key(operations: Sequence[Operation], steps_max: int = STEPS_MAX) -> None:
    """Find an order of one key's operations that explains every answer, or raise FindingError."""
    # Reads without an answer say nothing.
    operations = [op for op in operations if op.outcome is Outcome.OK or op.op != "range"]
    operations, earlier = _alike(operations)
    readers: dict[str | None, int] = defaultdict(int)
    for number, op in enumerate(operations):
        for held in op.held:
            readers[held.value] |= 1 << number
    head = _linked(operations)
    state: str | None = None
    ordered = 0
    tried: set[tuple[int, str | None]] = set()
    chosen: list[tuple[_Event, str | None]] = []
    left = sum(1 for op in operations if op.outcome is Outcome.OK)
    event = head.after
    for _ in range(steps_max):
        if not left:
            return
        assert event is not None, "an operation whose answer is known has an answer in the list"
        op = operations[event.number]
        if event.answer is None:
            # It ended before any of those tried could be next: go back, and try another one.
            if not chosen:
                raise FindingError(f"no order explains the answers about {op.key}: {_name(op)}")
            event, state = chosen.pop()
            ordered ^= 1 << event.number
            left += operations[event.number].outcome is Outcome.OK
            _restore(event)
            event = event.after
            continue
        possible, after = _step(op, state)
        # A value is put once: whoever read it did so before the next write.
        needed = earlier[event.number] | (0 if op.op == "range" else readers[state])
        possible = possible and not needed & ~ordered
        place = (ordered | 1 << event.number, after)
        if not possible or place in tried:
            event = event.after
            continue
        tried.add(place)
        chosen.append((event, state))
        ordered, state = place
        left -= op.outcome is Outcome.OK
        _remove(event)
        event = head.after
    raise InconclusiveError(f"{steps_max:,} steps did not decide about {operations[0].key}")


def _alike(operations: Iterable[Operation]) -> tuple[list[Operation], list[int]]:
    """The operations by their beginning, and for each a mask of one that must be ordered before.

    Writes of unknown outcome whose values nobody read are as good as each other, and so are such
    deletes: to try them in one order is enough, where all orders would take for ever.
    """
    ordered = sorted(operations, key=lambda op: op.began)
    read = {held.value for op in ordered for held in op.held}
    earlier: list[int] = []
    last: dict[str, int] = {}
    for number, op in enumerate(ordered):
        if op.outcome is Outcome.OK or op.value in read:
            earlier.append(0)
            continue
        ordered[number] = op._replace(value="")
        earlier.append(last.get(op.op, 0))
        last[op.op] = 1 << number
    return ordered, earlier


def _step(op: Operation, state: str | None) -> tuple[bool, str | None]:
    """Whether an operation could be next, and the value after it."""
    if op.op == "put":
        return True, op.value
    if op.op == "delete":
        known = op.outcome is Outcome.OK
        return not known or op.deleted == (state is not None), None
    return (op.held[0].value if op.held else None) == state, state


def _linked(operations: Sequence[Operation]) -> _Event:
    """The calls and answers in the order of time; what begins as another ends is concurrent."""
    head = _Event(-1, None)
    rows: list[tuple[float, bool, int, _Event]] = []
    for number, op in enumerate(operations):
        answer = _Event(number, None)
        ended = op.ended if op.outcome is Outcome.OK else inf
        rows.append((op.began, False, number, _Event(number, answer)))
        rows.append((ended, True, number, answer))
    last = head
    for *_, event in sorted(rows, key=lambda row: row[:3]):
        event.before, last.after = last, event
        last = event
    return head


def _remove(call: _Event) -> None:
    assert call.answer is not None
    for event in (call, call.answer):
        event.before.after = event.after
        if event.after is not None:
            event.after.before = event.before


def _restore(call: _Event) -> None:
    assert call.answer is not None
    for event in (call.answer, call):
        event.before.after = event
        if event.after is not None:
            event.after.before = event


def _name(op: Operation) -> str:
    what = f"{op.op} {op.key}" + (f"={op.value}" if op.value else "")
    return f"{op.client}'s {what} ({op.began:.6f} to {op.ended:.6f} s)"


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise FindingError(reason)
