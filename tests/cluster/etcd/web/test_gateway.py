"""The JSON gateway answers as etcd 3.5.1 does: bodies, statuses and the form of streams."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from cluster import wire
from cluster.etcd.counters import RpcCounters
from cluster.etcd.rpc.mapping import LONG_LISTS
from cluster.etcd.web.limits import UNWANTED_BYTES_MAX
from cluster.etcd.web.server import WebServer
from tests.cluster.etcd.services.probe import ProbeFeed, settle
from tests.cluster.etcd.web.wire import Client, Node

HEADER = {"cluster_id": 1, "member_id": 2, "revision": 3, "raft_term": 4}
SHOWN = '{"cluster_id":"1","member_id":"2","revision":"3","raft_term":"4"}'
NOT_FOUND = {"error": {"code": 5, "message": "etcdserver: requested lease not found"}}
REQUEST_BYTES_MAX = 1_000


class Facts(NamedTuple):
    cors: tuple[str, ...] = ("*",)
    request_bytes_max: int = REQUEST_BYTES_MAX
    node_pid: int = 1
    version: str = "0"


class Link(Node):
    """A link to a node that answers by a function."""

    def __init__(self, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(answer)
        self.feeds: list[ProbeFeed] = []
        self.is_closed = False

    def forget(self, call: int) -> None:
        pass

    def open_stream(
        self, on_message: Callable[[dict[str, Any]], None], on_end: Callable[[str], None]
    ) -> ProbeFeed:
        self.feeds.append(ProbeFeed(on_message, on_end))
        return self.feeds[-1]

    def close(self) -> None:
        self.is_closed = True


class Desk:
    """A client of a server whose node answers by a function."""

    def __init__(self, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self.link = Link(answer)
        self.counters = RpcCounters()
        self.server = WebServer(Facts(), self.counters)
        self.client = Client(lambda _: self.server.connection(self.link))

    def post(self, path: str, body: str, method: str = "POST", header: str = "") -> tuple[int, str]:
        """Status and body of the answer to a request, which may have one header more."""
        data = body.encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(data)}\r\n{header}\r\n"
        self.client.send(head.encode() + data)
        return self.answer()

    def answer(self) -> tuple[int, str]:
        head, _, body = self.client.read().partition(b"\r\n\r\n")
        if b"chunked" in head:
            body = dechunked(body)
        return int(head.split()[1]), body.decode()


def dechunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return whole


@pytest.fixture(autouse=True)
def a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """No event loop runs here: the server's look at its connections is the test's own."""
    monkeypatch.setattr(WebServer, "opened", lambda self, connection: None)


def answering(fields: dict[str, Any]) -> Desk:
    return Desk(lambda _: {"header": HEADER, **fields})


def refusing(reply: dict[str, Any]) -> Desk:
    return Desk(lambda _: reply)


def test_a_call_is_an_operation_of_the_node() -> None:
    desk = answering({})
    status, body = desk.post("/v3/kv/put", '{"key":"YQ==","value":"Yg==","prev_kv":true}')
    assert (status, body) == (200, f'{{"header":{SHOWN}}}')
    assert desk.link.requests == [{"op": "put", "key": b"a", "value": b"b", "prev_kv": True}]
    assert desk.counters.started == desk.counters.received == desk.counters.sent
    assert desk.counters.handled[b"/etcdserverpb.KV/Put", 0] == 1


@pytest.mark.parametrize("name", ["Authorization", "Grpc-Metadata-Token"])
def test_a_header_shows_whose_the_call_is(name: str) -> None:
    desk = answering({})
    desk.post("/v3/kv/put", '{"key":"YQ=="}', header=f"{name}: secret\r\n")
    assert desk.link.requests == [{"op": "put", "key": b"a", "token": "secret"}]


@pytest.mark.parametrize("path", ["/v3/kv/range", "/v3beta/kv/range", "/v3/kv/range?x=1"])
def test_paths_of_a_call(path: str) -> None:
    assert answering({"kvs": (), "more": False, "count": 0}).post(path, '{"key":"YQ=="}')[0] == 200


def test_an_error_of_the_node_has_its_status() -> None:
    text = "etcdserver: requested lease not found"
    assert refusing(NOT_FOUND).post("/v3/lease/revoke", '{"ID":"7"}') == (
        404,
        f'{{"error":"{text}","code":5,"message":"{text}"}}',
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/v3/kv/range", "", 405, "Method Not Allowed\n"),
        ("GET", "/v3/watch", "", 405, "Method Not Allowed\n"),
        ("GET", "/v3/lease/keepalive", "", 405, "Method Not Allowed\n"),
        ("POST", "/v3/nothing", "{}", 404, "Not Found\n"),
        ("POST", "/v3/kv/range/", "{}", 404, "Not Found\n"),
        ("POST", "/v3alpha/kv/range", "{}", 404, "404 page not found\n"),
        ("GET", "/", "", 404, "404 page not found\n"),
        ("PUT", "/health", "", 405, "Method Not Allowed\n"),
        ("GET", "/version", "", 200, '{"etcdserver":"3.5.1","etcdcluster":"3.5.0"}'),
        ("OPTIONS", "/v3/kv/range", "", 200, ""),
    ],
)
def test_paths_and_methods(method: str, path: str, body: str, status: int, text: str) -> None:
    assert answering({}).post(path, body, method) == (status, text)


@pytest.mark.parametrize(
    ("method", "path", "location", "text"),
    [
        ("POST", "/v3", "/v3/", ""),
        ("GET", "/v3", "/v3/", '<a href="/v3/">Moved Permanently</a>.\n\n'),
        ("POST", "//v3/kv/range?x=1&y", "/v3/kv/range?x=1&y", ""),
        ("POST", "/v3//kv/./range/", "/v3/kv/range/", ""),
        ("GET", "/v3/../health", "/health", '<a href="/health">Moved Permanently</a>.\n\n'),
        ("POST", "//a%0d%0aSet-Cookie:b", "/a%0D%0ASet-Cookie%3Ab", ""),
    ],
)
def test_a_client_is_sent_to_the_clean_path(
    method: str, path: str, location: str, text: str
) -> None:
    desk = answering({})
    desk.client.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    head, _, body = desk.client.read().decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 301 Moved Permanently\r\n")
    assert f"\r\nLocation: {location}\r\n" in head
    assert "Set-Cookie:" not in head
    assert body == text
    assert desk.post("/v3/kv/range", '{"key":"YQ=="}')[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "text"),
    [
        ("kv/range", "x", 400, 3, "invalid character 'x' looking for beginning of value"),
        ("watch", "x", 500, 2, "invalid character 'x' looking for beginning of value"),
        ("kv/range", '{"key":"e"}', 400, 3, "illegal base64 data at input byte 0"),
    ],
)
def test_a_body_that_is_no_request(path: str, body: str, status: int, code: int, text: str) -> None:
    answer = f'{{"error":"{text}","code":{code},"message":"{text}"}}'
    assert answering({}).post(f"/v3/{path}", body) == (status, answer)


def test_a_message_over_its_limit_is_refused_with_its_size() -> None:
    limit = REQUEST_BYTES_MAX + 512 * 1024
    value = base64.b64encode(bytes(limit)).decode()
    status, body = answering({}).post("/v3/kv/put", f'{{"value":"{value}"}}')
    assert status == 429
    assert json.loads(body)["message"] == (
        f"grpc: received message larger than max ({limit + 4} vs. {limit})"
    )


def long_desk() -> Desk:
    """A node whose answer to each request is long: 40 values of 30,000 bytes."""
    kv = {"key": b"k", "create_revision": 1, "mod_revision": 1, "version": 1, "lease": 0}
    kvs = [{**kv, "value": bytes(30_000)} for _ in range(40)]
    reply = {"header": HEADER, "kvs": kvs, "more": False, "count": 40}
    return Desk(lambda _: wire.unpack_lazily(wire.pack(reply), LONG_LISTS))


RANGE = b"POST /v3/kv/range HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until this is true."""
    while not condition():
        await settle()


