"""Tickets: how many requests may wait, of one connection and of all, and until when."""

from __future__ import annotations

from actors.gateway.tickets import CHORE_TIMEOUT_MS, Pending, Tickets

ONE, TWO, THREE = b"\0one", b"\0two", b"\0three"


def pending(name: bytes = ONE, deadline_ms: int = 100) -> Pending:
    return Pending((name,), b"", False, deadline_ms)


def test_tickets_count_up_and_are_taken_once() -> None:
    tickets = Tickets(7)
    first, second = pending(ONE), pending(TWO)
    assert (tickets.issue(first), tickets.issue(second)) == (7, 8)
    assert list(tickets) == [7, 8]
    assert tickets.take(8) == second
    assert tickets.take(8) is None
    assert tickets.take(7) == first


def test_one_connection_may_have_only_so_many_out() -> None:
    tickets = Tickets(1, node_max=10, connection_max=2)
    assert tickets.issue(pending(ONE)) and tickets.issue(pending(ONE))
    assert tickets.issue(pending(ONE)) is None
    # The frames behind a connection's name are the same connection's.
    assert tickets.issue(Pending((ONE, b""), b"", False, 100)) is None
    assert tickets.issue(pending(TWO)) == 3
    tickets.take(1)
    assert tickets.issue(pending(ONE)) == 4


def test_all_connections_may_have_only_so_many_out() -> None:
    tickets = Tickets(1, node_max=3, connection_max=2)
    for name in (ONE, ONE, TWO):
        assert tickets.issue(pending(name))
    assert tickets.issue(pending(THREE)) is None
    tickets.take(3)
    assert tickets.issue(pending(THREE)) == 4


def test_what_takes_long_is_given_time_and_counts_all_the_same() -> None:
    tickets = Tickets(1, connection_max=2)
    tickets.issue(pending(deadline_ms=100))
    tickets.issue(pending(deadline_ms=200))
    tickets.give_time([1, 99], now_ms=50)
    assert tickets.chores
    assert tickets.issue(pending()) is None
    assert tickets.next_deadline_ms == 200
    assert tickets.overdue(199) == ()
    assert tickets.overdue(200) == (2,)
    assert tickets.overdue(50 + CHORE_TIMEOUT_MS) == (2, 1)
    tickets.take(1)
    assert not tickets.chores
