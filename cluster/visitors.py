"""Visitors: who is connected to a listening socket, how much each keeps waiting, and who must go.

libzmq bounds neither a message whose last frame never comes nor what waits for a client that does
not read. Its monitor names the descriptor of each connection, of which the system can be asked.
Knows bytes and addresses, nothing of what is said.
"""

from __future__ import annotations

import errno
import itertools
import select
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

import zmq

from cluster.visitor import NOWHERE, PROGRESS_BYTES_MIN, Visitor, ask, peer_of

CONNECTIONS_MAX: Final = 10_000
"""At one listening socket; one more is closed at once."""

INCOMING_CONNECTION_BYTES_MAX: Final = 64 * 1024 * 1024
"""What one connection may have sent that nobody has taken yet, whole or not."""

INCOMING_NODE_BYTES_MAX: Final = 128 * 1024 * 1024
"""What all of them may: above it, whoever holds most has to go."""

INCOMPLETE_NODE_BYTES_MAX: Final = 16 * 1024 * 1024
"""What all of them may have sent of messages whose last frames have not come: libzmq needs 64 bytes
for a frame of 2, and till a message is whole nobody can see of how many frames it consists."""

INCOMPLETE_SIEGE_BYTES_MAX: Final = 8 * 1024 * 1024
SIEGE_MS: Final = 60_000
"""The same, for this time after somebody has sent what hardly any client sends."""

INCOMPLETE_NODE_MESSAGES, INCOMPLETE_SIEGE_MESSAGES = 6, 3
"""But this number of the largest messages may be under way at any time."""

STALLED_MS: Final = 2_000
"""Hardly any client sends PROGRESS_BYTES_MIN of a message and then no more in this time."""

UNREAD_BYTES_MAX: Final = 96 * 1024 * 1024
"""What may wait for all who read slowly: above it, whoever reads least of most has to go."""

SLOW_MS: Final = 1_000
"""Who reads less in this time while something waits for it reads slowly."""

LOOK_MS: Final = 100
CHECKED_PER_LOOK: Final = 128
"""How often bytes are looked at, and of how many connections at once: the others have a turn."""

EVENTS: Final = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
)

WENT_AWAY: Final = (errno.ECONNRESET, errno.EPIPE)
"""Why a handshake failed, as libzmq tells it, when the other side closed in the middle."""

NOT_ZMTP: Final = "closed a connection that does not speak ZMTP 3"
TOO_MANY: Final = f"closed a connection: there are {CONNECTIONS_MAX}"
ENDLESS: Final = "closed a connection with too much that is not a whole message, or not taken"
LOST: Final = "closed a connection: what it sent was lost behind a message of too many frames"
UNREAD: Final = "closed a connection that does not read what was sent to it"

_EVENT: Final = struct.Struct("=HI")
_numbers = itertools.count()


class ClosedForCause(NamedTuple):
    """A connection was closed: why, and where it came from."""

    reason: str
    address: str


class Gone(NamedTuple):
    """A connection ended whose messages went by this name."""

    name: bytes