def test_a_long_answer_waits_for_its_reader() -> None:
    async def test() -> None:
        desk = long_desk()
        wire_under_test = desk.client.wire
        wire_under_test.unread = 1_000_000
        desk.client.send(RANGE)
        await settle()
        assert len(wire_under_test.written) < 1_000
        wire_under_test.unread = 0
        desk.client.connection.resume_writing()
        await until(lambda: wire_under_test.written.endswith(b"0\r\n\r\n"))
        status, body = desk.answer()
        assert status == 200
        assert len(json.loads(body)["kvs"]) == 40

    asyncio.run(test())


def test_others_are_served_while_a_long_answer_is_written() -> None:
    async def test() -> None:
        first, second = long_desk(), answering({})
        first.client.send(RANGE)
        begun = len(first.client.wire.written)
        assert 0 < begun < 100_000
        assert second.post("/v3/kv/put", "{}")[0] == 200
        await until(lambda: first.client.wire.written.endswith(b"0\r\n\r\n"))
        assert len(json.loads(first.answer()[1])["kvs"]) == 40

    asyncio.run(test())


def test_each_request_of_a_stream_is_answered_by_a_line() -> None:
    desk = Desk(lambda request: {"header": HEADER, "ID": request["ID"], "TTL": 9})
    status, body = desk.post("/v3/lease/keepalive", '{"ID":"5"} {"ID":"6"}')
    assert status == 200
    assert body == "".join(
        f'{{"result":{{"header":{SHOWN},"ID":"{lease}","TTL":"9"}}}}\n' for lease in (5, 6)
    )


