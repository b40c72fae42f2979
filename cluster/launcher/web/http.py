"""HTTP/1.1 as far as one page needs it: a request is read within limits, an answer is written.

httptools parses heads, as it does for a node's front. A body has a Content-Length; chunks are
refused. It refuses to know what a path means.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import httptools

from cluster.launcher.web.limits import (
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    HEAD_SECONDS_MAX,
    IDLE_SECONDS_MAX,
    READ_STALL_SECONDS_MAX,
)

JSON: Final = "application/json"
PLAIN: Final = "text/plain; charset=utf-8"
EVENTS: Final = "text/event-stream"

SINGLE: Final = frozenset({"content-length", "host", "origin"})
"""Headers that a request may have only once: two readers must not read two requests."""

SAFE_HEADERS: Final = (
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    # The address has the token: no other server may learn it.
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'\r\n"
)
"""On every answer: nothing is kept, and the page can reach nothing but this server."""


class HttpRefusedError(Exception):
    """A request that is not carried out: the status, and one line for people."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Request(NamedTuple):
    """One request. The names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def is_last(self) -> bool:
        """Whether the browser wants no other answer on this connection."""
        options = self.headers.get("connection", "").lower().split(",")
        return "close" in (option.strip() for option in options)

    def query(self, name: str, default: str = "") -> str:
        """One value of the target's query."""
        values = parse_qs(self.target.partition("?")[2], keep_blank_values=True)
        return values.get(name, [default])[-1]

    def fields(self) -> dict[str, Any]:
        """The JSON object in the body. Raises HttpRefusedError."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise HttpRefusedError(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
        return found


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None when the client has no more. Raises HttpRefusedError."""
    try:
        async with asyncio.timeout(IDLE_SECONDS_MAX):
            first = await reader.read(1)
    except TimeoutError:
        return None
    if not first:
        return None
    try:
        async with asyncio.timeout(HEAD_SECONDS_MAX):
            head = first + await reader.readuntil(b"\r\n\r\n")
            method, target, headers = parse_head(head)
            body = await reader.readexactly(body_bytes(headers))
    except TimeoutError:
        raise HttpRefusedError(
            HTTPStatus.REQUEST_TIMEOUT, "the request took too long to arrive"
        ) from None
    except asyncio.LimitOverrunError:
        raise HttpRefusedError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"the head of the request is larger than {HEAD_BYTES_MAX} bytes",
        ) from None
    except asyncio.IncompleteReadError:
        return None
    return Request(method, target, headers, body)


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send, and wait while the browser reads slowly. Raises ConnectionError, TimeoutError."""
    writer.write(data)
    async with asyncio.timeout(READ_STALL_SECONDS_MAX):
        await writer.drain()


class _Head:
    """What the parser finds in the head of a request."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, target and headers of a request's head. Raises HttpRefusedError."""
    found = _Head()
    parser = httptools.HttpRequestParser(found)
    try:
        with suppress(httptools.HttpParserUpgrade):  # what else a client could speak is its affair
            parser.feed_data(head)
    except httptools.HttpParserError as error:
        raise _no_request(str(error)) from None
    if parser.get_http_version() != "1.1":
        raise _no_request(f"its version is {parser.get_http_version()}")
    target = found.target.decode("latin-1")
    if not target.startswith("/"):
        raise _no_request("its target is no path")
    headers: dict[str, str] = {}
    for field, value in found.fields:
        name = field.decode("latin-1").lower()
        if name in headers and name in SINGLE:
            raise HttpRefusedError(HTTPStatus.BAD_REQUEST, f"there is more than one {name}")
        headers[name] = value.decode("latin-1").rstrip()
    return parser.get_method().decode("latin-1"), target, headers


def _no_request(why: str) -> HttpRefusedError:
    return HttpRefusedError(HTTPStatus.BAD_REQUEST, f"this is no request of HTTP/1.1: {why}")


def body_bytes(headers: dict[str, str]) -> int:
    """The length of the body. Raises HttpRefusedError."""
    if "transfer-encoding" in headers:
        raise HttpRefusedError(HTTPStatus.LENGTH_REQUIRED, "a body must have a Content-Length")
    length = headers.get("content-length", "0")
    if not re.fullmatch("[0-9]{1,15}", length):
        raise HttpRefusedError(HTTPStatus.BAD_REQUEST, "the Content-Length is no number")
    if int(length) > BODY_BYTES_MAX:
        raise HttpRefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {BODY_BYTES_MAX} bytes"
        )
    return int(length)


def answer(status: int, body: bytes, content_type: str, *, closes: bool = False) -> bytes:
    """A whole answer."""
    end = "Connection: close\r\n" if closes else ""
    head = _head(status, content_type, f"Content-Length: {len(body)}\r\n{end}")
    return head + body


def answer_json(value: Any) -> bytes:
    """A whole answer in JSON."""
    return answer(HTTPStatus.OK, json.dumps(value, separators=(",", ":")).encode(), JSON)


def refusal(refused: HttpRefusedError, *, closes: bool) -> bytes:
    """The answer to a request that is not carried out."""
    return answer(refused.status, f"{refused.text}\n".encode(), PLAIN, closes=closes)


def stream_head() -> bytes:
    """The head of an answer that goes on until the connection ends."""
    return _head(HTTPStatus.OK, EVENTS, "Connection: close\r\n")


def stream_event(kind: str, data: str, number: str = "") -> bytes:
    """One message of a stream; `data` has no line breaks. `number` is where to go on after it."""
    line = f"id: {number}\n" if number else ""
    return f"{line}event: {kind}\ndata: {data}\n\n".encode()


def _head(status: int, content_type: str, lines: str) -> bytes:
    phrase = HTTPStatus(status).phrase
    first = f"HTTP/1.1 {int(status)} {phrase}\r\nContent-Type: {content_type}\r\n"
    return f"{first}{SAFE_HEADERS}{lines}\r\n".encode("latin-1")
