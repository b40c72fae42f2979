"""One client's connection inside TLS: a transport for its protocol, a protocol for its socket.

OpenSSL does the work on bytes in memory, so the first bytes may have been read before anybody knew
that they are TLS, and a client that does not read is noticed as it is without TLS. Owns that at
most one piece of a client waits here. Refuses to know whom it serves, and what is said inside.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

PIECE_BYTES: Final = 64 * 1024
"""At most this is read of one client in a turn of the loop."""

OWN_BYTES_MAX: Final = 64 * 1024
"""OpenSSL answers some messages by itself. A client that lets it answer so much, and reads none of
it, is closed."""


Failed = Callable[["TlsConnection", ssl.SSLError | None], None]


class Rooms:
    """What the connections of a loop read into: a piece has left it before the next one is read."""

    def __init__(self) -> None:
        self.sealed = memoryview(bytearray(PIECE_BYTES))
        self.opened = memoryview(bytearray(PIECE_BYTES))


class TlsConnection(asyncio.BufferedProtocol, asyncio.Transport):
    """TLS around a transport; `start` begins the handshake.

    When that is done `on_open` is called once, and it gives the connection its protocol by
    `set_protocol`. If it fails, or the connection ends before, `on_failure` is called once with
    the error instead; `None`: the client has just gone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ssl.SSLContext,
        transport: asyncio.Transport,
        rooms: Rooms,
        on_open: Callable[[TlsConnection], None],
        on_failure: Failed,
    ) -> None:
        super().__init__()
        self._loop = loop
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._transport = transport
        self._rooms = rooms
        self._on_open = on_open
        self._on_failure: Failed | None = on_failure
        self._protocol: asyncio.BaseProtocol | None = None
        self._is_open = self._is_closing = self._is_paused = False
        self._is_opening_pieces = False
        # Whether all that the client sends has come, and whether the protocol was told so.
        self._is_over = self._was_told = False
        # What OpenSSL has written by itself since the client last had read all.
        self._own_bytes = 0
        transport.set_protocol(self)

    # --- the handshake ---

    def start(self, first: bytes) -> None:
        """Begin, with the bytes that have come."""
        if self.is_closing():
            return
        self._incoming.write(first)
        self._shake_hands()
        if not self.is_closing():
            self._transport.resume_reading()

    @property
    def alpn(self) -> str:
        """The protocol that both sides agreed on; "" if the client offered none."""
        return self._tls.selected_alpn_protocol() or ""

    @property
    def common_name(self) -> str:
        """The common name of the verified client certificate; "" if there is none of both.

        Of several the last one counts, as in Go.
        """
        name = ""
        certificate = self._tls.getpeercert() or {}
        subject = cast("tuple[tuple[tuple[str, str], ...], ...]", certificate.get("subject", ()))
        for part in subject:
            for key, value in part:
                if key == "commonName":
                    name = value
        return name

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send_own()
            return
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._send_own()
        self._is_open, self._on_failure = True, None
        self._on_open(self)
        self._open_pieces()

    def _fail(self, error: ssl.SSLError | None) -> None:
        """The handshake has failed: tell the client why, and close."""
        self._is_closing = True
        self._send_own()
        self._transport.close()
        self._failed(error)

    def _failed(self, error: ssl.SSLError | None) -> None:
        on_failure, self._on_failure = self._on_failure, None
        if on_failure is not None:
            on_failure(self, error)

    # --- its own transport's protocol ---

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._rooms.sealed

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes of the client are there."""
        self._incoming.write(self._rooms.sealed[:nbytes])
        if nbytes == PIECE_BYTES and not self._transport.is_closing():
            # uvloop would go on with the next piece at once, up to 32 times.
            self._transport.pause_reading()
            self._loop.call_soon(self._read_on)
        if self._is_open:
            self._open_pieces()
        else:
            self._shake_hands()

    def eof_received(self) -> bool:
        """The client sends no more; it may still read."""
        self._is_over = True
        if self._is_open:
            self._open_pieces()
        else:
            self._fail(None)
        return True

    def pause_writing(self) -> None:
        """The client does not read."""
        if self._protocol is not None:
            cast(asyncio.Protocol, self._protocol).pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._protocol is not None:
            cast(asyncio.Protocol, self._protocol).resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._is_closing = True
        self._failed(None)
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(exc)

    def _read_on(self) -> None:
        """Others have had their turn."""
        if not (self._is_paused or self._transport.is_closing()):
            self._transport.resume_reading()

    def _open_pieces(self) -> None:
        """Give the protocol what has come, as long as it takes it."""
        if self._is_opening_pieces:
            return
        self._is_opening_pieces = True
        while self._protocol is not None and not (self._is_paused or self._is_closing):
            if not self._maybe_open_piece(self._protocol):
                break
        self._is_opening_pieces = False
        self._send_own()

    def _maybe_open_piece(self, protocol: asyncio.BaseProtocol) -> bool:
        """Give the protocol one piece; False: there is none."""
        room = self._rooms.opened
        if isinstance(protocol, asyncio.BufferedProtocol):
            room = memoryview(protocol.get_buffer(-1))
        try:
            size = self._open_into(room)
        except ssl.SSLError:
            self.abort()  # what came is no TLS any more, or was tampered with
            return False
        if not size:
            self._tell_end(protocol)
            return False
        if isinstance(protocol, asyncio.BufferedProtocol):
            protocol.buffer_updated(size)
        else:
            cast(asyncio.Protocol, protocol).data_received(bytes(room[:size]))
        return True

    def _open_into(self, room: memoryview) -> int:
        """Fill the room with what has come; the number of bytes."""
        tls, size = self._tls, 0
        while size < len(room):
            try:
                count = cast(int, tls.read(len(room) - size, cast(Any, room[size:])))
            except ssl.SSLWantReadError:
                break
            if not count:  # the client's goodbye
                self._is_over = True
                break
            size += count
            if not (self._incoming.pending or tls.pending()):
                break
        return size

    def _tell_end(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell the protocol, once, that all that the client sends has come."""
        if self._is_over and not self._was_told:
            self._was_told = True
            if not cast(asyncio.Protocol, protocol).eof_received():
                self.close()

    def _send_own(self) -> None:
        """Send what OpenSSL has written by itself."""
        data = self._outgoing.read()
        if not data:
            return
        if not self._transport.get_write_buffer_size():
            self._own_bytes = 0
        self._own_bytes += len(data)
        if self._own_bytes > OWN_BYTES_MAX:
            self.abort()
        else:
            self._transport.write(data)

    # --- its protocol's transport ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        if self._is_closing or not data:
            return
        rest = memoryview(data)
        try:
            while (count := self._tls.write(cast(Any, rest))) < len(rest):
                rest = rest[count:]
        except ssl.SSLError:
            self.abort()
            return
        self._transport.write(self._outgoing.read())

    def close(self) -> None:
        """Send what is written, say goodbye, and close."""
        if self._is_closing:
            return
        self._is_closing = True
        with suppress(ssl.SSLError):
            self._tls.unwrap()  # it waits for the other's goodbye, which nobody needs
        self._transport.write(self._outgoing.read())
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._is_closing = True
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or will be."""
        return self._is_closing or self._transport.is_closing()

    def can_write_eof(self) -> bool:
        """Nobody can end one direction alone here."""
        return False

    def pause_reading(self) -> None:
        """Give the protocol nothing more."""
        self._is_paused = True
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Give the protocol what has come meanwhile, and what comes."""
        if not self._is_paused:
            return
        self._is_paused = False
        if not self.is_closing():
            self._transport.resume_reading()
            self._loop.call_soon(self._open_pieces)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From now on another protocol gets what comes."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that gets what comes."""
        assert self._protocol is not None, "the handshake is done"
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When the protocol is told that the client does not read."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """The bytes that wait for the client to read them."""
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection itself."""
        return self._transport.get_extra_info(name, default)