def test_a_stream_without_requests_has_no_lines() -> None:
    assert answering({}).post("/v3/lease/keepalive", "") == (200, "")


def test_a_faulty_request_ends_a_stream_that_has_begun_without_an_error() -> None:
    desk = Desk(lambda request: {"header": HEADER, "ID": request["ID"], "TTL": 9})
    status, body = desk.post("/v3/lease/keepalive", '{"ID":"5"} {"ID":"z"} {"ID":"6"}')
    assert status == 200
    assert body.count("result") == 1


def test_requests_before_a_fault_in_the_same_body_are_answered() -> None:
    desk = Desk(lambda request: {"header": HEADER, "ID": request["ID"], "TTL": 9})
    status, body = desk.post("/v3/lease/keepalive", '{"ID":"5"} x')
    assert status == 200
    assert body.count("result") == 1


def test_a_connection_goes_on_after_a_faulty_stream() -> None:
    desk = Desk(lambda request: {"header": HEADER, "ID": request["ID"], "TTL": 9})
    for body in ("x", '{"a":[1}}', '{"ID":"z"}'):
        assert desk.post("/v3/lease/keepalive", body)[0] == 500
    assert desk.post("/v3/lease/keepalive", '{"ID":"5"}')[0] == 200


def test_a_body_that_nobody_wants_is_read_up_to_a_limit() -> None:
    desk = Desk(lambda request: {"header": HEADER})
    head = b"POST /v3/lease/keepalive HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    desk.client.send(head + b"1\r\nx\r\n")
    assert desk.answer()[0] == 500
    chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
    for _ in range(UNWANTED_BYTES_MAX // 4096):
        desk.client.send(chunk)
    assert not desk.client.wire.is_closed
    desk.client.send(chunk)
    assert desk.client.wire.is_closed


def test_an_error_within_a_stream_is_its_last_line() -> None:
    replies: Iterator[dict[str, Any]] = iter([{"header": HEADER, "ID": 5, "TTL": 9}, NOT_FOUND])
    desk = Desk(lambda _: next(replies))
    status, body = desk.post("/v3/lease/keepalive", '{"ID":"5"}{"ID":"6"}')
    assert status == 200
    last = json.loads(body.splitlines()[-1])
    assert last == {
        "error": {
            "grpc_code": 5,
            "http_code": 404,
            "message": "etcdserver: requested lease not found",
            "http_status": "Not Found",
        }
    }


def test_a_watch_goes_on_after_its_request_and_ends_with_its_client() -> None:
    desk = answering({})
    desk.client.send(
        b"POST /v3/watch HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n"
        b'{"create_request":{"key":"YQ=="}}'
    )
    (feed,) = desk.link.feeds
    created = {"id": feed.sent[0]["id"], "header": HEADER, "watch_id": 0, "created": True}
    feed.on_message(created)
    assert desk.answer() == (200, f'{{"result":{{"header":{SHOWN},"created":true}}}}\n')
    kv = {"key": b"a", "create_revision": 4, "mod_revision": 4, "version": 1, "value": b"b"}
    feed.on_message({"header": HEADER, "watch_id": 0, "events": [{"type": "PUT", "kv": kv}]})
    assert '"events":[{"kv":{"key":"YQ=="' in desk.client.read().decode()
    desk.client.connection.connection_lost(None)
    assert feed.is_closed
    assert desk.link.is_closed


def test_a_watch_whose_client_does_not_read_is_not_read_from_the_node() -> None:
    desk = answering({})
    body = b'{"create_request":{"key":"YQ=="}}'
    desk.client.send(b"POST /v3/watch HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n" + body)
    (feed,) = desk.link.feeds
    feed.on_message({"id": feed.sent[0]["id"], "header": HEADER, "watch_id": 0, "created": True})
    desk.client.wire.unread = 1_000_000
    kv = {"key": b"a", "create_revision": 4, "mod_revision": 4, "version": 1, "value": b"b"}
    feed.on_message({"header": HEADER, "watch_id": 0, "events": [{"type": "PUT", "kv": kv}]})
    assert feed.is_paused
    desk.client.wire.unread = 0
    desk.client.connection.resume_writing()
    assert not feed.is_paused
