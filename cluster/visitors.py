"""Visitors: the connections of a listening socket, the memory each one uses, and which must end.

libzmq limits neither a message whose last frame never comes, nor the bytes that wait for a client
that does not read. Its monitor reports the descriptor of each connection, and the system counts the
bytes of a descriptor (cluster.visitor). This module knows bytes and addresses, and refuses to know
what the messages say.
"""

from __future__ import annotations

import errno
import itertools
import select
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

import zmq

from cluster.leavings import Leavings
from cluster.visitor import NOWHERE, PROGRESS_BYTES_MIN, Visitor, ask, peer_of

CONNECTIONS_MAX: Final = 10_000
"""The number of connections at one listening socket; a further one is closed at once."""

INCOMING_CONNECTION_BYTES_MAX: Final = 64 * 1024 * 1024
"""What one may have sent that is not taken yet: bytes, and FRAME_COST_BYTES more for a frame."""

INCOMING_NODE_BYTES_MAX: Final = 128 * 1024 * 1024
"""The same for all together, also those that have ended: above it, the largest is ended."""

INCOMPLETE_NODE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of incomplete messages, whose last frame has not come, of all connections together. This
limit is lower: libzmq needs 64 bytes of memory for a frame of 2 bytes, and the number of frames
shows only when the message is complete."""

INCOMPLETE_SIEGE_BYTES_MAX: Final = 8 * 1024 * 1024
SIEGE_MS: Final = 60_000
"""The same limit during a siege: for SIEGE_MS after a client did what honest clients hardly do
(too many frames, a stalled message, a limit exceeded)."""

INCOMPLETE_NODE_MESSAGES, INCOMPLETE_SIEGE_MESSAGES = 6, 3
"""These limits rise where needed so that 6 messages of the largest size may be under way at any
time, and 3 during a siege."""

STALLED_MS: Final = 2_000
"""A client that has sent PROGRESS_BYTES_MIN of a message and then nothing for this time begins a
siege."""

UNREAD_BYTES_MAX: Final = 96 * 1024 * 1024
"""Bytes that may wait for all clients together: above it, the slow reader with the most is ended,
then the next, until half of this is left."""

SLOW_MS: Final = 1_000
"""A client reads slowly when bytes wait for it and it made no progress for this time."""

OVERFULL_MS: Final = 5_000
"""If more than UNREAD_BYTES_MAX wait for this time, clients that do read are ended, too: with a
little progress now and then, a few of them could else hold all of it for ever."""

LOOK_MS: Final = 100
"""How often the bytes of connections are counted."""

CHECKED_PER_LOOK: Final = 128
"""The connections that one look asks the system about; the next look goes on with the others."""

EVENTS: Final = (
    zmq.EVENT_LISTENING
    | zmq.EVENT_ACCEPTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
)

WENT_AWAY: Final = (errno.ECONNRESET, errno.EPIPE)
"""libzmq's reasons for a failed handshake when the other side closed the connection itself."""

NOT_ZMTP: Final = "closed a connection that does not speak ZMTP 3"
NO_KEY: Final = "closed a connection that has no key, or does not speak ZMTP 3"
TOO_MANY: Final = f"closed a connection: there are {CONNECTIONS_MAX}"
ENDLESS: Final = "closed a connection with too much that is not a whole message, or not taken"
LOST: Final = "closed a connection: what it sent was lost behind a message of too many frames"
UNREAD: Final = "closed a connection that does not read what was sent to it"

NAMES: Final = 2**32
"""The names that libzmq gives: a zero byte, and a counter of four bytes."""

_EVENT: Final = struct.Struct("=HI")
_numbers = itertools.count()


class ClosedForCause(NamedTuple):
    """A connection was closed for a fault of its client: the reason, and its address. To log."""

    reason: str
    address: str


class Gone(NamedTuple):
    """The connection of this name has ended: its watches can end too."""

    name: bytes


