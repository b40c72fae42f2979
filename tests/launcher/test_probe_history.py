"""What the numbered writes say: the checker agrees with a search, and planted faults are found."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.launcher.probing.history import WriteHistory, fault_of_register
from cluster.launcher.probing.records import Held, Operation, ProbeKind, ProbeOutcome, Row
from tests import linearizability as search

OUTCOMES = {
    ProbeOutcome.DONE: search.Outcome.OK,
    ProbeOutcome.REFUSED: search.Outcome.FAILED,
    ProbeOutcome.UNKNOWN: search.Outcome.UNKNOWN,
}


def write(
    number: int,
    began: float,
    ended: float,
    outcome: ProbeOutcome = ProbeOutcome.DONE,
    revision: int = 0,
) -> Operation:
    return Operation(ProbeKind.WRITE, number, "n1", began, ended, outcome, revision or number + 1)


def read(number: int, began: float, ended: float) -> Operation:
    return Operation(ProbeKind.READ, number, "n2", began, ended, ProbeOutcome.DONE)


def searched(operations: list[Operation]) -> bool:
    """Whether the search over all orders finds one that explains the reads."""
    translated = []
    for number, operation in enumerate(operations):
        value, is_write = str(operation.number), operation.kind is ProbeKind.WRITE
        held = () if is_write or not operation.number else (search.Held("k", value, 1, 1, 1),)
        translated.append(
            search.Operation(
                client=str(number),
                op="put" if is_write else "range",
                key="k",
                began=operation.began,
                ended=inf if operation.outcome is ProbeOutcome.UNKNOWN else operation.ended,
                outcome=OUTCOMES[operation.outcome],
                value=value if is_write else "",
                held=held,
            )
        )
    try:
        search.check_keys(translated)
    except search.FindingError:
        return False
    return True


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Some writes of increasing numbers that overlap, and reads of what was written, or not yet."""
    times = st.integers(0, 30)
    outcomes = st.sampled_from(
        [ProbeOutcome.DONE, ProbeOutcome.DONE, ProbeOutcome.UNKNOWN, ProbeOutcome.REFUSED]
    )
    operations = []
    count = draw(st.integers(1, 6))
    for number in range(1, count + 1):
        began = 3 * number + draw(st.integers(0, 2))
        operations.append(write(number, began, began + draw(st.integers(0, 12)), draw(outcomes)))
    for _ in range(draw(st.integers(1, 7))):
        began = draw(times)
        number = draw(st.integers(0, count))
        operations.append(read(number, began, began + draw(st.integers(0, 9))))
    return operations


@settings(max_examples=600, deadline=None)
@given(histories())
def test_the_checker_agrees_with_a_search_over_all_orders(operations: list[Operation]) -> None:
    assert (fault_of_register(operations) == "") is searched(operations)


@st.composite
def orders(draw: st.DrawFn) -> list[Operation]:
    """A history that one register has really given: each request takes effect at one moment."""
    value, now = 0, 0.0
    operations = []
    for number in range(1, draw(st.integers(1, 40))):
        now += 1
        before, after = draw(st.floats(0, 5)), draw(st.floats(0, 5))
        if draw(st.booleans()):
            outcome = draw(st.sampled_from([ProbeOutcome.DONE, ProbeOutcome.UNKNOWN]))
            operations.append(write(number, now - before, now + after, outcome))
            value = number
        else:
            operations.append(read(value, now - before, now + after))
    return operations


@given(orders())
def test_what_one_register_has_given_is_never_blamed(operations: list[Operation]) -> None:
    assert fault_of_register(operations) == ""


@pytest.mark.parametrize(
    ("operations", "reason"),
    [
        ([write(1, 0, 1), read(0, 2, 3)], "seen before and after"),
        ([write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)], "seen before and after"),
        ([write(1, 0, 9), write(2, 0, 9), read(2, 1, 2), read(1, 3, 4), read(2, 5, 6)], "write 1"),
        ([write(1, 2, 3), read(1, 0, 1)], "ended before write 1 began"),
        ([write(1, 0, 1, ProbeOutcome.REFUSED), read(1, 2, 3)], "write 1 was refused"),
    ],
)
def test_a_history_of_no_register_is_blamed_by_name(
    operations: list[Operation], reason: str
) -> None:
    assert reason in fault_of_register(operations)
    assert not searched(operations)


