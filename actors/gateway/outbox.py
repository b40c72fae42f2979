"""ClientOutbox: the frames that wait for clients that read slowly, in order and within bounds.

A connection with more than 1 MiB waiting is congested until nothing waits: Watch should send it
nothing meanwhile. Frames that come all the same are kept up to a bound; above it, all frames of the
connection are dropped.

Knows connections, frames and bytes; refuses to know what a frame says or why it is sent.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Container, Mapping
from typing import Any, Final, Protocol

from actors.language.messages import Connection

CONGESTED_BYTES: Final = 1024 * 1024
"""A connection with more waiting here is congested."""

CONNECTION_BACKLOG_BYTES_MAX: Final = 16 * 1024 * 1024
"""If more would wait here for one connection, its frames are dropped."""

ANSWERS_UNDER_WAY_BYTES_MAX: Final = 128 * 1024 * 1024
"""For all clients of a node: if more would wait here, the frames of the connection that gets one
are dropped; if more would wait here and in the socket, large answers are refused."""

FRAME_OVERHEAD_BYTES: Final = 64
"""Counted for each waiting frame, so that the number of tiny frames is bounded, too."""


class Door(Protocol):
    """The clients' socket (cluster.door.ClientDoor), or a simulated one."""

    look_ms: int | None
    """How often it wants to `look`; None: never."""

    @property
    def batching(self) -> Container[Connection]:
        """The connections on which several frames may be sent as one."""

    @property
    def keys(self) -> Mapping[bytes, bytes]:
        """The public key, 32 bytes, of each connection that has shown one, by its name."""

    def address_of(self, name: bytes) -> str:
        """Where a connection comes from, by its name; "" if that is not known."""

    def descriptors(self) -> list[int]:
        """The descriptors that become readable when there may be input."""

    def must_drain(self) -> bool:
        """Whether there may be input though no descriptor says so."""

    def drain(self, items_max: int) -> list[Any]:
        """Up to `items_max` requests that have arrived, each with its connection."""

    def send(self, route: Connection, payload: bytes) -> bool | None:
        """Send without waiting: True if queued, False if the queue is full, None if it is gone."""

    def joined(self, frames: list[bytes]) -> list[bytes]:
        """The frames to send instead of these on a connection of `batching`: no more, in order."""

    def look(self) -> list[Any]:
        """Connections that ended since the last call (cluster.visitors.Gone and ClosedForCause)."""

    def unread(self, bytes_max: int) -> int:
        """Bytes in the socket for clients that have not read them; exact above `bytes_max`."""

    def close(self) -> None:
        """Stop listening."""


class _Backlog:
    """The frames of one connection whose queue is full."""

    __slots__ = ("frames", "size")

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self.size = 0


