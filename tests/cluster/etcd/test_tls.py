"""TLS at a front in the test's own loop: who is let in, what is served inside, and the limits."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from cluster.etcd import front as front_module
from cluster.etcd.front import Front, PortKind, Protocols
from cluster.etcd.tls import credentials as credentials_module
from cluster.etcd.tls import handshakes as handshakes_module
from cluster.passages import open_pipe
from cluster.tls import self_signed
from cluster.tls.options import ServerTls
from cluster.values import DAY_SECONDS
from cluster.wire import pack, unpack
from tests.certificates import Authority, Pair
from tests.chaos.hostile.zmtp import Connection, frame
from tests.cluster.etcd.key_updates import NO_LIBRARY, Updater
from tests.cluster.etcd.loops import run, turn, until
from tests.cluster.etcd.standin import StandIn, echo, stand_in
from tests.cluster.etcd.test_front import CONFIG, FLOOD, Told, elsewhere, flood
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.usefixtures("each_loop")

SECURE: Final = PortKind(plain=False, tls=True)
BOTH: Final = PortKind(plain=True, tls=True)
SECRET: Final = b"only the front knows"

SMALL_BUFFER_BYTES: Final = 4_096
UPDATES_AT_LEAST: Final = 1_000
"""An honest client asks for new keys now and then."""
UPDATES_MAX: Final = 200_000

Address = tuple[str, int]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("strangers"), "another authority")


@pytest.fixture
def node() -> Iterator[StandIn]:
    with stand_in(echo) as made:
        yield made


class Asking(Told):
    """Asks the node something on behalf of its client, and then echoes."""

    def data_received(self, data: bytes) -> None:
        echoed = super().data_received
        self.link.call({"op": "range", "key": self.name}, lambda reply: echoed(data))


def tls_of(pair: Pair, ca: Path | None = None, **more: Any) -> ServerTls:
    ca_file = "" if ca is None else str(ca)
    tls = ServerTls(str(pair.cert), str(pair.key), ca_file, False, (), "", "", 0, ())
    return tls._replace(**more)


def protocols(kind: type[Told]) -> Protocols:
    return Protocols(partial(kind, b"1:"), partial(kind, b"2:"), partial(kind, b"m:"))


def front_of(
    node: StandIn, tls: ServerTls, kind: PortKind = SECURE, send_buffer_bytes: int = 0
) -> tuple[Front, Address]:
    """A front that listens with TLS, and its address."""

    config = CONFIG._replace(own_port=node.port, tls=tls, secret=SECRET.hex())
    front = Front(asyncio.get_running_loop(), config, protocols(Asking))
    listening = socket.create_server(("127.0.0.1", 0))
    address: Address = listening.getsockname()
    if send_buffer_bytes:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
    front.listen([listening], kind)
    return front, address


def client_context(
    authority: Authority, pair: Pair | None = None, alpn: Sequence[str] = ()
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.cert))
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


async def answer_to(
    address: Address, data: bytes, context: ssl.SSLContext | None = None
) -> tuple[bytes, str | None]:
    """What a client gets that sends this, and the protocol that was agreed on."""
    name = None if context is None else "localhost"
    reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=name)
    inside = writer.get_extra_info("ssl_object")
    writer.write(data)
    got = await reader.read(1_000)
    writer.close()
    return got, inside.selected_alpn_protocol() if inside else None


@pytest.mark.parametrize(
    ("alpn", "data", "answer", "agreed"),
    [
        ((), b"GET /", b"1:GET /", None),
        ((), b"PRI * HTTP/2.0\r\n", b"2:PRI * HTTP/2.0\r\n", None),
        (("h2",), b"PRI * HTTP/2.0\r\n", b"2:PRI * HTTP/2.0\r\n", "h2"),
        (("h2",), b"junk", b"2:junk", "h2"),
        (("http/1.1",), b"GET /", b"1:GET /", "http/1.1"),
        (("h2", "http/1.1"), b"GET /", b"1:GET /", "http/1.1"),
        (("spdy/1",), b"GET /", b"1:GET /", None),
    ],
)
def test_alpn_decides_and_without_it_the_first_bytes_inside(
    node: StandIn,
    authority: Authority,
    server: Pair,
    alpn: Sequence[str],
    data: bytes,
    answer: bytes,
    agreed: str | None,
) -> None:
    async def test() -> None:
        front, address = front_of(node, tls_of(server))
        context = client_context(authority, alpn=alpn)
        assert await answer_to(address, data, context) == (answer, agreed)
        await until(lambda: front.connections == 0)
        await front.stop()

    run(test)


@pytest.mark.parametrize(
    ("kind", "data", "answer"),
    [
        (BOTH, b"GET /", b"1:GET /"),
        (SECURE, b"GET /", b"Client sent an HTTP request to an HTTPS server.\n"),
        (SECURE, b"PRI * HTTP/2.0\r\n", b""),
        (SECURE, b"\xff\0\0\0\0\0\0\0\1\x7f", b""),
        (BOTH._replace(only_metrics=True), b"GET /metrics", b"m:GET /metrics"),
    ],
)
def test_plain_bytes_are_served_only_where_a_url_is_http(
    node: StandIn,
    authority: Authority,
    server: Pair,
    caplog: pytest.LogCaptureFixture,
    kind: PortKind,
    data: bytes,
    answer: bytes,
) -> None:
    async def test() -> None:
        front, address = front_of(node, tls_of(server), kind)
        got, _ = await answer_to(address, data)
        assert got.endswith(answer) if answer else got == b""
        inside, _ = await answer_to(address, b"GET /metrics", client_context(authority))
        assert inside == (b"m:" if kind.only_metrics else b"1:") + b"GET /metrics"
        await until(lambda: front.connections == 0)
        await front.stop()

    run(test)
    said = "first record does not look like a TLS handshake" in caplog.text
    assert said == (not kind.plain)


def test_zeromq_is_passed_on_inside_tls_in_large_frames_both_ways(
    node: StandIn, authority: Authority, server: Pair
) -> None:
    def talk(address: Address) -> None:
        client = Connection(address)
        client.socket.settimeout(HANG_SECONDS)
        client.socket = client_context(authority).wrap_socket(
            client.socket, server_hostname="localhost"
        )
        client.shake_hands(b"DEALER")
        for size in (0, 1, 16_384, 65_536, 900_000):
            value = bytes([size % 251]) * size
            client.socket.sendall(frame(pack({"id": size, "key": value})))
            ((payload,),) = client.messages(1, HANG_SECONDS)
            reply = unpack(payload)
            assert (reply["id"], reply["key"]) == (size, value)
        client.socket.close()

    async def test() -> None:
        front, address = front_of(node, tls_of(server))
        await asyncio.get_running_loop().run_in_executor(None, talk, address)
        assert len(node.routes) == 1
        await until(lambda: front.connections == 0 and len(node.gone) == 1)
        await front.stop()

    run(test)


def test_a_client_of_zeromq_that_does_not_read_inside_tls_stops_the_node_and_not_the_front(
    authority: Authority, server: Pair
) -> None:
    def greeted(address: Address) -> Connection:
        client = Connection(address)
        client.socket.settimeout(HANG_SECONDS)
        client.socket = client_context(authority).wrap_socket(
            client.socket, server_hostname="localhost"
        )
        client.shake_hands(b"DEALER")
        return client

    async def test() -> None:
        front, address = front_of(flooding, tls_of(server))
        slow = await elsewhere(lambda: greeted(address))
        slow.send(frame(FLOOD))
        await until(lambda: bool(flooding.requests) and flooding.requests[-1]["op"] == "full")
        sent = flooding.requests[-1]["sent"]
        assert (await answer_to(address, b"GET /", client_context(authority)))[0] == b"1:GET /"
        # And it gets all of it once it reads, in order, and nothing is lost.
        got = await elsewhere(lambda: list(slow.messages(sent, HANG_SECONDS)))
        assert len(got) == sent
        slow.socket.close()
        await until(lambda: front.connections == 0)
        await front.stop()

    with stand_in(flood) as flooding:
        run(test)


class Busy(Told):
    """Takes what comes first, and then nothing."""

    def data_received(self, data: bytes) -> None:
        self.transport.pause_reading()


def test_a_client_inside_tls_is_read_no_further_than_its_protocol_takes(
    node: StandIn, authority: Authority, server: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_max = 32 * 1024 * 1024  # the buffers of both sockets take less

    def connected(address: Address) -> ssl.SSLSocket:
        bare = socket.create_connection(address, HANG_SECONDS)
        return client_context(authority).wrap_socket(bare, server_hostname="localhost")

    async def test() -> None:
        front, address = front_of(node, tls_of(server))
        monkeypatch.setattr(front, "protocols", Protocols(*[partial(Busy, b"")] * 3))
        client = await elsewhere(lambda: connected(address))
        client.setblocking(False)
        sent, tries = 0, 0
        while sent < sent_max and tries < 300:
            try:
                sent += client.send(bytes(65_536))
            except ssl.SSLWantWriteError:
                tries += 1
                await turn()
        assert sent < sent_max
        client.close()
        await front.stop()

    run(test)


def hello_of(authority: Authority) -> bytes:
    """A client's first message."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context(authority).wrap_bio(there, back, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return back.read()


