"""The client inside TLS, as far as it goes without a node: whom it believes, and what it says."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster import Client
from cluster.cli.ending import CommandError
from cluster.cli.global_flags import environment_settings
from cluster.cli.settings import CliSettings
from cluster.client.engine.endpoints import parse
from cluster.client.examining import CERTIFICATE_WANTED
from cluster.client.flows.uplink import Uplink
from cluster.client.heartbeats import heartbeats
from cluster.client.relay import Relay, Target
from cluster.client.threads.shell import ThreadShell
from cluster.tls.asking import client_context
from cluster.tls.files import ARGUMENTS, ClientFiles
from cluster.tls.loading import TlsError
from tests.certificates import Authority, Pair
from tests.cluster.probe import until
from tests.limits import HANG_SECONDS, PATIENT

Talk = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("strangers"), "another authority")


@contextmanager
def server(talk: Talk) -> Iterator[int]:
    """A server that talks to one client after the other; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        is_over = threading.Event()

        def serve() -> None:
            while True:
                accepted, _ = listening.accept()
                with accepted:
                    if is_over.is_set():
                        return
                    accepted.settimeout(HANG_SECONDS)
                    try:
                        talk(accepted)
                    except OSError:
                        continue  # the client has had enough

        thread = threading.Thread(target=serve)
        thread.start()
        port: int = listening.getsockname()[1]
        try:
            yield port
        finally:
            is_over.set()
            socket.create_connection(("127.0.0.1", port), HANG_SECONDS).close()
            thread.join()


def inside(pair: Pair, ca: Path | None = None) -> Talk:
    """Shake hands with this certificate, wait for the client's first word, and hang up.

    A client that is refused is told why: what it says meanwhile is read until it has gone, or the
    reset that answers unread bytes could come before the reason.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if ca is not None:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED

    def talk(accepted: socket.socket) -> None:
        with context.wrap_socket(
            accepted, server_side=True, do_handshake_on_connect=False
        ) as wrapped:
            try:
                wrapped.do_handshake()
                wrapped.recv(1)
            except ssl.SSLError:
                while os.read(wrapped.fileno(), 4_096):
                    continue

    return talk


def plainly(answer: bytes) -> Talk:
    """Answer whatever comes with these bytes, without TLS."""

    def talk(accepted: socket.socket) -> None:
        accepted.recv(4_096)
        accepted.sendall(answer)

    return talk


def reason_of(caplog: pytest.LogCaptureFixture, endpoint: str, **options: Any) -> str:
    """Why a client cannot use an endpoint, as it logs it."""
    caplog.clear()
    with Client(endpoint, **PATIENT, **options) as client:
        client.get_async(b"k")
        until(lambda: caplog.records)
    return caplog.records[0].getMessage().partition(f"endpoint {endpoint} is set aside: ")[2]


def test_a_server_that_is_not_believed_is_set_aside_with_the_reason(
    authority: Authority, stranger: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    ca, over = authority.cert, authority.issue("over", life=-timedelta(hours=1))
    elsewhere = authority.issue("elsewhere", ("a.b", "10.0.0.1"))
    for pair, options, reason in (
        (stranger.issue("server"), {"ca_cert": ca}, "certificate signed by unknown authority"),
        (authority.issue("server"), {}, "x509: certificate signed by unknown authority"),
        (over, {"ca_cert": ca}, "x509: certificate has expired"),
        (elsewhere, {"ca_cert": ca}, "x509: certificate is not valid for '127.0.0.1'"),
        # Who shakes hands and then says nothing of ZeroMQ is no node.
        (authority.issue("server"), {"ca_cert": ca}, CERTIFICATE_WANTED),
        (stranger.issue("server"), {"insecure_skip_verify": True}, CERTIFICATE_WANTED),
    ):
        with server(inside(pair)) as port:
            assert reason in reason_of(caplog, f"https://127.0.0.1:{port}", **options)
    with server(inside(elsewhere)) as port:
        said = reason_of(caplog, f"https://localhost:{port}", ca_cert=ca)
        assert said == "x509: certificate is not valid for 'localhost'"


def test_a_server_without_tls_and_one_that_wants_a_certificate_say_so(
    authority: Authority, stranger: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    ca, good = authority.cert, authority.issue("server")
    with server(plainly(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        said = reason_of(caplog, f"https://127.0.0.1:{port}", ca_cert=ca)
        assert said == "the server speaks no TLS"
    with server(plainly(b"")) as port:
        said = reason_of(caplog, f"https://127.0.0.1:{port}", ca_cert=ca)
        assert "it may speak no TLS" in said
    mallory = stranger.issue("mallory", ())
    with server(inside(good, ca)) as port:
        endpoint = f"https://127.0.0.1:{port}"
        assert reason_of(caplog, endpoint, ca_cert=ca).endswith("tls: certificate required")
        said = reason_of(caplog, endpoint, ca_cert=ca, cert=mallory.cert, key=mallory.key)
        assert said.endswith("tls: unknown certificate authority")


def test_files_that_cannot_be_used_are_named_when_the_client_is_made(
    authority: Authority,
) -> None:
    alice, none = authority.issue("alice", ()), authority.directory / "none"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"ca_cert": none}, f"ca_cert={none}: No such file or directory"),
        ({"ca_cert": alice.key}, f"ca_cert={alice.key}: there is no certificate in PEM in it"),
        ({"cert": alice.cert}, "key and cert must both be present"),
        ({"cert": alice.cert, "key": none}, f"key={none}: No such file or directory"),
    ]
    for options, complaint in wrong:
        with pytest.raises(TlsError) as caught:
            Client("https://127.0.0.1:1", **options)
        assert str(caught.value).startswith(complaint)


class NotingShell(ThreadShell):
    """Notes what it is to connect to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Mapping[str, str], Mapping[str, str], bool]] = []

    def connect(
        self, addresses: Any, options: Any, direct: Any, changed: Any, own: Any, heartbeats: Any
    ) -> Any:
        self.asked.append((addresses, direct, own.tls is not None))
        raise ConnectionAbortedError