class Visitors:
    """The connections of one socket, which must not be bound yet; `clock` returns milliseconds.

    The limits on incoming bytes are attributes that the owner may set.
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
        # No limit: at a full queue, libzmq's own I/O thread would block.
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
        self.leavings = Leavings()
        # Whether the socket was found empty since the last look.
        self._emptied = False
        # What is said of a connection whose handshake failed.
        self.unheard = NOT_ZMTP
        # Descriptors of connections that ended since then: their messages may still wait.
        self._left: set[int] = set()
        # Their names, the last ones. Only those that libzmq gave: it gives none a second time.
        self._gone: dict[bytes, None] = {}
        self._siege_until_ms = 0
        # The number of handshakes ever completed: libzmq has given at most this number of names.
        self.handshakes = 0
        # Those whose connection is not known, as libzmq does not tell. A connection that brings a
        # message takes one of these, and so does one that ends without having brought any.
        self._unknown_handshakes = 0
        # Whether the next reported end is that of a client that left during its handshake.
        self._went_away = False
        self._clock = clock
        self._by_descriptor: dict[int, Visitor] = {}
        self._by_name: dict[bytes, Visitor] = {}
        self._news: list[ClosedForCause | Gone] = []
        # Since when more waits than may; None: it does not.
        self._overfull_since_ms: int | None = None
        self._turns: list[int] = []
        self.find = self._by_name.get
        # ZeroMQ's descriptor signals only changes: read until empty once, or it stays silent.
        self._follow()

    def expect_messages(self, bytes_max: int) -> None:
        """Set the limits on incomplete messages for messages of at most `bytes_max`."""
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
        """Note the name of a connection's messages; None when the connection has ended."""
        self.follow()
        visitor = self._by_descriptor.get(descriptor)
        if visitor is None or visitor.ended or name in self._gone:
            return None
        if visitor.name:  # another connection has had this descriptor before
            if _is_older(name, visitor.name):
                return None
            self._by_name.pop(visitor.name, None)
        visitor.name = name
        self._by_name[name] = visitor
        self._maybe_spoke(visitor)
        return visitor

    def at(self, descriptor: int) -> Visitor | None:
        """The connection with this descriptor."""
        return self._by_descriptor.get(descriptor)

    def name_at(self, descriptor: int) -> bytes:
        """The name of the connection that sent what came by this descriptor; empty when unsure.

        Unsure: another connection may have had the descriptor before. Then the present one is
        ended, so that its client connects and asks again instead of waiting for a lost answer.
        """
        self.follow()
        visitor = self._by_descriptor.get(descriptor)
        if visitor is None:
            return b""
        if visitor.name and descriptor not in self._left:
            return visitor.name
        self.hang_up(visitor, LOST)
        return b""

    def found_empty(self) -> None:
        """No whole message waits in the socket, neither of present nor of ended connections."""
        self._emptied = True
        self._left.clear()
        self._gone.clear()
        if self.leavings.is_any:
            self.leavings.found_none()

    def look(self) -> list[ClosedForCause | Gone]:
        """Every LOOK_MS: count bytes, end connections over a limit, return which have ended."""
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

    # --- connections that begin and end ---

    def follow(self) -> None:
        """Read the monitor's reports of connections that began and ended.

        Call it as soon as `descriptor` is readable: the address of a connection that is closed by
        then cannot be found out.
        """
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
        if event == zmq.EVENT_LISTENING:
            self.leavings.listening.add(descriptor)
        elif event == zmq.EVENT_ACCEPTED:
            self._forget(descriptor)
            self._welcome(descriptor)
        elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            # The value is an errno here, not a descriptor. The next report is that the connection
            # has ended, and has its descriptor.
            self._went_away = descriptor in WENT_AWAY
        elif event == zmq.EVENT_DISCONNECTED:
            visitor, went_away = self._forget(descriptor), self._went_away
            self._went_away = False
            # A client that closes during its handshake is not at fault, so nothing is logged.
            if visitor is not None and not went_away and not self._maybe_spoke(visitor):
                self._news.append(ClosedForCause(self.unheard, visitor.peer.host))
        else:
            # The value is no descriptor here, either, but always 0.
            self.handshakes += 1
            self._unknown_handshakes += 1

    def _maybe_spoke(self, visitor: Visitor) -> bool:
        """Whether the handshake of a connection may have succeeded; if so, one of them was its."""
        if not visitor.speaks and self._unknown_handshakes:
            self._unknown_handshakes -= 1
            visitor.speaks = True
        return visitor.speaks

    def _welcome(self, descriptor: int) -> None:
        peer = ask(descriptor, peer_of, NOWHERE)
        visitor = self._by_descriptor[descriptor] = Visitor(descriptor, peer)
        visitor.checked_ms = visitor.progress_ms = visitor.came_ms = self._clock()
        if len(self._by_descriptor) > CONNECTIONS_MAX:
            self.hang_up(visitor, TOO_MANY)

    def _forget(self, descriptor: int) -> Visitor | None:
        visitor = self._by_descriptor.pop(descriptor, None)
        if visitor is None:
            return None
        self._left.add(descriptor)
        self.leavings.add(visitor.incoming)
        if self._by_name.get(visitor.name) is visitor:
            del self._by_name[visitor.name]
            self._news.append(Gone(visitor.name))
            if visitor.name[:1] == b"\0":
                self._gone[visitor.name] = None
                if len(self._gone) > CONNECTIONS_MAX:
                    del self._gone[next(iter(self._gone))]
        return visitor

    # --- connections that must end ---

    def hang_up(self, visitor: Visitor, reason: str) -> None:
        """End a connection, for this reason."""
        if not visitor.ended:
            # Its end is reported here, for this reason: `_note` must not add another.
            visitor.speaks = True
            visitor.end()
            self._news.append(ClosedForCause(reason, visitor.peer.host))

    def besiege(self) -> None:
        """A client did what honest clients hardly do: be strict for SIEGE_MS."""
        self._siege_until_ms = self._clock() + SIEGE_MS

    def unread(self, bytes_max: int) -> int:
        """Bytes that wait for all clients together; counted anew when above `bytes_max`."""
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
        here_max = self.leavings.leave_of(self.incoming_node_bytes_max)
        self._end_largest(sizes, self.incoming_connection_bytes_max, here_max)

    def _check_incomplete(self, now_ms: int) -> None:
        """Limit incomplete messages. The socket was found empty since the last check, so bytes that
        had arrived then and are not taken belong to an incomplete message."""
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
        """End each connection above `each_max`; then, largest first, until the sum is within
        `total_max`. Whether any was ended."""
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
            self._overfull_since_ms = None
            return
        if self._overfull_since_ms is None:
            self._overfull_since_ms = now_ms
        is_urgent = now_ms - self._overfull_since_ms >= OVERFULL_MS
        slow = [
            each
            for each in self._by_name.values()
            if not each.ended and (is_urgent or now_ms - each.progress_ms >= SLOW_MS)
        ]
        for visitor in sorted(slow, key=lambda each: -each.unread):
            # Down to half: at the limit itself, the next look would end another connection.
            if total <= UNREAD_BYTES_MAX // 2:
                return
            total -= visitor.unread
            self.hang_up(visitor, UNREAD)

    def close(self, listening: zmq.Socket[bytes]) -> None:
        """Stop the monitor; call it before the socket closes."""
        listening.disable_monitor()
        self._monitor.close(linger=0)
        self._by_descriptor.clear()
        self._by_name.clear()


def _is_older(name: bytes, other: bytes) -> bool:
    """Whether libzmq gave this name before the other one: its names count up."""
    if name[:1] != b"\0" or other[:1] != b"\0":
        return False
    later = int.from_bytes(other[1:], "big") - int.from_bytes(name[1:], "big")
    return 0 < later % NAMES < NAMES // 2
