"""Conversations between `h2` as a client and the engine: what a well-behaved peer sees."""

from __future__ import annotations

from tests.cluster.etcd.http2.judge import Judge


def test_a_request_is_answered_with_headers_data_and_trailers() -> None:
    judge = Judge()
    number = judge.request(b"a body")
    assert judge.body(number) == b"a body"
    assert judge.is_answered(number)
    assert judge.server.streams == 0


def test_a_body_of_megabytes_goes_through_all_windows_in_both_directions() -> None:
    judge = Judge()
    body = bytes(range(256)) * 40_000
    number = judge.request(body)
    assert judge.body(number) == body
    assert judge.is_answered(number)
