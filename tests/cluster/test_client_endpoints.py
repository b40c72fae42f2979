"""Endpoints that cannot be used, beside one that can: they cost no call anything but a word."""

from __future__ import annotations

import http.server
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cluster import Client, UnavailableError
from cluster.client.resolving import is_numeric
from cluster.launcher.local import LocalCluster
from tests.cluster.inner import connection_of
from tests.cluster.probe import until

pytestmark = pytest.mark.process

WAIT = 20.0

Found = list[tuple[Any, Any, int, str, tuple[str, int]]]


def found(*hosts: str) -> Found:
    """What getaddrinfo says of a name that has these addresses."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in hosts]


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("127.0.0.1", True),
        ("255.255.255.255", True),
        ("[::1]", True),
        ("[fe80::1%1]", False),
        ("256.0.0.1", False),
        ("127.0.0.01", False),
        ("127.1", False),
        ("127.0.0.1.", False),
        ("1.2.3.4.5", False),
        ("[127.0.0.1]", False),
        ("[\0]", False),
        ("\u0661.0.0.1", False),
        ("localhost", False),
    ],
)
def test_an_address_is_told_from_a_name_as_the_system_does(host: str, is_it: bool) -> None:
    assert is_numeric(host) is is_it
    family, text = (socket.AF_INET6, host[1:-1]) if host[0] == "[" else (socket.AF_INET, host)
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):
        assert not is_it
    else:
        assert is_it


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Found | Exception | None]]:
    """A name service of this process: addresses, an error, or no answer until the end (None)."""
    known: dict[str, Found | Exception | None] = {}
    over = threading.Event()

    def look_up(host: str, *_: Any, **__: Any) -> Found:
        answer = known[host]
        if answer is None:
            over.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield known
    over.set()


@contextmanager
def web_server() -> Iterator[str]:
    handler = http.server.BaseHTTPRequestHandler
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def silent_server() -> Iterator[str]:
    """It accepts connections, and that is all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def named(endpoint: str) -> Iterator[str]:
    yield endpoint


UNUSABLE = {
    "refused by libzmq": lambda: named("_foo:1"),
    "no host name": lambda: named("a..b:1"),
    "not found": lambda: named("nowhere:1"),
    "a name server that hangs": lambda: named("slow:1"),
    "a web server": web_server,
    "a silent server": silent_server,
}


def fill(names: dict[str, Found | Exception | None]) -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    names |= {"_foo": unknown, "nowhere": unknown, "slow": None}
    names["a..b"] = UnicodeError("label empty or too long")


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unusable_endpoint_keeps_no_call_from_the_good_one(
    kind: str, node: LocalCluster, names: dict[str, Found | Exception | None]
) -> None:
    fill(names)
    with UNUSABLE[kind]() as bad:
        for endpoints in ([bad, *node.endpoints], [*node.endpoints, bad]):
            with Client(endpoints, dial_timeout=WAIT, timeout=WAIT) as client:
                for _ in range(20):
                    client.put("k", "v")
                # Attempts that had been made at the bad one would have left it as the last.
                assert connection_of(client)._core.endpoints.up_count == 1


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("refused by libzmq", "'_foo' is not found: Name or service not known"),
        ("no host name", "'a..b' is not a host name"),
        ("not found", "'nowhere' is not found"),
        ("a web server", "no Leasehold node answers there: it speaks HTTP"),
        ("a silent server", "no Leasehold node answers there: it takes connections and says"),
    ],
)
def test_without_a_good_one_the_error_says_what_is_wrong_with_each(
    kind: str,
    reason: str,
    names: dict[str, Found | Exception | None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(names)
    with UNUSABLE[kind]() as bad, Client([bad, "slow:1"], timeout=WAIT) as client:
        with pytest.raises(UnavailableError, match="no endpoint answered within 5 s") as raised:
            client.put("k", "v")
        assert f"{bad} ({reason}" in raised.value.message
        assert "slow:1" in raised.value.message
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1 and f"endpoint {bad} is set aside: {reason}" in told[0]


def test_what_libzmq_refuses_is_set_aside(
    node: LocalCluster, names: dict[str, Found | Exception | None]
) -> None:
    names["odd"] = found("_foo")
    with Client(["odd:1", *node.endpoints], timeout=WAIT) as client:
        client.put("k", "v")
    with (
        Client("odd:1", dial_timeout=1.0) as client,
        pytest.raises(UnavailableError, match=r"odd:1 \(Invalid argument"),
    ):
        client.put("k", "v")


def test_a_name_of_several_addresses_leads_to_the_one_that_answers(
    node: LocalCluster, names: dict[str, Found | Exception | None]
) -> None:
    (endpoint,) = node.endpoints
    port = endpoint.rpartition(":")[2]
    names["both"] = found("127.0.0.9", "127.0.0.1")
    with Client(f"both:{port}", dial_timeout=WAIT, timeout=WAIT) as client:
        client.put("k", "v")


def test_a_name_that_moves_is_followed(
    node: LocalCluster, names: dict[str, Found | Exception | None]
) -> None:
    (endpoint,) = node.endpoints
    port = endpoint.rpartition(":")[2]
    names["moving"] = socket.gaierror(socket.EAI_AGAIN, "not yet")
    with Client(f"moving:{port}", dial_timeout=2 * WAIT, timeout=2 * WAIT) as client:
        begun = client.put_async("k", "v")
        until(lambda: "not yet" in connection_of(client)._core.endpoints.described())
        names["moving"] = found("127.0.0.1")
        assert begun.result(2 * WAIT).header.revision