def test_a_handshake_in_the_smallest_pieces_succeeds(
    node: StandIn, authority: Authority, server: Pair
) -> None:
    """Each byte of the client's first message comes by itself."""

    def talk(address: Address) -> bytes:
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context(authority).wrap_bio(there, back, server_hostname="localhost")
        with socket.create_connection(address, HANG_SECONDS) as bare:
            bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with pytest.raises(ssl.SSLWantReadError):
                client.do_handshake()
            for byte in back.read():
                bare.sendall(bytes([byte]))
            there.write(bare.recv(65_536))
            client.do_handshake()
            client.write(b"GET /")
            bare.sendall(back.read())
            there.write(bare.recv(65_536))
            return client.read(100)

    async def test() -> None:
        front, address = front_of(node, tls_of(server))
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, talk, address) == b"1:GET /"
        await until(lambda: front.connections == 0)
        await front.stop()

    run(test)


async def closed(reader: asyncio.StreamReader) -> bool:
    """Whether the other side has closed; waits for it."""
    try:
        while await reader.read(65_536):
            continue
    except ConnectionError:
        pass
    return True


def test_a_handshake_has_a_time_limit_and_the_first_bytes_inside_have_one(
    node: StandIn,
    authority: Authority,
    server: Pair,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(handshakes_module, "HANDSHAKE_SECONDS", 0.05)

    async def test() -> None:
        front, address = front_of(node, tls_of(server))
        reader, writer = await asyncio.open_connection(*address)
        writer.write(hello_of(authority)[:40])
        assert await closed(reader)
        writer.close()
        await until(lambda: front.connections == 0)
        monkeypatch.setattr(handshakes_module, "HANDSHAKE_SECONDS", HANG_SECONDS)
        monkeypatch.setattr(front_module, "FIRST_BYTES_SECONDS", 0.2)
        context = client_context(authority)
        reader, writer = await asyncio.open_connection(
            *address, ssl=context, server_hostname="localhost"
        )
        assert await closed(reader)
        writer.close()
        await until(lambda: front.connections == 0)
        await front.stop()

    run(test)
    assert "the handshake takes too long" in caplog.text


def test_of_too_many_unfinished_handshakes_the_oldest_are_given_up(
    node: StandIn,
    authority: Authority,
    server: Pair,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(handshakes_module, "HANDSHAKES_MAX", 3)

    async def test() -> None:
        front, address = front_of(node, tls_of(server))
        slow = []
        for _ in range(5):
            slow.append(await asyncio.open_connection(*address))
            slow[-1][1].write(hello_of(authority)[:40])
        assert await closed(slow[0][0])
        assert await closed(slow[1][0])
        assert (await answer_to(address, b"GET /", client_context(authority)))[0] == b"1:GET /"
        for _, writer in slow:
            writer.close()
        await until(lambda: front.connections == 0)
        await front.stop()

    run(test)
    assert "unfinished handshakes" in caplog.text


def test_a_client_needs_a_certificate_of_the_authority_and_its_name_goes_to_the_node(
    node: StandIn,
    authority: Authority,
    stranger: Authority,
    server: Pair,
    caplog: pytest.LogCaptureFixture,
) -> None:
    alice, mallory = authority.issue("alice", ()), stranger.issue("mallory", ())

    async def refused(address: Address, pair: Pair | None) -> bool:
        try:
            return (await answer_to(address, b"GET /", client_context(authority, pair)))[0] == b""
        except OSError:
            return True

    async def test() -> None:
        tls = tls_of(server, authority.cert, client_cert_auth=True)
        front, address = front_of(node, tls)
        assert await refused(address, None)
        assert await refused(address, mallory)
        for data in (b"PRI * HTTP/2.0\r\n", b"GET /"):
            await answer_to(address, data, client_context(authority, alice))
        await until(lambda: len(node.requests) == 2 and front.connections == 0)
        await front.stop()

    run(test)
    by_grpc, by_json = node.requests
    assert (by_grpc["common_name"], by_grpc["front"]) == ("alice", SECRET)
    assert by_json.keys() == {"op", "key", "id"}
    assert "tls: client didn't provide a certificate" in caplog.text
    assert "x509: certificate signed by unknown authority" in caplog.text


def test_a_name_says_nothing_where_the_flag_does_not_say_that_it_counts(
    node: StandIn, authority: Authority, server: Pair
) -> None:
    alice = authority.issue("alice", ())

    async def test() -> None:
        front, address = front_of(node, tls_of(server, authority.cert))
        await answer_to(address, b"PRI * HTTP/2.0\r\n", client_context(authority, alice))
        await until(lambda: len(node.requests) == 1 and front.connections == 0)
        await front.stop()

    run(test)
    assert "common_name" not in node.requests[0]


def test_a_node_with_an_audit_log_is_told_where_each_client_of_the_front_is(
    node: StandIn, authority: Authority, server: Pair
) -> None:
    places = []
    told, telling = open_pipe()

    async def test() -> None:
        config = CONFIG._replace(own_port=node.port, secret=SECRET.hex(), passages=telling)
        config = config._replace(tls=tls_of(server))
        front = Front(asyncio.get_running_loop(), config, protocols(Asking))
        listening = socket.create_server(("127.0.0.1", 0))
        front.listen([listening], BOTH)
        for context, name in ((None, None), (client_context(authority), "localhost")):
            reader, writer = await asyncio.open_connection(
                *listening.getsockname(), ssl=context, server_hostname=name
            )
            host, port = writer.get_extra_info("sockname")
            places.append(f"{host}:{port}")
            writer.write(b"GET /")
            await reader.read(1_000)
            writer.close()
        await until(lambda: front.connections == 0)
        await front.stop()

    run(test)
    for end in (told, telling):
        os.close(end)
    assert [request["client"] for request in node.requests] == places
    assert [request["front"] for request in node.requests] == [SECRET, SECRET]


async def name_served(address: Address, authority: Authority) -> str:
    """The common name of the certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection(
        *address, ssl=client_context(authority), server_hostname="localhost"
    )
    subject = writer.get_extra_info("peercert")["subject"]
    writer.close()
    return str(dict(part[0] for part in subject)["commonName"])


def test_changed_files_are_served_at_once_and_broken_ones_never(
    node: StandIn, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def test() -> None:
        first = authority.issue("first", file="served")
        front, address = front_of(node, tls_of(first))
        reader, writer = await asyncio.open_connection(
            *address, ssl=client_context(authority), server_hostname="localhost"
        )
        assert await name_served(address, authority) == "first"
        authority.issue("second", file="served")
        assert await name_served(address, authority) == "second"
        whole = first.cert.read_bytes()
        first.cert.write_bytes(whole[: len(whole) // 2])
        assert await name_served(address, authority) == "second"
        authority.issue("over", file="served", life=-timedelta(hours=1))
        assert await name_served(address, authority) == "second"
        authority.issue("third", file="served")
        assert await name_served(address, authority) == "third"
        writer.write(b"GET /")  # who was there before them all still is
        assert await reader.read(100) == b"1:GET /"
        writer.close()
        await until(lambda: front.connections == 0)
        await front.stop()

    run(test)
    assert "goes on with the certificates it has" in caplog.text
    assert "the certificate has expired" in caplog.text
    assert "serves the certificates of files that have changed" in caplog.text


def test_files_are_looked_at_also_when_nobody_connects(
    node: StandIn,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(credentials_module, "LOOK_SECONDS", 0.01)

    async def test() -> None:
        pair = authority.issue("looked at", file="looked-at")
        front, _ = front_of(node, tls_of(pair))
        pair.key.unlink()
        await until(lambda: "No such file" in caplog.text)
        await front.stop()

    run(test)


def test_a_front_whose_files_are_broken_serves_again_when_they_are_mended(
    node: StandIn, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """A front may be killed, and started again, at such a moment."""

    async def test() -> None:
        pair = authority.issue("mended")
        key = pair.key.read_bytes()
        pair.key.write_bytes(b"")
        front, address = front_of(node, tls_of(pair), BOTH)
        assert (await answer_to(address, b"GET /"))[0] == b"1:GET /"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await answer_to(address, b"GET /", client_context(authority))
        pair.key.write_bytes(key)
        assert (await answer_to(address, b"GET /", client_context(authority)))[0] == b"1:GET /"
        await until(lambda: front.connections == 0)
        await front.stop()

    run(test)
    assert "serves no TLS" in caplog.text


def test_bytes_that_were_changed_on_their_way_end_the_connection(
    node: StandIn, authority: Authority, server: Pair
) -> None:
    def talk(address: Address) -> bytes:
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context(authority).wrap_bio(there, back, server_hostname="localhost")
        with socket.create_connection(address, HANG_SECONDS) as bare:
            with pytest.raises(ssl.SSLWantReadError):
                client.do_handshake()
            bare.sendall(back.read())
            there.write(bare.recv(65_536))
            client.do_handshake()
            client.write(b"GET /")
            sealed = bytearray(back.read())
            sealed[-1] ^= 1
            try:
                bare.sendall(sealed)
                return bare.recv(65_536)
            except ConnectionError:
                return b""

    async def test() -> None:
        front, address = front_of(node, tls_of(server))
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, talk, address) == b""
        await until(lambda: front.connections == 0)
        await front.stop()

    run(test)


@pytest.mark.skipif(bool(NO_LIBRARY), reason=NO_LIBRARY)
def test_a_client_that_asks_for_new_keys_and_never_reads_is_closed(
    node: StandIn, server: Pair
) -> None:
    """Each time OpenSSL answers by itself: the answers must not pile up."""

    def ask_until_closed(address: Address) -> int:
        with socket.socket() as bare:
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
            bare.connect(address)
            asking = Updater(bare)
            asking.say(b"GET /")  # who says nothing is closed for that
            return next(number for number in range(UPDATES_MAX) if not asking.update())

    async def test() -> None:
        front, address = front_of(node, tls_of(server), send_buffer_bytes=SMALL_BUFFER_BYTES)
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, ask_until_closed, address) > UPDATES_AT_LEAST
        await until(lambda: front.connections == 0)
        await front.stop()

    run(test)


@pytest.mark.process
def test_a_front_renews_the_certificate_that_its_node_has_made(
    node: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(credentials_module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(credentials_module, "RENEW_AGAIN_SECONDS", 0.01)
    path = os.environ["PATH"]
    pair = Pair(tmp_path / "cert.pem", tmp_path / "key.pem")
    tls = tls_of(pair, self_signed_years=1)
    self_signed.ensure(tls)
    first = pair.cert.read_text()

    async def shown(address: Address) -> str:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection(*address, ssl=context)
        certificate = writer.get_extra_info("ssl_object").getpeercert(True)
        writer.close()
        return ssl.DER_cert_to_PEM_cert(certificate)

    async def test() -> None:
        front, address = front_of(node, tls)
        assert await shown(address) == first
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(self_signed, "RENEWED_BEFORE_SECONDS", 366 * DAY_SECONDS)
        await until(lambda: "no other certificate is made: --auto-tls needs" in caplog.text)
        assert await shown(address) == first
        monkeypatch.setenv("PATH", path)
        await until(lambda: pair.cert.read_text() != first)
        assert await shown(address) != first
        await front.stop()

    run(test)
