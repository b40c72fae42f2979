"""What a leader knows of one peer: probe, stream, back off, and the window."""

from __future__ import annotations

import pytest

from actors.raft.progress import (
    INFLIGHT_APPENDS_MAX,
    INFLIGHT_BYTES_MAX,
    Progress,
    Rejection,
)


def streaming(match: int = 5) -> Progress:
    """A peer that is known to hold the log up to `match`."""
    progress = Progress(stream=1, next_index=match + 1, now_ms=0)
    progress.sent(match, 0)
    progress.maybe_accept(match)
    return progress


def test_a_new_peer_is_probed_one_append_at_a_time() -> None:
    progress = Progress(stream=1, next_index=10, now_ms=0)
    assert progress.may_send()
    progress.sent(12, 100)
    assert not progress.may_send()
    assert progress.next == 10, "a probe moves nothing before it is answered"


def test_an_acknowledgement_ends_the_probe() -> None:
    progress = Progress(stream=1, next_index=10, now_ms=0)
    progress.sent(12, 100)
    assert progress.maybe_accept(12)
    assert (progress.probing, progress.match, progress.next) == (False, 12, 13)


def test_a_streamed_peer_is_sent_more_before_it_answers() -> None:
    progress = streaming()
    progress.sent(7, 1)
    progress.sent(9, 1)
    assert (progress.match, progress.next) == (5, 10)
    assert progress.may_send()


def test_match_never_falls() -> None:
    progress = streaming(9)
    assert not progress.maybe_accept(3)
    assert (progress.match, progress.next) == (9, 10)


@pytest.mark.parametrize(
    ("rejected", "resume_after", "what", "next_index"),
    [
        (9, 0, Rejection.HEEDED, 1),
        (9, 4, Rejection.HEEDED, 5),
        (9, 8, Rejection.HEEDED, 9),
        (9, 20, Rejection.HEEDED, 9),
        (8, 0, Rejection.STALE, 10),
    ],
)
def test_a_rejected_probe_goes_on_after_the_hint_and_a_stale_one_is_ignored(
    rejected: int, resume_after: int, what: Rejection, next_index: int
) -> None:
    progress = Progress(stream=1, next_index=10, now_ms=0)
    assert progress.maybe_reject(rejected, resume_after) is what
    assert progress.next == next_index


def test_a_rejection_of_what_is_known_to_match_is_stale() -> None:
    progress = streaming(5)
    progress.sent(8, 1)
    assert progress.maybe_reject(5, 0) is Rejection.STALE
    assert not progress.probing
    assert progress.maybe_reject(8, 2) is Rejection.HEEDED
    assert (progress.probing, progress.next) == (True, 6), "never below what matches"


def test_the_window_counts_appends_and_an_answer_frees_all_up_to_it() -> None:
    progress = streaming(0)
    for index in range(1, INFLIGHT_APPENDS_MAX + 1):
        assert progress.may_send()
        progress.sent(index, 1)
    assert not progress.may_send()
    progress.maybe_accept(10)
    assert progress.may_send()
    for index in range(INFLIGHT_APPENDS_MAX + 1, INFLIGHT_APPENDS_MAX + 11):
        progress.sent(index, 1)
    assert not progress.may_send()


def test_the_window_counts_bytes() -> None:
    progress = streaming(0)
    progress.sent(1, INFLIGHT_BYTES_MAX - 1)
    assert progress.may_send()
    progress.sent(2, 1)
    assert not progress.may_send()
    progress.maybe_accept(1)
    assert progress.may_send()


def test_a_full_window_lets_a_question_pass_but_no_entries() -> None:
    progress = streaming(0)
    progress.sent(1, INFLIGHT_BYTES_MAX)
    progress.ack_wanted = True
    assert progress.may_send() and not progress.has_room()


def test_probing_again_forgets_what_was_under_way() -> None:
    progress = streaming(5)
    progress.sent(9, INFLIGHT_BYTES_MAX)
    progress.probe_from(7)
    assert progress.may_send()
    assert (progress.next, progress.match) == (7, 5)
    progress.probe_from(2)
    assert progress.next == 6


def test_after_a_rejection_appends_go_one_by_one_until_they_are_accepted() -> None:
    """Where appends overtake each other, a stream after each rejection would never end."""
    peer = Progress(1, 1, 0)
    assert peer.maybe_accept(0) is False
    peer.sent(5, 10)
    assert peer.may_send()
    assert peer.maybe_reject(3, 0) is Rejection.HEEDED
    for under_way in (2, 4, 8):
        peer.maybe_accept(peer.next)
        for _ in range(under_way):
            assert peer.may_send()
            peer.sent(peer.next, 10)
        assert not peer.may_send()
