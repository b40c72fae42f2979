"""Conversations that hypothesis makes up, between `h2` as a client and the engine.

Whatever happens in between, at the end each request that nobody has reset is answered whole, in
order, within the windows (h2 raises where they are overstepped), and nothing is kept of any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import h2.events
import h2.exceptions
import h2.settings
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster.etcd.http2.judge import (
    REQUEST,
    RESPONSE,
    RESPONSE_BLOCK,
    TRAILERS,
    TRAILERS_BLOCK,
    Judge,
)

SIZES: Final = st.sampled_from((0, 1, 100, 16_384, 16_385, 70_000, 300_000))
WINDOWS: Final = st.sampled_from((0, 2_000, 65_535, 200_000))
PICKS: Final = st.integers(0, 7)


class Conversation:
    """One connection, and what each of its streams must have said and got at the end."""

    def __init__(self) -> None:
        self.judge = Judge()
        self.judge.handler.answers = False
        self.sent: dict[int, bytes] = {}
        self.unfinished: dict[int, bytes] = {}  # what the client has still to send
        self.answers: dict[int, bytes] = {}
        self.over: set[int] = set()
        self.unread: list[tuple[int, int]] = []

    # --- the client ---

    def request(self, size: int, part: int) -> None:
        client = self.judge.client
        number = client.get_next_available_stream_id()
        body = bytes([number % 251]) * size
        client.send_headers(number, REQUEST)
        self.sent[number], self.unfinished[number] = body, body
        self._push(number, part)

    def go_on(self, pick: int, part: int) -> None:
        if self.unfinished:
            self._push(list(self.unfinished)[pick % len(self.unfinished)], part)

    def _push(self, number: int, size: int) -> None:
        """Send some of a request's body, as much as the window has room for."""
        left = self.unfinished[number]
        size = min(size, self.judge.client.local_flow_control_window(number), 16_384)
        self.unfinished[number] = left[size:]
        ends = size >= len(left)
        if size or ends:
            self.judge.client.send_data(number, left[:size], end_stream=ends)
        if ends:
            del self.unfinished[number]

    def cancel(self, pick: int) -> None:
        if self.unfinished:
            number = list(self.unfinished)[pick % len(self.unfinished)]
            self.judge.client.reset_stream(number)
            self._is_over(number)

    def window(self, size: int) -> None:
        code = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
        self.judge.client.update_settings({code: size})

    def ping(self) -> None:
        self.judge.client.ping(b"12345678")

    def reads(self, does: bool) -> None:
        self.judge.reads = does

    # --- the server ---

    def _open(self) -> list[Any]:
        streams = self.judge.handler.requests
        return [each for each in streams if each.is_open and each.id not in self.answers]

    def unary(self, pick: int, size: int) -> None:
        waiting = [each for each in self._open() if each.ended]
        if waiting:
            stream = waiting[pick % len(waiting)]
            body = self.answers[stream.id] = bytes([stream.id % 241]) * size
            self.judge.server.unary(stream, RESPONSE_BLOCK, body, TRAILERS_BLOCK)

    def streamed(self, pick: int, size: int) -> None:
        waiting = [each for each in self._open() if each.ended]
        if waiting:
            stream = waiting[pick % len(waiting)]
            parts = [bytes([at]) * size for at in range(3)]
            self.answers[stream.id] = b"".join(parts)
            self.judge.server.respond(stream, RESPONSE)
            for part in parts:
                self.judge.server.send(stream, part)
            self.judge.server.trailers(stream, TRAILERS)

    def refuse(self, pick: int) -> None:
        waiting = self._open()
        if waiting:
            stream = waiting[pick % len(waiting)]
            self.judge.server.reset(stream, 8)
            self._is_over(stream.id)

    # --- the carrier ---

    def carry(self, count: int) -> None:
        """Bring the server a few bytes, wherever they are cut."""
        sent = self.judge.client.data_to_send()
        for at in range(0, len(sent), max(count, len(sent) // 50)):
            self.judge.server.receive(sent[at : at + max(count, len(sent) // 50)], 0)
        self.judge.exchange()

    def _is_over(self, number: int) -> None:
        self.over.add(number)
        self.unfinished.pop(number, None)
        self.judge.exchange()

    def end(self) -> None:
        """Let everything come to its end."""
        judge = self.judge
        judge.exchange()
        judge.reads = True
        self.window(10_000_000)
        judge.client.increment_flow_control_window(100_000_000)
        judge.exchange()
        while self.unfinished:
            before = dict(self.unfinished)
            for number in list(self.unfinished):
                self._push(number, 16_384)
                judge.exchange()
            assert self.unfinished != before, "the windows stay shut"
        while any(each.ended for each in self._open()):
            self.unary(0, 50)
            judge.exchange()

    def check(self) -> None:
        judge = self.judge
        assert not judge.server.is_closed, judge.server.close_reason
        bodies = {each.id: bytes(each.context) for each in judge.handler.requests}
        for number, body in self.sent.items():
            if number not in self.over:
                assert bodies[number] == body
                assert judge.body(number) == self.answers[number]
                assert judge.is_answered(number)
        assert judge.server.streams == 0
        assert judge.server._load.bytes == 0


def called(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(getattr(Conversation, name)), st.tuples(*arguments))


STEPS: Final = st.one_of(
    called("request", SIZES, SIZES),
    called("request", SIZES, SIZES),
    called("go_on", PICKS, SIZES),
    called("go_on", PICKS, SIZES),
    called("unary", PICKS, SIZES),
    called("streamed", PICKS, SIZES),
    called("cancel", PICKS),
    called("refuse", PICKS),
    called("window", WINDOWS),
    called("reads", st.booleans()),
    called("ping"),
    called("carry", st.integers(1, 100)),
)

Step = tuple[Callable[..., None], tuple[Any, ...]]


@settings(max_examples=100, derandomize=True)
@given(st.lists(STEPS, min_size=10, max_size=40))
def test_every_conversation_comes_to_a_good_end(steps: list[Step]) -> None:
    conversation = Conversation()
    for step, arguments in steps:
        step(conversation, *arguments)
        conversation.judge.exchange()
    conversation.end()
    conversation.check()