class Visitors:
    """The connections of one socket, which must not be bound yet; `clock` is in milliseconds.

    The limits on incoming bytes may be set.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        listening: zmq.Socket[bytes],
        clock: Callable[[], int],
    ) -> None:
        url = f"inproc://visitors-{next(_numbers)}"
        listening.monitor(url, EVENTS)
        self._monitor = context.socket(zmq.PAIR)
        self._monitor.linger = 0
        # Without a limit: libzmq's own thread would wait for room.
        self._monitor.rcvhwm = 0
        self._monitor.connect(url)
        self.descriptor = int(self._monitor.getsockopt(zmq.FD))
        self._told = select.poll()
        self._told.register(self.descriptor, select.POLLIN)
        self.incoming_connection_bytes_max = INCOMING_CONNECTION_BYTES_MAX
        self.incoming_node_bytes_max = INCOMING_NODE_BYTES_MAX
        self.incomplete_connection_bytes_max = INCOMING_CONNECTION_BYTES_MAX
        self.incomplete_node_bytes_max = INCOMPLETE_NODE_BYTES_MAX
        self.incomplete_siege_bytes_max = INCOMPLETE_SIEGE_BYTES_MAX
        # Whether the socket was found empty since the last look.
        self._emptied = False
        # Those who went, by descriptor, since then: messages of theirs may wait.
        self._left: set[int] = set()
        self._siege_until_ms = 0
        # How many connections have ever become ready: libzmq has given no more names than that.
        self.handshakes = 0
        # Whether the connection that is said to have ended next went away in its handshake.
        self._went_away = False
        self._clock = clock
        self._by_descriptor: dict[int, Visitor] = {}
        self._by_name: dict[bytes, Visitor] = {}
        self._news: list[ClosedForCause | Gone] = []
        self._turns: list[int] = []
        self.find = self._by_name.get
        # The descriptor tells of nothing before somebody has looked in vain.
        self._follow()

    def expect_messages(self, bytes_max: int) -> None:
        """No message is larger; set the limits on those that are not whole accordingly."""
        self.incomplete_connection_bytes_max = bytes_max
        self.incomplete_node_bytes_max = max(
            INCOMPLETE_NODE_BYTES_MAX, INCOMPLETE_NODE_MESSAGES * bytes_max
        )
        self.incomplete_siege_bytes_max = max(
            INCOMPLETE_SIEGE_BYTES_MAX, INCOMPLETE_SIEGE_MESSAGES * bytes_max
        )

    def __len__(self) -> int:
        return len(self._by_descriptor)

    def meet(self, name: bytes, descriptor: int) -> Visitor | None:
        """Know that a connection's messages go by this name; None if it is gone already."""
        self.follow()
        visitor = self._by_descriptor.get(descriptor)
        if visitor is None or visitor.ended:
            return None
        if visitor.name:  # of a connection that is gone, whose descriptor this one has got
            self._by_name.pop(visitor.name, None)
        visitor.name = name
        self._by_name[name] = visitor
        return visitor

    def at(self, descriptor: int) -> Visitor | None:
        """Whose descriptor this is."""
        return self._by_descriptor.get(descriptor)

    def name_at(self, descriptor: int) -> bytes:
        """The name of whoever sent what came by this descriptor; if that is not certain, nothing:
        then whoever may miss an answer has to connect again."""
        self.follow()
        visitor = self._by_descriptor.get(descriptor)
        if visitor is None:
            return b""
        if visitor.name and descriptor not in self._left:
            return visitor.name
        self.hang_up(visitor, LOST)
        return b""

    def found_empty(self) -> None:
        """Nothing waits in the socket that was whole, of those who are here or of others."""
        self._emptied = True
        self._left.clear()

    def look(self) -> list[ClosedForCause | Gone]:
        """Every LOOK_MS: who came, went, and had to go, as whoever keeps too much waiting has."""
        self.follow()
        now_ms = self._clock()
        if self._emptied:
            self._check_incomplete(now_ms)
            self._emptied = False
        visitors = self._by_descriptor
        if not self._turns:
            self._turns = list(visitors)
        turns, self._turns = self._turns[:CHECKED_PER_LOOK], self._turns[CHECKED_PER_LOOK:]
        for descriptor in turns:
            if descriptor in visitors:
                visitors[descriptor].check(now_ms)
        self._check_incoming()
        self._check_unread(now_ms)
        news, self._news = self._news, []
        return news

    # --- who comes and goes ---

    def follow(self) -> None:
        """Take note of who came and went; as soon as `descriptor` is readable, to learn addresses:
        that of a connection which is closed already cannot be found out."""
        if self._told.poll(0):
            self._follow()

    def _follow(self) -> None:
        receive = self._monitor.recv
        try:
            while True:
                event, descriptor = _EVENT.unpack(receive(zmq.NOBLOCK))
                receive()
                self._note(event, descriptor)
        except zmq.Again:
            return

    def _note(self, event: int, descriptor: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self._forget(descriptor)
            self._welcome(descriptor)
        elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            # The value is no descriptor here but the reason; libzmq says next whose it was.
            self._went_away = descriptor in WENT_AWAY
        elif event == zmq.EVENT_DISCONNECTED:
            visitor, went_away = self._forget(descriptor), self._went_away
            self._went_away = False
            # A client that closes at once is no stranger.
            if visitor is not None and not visitor.speaks and not went_away:
                self._news.append(ClosedForCause(NOT_ZMTP, visitor.peer.host))
        else:
            self.handshakes += 1
            if descriptor in self._by_descriptor:
                self._by_descriptor[descriptor].speaks = True

    def _welcome(self, descriptor: int) -> None:
        peer = ask(descriptor, peer_of, NOWHERE)
        visitor = self._by_descriptor[descriptor] = Visitor(descriptor, peer)
        visitor.checked_ms = visitor.progress_ms = visitor.came_ms = self._clock()
        if len(self._by_descriptor) > CONNECTIONS_MAX:
            self.hang_up(visitor, TOO_MANY)

    def _forget(self, descriptor: int) -> Visitor | None:
        visitor = self._by_descriptor.pop(descriptor, None)
        if visitor is not None:
            self._left.add(descriptor)
        if visitor is not None and self._by_name.get(visitor.name) is visitor:
            del self._by_name[visitor.name]
            self._news.append(Gone(visitor.name))
        return visitor

    # --- who must go ---

    def hang_up(self, visitor: Visitor, reason: str) -> None:
        """End a connection, for this reason."""
        if not visitor.ended:
            visitor.speaks = True  # whether it does not is no reason any more
            visitor.end()
            self._news.append(ClosedForCause(reason, visitor.peer.host))

    def besiege(self) -> None:
        """Somebody has sent what hardly any client sends: be strict for a while."""
        self._siege_until_ms = self._clock() + SIEGE_MS

    def unread(self, bytes_max: int) -> int:
        """Bytes that wait for all of them; exact if it is more than `bytes_max`."""
        total = self._sum_unread()
        if total > bytes_max:
            for visitor in self._by_name.values():
                if visitor.unread > 0:
                    visitor.look()
            total = self._sum_unread()
        return total

    def _sum_unread(self) -> int:
        return sum([each.unread for each in self._by_name.values() if not each.ended])

    def _check_incoming(self) -> None:
        sizes = {each: each.incoming for each in self._here()}
        self._end_largest(sizes, self.incoming_connection_bytes_max, self.incoming_node_bytes_max)

    def _check_incomplete(self, now_ms: int) -> None:
        """What had arrived at the last look and is not taken is no whole message."""
        sizes = {each: each.incomplete for each in self._here()}
        if any(
            size >= PROGRESS_BYTES_MIN and now_ms - visitor.came_ms >= STALLED_MS
            for visitor, size in sizes.items()
        ):
            self.besiege()
        besieged = now_ms < self._siege_until_ms
        node_max = self.incomplete_siege_bytes_max if besieged else self.incomplete_node_bytes_max
        if self._end_largest(sizes, self.incomplete_connection_bytes_max, node_max):
            self.besiege()

    def _here(self) -> list[Visitor]:
        return [each for each in self._by_descriptor.values() if not each.ended]

    def _end_largest(self, sizes: dict[Visitor, int], each_max: int, total_max: int) -> bool:
        """End whoever has too much, and then whoever has most; whether anybody has."""
        total = sum(sizes.values())
        if total <= total_max and max(sizes.values(), default=0) <= each_max:
            return False
        for visitor, size in sorted(sizes.items(), key=lambda item: -item[1]):
            if size <= each_max and total <= total_max:
                break
            total -= size
            self.hang_up(visitor, ENDLESS)
        return True

    def _check_unread(self, now_ms: int) -> None:
        total = self.unread(UNREAD_BYTES_MAX)
        if total <= UNREAD_BYTES_MAX:
            return
        slow = [
            each
            for each in self._by_name.values()
            if not each.ended and now_ms - each.progress_ms >= SLOW_MS
        ]
        for visitor in sorted(slow, key=lambda each: -each.unread):
            if total <= UNREAD_BYTES_MAX // 2:
                return
            total -= visitor.unread
            self.hang_up(visitor, UNREAD)

    def close(self, listening: zmq.Socket[bytes]) -> None:
        """Look no more; before the socket closes."""
        listening.disable_monitor()
        self._monitor.close(linger=0)
        self._by_descriptor.clear()
        self._by_name.clear()
