"""Recorder: tells the launcher of the messages that this node sends, while it wants to know.

At most PER_SECOND_MAX of a second are told, the others counted: a node under load sends thousands.
Refuses to know what a message means: it is handed the function that says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from cluster.logs import told

PER_SECOND_MAX: Final = 500


class InShort(Protocol):
    """What a frame is, in short."""

    @property
    def what(self) -> str:
        """The kind of message."""

    @property
    def term(self) -> int:
        """Its sender's term, 0 if it names none."""

    @property
    def entries(self) -> int:
        """How many entries of the log it carries."""


class Recorder:
    """What a node records. `summarize` says what a frame is; None: it is nothing that counts."""

    def __init__(
        self,
        tell: Callable[[Mapping[str, Any]], None],
        summarize: Callable[[bytes], InShort | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._summarize = summarize
        self._clock = clock
        self._second_ends = 0.0
        self._left = 0
        self._more = 0

    def record(self, member_id: int, frame: bytes, *, is_lost: bool) -> None:
        """Tell of one frame, which was sent to a member or is lost on the way."""
        now = self._clock()
        if now >= self._second_ends:
            self._second_ends, self._left = now + 1.0, PER_SECOND_MAX
        summary = self._summarize(frame) if self._left else None
        if summary is None:
            self._more += 1
            return
        self._left -= 1
        fields: dict[str, Any] = {
            "to": member_id,
            "what": summary.what,
            "term": summary.term,
            "entries": summary.entries,
            "bytes": len(frame),
        }
        if is_lost:
            fields["lost"] = True
        if self._more:
            fields["more"], self._more = self._more, 0
        self._tell(told("message", summary.what, now, time.time(), fields))
