"""The recorder of messages: what is told of each, and how many."""

from __future__ import annotations

from typing import Any, NamedTuple

from actors.runtime.recording import PER_SECOND_MAX, Recorder


class Said(NamedTuple):
    what: str = "append"
    term: int = 3
    entries: int = 2


class Recording:
    """A recorder, its clock, and what it told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[Any] = []
        self.recorder = Recorder(
            self.told.append, lambda frame: Said() if frame else None, lambda: self.now
        )

    def send(self, count: int, frame: bytes = b"12345", *, is_lost: bool = False) -> None:
        for _ in range(count):
            self.recorder.record(7, frame, is_lost=is_lost)


def test_a_message_is_told_with_its_receiver_and_its_size() -> None:
    recording = Recording()
    recording.send(1)
    (told,) = recording.told
    del told["wall"]
    assert told == {
        "kind": "message",
        "at": 100.0,
        "text": "append",
        "to": 7,
        "what": "append",
        "term": 3,
        "entries": 2,
        "bytes": 5,
    }


def test_a_lost_message_says_so() -> None:
    recording = Recording()
    recording.send(1, is_lost=True)
    assert recording.told[0]["lost"] is True


def test_beyond_a_limit_messages_are_counted_until_the_next_second() -> None:
    recording = Recording()
    recording.send(PER_SECOND_MAX + 30)
    assert len(recording.told) == PER_SECOND_MAX
    assert not any("more" in told for told in recording.told)
    recording.now += 1.0
    recording.send(2)
    assert [told.get("more") for told in recording.told[PER_SECOND_MAX:]] == [30, None]


def test_what_is_no_message_is_counted_only() -> None:
    recording = Recording()
    recording.send(1, b"")
    recording.send(1)
    assert [told["more"] for told in recording.told] == [1]