@pytest.mark.parametrize("has_files", [False, True])
def test_what_is_to_be_inside_tls_never_goes_another_way(
    authority: Authority, has_files: bool
) -> None:
    """As in etcd's clients, files mean TLS where an endpoint has no scheme, and only there."""
    shell = NotingShell()
    files = ClientFiles(str(authority.cert)) if has_files else ClientFiles()
    uplink = Uplink(
        shell,
        ["https://a:1", "http://b:2", "c:3"],
        dial_timeout=1.0,
        timeout=1.0,
        exactly_once=True,
        direct=True,
        files=files,
        heartbeats=heartbeats(1.0, 1.0),
        key_file="",
    )
    with pytest.raises(ConnectionAbortedError):
        uplink.connection()
    ((addresses, direct, has_tls),) = shell.asked
    bare = "https://c:3" if has_files else "tcp://c:3"
    assert addresses == {"https://a:1": "https://a:1", "http://b:2": "tcp://b:2", "c:3": bare}
    assert direct.keys() == ({"http://b:2"} if has_files else {"http://b:2", "c:3"})
    assert has_tls


def test_without_https_no_file_is_read() -> None:
    assert parse("http://a:1") == {"http://a:1": "tcp://a:1"}
    with Client("http://127.0.0.1:1", ca_cert="none"):
        pass


def test_flags_and_variables_of_etcdctl_name_the_files(authority: Authority) -> None:
    variables = {
        "ETCDCTL_CACERT": "theirs",
        "LEASECTL_CACERT": "ours",
        "ETCDCTL_CERT": "c",
        "ETCDCTL_KEY": "k",
        "ETCDCTL_INSECURE_SKIP_TLS_VERIFY": "true",
    }
    settings = environment_settings(variables)
    assert (settings.cacert, settings.cert, settings.key) == ("ours", "c", "k")
    assert settings.insecure_skip_tls_verify
    with pytest.raises(CommandError, match=r"strconv\.ParseBool"):
        environment_settings({"LEASECTL_INSECURE_SKIP_TLS_VERIFY": "perhaps"})
    with pytest.raises(CommandError, match=r"^--cacert=none: No such file"):
        CliSettings(cacert="none").connect()
    with pytest.raises(CommandError, match=r"^--cacert=none: No such file"):
        CliSettings(cacert="none", endpoints=["a:1"]).identity()
    assert CliSettings(cacert="none", endpoints=["a:1"]).addresses() == {"a:1": "https://a:1"}


def from_another_process(name: str) -> bytes:
    """What another process of this user gets at an abstract unix socket."""
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(60);"
        " s.connect(chr(0) + sys.argv[1]); print('closed' if s.recv(1) == b'' else 'open', end='')"
    )
    command = [sys.executable, "-I", "-c", program, name]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.process
def test_no_other_process_speaks_with_the_clients_certificate() -> None:
    heard = threading.Event()

    def talk(accepted: socket.socket) -> None:
        heard.set()

    with server(talk) as port:
        relay = Relay(client_context(ClientFiles(), ARGUMENTS), lambda: None)
        url = relay.open(Target("a", "127.0.0.1", port, "localhost"))
        name = url.removeprefix("ipc://@")
        assert from_another_process(name) == b"closed"
        assert not heard.is_set()
        with socket.socket(socket.AF_UNIX) as own:
            own.connect(f"\0{name}")
            assert heard.wait(HANG_SECONDS)
        relay.end()
