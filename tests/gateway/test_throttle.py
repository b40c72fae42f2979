"""Throttle: writes beyond a mark wait, each connection's in order, and none is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.gateway.throttle import WRITE_BYTES_MIN, Throttle
from actors.language.entries import Proposal

ONE, TWO = b"\0one", b"\0two"


def _write(ticket: int, size: int, name: bytes = ONE) -> tuple[bytes, Proposal]:
    return name, Proposal(1, ticket, bytes(size))


def _tickets(proposals: list[Proposal]) -> list[int]:
    return [proposal.ticket for proposal in proposals]


def test_writes_go_until_the_mark_is_passed_and_the_rest_when_they_are_done() -> None:
    throttle: Throttle = Throttle(bytes_max=1_000)
    writes = [_write(ticket, 600) for ticket in range(1, 6)]
    assert _tickets(throttle.ask(writes)) == [1, 2]
    assert throttle.ask([_write(6, 1)]) == [], "it is small, but not before those that came first"
    assert not throttle.done(1)
    assert _tickets(throttle.let_in()) == [3]
    assert not throttle.done(2) and not throttle.done(3)
    assert _tickets(throttle.let_in()) == [4, 5]


def test_small_writes_count_as_what_they_take() -> None:
    throttle: Throttle = Throttle(bytes_max=4 * WRITE_BYTES_MIN)
    assert _tickets(throttle.ask([_write(ticket, 1) for ticket in range(9)])) == [0, 1, 2, 3]
    assert not throttle.done(2)
    assert _tickets(throttle.let_in()) == [4]


def test_a_write_of_any_size_goes_when_nothing_is_under_way() -> None:
    throttle: Throttle = Throttle(bytes_max=100)
    assert _tickets(throttle.ask([_write(1, 10_000), _write(2, 1)])) == [1]
    throttle.done(1)
    assert _tickets(throttle.let_in()) == [2]


def test_a_write_that_is_given_up_while_it_waits_never_goes() -> None:
    throttle: Throttle = Throttle(bytes_max=1)
    assert _tickets(throttle.ask([_write(1, 1), _write(2, 1), _write(3, 1)])) == [1]
    assert throttle.done(2), "nothing came of it"
    assert not throttle.done(1)
    assert _tickets(throttle.let_in()) == [3]


def test_turns_go_round_the_connections() -> None:
    throttle: Throttle = Throttle(bytes_max=1)
    flood = [_write(ticket, 1) for ticket in range(1, 6)]
    assert _tickets(throttle.ask([*flood, _write(6, 1, TWO), _write(7, 1, TWO)])) == [1]
    gone = [1]
    for _ in range(6):
        throttle.done(gone[-1])
        gone += _tickets(throttle.let_in())
    assert gone == [1, 2, 6, 3, 7, 4, 5]


def test_the_bytes_that_wait_are_bounded_for_a_connection_and_for_all() -> None:
    throttle: Throttle = Throttle(1, 250, 150)
    throttle.ask([_write(1, 500), _write(2, 100), _write(3, 100, TWO)])
    assert throttle.has_room(ONE, 50) and not throttle.has_room(ONE, 51)
    assert not throttle.has_room(b"\0three", 51), "all of them have 200 already"
    assert throttle.done(2)
    assert throttle.has_room(ONE, 150) and not throttle.has_room(ONE, 151)
    throttle.done(1)
    assert _tickets(throttle.let_in()) == [3]
    assert throttle.has_room(TWO, 150), "nothing waits any more"


@given(st.lists(st.integers(0, 2 * WRITE_BYTES_MIN), max_size=30))
def test_every_write_goes_once_and_in_order(sizes: list[int]) -> None:
    throttle: Throttle = Throttle(bytes_max=2 * WRITE_BYTES_MIN)
    writes = [_write(ticket, size) for ticket, size in enumerate(sizes)]
    gone = _tickets(throttle.ask(writes))
    for ticket in range(len(sizes)):
        assert ticket in gone, "what is done makes room"
        assert not throttle.done(ticket)
        gone += _tickets(throttle.let_in())
    assert gone == list(range(len(sizes)))
