"""The client's side of CurveZMQ by hand (RFC 26), for what no ZeroMQ library would send.

A handshake makes each of its commands when it is asked to, in any order. Knows keys and boxes; not
whose keys they are, nor what frames say.
"""

from __future__ import annotations

from typing import Final

from nacl import bindings as nacl
from nacl.exceptions import CryptoError

from cluster.curve import KeyPair
from tests.chaos.hostile.zmtp import (
    COMMAND,
    MORE,
    Connection,
    frame,
    frames_of,
    greeting,
    metadata,
    ready,
)
from tests.chaos.hostile.zmtp import GREETING as UNSEALED

GREETING: Final = greeting(b"CURVE")

HELLO_BYTES: Final = 200
WELCOME_BYTES: Final = 168
COOKIE_BYTES: Final = 96
NONCE_BYTES: Final = 8
LONG_NONCE_BYTES: Final = 16

_HELLO, _WELCOME, _INITIATE = b"\x05HELLO", b"\x07WELCOME", b"\x08INITIATE"
_READY, _MESSAGE = b"\x05READY", b"\x07MESSAGE"
_IN_BOX_MORE, _IN_BOX_COMMAND = 1, 2


class Handshake:
    """One connection of the owner of `pair` to the node with the key `server_key`."""

    def __init__(self, pair: KeyPair, server_key: str) -> None:
        self._public, self._secret = bytes.fromhex(pair.public), bytes.fromhex(pair.secret)
        self._server = bytes.fromhex(server_key)
        self._short_public, self._short_secret = nacl.crypto_box_keypair()
        self._short_server = bytes(nacl.crypto_box_PUBLICKEYBYTES)
        self._cookie = bytes(COOKIE_BYTES)
        self._shared = b""
        self._nonce = 0

    def hello(self) -> bytes:
        """The first command, as a frame."""
        nonce = self._next_nonce()
        box = nacl.crypto_box(
            bytes(64), b"CurveZMQHELLO---" + nonce, self._server, self._short_secret
        )
        body = _HELLO + b"\1\0" + bytes(72) + self._short_public + nonce + box
        assert len(body) == HELLO_BYTES
        return frame(body, COMMAND)

    def take_welcome(self, body: bytes) -> None:
        """The node's answer to the first command; ConnectionError if it is another one."""
        if not body.startswith(_WELCOME) or len(body) != WELCOME_BYTES:
            raise ConnectionError("the handshake was refused")
        nonce, box = body[8 : 8 + LONG_NONCE_BYTES], body[8 + LONG_NONCE_BYTES :]
        opened = _opened(box, b"WELCOME-" + nonce, self._server, self._short_secret)
        self._short_server, self._cookie = opened[:32], opened[32:]
        self._shared = nacl.crypto_box_beforenm(self._short_server, self._short_secret)

    def initiate(self, kind: bytes, identity: bytes = b"") -> bytes:
        """The command that proves whose key it is, as a frame; of a socket of this kind and name.

        Before the node has answered, it has a cookie of zeros, for a node with a key of zeros.
        """
        long_nonce = nacl.randombytes(LONG_NONCE_BYTES)
        vouch = nacl.crypto_box(
            self._short_public + self._server,
            b"VOUCH---" + long_nonce,
            self._short_server if self._shared else self._server,
            self._secret,
        )
        nonce = self._next_nonce()
        said = self._public + long_nonce + vouch + metadata(kind, identity)
        box = self._sealed(said, b"CurveZMQINITIATE" + nonce)
        return frame(_INITIATE + self._cookie + nonce + box, COMMAND)

    def take_ready(self, body: bytes) -> None:
        """The end of the handshake; ConnectionError if it was refused."""
        if not body.startswith(_READY):
            raise ConnectionError("the handshake was refused")
        nonce = body[len(_READY) :][:NONCE_BYTES]
        box = body[len(_READY) + NONCE_BYTES :]
        self._open(box, b"CurveZMQREADY---" + nonce)

    def message(self, flags: int, body: bytes) -> bytes:
        """A frame, sealed."""
        nonce = self._next_nonce()
        inside = (_IN_BOX_MORE if flags & MORE else 0) | (_IN_BOX_COMMAND if flags & COMMAND else 0)
        box = self._sealed(bytes([inside]) + body, b"CurveZMQMESSAGEC" + nonce)
        return frame(_MESSAGE + nonce + box)

    def opened(self, body: bytes) -> tuple[int, bytes]:
        """The flags and the body of a frame that the node has sealed."""
        if not body.startswith(_MESSAGE):
            raise ConnectionError("a frame that is not sealed")
        nonce, box = body[8 : 8 + NONCE_BYTES], body[8 + NONCE_BYTES :]
        said = self._open(box, b"CurveZMQMESSAGES" + nonce)
        inside = said[0]
        flags = (MORE if inside & _IN_BOX_MORE else 0) | (
            COMMAND if inside & _IN_BOX_COMMAND else 0
        )
        return flags, said[1:]

    def _sealed(self, said: bytes, nonce: bytes) -> bytes:
        if not self._shared:
            return bytes(nacl.crypto_box(said, nonce, self._server, self._short_secret))
        return bytes(nacl.crypto_box_afternm(said, nonce, self._shared))

    def _open(self, box: bytes, nonce: bytes) -> bytes:
        try:
            return bytes(nacl.crypto_box_open_afternm(box, nonce, self._shared))
        except CryptoError:
            raise ConnectionError("a box that cannot be opened") from None

    def _next_nonce(self) -> bytes:
        self._nonce += 1
        return self._nonce.to_bytes(NONCE_BYTES, "big")


