"""TLS for clients, beside etcd: who is let in, with which flags, and what is said of the others."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.certificates import Authority, Pair
from tests.differential.etcd import MISSING, binaries
from tests.differential.secured import LEASEHOLD, Secured, TlsClient
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.skipif(binaries() is None, reason=MISSING)

HTTP, HTTPS = ("http",), ("https",)


class Certificates(NamedTuple):
    """Who signs, and what was signed."""

    authority: Authority
    stranger: Authority
    server: Pair
    alice: Pair
    mallory: Pair

    @property
    def flags(self) -> list[str]:
        return [f"--cert-file={self.server.cert}", f"--key-file={self.server.key}"]

    @property
    def clients(self) -> dict[str, TlsClient]:
        """TlsClients of every kind, by name."""
        ours = self.authority
        return {
            "plain": TlsClient(None),
            "without a certificate": TlsClient(ours),
            "with a certificate": TlsClient(ours, self.alice),
            "with a stranger's certificate": TlsClient(ours, self.mallory),
            "who trusts others": TlsClient(self.stranger, self.alice),
            "of TLS 1.2": TlsClient(ours, self.alice, ssl.TLSVersion.TLSv1_2),
            "of TLS 1.1": TlsClient(ours, self.alice, ssl.TLSVersion.TLSv1_1),
        }


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    stranger = Authority(tmp_path_factory.mktemp("strangers"), "another authority")
    return Certificates(
        authority,
        stranger,
        authority.issue("server"),
        authority.issue("alice", ()),
        stranger.issue("mallory", ()),
    )


def etcd() -> tuple[str, ...]:
    programs = binaries()
    assert programs is not None
    return (str(programs / "etcd"),)


def both(stack: ExitStack, schemes: tuple[str, ...], flags: list[str]) -> tuple[Secured, Secured]:
    """An etcd and a node with the same flags."""
    with ThreadPoolExecutor() as pool:
        made = pool.map(lambda command: Secured(command, schemes, flags), (etcd(), LEASEHOLD))
    theirs, ours = made
    stack.enter_context(theirs)
    stack.enter_context(ours)
    return theirs, ours


@pytest.mark.parametrize(
    ("schemes", "more"),
    [
        (HTTP, ["--trusted-ca-file={ca}"]),
        (HTTPS + HTTP, ["--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]),
        (HTTPS, ["--trusted-ca-file={ca}", "--auto-tls"]),
    ],
)
def test_the_same_clients_are_let_in_and_the_same_is_said_of_the_others(
    certificates: Certificates, schemes: tuple[str, ...], more: list[str]
) -> None:
    flags = [*certificates.flags, *(each.format(ca=certificates.authority.cert) for each in more)]
    clients = certificates.clients
    ready = clients["plain" if schemes == HTTP else "with a certificate"]
    with ExitStack() as stack:
        theirs, ours = both(stack, schemes, flags)
        for each in (theirs, ours):
            each.wait_until_it_answers(ready)
        expected = {name: theirs.health(client) for name, client in clients.items()}
        assert {name: ours.health(client) for name, client in clients.items()} == expected
        for said in theirs.rejections:
            assert ours.has_rejected(said), said
        ignored = "scheme is HTTP while key and cert files are present"
        assert (ignored in ours.log) == (ignored in theirs.log)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "TLS key/cert (--cert-file, --key-file) must be provided for client url"),
        (["--cert-file={cert}", "--key-file={other}"], "private key does not match"),
    ],
)
def test_both_refuse_to_start_with_the_same_mistakes(
    certificates: Certificates, flags: list[str], said: str
) -> None:
    files = {"cert": certificates.server.cert, "other": certificates.alice.key}
    with ExitStack() as stack:
        for each in both(stack, HTTPS, [flag.format(**files) for flag in flags]):
            assert each.ended()
            assert said in each.log.replace("\\", "")


def test_files_that_change_are_served_to_the_next_client_by_both(
    certificates: Certificates,
) -> None:
    directory = certificates.authority.directory
    pair = certificates.authority.issue("first", file="changed")
    client = TlsClient(certificates.authority)
    flags = [f"--cert-file={pair.cert}", f"--key-file={pair.key}"]
    with ExitStack() as stack:
        servers = both(stack, HTTPS, flags)
        for each in servers:
            each.wait_until_it_answers(client)
        for each in servers:
            Authority(directory, "renewed authority").issue("second", file="changed")
            assert each.health(client) == "refused"
            certificates.authority.issue("third", file="changed")
            assert each.health(client) == "200"


@pytest.fixture(scope="module")
def demanding(certificates: Certificates) -> Iterator[tuple[Secured, Secured]]:
    """Both, where clients need a certificate."""
    flags = [*certificates.flags, f"--trusted-ca-file={certificates.authority.cert}"]
    with ExitStack() as stack:
        pair = both(stack, HTTPS, flags)
        for each in pair:
            each.wait_until_it_answers(TlsClient(certificates.authority, certificates.alice))
        yield pair


COMMANDS = (
    "put a 1",
    "get a --print-value-only",
    "put b 2 --prev-kv",
    "get a c -w fields --keys-only",
    "del a",
    "lease list",
    "lock held echo locked",
    "compact 2",
    "get a --rev=1",
    "auth status",
    "endpoint hashkv -w fields",
)

_PERSONAL = re.compile(r"[0-9a-f]{14,20}|https://[a-z]+:[0-9]+|\"(Raft|Mod|Hash).*\n")
"""Ids, addresses, and what differs from server to server."""


def etcdctl(server: Secured, certificates: Certificates, line: str) -> tuple[int, str, str]:
    """What a command line ends with, without what is personal."""
    programs = binaries()
    assert programs is not None
    ended = subprocess.run(
        [str(programs / "etcdctl"), *line.split()],
        env={
            **{name: text for name, text in os.environ.items() if "ETCDCTL" not in name},
            "ETCDCTL_ENDPOINTS": f"https://localhost:{server.port}",
            "ETCDCTL_CACERT": str(certificates.authority.cert),
            "ETCDCTL_CERT": str(certificates.alice.cert),
            "ETCDCTL_KEY": str(certificates.alice.key),
            "ETCDCTL_DIAL_TIMEOUT": f"{HANG_SECONDS:g}s",
            "ETCDCTL_COMMAND_TIMEOUT": f"{HANG_SECONDS:g}s",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    stderr = ended.stderr if ended.returncode else ""
    shown, said = (_PERSONAL.sub("", text) for text in (ended.stdout, _last_line(stderr)))
    return ended.returncode, shown, said


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def test_etcdctl_works_with_a_certificate_as_it_does_on_etcd(
    certificates: Certificates, demanding: tuple[Secured, Secured]
) -> None:
    theirs, ours = ([etcdctl(each, certificates, line) for line in COMMANDS] for each in demanding)
    assert ours == theirs
    assert [code for code, _, _ in theirs].count(0) >= len(COMMANDS) - 2


def test_etcdctl_watches_through_tls_while_the_certificate_changes(
    certificates: Certificates, demanding: tuple[Secured, Secured]
) -> None:
    """A stream that is open goes on, and new ones get the new certificate."""
    for server in demanding:
        programs = binaries()
        assert programs is not None
        watch = subprocess.Popen(
            [
                str(programs / "etcdctl"),
                f"--endpoints=https://localhost:{server.port}",
                f"--cacert={certificates.authority.cert}",
                f"--cert={certificates.alice.cert}",
                f"--key={certificates.alice.key}",
                "watch",
                "seen",
                "--rev=3",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert watch.stdout is not None
            assert etcdctl(server, certificates, "put seen 1")[0] == 0
            assert [watch.stdout.readline() for _ in range(3)] == ["PUT\n", "seen\n", "1\n"]
            certificates.authority.issue("server")
            assert etcdctl(server, certificates, "put seen 2")[0] == 0
            assert [watch.stdout.readline() for _ in range(3)] == ["PUT\n", "seen\n", "2\n"]
        finally:
            watch.kill()
            watch.communicate()
