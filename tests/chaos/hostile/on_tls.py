"""What is done to fronts that want TLS, and certificates of their clients.

Half handshakes, garbage records, wrong certificates, other protocols, and changes of a connection
that is up. Whoever is answered without a certificate of the authority has got through.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
from contextlib import ExitStack, suppress
from typing import Final

from tests.chaos.hostile.intruder import ASKING, Intruder, Kind
from tests.chaos.hostile.on_clients import HOLD_SECONDS, WAIT_SECONDS
from tests.chaos.hostile.person import tls_of
from tests.chaos.hostile.zmtp import GREETING, READ_BYTES, Connection, ready

HALF_OPEN: Final = 200
RECORD_BYTES_MAX: Final = 16_384 + 256
OPENSSL: Final = "openssl"
RENEWALS: Final = 20
RENEWAL_SECONDS: Final = 0.05

ALERT, HANDSHAKE, DATA, HEARTBEAT, CHANGE = 21, 22, 23, 24, 20
"""The types of records (RFC 8446, 5.1), and of one that nobody speaks any more."""


def _record(kind: int, body: bytes, size: int | None = None) -> bytes:
    return bytes([kind, 3, 3]) + (len(body) if size is None else size).to_bytes(2, "big") + body


def _client_hello(me: Intruder) -> bytes:
    """The first record of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        tls_of(me.person).wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def _see_end(me: Intruder, connection: Connection, what: str) -> None:
    """Read until the end; an answer of HTTP in the clear got through."""
    connection.socket.settimeout(WAIT_SECONDS)
    said = b""
    try:
        while data := connection.socket.recv(READ_BYTES):
            said += data
        me.sight.add("closed by the front")
    except TimeoutError:
        me.sight.add("left open")
    except OSError:
        me.sight.add("closed by the front")
    if b"HTTP/1.1 200" in said or b"\x05READY" in said:
        me.saw_through(what)
    elif said[:1] == bytes([ALERT]):
        me.sight.add("told an alert")
    elif said.startswith(b"HTTP/1.0 400"):
        me.sight.add("told to use TLS")


def half_handshakes(me: Intruder) -> None:
    """A handshake that is broken off somewhere, or comes a byte at a time."""
    hello = _client_hello(me)
    with Connection(me.front_address()) as connection:
        if me.chance.random() < 0.3:
            for byte in hello[: me.chance.randrange(1, 30)]:
                connection.send(bytes([byte]))
                me.hold(0.02)
        else:
            connection.send(hello[: me.chance.randrange(1, len(hello) + 1)])
        closed = connection.is_closed_within(me.chance.choice((0.1, HOLD_SECONDS)))
        me.sight.add("closed by the front" if closed else "left open")


def odd_records(me: Intruder) -> None:
    """Records that are garbage, too long, out of order or of an old kind, and very many alerts."""
    chance, hello = me.chance, _client_hello(me)
    changed = bytearray(hello)
    for _ in range(chance.randrange(1, 6)):
        changed[chance.randrange(5, len(changed))] = chance.randrange(256)
    said = chance.choice(
        (
            _record(HANDSHAKE, chance.randbytes(chance.randrange(1, 2_000))),
            _record(HANDSHAKE, hello[5:], RECORD_BYTES_MAX) + chance.randbytes(20_000),
            hello + _record(DATA, chance.randbytes(500)),
            hello + _record(CHANGE, b"\1") * 2_000,
            hello + _record(HEARTBEAT, b"\1\xff\xff" + bytes(16)),
            _record(ALERT, b"\1\0") * 2_000,
            _record(HANDSHAKE, b"") * 5_000,
            hello * 20,
            b"\x80\x2e\1\0\2\0\x15\0\0\0\x10" + chance.randbytes(35),
            bytes(changed),
        )
    )
    with Connection(me.front_address()) as connection:
        connection.send(said)
        _see_end(me, connection, "a front by odd records")


def wrong_certificates(me: Intruder) -> None:
    """A handshake and a question, with the certificate that one has, or none; also of old TLS."""
    is_own = me.chance.random() >= 0.3
    if is_own:
        context = tls_of(me.person)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers(me.chance.choice(("ALL:@SECLEVEL=0", "AES128-SHA", "NULL:@SECLEVEL=0")))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    connection = Connection(me.front_address())
    with connection:
        connection.socket = context.wrap_socket(connection.socket)
        connection.send(ASKING)
        if not connection.socket.recv(READ_BYTES):
            raise ConnectionError("closed by the front, with no answer")
        if is_own and me.person.is_invited:
            me.sight.add("answered, with a certificate")
        else:
            me.saw_through("a front with a wrong certificate")


def in_the_clear(me: Intruder) -> None:
    """HTTP, HTTP/2 and ZeroMQ, as if there were no TLS."""
    said = me.chance.choice(
        (
            ASKING,
            b"POST /v3/kv/range HTTP/1.1\r\nHost: front\r\nContent-Length: 2\r\n\r\n{}",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
            GREETING + ready(b"DEALER"),
        )
    )
    with Connection(me.front_address()) as connection:
        connection.send(said)
        _see_end(me, connection, "a front in the clear")


def half_open(me: Intruder) -> None:
    """Very many handshakes that are begun, and go on no further."""
    hello = _client_hello(me)
    with ExitStack() as open_ones:
        for _ in range(HALF_OPEN):
            connection = open_ones.enter_context(Connection(me.front_address()))
            connection.send(hello[: me.chance.choice((1, 6, len(hello)))])
        me.sight.add("begun", HALF_OPEN)
        me.hold(me.chance.uniform(0, HOLD_SECONDS))


def renegotiations(me: Intruder) -> None:
    """New handshakes within a connection that is up, and new keys, as fast as they are given."""
    host, port = me.front_address()
    letter, version = me.chance.choice((("R", "-tls1_2"), ("K", "-tls1_3"), ("k", "-tls1_3")))
    shown = me.person.certificate
    files = [f"-cert={shown[0]}", f"-key={shown[1]}"] if shown else []
    command = [OPENSSL, "s_client", "-connect", f"{host}:{port}", version]
    for each in files:
        command += each.split("=", 1)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        try:
            for _ in range(RENEWALS):
                process.stdin.write(letter.encode() + b"\n")
                process.stdin.flush()
                me.hold(RENEWAL_SECONDS)
            me.sight.add("left open" if process.poll() is None else "closed by the front")
        except BrokenPipeError:
            me.sight.add("closed by the front")
        finally:
            process.kill()


KINDS: Final = (
    Kind("half-tls", half_handshakes, 0.1),
    Kind("odd-records", odd_records, 0.1),
    Kind("certificates", wrong_certificates, 0.1),
    Kind("in-the-clear", in_the_clear, 0.1),
    Kind("half-open-tls", half_open, 0.5),
    *([Kind("renegotiations", renegotiations, 1.0)] if shutil.which(OPENSSL) else []),
)
"""Everything that is done to a front that wants TLS."""
