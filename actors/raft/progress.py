"""Progress: what a leader knows of one peer's log, and how much it may send (as etcd's raft has).

A peer is probed, one append at a time, until its log is known to match at some index. After that,
entries are sent without waiting for answers, within a window of messages and bytes. Refuses to know
what is in a message, and what the log holds.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final

INFLIGHT_APPENDS_MAX: Final = 256
INFLIGHT_BYTES_MAX: Final = 16 * 1024 * 1024


class Contact(Enum):
    """What a leader has heard of a peer."""

    NONE_YET = "none yet"
    HEARD = "heard"
    BROKEN = "broken"


class Rejection(Enum):
    """What became of a rejection: too late to matter, acted upon, or the same as the last one."""

    STALE = "stale"
    HEEDED = "heeded"
    IN_VAIN = "in vain"


class Progress:
    """One peer in one stream; an answer from another stream is not for it.

    `match` is the highest index that the peer is known to hold, `next` the next one to send to it.
    """

    __slots__ = (
        "_inflight",
        "_inflight_bytes",
        "_inflight_count",
        "ack_wanted",
        "commit_sent",
        "contact",
        "heard_ms",
        "life",
        "match",
        "next",
        "on_probation",
        "probe_sent",
        "probing",
        "snapshotting",
        "stream",
        "window",
    )

    def __init__(self, stream: int, next_index: int, now_ms: int) -> None:
        self.stream = stream
        # The life that the peer named in its last question on probation; 0: it has asked none.
        self.life = 0
        # The peer may not vote yet, so no change of members may count on it.
        self.on_probation = False
        self.match = 0
        self.next = next_index
        self.probing = True
        self.probe_sent = False
        self.snapshotting = False
        self.ack_wanted = False
        self.commit_sent = 0
        self.heard_ms = now_ms
        # Until the peer is heard, no change of members may count on it.
        self.contact = Contact.NONE_YET
        # The number of appends that may be under way. Where appends overtake each other, most are
        # rejected, and each rejection would make the leader send the whole window again. So one
        # rejection closes it to a single append, and each acknowledgement of more doubles it.
        self.window = INFLIGHT_APPENDS_MAX
        self._inflight: deque[tuple[int, int]] = deque()
        self._inflight_bytes = self._inflight_count = 0

    def may_send(self) -> bool:
        """Whether another append may go out now."""
        if self.snapshotting:
            return False
        if self.probing:
            return not self.probe_sent
        return self.ack_wanted or self.has_room()

    def has_room(self) -> bool:
        """Whether another append may carry entries; one that only asks for an answer always may."""
        return self._inflight_count < self.window and self._inflight_bytes < INFLIGHT_BYTES_MAX

    def sent(self, last_index: int, size_bytes: int) -> None:
        """An append that ends at `last_index` went out."""
        if self.probing:
            self.probe_sent = True
            return
        if last_index >= self.next:
            self.next = last_index + 1
            self._inflight.append((last_index, size_bytes))
            self._inflight_bytes += size_bytes
            self._inflight_count += 1

    def maybe_accept(self, index: int) -> bool:
        """The peer holds the log up to `index`; returns whether that was not known."""
        while self._inflight and self._inflight[0][0] <= index:
            self._inflight_bytes -= self._inflight.popleft()[1]
            self._inflight_count -= 1
        news = index > self.match
        if news:
            self.snapshotting = False
            self.match = index
            if self.window < INFLIGHT_APPENDS_MAX:
                self.window = min(2 * self.window, INFLIGHT_APPENDS_MAX)
        # If it was probed, the logs match up to here, so entries may stream from here on.
        if self.probing or self.next <= self.match:
            self.probing = self.probe_sent = False
            self.next = self.match + 1
        return news

    def maybe_reject(self, rejected: int, resume_after: int) -> Rejection:
        """The peer's log does not match at `rejected`: go on after `resume_after`, if that is new.

        IN_VAIN: there is no lower index to go on from, for the peer denies what it acknowledged
        before. Then the next probe waits for the next heartbeat, or the two would talk at full
        speed for ever.
        """
        # Never below what the peer acknowledged, and always below what it has just rejected.
        next_index = max(min(rejected, resume_after + 1), self.match + 1)
        if self.probing:
            if rejected != self.next - 1:
                return Rejection.STALE  # it answers an earlier probe
            if next_index == self.next:
                return Rejection.IN_VAIN
        elif rejected <= self.match:
            return Rejection.STALE  # the peer has acknowledged this index since
        else:
            self.window = 1
        self.probe_from(next_index)
        return Rejection.HEEDED

    def probe_again(self) -> None:
        """Probe after what the peer is known to hold; from `next` on if nothing is known yet.

        To probe at 1 would begin with a snapshot wherever the log's first entries are compacted
        away, and the peer may hold all of the log.
        """
        self.probe_from(self.match + 1 if self.match else self.next)

    def probe_from(self, next_index: int) -> None:
        """Stop streaming and probe at `next_index`: what was sent may be lost."""
        self.probing, self.probe_sent = True, False
        self.snapshotting = False
        self.next = max(next_index, self.match + 1)
        self._inflight.clear()
        self._inflight_bytes = self._inflight_count = 0
