"""The checkers find planted violations, and accept what only looks like one."""

from __future__ import annotations

import random
from itertools import combinations, permutations
from math import inf

import pytest

from tests.linearizability import (
    Change,
    FindingError,
    Held,
    InconclusiveError,
    Operation,
    Outcome,
    Seen,
    check_key,
    check_keys,
    check_revisions,
    replay,
)


def put(
    value: str, began: float, ended: float, revision: int, outcome: Outcome = Outcome.OK
) -> Operation:
    return Operation("c", "put", "k", began, ended, outcome, revision, value)


def lost(value: str, began: float) -> Operation:
    return put(value, began, inf, 0, Outcome.UNKNOWN)


def get(
    held: Held | None, began: float, ended: float, revision: int, serializable: bool = False
) -> Operation:
    return Operation(
        "c",
        "range",
        "k",
        began,
        ended,
        Outcome.OK,
        revision,
        serializable=serializable,
        held=() if held is None else (held,),
    )


def delete(count: int, began: float, ended: float, revision: int) -> Operation:
    return Operation("c", "delete", "k", began, ended, Outcome.OK, revision, deleted=count)


A = Change(2, "k", "a", 2, 1)
B = Change(3, "k", "b", 2, 2)
GONE = Change(4, "k", None, reason="deleted")
HELD_A = Held("k", "a", 2, 2, 1)
HELD_B = Held("k", "b", 2, 3, 2)

SOUND = [
    put("a", 0, 1, 2),
    get(HELD_A, 1, 2, 2),
    put("b", 3, 6, 3),
    get(HELD_A, 4, 5, 2),
    get(HELD_B, 4, 5, 3),
    get(HELD_A, 7, 8, 2, serializable=True),
    delete(1, 9, 10, 4),
    get(None, 11, 12, 4),
    delete(0, 11, 12, 4),
]


def test_sound_history_passes_both() -> None:
    check_revisions(SOUND, [A, B, GONE], [Seen(10.5, 4)])
    assert check_keys(SOUND) == 1


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ([*SOUND, get(HELD_B, 13, 14, 3)], "had been seen"),
        ([put("a", 0, 1, 2), get(None, 1.5, 2, 1)], "had been seen"),
        ([put("a", 0, 1, 2), put("b", 3, 4, 2)], "had been seen"),
        ([*SOUND, get(HELD_A, 13, 14, 4)], "returned"),
        ([*SOUND, put("x", 13, 14, 5)], "is lost"),
        ([*SOUND[:6], delete(1, 9, 10, 5)], "nobody asked for"),
        ([*SOUND, delete(1, 13, 14, 5)], "is lost"),
        ([*SOUND[:6], *SOUND[7:]], "nobody asked for"),
        (SOUND[1:], "nobody put"),
        ([put("a", 0, 1, 0, Outcome.FAILED), *SOUND[1:]], "failed, but there is"),
        ([put("a", 0, 1, 3), *SOUND[1:]], "had been seen|was acknowledged at 3"),
        ([*SOUND, get(None, 13, 14, 9)], "the last is 4"),
    ],
)
def test_revisions_tell_of_a_planted_violation(changed: list[Operation], reason: str) -> None:
    with pytest.raises(FindingError, match=reason):
        check_revisions(changed, [A, B, GONE])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([A, B, GONE, Change(5, "k", "b", 5, 1)], "put twice"),
        ([A, B._replace(version=1), GONE], "version 2"),
        ([A, B, GONE._replace(key="other")], "nobody asked for|deletes what is not there"),
        ([A, B._replace(lease=7), GONE], "made"),
    ],
)
def test_history_of_the_store_itself_is_checked(changes: list[Change], reason: str) -> None:
    with pytest.raises(FindingError, match=reason):
        check_revisions(SOUND, changes)


def test_replay_tells_of_a_revision_that_is_missing() -> None:
    with pytest.raises(FindingError, match="after revision 2 comes"):
        list(replay([A, GONE]))


def test_what_a_watcher_has_seen_must_not_be_missing_later() -> None:
    operations = [put("a", 0, 5, 2), get(None, 3, 4, 1)]
    check_revisions(operations, [A])
    with pytest.raises(FindingError, match="had been seen"):
        check_revisions(operations, [A], [Seen(2, 2)])


def test_write_of_unknown_outcome_may_come_late_or_never_but_not_before_it_began() -> None:
    operations = [put("a", 0, 1, 2), lost("b", 2), get(HELD_A, 3, 4, 2), get(HELD_B, 5, 6, 3)]
    check_revisions(operations, [A, B])
    check_key(operations)
    check_revisions(operations[:3], [A])
    check_key(operations[:3])
    early = [put("a", 0, 1, 2), get(HELD_B, 1, 2, 3), lost("b", 2.5)]
    with pytest.raises(FindingError, match="from before"):
        check_revisions(early, [A, B])
    with pytest.raises(FindingError, match="no order"):
        check_key(early)