def test_a_write_of_unknown_outcome_may_take_effect_late_or_never() -> None:
    writes = [write(1, 0, 1), write(2, 2, 3, ProbeOutcome.UNKNOWN)]
    assert fault_of_register([*writes, read(1, 50, 51)]) == ""
    assert fault_of_register([*writes, read(1, 50, 51), read(2, 52, 53)]) == ""
    assert fault_of_register([*writes, read(2, 50, 51), read(1, 52, 53)]) != ""


def test_a_part_of_the_history_is_judged_with_the_writes_that_its_reads_saw() -> None:
    history = WriteHistory()
    for operation in (write(1, 0, 1), write(2, 2, 3), read(2, 4, 5), read(1, 14, 15)):
        history.add(operation)
    assert "write 1" in history.fault_since(10)
    assert history.fault_since(20) == ""


def test_a_write_that_is_under_way_may_be_read_already() -> None:
    assert fault_of_register([write(1, 0, 1), read(1, 2, 3), read(2, 4, 5), read(2, 6, 7)]) == ""
    assert fault_of_register([write(1, 0, 1), read(2, 4, 5), read(1, 6, 7)]) != ""


# --- lost and doubled -------------------------------------------------------------------------


def noted(*operations: Operation) -> WriteHistory:
    history = WriteHistory()
    for operation in operations:
        history.add(operation)
    return history


def held(*rows: tuple[int, int, int], node: str = "n1", is_all: bool = True) -> Held:
    """What a node holds, newest first, as of its newest revision."""
    return Held(node, 100.0, 100.1, rows[0][1] if rows else 9, tuple(Row(*r) for r in rows), is_all)


WRITES = (write(1, 0, 1), write(2, 2, 3), write(3, 4, 5, ProbeOutcome.UNKNOWN), write(4, 6, 7))


def test_nothing_is_wrong_with_what_every_node_holds_once() -> None:
    rows = ((4, 5, 3), (2, 3, 2), (1, 2, 1))
    wrongs = noted(*WRITES).wrongs([held(*rows), held(*rows, node="n2")])
    assert wrongs == ({}, {})


def test_an_acknowledged_write_that_a_node_lacks_is_lost() -> None:
    rows = ((4, 5, 3), (2, 3, 2), (1, 2, 1))
    wrongs = noted(*WRITES).wrongs([held(*rows), held(rows[0], rows[2], node="n2")])
    assert list(wrongs.lost) == [2]
    assert "n2 lacks it at revision 3" in wrongs.lost[2]


def test_a_write_of_unknown_outcome_is_lost_when_only_one_node_has_it() -> None:
    with_it = ((4, 5, 4), (3, 4, 3), (2, 3, 2), (1, 2, 1))
    without = ((4, 5, 3), (2, 3, 2), (1, 2, 1))
    wrongs = noted(*WRITES).wrongs([held(*with_it), held(*without, node="n2")])
    assert wrongs.lost == {3: "n1 has it, and n2 has not"}


def test_a_write_that_is_there_twice_is_doubled() -> None:
    wrongs = noted(*WRITES).wrongs([held((4, 5, 4), (2, 4, 3), (2, 3, 2), (1, 2, 1))])
    assert wrongs.doubled == {2: "n1 applied it 2 times"}


def test_a_version_that_counts_more_than_the_writes_is_doubled() -> None:
    wrongs = noted(*WRITES).wrongs([held((4, 5, 4), (2, 3, 2), (1, 2, 1))])
    assert list(wrongs.doubled) == [4]


def test_what_a_node_no_longer_tells_is_not_lost() -> None:
    wrongs = noted(*WRITES).wrongs([held((4, 5, 3), is_all=False), held(is_all=False, node="n2")])
    assert wrongs == ({}, {})


def test_what_was_acknowledged_after_the_reading_began_may_be_missing() -> None:
    wrongs = noted(*WRITES, write(5, 101, 102)).wrongs([held((4, 5, 3), (2, 3, 2), (1, 2, 1))])
    assert wrongs == ({}, {})


def test_the_deletion_of_the_key_is_no_double() -> None:
    wrongs = noted(write(1, 0, 1), write(2, 4, 5, revision=4)).wrongs(
        [held((2, 4, 1), (0, 3, 0), (1, 2, 1))]
    )
    assert wrongs == ({}, {})
