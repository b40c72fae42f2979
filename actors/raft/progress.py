"""What a leader knows of one peer's log, and how much it may send it (etcd-raft's Progress).

A peer is probed, one append at a time, until its log is known to match; then entries are sent
without waiting, within a window of messages and bytes. Knows nothing of messages or the log.
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
    """What became of a rejection."""

    STALE = "stale"
    HEEDED = "heeded"
    IN_VAIN = "in vain"


class Progress:
    """One peer, in one replication session: acknowledgements of another session are not for it."""

    __slots__ = (
        "_inflight",
        "_inflight_bytes",
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
        "session",
        "snapshotting",
        "window",
    )

    def __init__(self, session: int, next_index: int, now_ms: int) -> None:
        self.session = session
        # The one that its last question on probation named; 0: it has asked none.
        self.life = 0
        # It votes for nobody yet: no change of members may count on it.
        self.on_probation = False
        self.match = 0
        self.next = next_index
        self.probing = True
        self.probe_sent = False
        self.snapshotting = False
        self.ack_wanted = False
        self.commit_sent = 0
        self.heard_ms = now_ms
        # No change of members may count on a peer that is not heard.
        self.contact = Contact.NONE_YET
        # Appends that may be under way. Where they overtake each other most are rejected, and each
        # rejection would set off another stream: so it is narrow after one, and soon wide again.
        self.window = INFLIGHT_APPENDS_MAX
        self._inflight: deque[tuple[int, int]] = deque()
        self._inflight_bytes = 0

    def may_send(self) -> bool:
        """Whether another append may go out now."""
        if self.snapshotting:
            return False
        if self.probing:
            return not self.probe_sent
        return self.ack_wanted or self.has_room()

    def has_room(self) -> bool:
        """Whether another append may carry entries: without any it may ask for an answer."""
        return len(self._inflight) < self.window and self._inflight_bytes < INFLIGHT_BYTES_MAX

    def sent(self, last_index: int, size_bytes: int) -> None:
        """An append that ends at `last_index` went out."""
        if self.probing:
            self.probe_sent = True
            return
        if last_index >= self.next:
            self.next = last_index + 1
            self._inflight.append((last_index, size_bytes))
            self._inflight_bytes += size_bytes

    def maybe_accept(self, index: int) -> bool:
        """The peer holds the log up to `index`; whether that is news."""
        while self._inflight and self._inflight[0][0] <= index:
            self._inflight_bytes -= self._inflight.popleft()[1]
        news = index > self.match
        if news:
            self.snapshotting = False
            self.window = min(2 * self.window, INFLIGHT_APPENDS_MAX)
        self.match = max(self.match, index)
        if self.probing:
            self.probing = self.probe_sent = False
            self.next = self.match + 1
        self.next = max(self.next, self.match + 1)
        return news

    def maybe_reject(self, rejected: int, resume_after: int) -> Rejection:
        """The peer does not match at `rejected`: go on after `resume_after`, unless that is stale.

        In vain it was if there is nowhere else to go on: it says again and again that it lacks what
        it has acknowledged. Then the next probe waits for the next heartbeat.
        """
        next_index = max(min(rejected, resume_after + 1), self.match + 1)
        if self.probing:
            if rejected != self.next - 1:
                return Rejection.STALE
            if next_index == self.next:
                return Rejection.IN_VAIN
        elif rejected <= self.match:
            return Rejection.STALE
        else:
            self.window = 1
        self.probe_from(next_index)
        return Rejection.HEEDED

    def probe_again(self) -> None:
        """Find out where to go on: behind what it holds, or where we were if nothing is known yet.

        To begin at 1 with a peer that may hold all would ask for a snapshot that it does not need.
        """
        self.probe_from(self.match + 1 if self.match else self.next)

    def probe_from(self, next_index: int) -> None:
        """Stop streaming: what was sent may be lost, so find out where to go on."""
        self.probing, self.probe_sent = True, False
        self.snapshotting = False
        self.next = max(next_index, self.match + 1)
        self._inflight.clear()
        self._inflight_bytes = 0
