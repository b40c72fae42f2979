"""The lease book: what is due, once, never early, and again if it was lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.language.commands import Expiry
from actors.lease.book import RETRY_MS, LeaseBook


def book_of(*leases: tuple[int, int], in_flight_max: int = 100) -> LeaseBook:
    book = LeaseBook(in_flight_max)
    for lease_id, deadline_ms in leases:
        book.learn(lease_id, deadline_ms)
    return book


def test_a_lease_is_due_at_its_deadline_and_not_a_millisecond_before() -> None:
    book = book_of((7, 5_000))
    assert book.expire(4_999, 10) == ()
    assert book.expire(5_000, 10) == (Expiry(7, 5_000),)


def test_an_expiry_is_proposed_once_until_its_retry() -> None:
    book = book_of((7, 5_000))
    book.expire(5_000, 10)
    assert book.expire(5_000 + RETRY_MS - 1, 10) == ()
    assert book.next_due_ms() == 5_000 + RETRY_MS
    assert book.expire(5_000 + RETRY_MS, 10) == (Expiry(7, 5_000),)


def test_a_renewal_moves_the_deadline_and_cancels_the_old_one() -> None:
    book = book_of((7, 5_000))
    book.expire(5_000, 10)
    book.learn(7, 9_000)
    assert book.next_due_ms() == 9_000
    assert book.expire(8_999, 10) == ()
    assert book.expire(9_000, 10) == (Expiry(7, 9_000),)


def test_a_lease_that_is_gone_is_forgotten() -> None:
    book = book_of((7, 5_000), (8, 6_000))
    book.learn(7, 0)
    assert len(book) == 1
    assert book.next_due_ms() == 6_000
    assert book.expire(10_000, 10) == (Expiry(8, 6_000),)


def test_the_earliest_leases_come_first_and_no_more_than_asked_for() -> None:
    book = book_of((1, 300), (2, 100), (3, 200))
    assert book.expire(1_000, 2) == (Expiry(2, 100), Expiry(3, 200))
    assert book.expire(1_000, 2) == (Expiry(1, 300),)
    assert book.expire(1_000, 2) == ()


def test_a_lease_granted_again_with_an_earlier_deadline_is_due_earlier() -> None:
    book = book_of((7, 60_000))
    book.learn(7, 0)
    book.learn(7, 2_000)
    assert book.next_due_ms() == 2_000
    assert book.expire(2_000, 10) == (Expiry(7, 2_000),)
    assert book.expire(2_000, 10) == ()


def test_a_fact_told_twice_is_proposed_once() -> None:
    book = book_of((7, 5_000), (7, 5_000))
    assert book.expire(5_000, 10) == (Expiry(7, 5_000),)


def test_lost_proposals_are_made_again_even_when_no_more_may_be_in_flight() -> None:
    book = book_of(*((lease, lease) for lease in range(1, 6)), in_flight_max=2)
    assert book.expire(10, 10) == (Expiry(1, 1), Expiry(2, 2))
    assert book.next_due_ms() == 10 + RETRY_MS
    assert book.expire(10 + RETRY_MS, 10) == (Expiry(1, 1), Expiry(2, 2))
    book.learn(1, 0)
    assert book.expire(10 + RETRY_MS, 10) == (Expiry(3, 3),)


def test_proposals_of_another_leadership_are_forgotten() -> None:
    book = book_of((7, 5_000))
    book.expire(5_000, 10)
    book.forget_proposals()
    assert book.next_due_ms() == 5_000
    assert book.expire(5_000, 10) == (Expiry(7, 5_000),)


def test_renewals_without_end_do_not_fill_the_memory() -> None:
    book = LeaseBook()
    for time in range(20_000):
        book.learn(7, 10_000 + time)
    assert len(book._heap) < 2_000
    assert book.expire(29_999, 10) == (Expiry(7, 29_999),)


STEPS = st.lists(
    st.tuples(st.sampled_from(["learn", "end", "expire"]), st.integers(1, 5), st.integers(0, 400)),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_every_due_lease_is_proposed_and_none_early(
    steps: list[tuple[str, int, int]],
) -> None:
    book = LeaseBook(in_flight_max=3)
    deadlines: dict[int, int] = {}
    now = 1
    for step, lease_id, span in steps:
        if step == "learn":
            deadlines[lease_id] = now + span
            book.learn(lease_id, now + span)
        elif step == "end":
            deadlines.pop(lease_id, None)
            book.learn(lease_id, 0)
        else:
            now += span
            for expiry in book.expire(now, 2):
                assert deadlines[expiry.lease_id] == expiry.deadline_ms <= now
    now += 10_000
    while expiries := book.expire(now, 2):
        for expiry in expiries:
            assert deadlines.pop(expiry.lease_id) == expiry.deadline_ms
            book.learn(expiry.lease_id, 0)
    assert deadlines == {}
    assert book.next_due_ms() is None