class ClientOutbox:
    """Sends at once while a client keeps up; keeps a bounded backlog while it does not.

    While there are `backlogs`, a timer must call `retry`.
    """

    def __init__(
        self,
        door: Door,
        connection_bytes_max: int = CONNECTION_BACKLOG_BYTES_MAX,
        node_bytes_max: int = ANSWERS_UNDER_WAY_BYTES_MAX,
        congested_bytes: int = CONGESTED_BYTES,
    ) -> None:
        # Connections that became congested (True), or no longer are (False), since the last
        # `take_turned`.
        self.turned: dict[Connection, bool] = {}
        self._congested: set[Connection] = set()
        # The frames of connections with batches, since the last `send_batches`.
        self.gathered: defaultdict[Connection, list[bytes]] = defaultdict(list)
        self._batching, self._joined = door.batching, door.joined
        self._send = door.send
        self._unread = door.unread
        self._connection_bytes_max = connection_bytes_max
        self._node_bytes_max = node_bytes_max
        self._congested_bytes = congested_bytes
        self.backlogs: dict[Connection, _Backlog] = {}
        self._size = 0

    def send(self, connection: Connection, frame: bytes) -> bool | None:
        """Send or keep a frame: True if that is done, None if the client is gone.

        False if its backlog and this frame were dropped, because they were more than a bound. On a
        connection with batches a frame waits for `send_batches`, which tells the rest.
        """
        if connection in self._batching:
            self.gathered[connection].append(frame)
            return True
        return self._send_one(connection, frame)

    def send_batches(self) -> list[tuple[Connection, bool | None]]:
        """Send or keep what has gathered; the connections for which that was not done, and why."""
        gathered, self.gathered = self.gathered, defaultdict(list)
        failed: list[tuple[Connection, bool | None]] = []
        for connection, frames in gathered.items():
            for frame in self._joined(frames):
                sent = self._send_one(connection, frame)
                if not sent:
                    failed.append((connection, sent))
                    break
        return failed

    def _send_one(self, connection: Connection, frame: bytes) -> bool | None:
        # Behind a backlog a frame must wait, even if the queue has room again: order matters.
        if connection not in self.backlogs:
            sent = self._send(connection, frame)
            if sent or sent is None:
                return sent
            self.backlogs[connection] = _Backlog()
        return self._keep(connection, frame)

    def has_room(self, size: int) -> bool:
        """Whether an answer of this size fits in addition to all bytes that wait for clients."""
        return self.waiting_within(self._node_bytes_max - size)

    def waiting_within(self, bytes_max: int) -> bool:
        """Whether the bytes that wait for all clients, here and in the socket, are no more."""
        room = bytes_max - self._size
        return self._unread(room) <= room

    def largest_above(self, bytes_max: int) -> list[Connection]:
        """The connections with the most waiting here, without which `bytes_max` would be kept."""
        over = self._size + self._unread(0) - bytes_max
        largest = []
        for connection, backlog in sorted(self.backlogs.items(), key=lambda item: -item[1].size):
            if over <= 0:
                break
            over -= backlog.size
            largest.append(connection)
        return largest

    def retry(self) -> list[Connection]:
        """Send what the socket's queues take now; returns the connections found to be gone."""
        gone = []
        for connection in list(self.backlogs):
            if self._send_backlog(connection) is None:
                self.drop(connection)
                gone.append(connection)
        return gone

    def drop(self, connection: Connection) -> None:
        """Forget the frames that wait for a connection."""
        self.gathered.pop(connection, None)
        self._congested.discard(connection)
        self.turned.pop(connection, None)
        backlog = self.backlogs.pop(connection, None)
        if backlog is not None:
            self._size -= backlog.size

    def take_turned(self) -> list[tuple[Connection, bool]]:
        """The contents of `turned`, which is empty afterwards."""
        if not self.turned:
            return []
        taken = list(self.turned.items())
        self.turned.clear()
        return taken

    def count(self) -> int:
        """How many frames wait."""
        return sum(len(backlog.frames) for backlog in self.backlogs.values())

    def _keep(self, connection: Connection, frame: bytes) -> bool:
        backlog = self.backlogs[connection]
        size = len(frame) + FRAME_OVERHEAD_BYTES
        # A frame above the bound may wait alone: else it could never be sent.
        over = backlog.size > 0 and backlog.size + size > self._connection_bytes_max
        if over or self._size + size > self._node_bytes_max:
            self.drop(connection)
            return False
        backlog.frames.append(frame)
        backlog.size += size
        self._size += size
        if backlog.size > self._congested_bytes and connection not in self._congested:
            self._congested.add(connection)
            self.turned[connection] = True
        return True

    def _send_backlog(self, connection: Connection) -> bool | None:
        backlog = self.backlogs[connection]
        while backlog.frames:
            sent = self._send(connection, backlog.frames[0])
            if not sent:
                return sent
            size = len(backlog.frames.popleft()) + FRAME_OVERHEAD_BYTES
            backlog.size -= size
            self._size -= size
        del self.backlogs[connection]
        if connection in self._congested:
            self._congested.remove(connection)
            self.turned[connection] = False
        return True
