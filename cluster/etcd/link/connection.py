"""One connection of a front to its node: it opens, asks who the node is, and then carries maps.

What is asked for before the node has answered waits here. A node with other ids than expected is a
stranger: its port was once our node's. It gets no request, and the connection ends. Refuses to know
what the maps say.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from itertools import chain
from typing import Any, Final, NamedTuple, cast

from cluster.etcd.link.gate import Gate
from cluster.etcd.link.zmtp import PONG, Dealer, ZmtpError, frame, opening
from cluster.etcd.rpc.mapping import LONG_LISTS
from cluster.wire import WireError, batches, frames_in, packer, unpack, unpack_lazily

UNSENT_BYTES_MAX: Final = 16 * 1024 * 1024
"""If more requests wait because the node does not read them, further ones are refused."""

ALIVE_SECONDS: Final = 4.0
"""A node closes a connection that gives no sign of life within 15 s when it asks for one."""

LONG_REPLY_BYTES: Final = 1024 * 1024
"""The long lists in a reply of this size or more are decoded only where they are used."""

pack: Final = packer()
"""Packs a request for `NodeConnection.send`."""

WHO: Final = frame(pack({"op": "status"}))

_AT_ONCE: Final = struct.pack("=ii", 1, 0)

Reply = dict[str, Any]
Loop = asyncio.AbstractEventLoop


class NodeAddress(NamedTuple):
    """Where a node's door is, who the node must be, and the largest frame that it may send.

    `password` is what the node knows its front by, where clients need keys. Their bytes are passed
    on to `passing_port`; 0: it is the same port.
    """

    host: str
    port: int
    cluster_id: int
    member_id: int
    frame_bytes_max: int
    password: str = ""
    passing_port: int = 0


class NodeConnection(asyncio.Protocol):
    """One connection; `on_reply` gets each reply, `on_lost` once the reason why it ended.

    `on_reading` is told when replies that have come together begin (True) and end. With `gathers`
    its owner calls `flush` when it has sent all that goes together.

    `is_open` while the node is known and the connection stands; `was_open` from then on: something
    may have been sent. `is_full`: the node does not read. Neither function is called after `close`.
    """

    def __init__(self, loop: Loop, address: NodeAddress, gate: Gate) -> None:
        self.is_open = self.was_open = False
        self.is_full = False
        self.gathers = False
        self.on_reading: Callable[[bool], None] = _ignore
        self.on_reply: Callable[[Reply], None] = _ignore
        self.on_lost: Callable[[str], None] = _ignore
        self._loop = loop
        self._address = address
        self._dealer = Dealer(address.frame_bytes_max, address.password)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._is_lost = self._is_paused = self._has_asked = False
        self._sign_of_life: asyncio.TimerHandle | None = None
        self._gate = gate
        gate.enter(self)

    def begin(self) -> None:
        """Open it."""
        self._opening = self._loop.create_task(self._open())

    def refuse(self, reason: str) -> None:
        """The node is away."""
        self._lose(reason)

    async def _open(self) -> None:
        try:
            await self._loop.create_connection(lambda: self, self._address.host, self._address.port)
        except OSError as error:
            self._lose(error.strerror or str(error))

    # --- what its owner does ---

    def send(self, payload: bytes) -> None:
        """Send a packed request with all others of this turn, once the node is known."""
        if not (self._unsent or self.gathers) and self.is_open:
            self._loop.call_soon(self.flush)
        self._unsent.append(payload)
        self._unsent_bytes += len(payload)
        if self._unsent_bytes > UNSENT_BYTES_MAX:
            self.is_full = True

    def pause(self) -> None:
        """Read no more replies: then the node notices that this client does not read."""
        self._is_paused = True
        if self._transport is not None and self.is_open:
            self._transport.pause_reading()
            self._be_silent()
            self._sign_of_life = self._loop.call_later(ALIVE_SECONDS, self._show_life)

    def resume(self) -> None:
        """Go on reading."""
        self._is_paused = False
        self._be_silent()
        if self._transport is not None and self.is_open:
            self._transport.resume_reading()

    def release(self) -> None:
        """Nobody owns the connection for now."""
        self.on_reply = self.on_lost = self.on_reading = _ignore
        if self._is_paused:
            self.resume()

    def close(self) -> None:
        """End the connection at once; what the node has not read yet is lost."""
        self.on_lost = _ignore
        self._lose("closed")

    # --- what the loop does ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._is_lost:
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(UNSENT_BYTES_MAX)
        self._transport.write(opening(self._address.password))
        self._gate.heard(self)

    def data_received(self, data: bytes) -> None:
        self.on_reading(True)
        self._read(data)
        self.on_reading(False)

    def _read(self, data: bytes) -> None:
        try:
            for payload in chain.from_iterable(map(frames_in, self._dealer.receive(data))):
                if len(payload) < LONG_REPLY_BYTES:
                    reply = unpack(payload)
                else:
                    reply = unpack_lazily(payload, LONG_LISTS)
                if self.is_open:
                    self.on_reply(reply)
                elif self._is_lost:
                    return  # its owner has closed it meanwhile
                else:
                    self._meet(reply)
        except (ZmtpError, WireError) as error:
            self._lose(str(error))
            return
        if not self._has_asked and self._dealer.is_ready:
            self._has_asked = True
            self._gate.heard(self)
            self._dealer.to_send += WHO
        if self._dealer.to_send and self._transport is not None:
            self._transport.write(self._dealer.to_send)
            self._dealer.to_send = b""

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False

    def connection_lost(self, exception: Exception | None) -> None:
        self._lose(str(exception or "the node has closed it"))

    # --- inside ---

    def _meet(self, reply: Any) -> None:
        """Read the answer to WHO: only then anything else is sent."""
        header = reply.get("header") if isinstance(reply, dict) else None
        if not isinstance(header, dict):
            self._lose("what listens there is not a node")
            return
        cluster_id, member_id = header.get("cluster_id"), header.get("member_id")
        if (cluster_id, member_id) != (self._address.cluster_id, self._address.member_id):
            self._lose(f"another node listens there: member {member_id} of cluster {cluster_id}")
            return
        self._gate.leave(self)
        self.is_open = self.was_open = True
        if self._is_paused:
            self.pause()
        self.flush()

    def flush(self) -> None:
        """Hand over what was sent in batches, unless the node is not known yet."""
        if self._transport is None or not self._unsent or not self.is_open:
            return
        data = b"".join(map(frame, batches(self._unsent)))
        self._unsent.clear()
        self._unsent_bytes = 0
        self.is_full = False
        self._transport.write(data)

    def _show_life(self) -> None:
        """While nothing is read, heartbeats are not read either: answer them unseen."""
        if self._transport is not None and self._is_paused:
            self._transport.write(PONG)
            self._sign_of_life = self._loop.call_later(ALIVE_SECONDS, self._show_life)

    def _be_silent(self) -> None:
        if self._sign_of_life is not None:
            self._sign_of_life.cancel()

    def _lose(self, reason: str) -> None:
        """Note the end, once."""
        if self._is_lost:
            return
        self._is_lost, self.is_open = True, False
        self._gate.leave(self)
        self._be_silent()
        self._unsent.clear()
        if self._transport is not None:
            cut(self._transport)
        self.on_lost(reason)


def cut(transport: asyncio.Transport) -> None:
    """Close by a reset: the node learns of it also if it has unread answers, and no port waits."""
    connected = transport.get_extra_info("socket")
    if connected is not None and not transport.is_closing():
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()


def _ignore(_: Any) -> None:
    """What happens is of no interest."""