@pytest.mark.parametrize(
    "operations",
    [
        [put("a", 0, 1, 2), get(None, 2, 3, 2)],
        [put("a", 0, 1, 2), put("b", 2, 3, 3), get(HELD_A, 4, 5, 3)],
        [put("a", 0, 1, 2), lost("b", 2), get(HELD_B, 3, 4, 3), get(HELD_A, 5, 6, 3)],
        [put("a", 0, 1, 2), delete(0, 2, 3, 2)],
        [delete(1, 0, 1, 2)],
        # The two readers disagree about the order of two concurrent writes.
        [
            put("a", 0, 9, 2),
            put("b", 0, 9, 3),
            get(HELD_A, 1, 2, 0),
            get(HELD_B, 3, 4, 0),
            get(HELD_A, 5, 6, 0),
        ],
    ],
)
def test_search_finds_no_order_where_there_is_none(operations: list[Operation]) -> None:
    with pytest.raises(FindingError, match="no order"):
        check_key(operations)


def test_search_that_takes_too_long_is_a_failure() -> None:
    with pytest.raises(InconclusiveError):
        check_key(SOUND, steps_max=3)


@pytest.mark.parametrize("seed", range(20))
def test_every_history_of_a_real_register_passes_and_a_stale_read_is_found(seed: int) -> None:
    """Operations that take effect at a random moment of theirs, on one register."""
    chance = random.Random(seed)
    moments = sorted(chance.uniform(0, 100) for _ in range(120))
    operations: list[Operation] = []
    value: str | None = None
    for number, at in enumerate(moments):
        began, ended = at - chance.expovariate(0.5), at + chance.expovariate(0.5)
        if chance.random() < 0.5:
            value = str(number)
            forgotten = chance.random() < 0.1
            operations.append(lost(value, began) if forgotten else put(value, began, ended, 0))
        else:
            held = None if value is None else Held("k", value, 0, 0, 0)
            operations.append(get(held, began, ended, 0))
    chance.shuffle(operations)
    check_key(operations)
    first = next(op for op in operations if op.op == "put" and op.ended < 50)
    stale = get(Held("k", first.value, 0, 0, 0), 200, 201, 0)
    latest = put("latest", 150, 151, 0)
    with pytest.raises(FindingError, match="no order"):
        check_key([*operations, latest, stale])


def _explained(operations: list[Operation]) -> bool:
    """By trying every order, and every choice of which lost writes happened."""
    certain = [op for op in operations if op.outcome is Outcome.OK]
    maybe = [op for op in operations if op.outcome is not Outcome.OK]
    for count in range(len(maybe) + 1):
        for happened in combinations(maybe, count):
            if any(map(_is_possible, permutations([*certain, *happened]))):
                return True
    return False


def _is_possible(order: tuple[Operation, ...]) -> bool:
    state = None
    for number, op in enumerate(order):
        if any(later.ended < op.began for later in order[number + 1 :]):
            return False
        if op.op == "range" and state != (op.held[0].value if op.held else None):
            return False
        if op.op == "delete" and op.outcome is Outcome.OK and op.deleted != (state is not None):
            return False
        state = {"put": op.value, "delete": None, "range": state}[op.op]
    return True


def test_search_agrees_with_trying_every_order() -> None:
    chance = random.Random(7)
    found = {True: 0, False: 0}
    for _ in range(600):
        operations: list[Operation] = []
        for number in range(5):
            began = chance.uniform(0, 10)
            ended = began + chance.uniform(0, 6)
            match chance.randrange(5):
                case 0:
                    operations.append(put(str(number), began, ended, 0))
                case 1:
                    operations.append(lost(str(number), began))
                case 2:
                    operations.append(delete(chance.randrange(2), began, ended, 0))
                case 3:
                    forgotten = delete(0, began, inf, 0)._replace(outcome=Outcome.UNKNOWN)
                    operations.append(forgotten)
                case _:
                    written = [op.value for op in operations if op.value]
                    value = chance.choice([None, *written])
                    held = None if value is None else Held("k", value, 0, 0, 0)
                    operations.append(get(held, began, ended, 0))
        expected = _explained(operations)
        found[expected] += 1
        try:
            check_key(operations)
            answer = True
        except FindingError:
            answer = False
        assert answer == expected, operations
    assert min(found.values()) > 50
