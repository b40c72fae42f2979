"""What peers may make a process hold: requests that have not ended, answers that are not read.

Each connection has limits of its own. Memory is what all connections of a process share. When it
is short, a connection is refused more that holds more than its share, and all others are served:
a few peers that do not read cannot stop the rest.
"""

from __future__ import annotations

from cluster.etcd.http2.limits import (
    CLOGGED_BYTES,
    MEMORY_BYTES_MAX,
    QUEUED_SMALL_BYTES,
    SHARE_BYTES,
    SMALL_BYTES_MAX,
    STREAM_BYTES,
    Limits,
)
from cluster.etcd.http2.sending import Sender
from cluster.etcd.http2.streams import Http2Stream, Streams


class Memory:
    """The bytes that the connections of a process hold together, as counted after their turns."""

    def __init__(self, bytes_max: int = MEMORY_BYTES_MAX, share_bytes: int = SHARE_BYTES) -> None:
        self.bytes_max = bytes_max
        self.share_bytes = share_bytes
        self.used = 0


class ConnectionShare:
    """What one connection holds, and whether it may hold more."""

    def __init__(self, limits: Limits, streams: Streams, sender: Sender, memory: Memory) -> None:
        self._limits = limits
        self._streams = streams
        self._sender = sender
        self._memory = memory
        # With less in use than this, memory is not short, whatever this connection holds.
        self._calm_bytes = memory.bytes_max - limits.queued_bytes
        self._counted = 0
        self._elsewhere = 0

    @property
    def bytes(self) -> int:
        """What the connection holds now."""
        streams = self._streams
        kept = streams.held + streams.header_bytes + len(streams.open) * STREAM_BYTES
        kept += self._elsewhere
        return kept + self._sender.waiting_bytes

    def settle(self) -> None:
        """Count what the connection holds, at the end of a turn."""
        now = self.bytes
        self._memory.used += now - self._counted
        self._counted = now

    def keep(self, count: int) -> None:
        """The connection's user holds more bytes for the peer, or less of them below zero."""
        self._elsewhere += count
        self.settle()

    @property
    def is_clogged(self) -> bool:
        """Whether the peer should get no more answers before it has read some."""
        unread = self._sender.waiting_bytes + self._elsewhere
        if unread > CLOGGED_BYTES:
            return True
        # Open streams alone hold nobody up here: a client with many watches reads its answers.
        return unread > self._memory.share_bytes and self._is_short()

    def may_begin(self) -> bool:
        """Whether one more request is served."""
        limits, streams = self._limits, self._streams
        return (
            streams.unanswered < limits.unanswered_streams
            and len(streams.open) < limits.streams
            and (self._memory.used <= self._calm_bytes or not self._is_short())
        )

    def may_hold(self, stream: Http2Stream) -> bool:
        """Whether a request that has not ended may be as long as it is now."""
        limits = self._limits
        if stream.held > limits.request_bytes or self._streams.held > limits.held_bytes:
            return False
        return not self._is_short()

    def may_queue(self, size: int) -> bool:
        """Whether an answer of this size may wait; it may be the one that goes over the limit."""
        limit = self._limits.queued_bytes
        if size <= SMALL_BYTES_MAX:
            limit += QUEUED_SMALL_BYTES
        if self._sender.waiting_bytes > limit:
            return False
        return self._memory.used <= self._calm_bytes or not self._is_short()

    def _is_short(self) -> bool:
        """Whether memory is short, and this connection one of those that hold it."""
        memory, now = self._memory, self.bytes
        return now > memory.share_bytes and memory.used + now - self._counted > memory.bytes_max