def _opened(box: bytes, nonce: bytes, public: bytes, secret: bytes) -> bytes:
    try:
        return bytes(nacl.crypto_box_open(box, nonce, public, secret))
    except CryptoError:
        raise ConnectionError("a box that cannot be opened") from None


class SealedConnection(Connection):
    """A connection to the node with the key `server_key`, as the owner of `pair`.

    What is sent before the handshake goes as it is; after it whole frames are sealed, and other
    bytes go as they are. `sent` has all pieces that went, if the connection is `recorded`.
    """

    def __init__(
        self,
        address: tuple[str, int],
        pair: KeyPair,
        server_key: str,
        *,
        small_buffer: bool = False,
        recorded: bool = False,
    ) -> None:
        super().__init__(address, small_buffer)
        self.handshake = Handshake(pair, server_key)
        self.sent: list[bytes] | None = [] if recorded else None
        self.seals = False

    def shake_hands(self, kind: bytes, identity: bytes = b"") -> None:
        """Be a socket of this kind."""
        self.say_hello()
        self.send(self.handshake.initiate(kind, identity))
        _, body = super().take_frame()
        self.handshake.take_ready(body)
        self.seals = True

    def say_hello(self) -> None:
        """The first half of the handshake."""
        self.send(GREETING)
        self.send(self.handshake.hello())
        self.take_greeting()
        _, body = super().take_frame()
        self.handshake.take_welcome(body)

    def send(self, data: bytes) -> None:
        """Send frames, sealed once that is possible."""
        if self.seals:
            frames, rest = frames_of(data)
            seal = self.handshake.message
            data = b"".join([seal(flags, body) for flags, body in frames]) + rest
        self.send_as_it_is(data)

    def send_as_it_is(self, data: bytes) -> None:
        """Send bytes that nobody seals."""
        if self.sent is not None:
            self.sent.append(data)
        super().send(data)

    def take_frame(self, deadline: float | None = None) -> tuple[int, bytes]:
        """The flags and the body of the next frame, opened."""
        _, body = super().take_frame(deadline)
        return self.handshake.opened(body)


def opened_at_once(
    address: tuple[str, int], pair: KeyPair | None, server_key: str, kind: bytes
) -> Connection:
    """A connection whose owner has said all of the handshake, and goes on as if it were let in."""
    if pair is None:
        connection = Connection(address)
        connection.send(UNSEALED + ready(kind))
        return connection
    sealed = SealedConnection(address, pair, server_key)
    try:
        sealed.say_hello()
        sealed.send(sealed.handshake.initiate(kind))
    except BaseException:
        sealed.socket.close()
        raise
    sealed.seals = True
    return sealed
