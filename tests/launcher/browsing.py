"""A browser's half of HTTP for the tests of the launcher's page: raw requests, and streams."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from tests.limits import HANG_SECONDS


class Answer(NamedTuple):
    """An answer; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Browser:
    """Asks the page's server as a browser would; every part of a request can be another."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.port is not None
        self.port = parts.port
        self.path = parts.path
        self.token = parts.path.strip("/")
        self.host = parts.netloc

    def get(self, path: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a GET of a path below the page's."""
        return self.ask("GET", self.path + path, headers or {})

    def post(self, path: str, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a POST by the page itself, with these headers instead of its own."""
        own = {
            "Origin": f"http://{self.host}",
            "X-Leasehold-Token": self.token,
            "Content-Type": "application/json",
        }
        return self.ask("POST", self.path + path, own | dict(headers or {}), json.dumps(value))

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: str = "") -> Answer:
        """The answer to any request."""
        return self.send(self.request(method, target, headers, body))

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: str = ""
    ) -> bytes:
        """The bytes of a request. A header whose value is empty is left out."""
        fields = {"Host": self.host, "Connection": "close", **headers}
        if body:
            fields.setdefault("Content-Length", str(len(body.encode())))
        lines = [f"{name}: {value}" for name, value in fields.items() if value]
        return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", body]).encode()

    def connect(self) -> socket.socket:
        """A connection to the server."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=HANG_SECONDS)

    def send(self, data: bytes) -> Answer:
        """The answer to these bytes."""
        with self.connect() as line:
            line.sendall(data)
            whole = b"".join(iter(lambda: line.recv(65536), b""))
        return read_answer(whole)

    def stream(self, query: str = "", headers: Mapping[str, str] | None = None) -> Stream:
        """The stream of what happens."""
        line = self.connect()
        line.sendall(self.request("GET", f"{self.path}stream{query}", headers or {}))
        return Stream(line)


class Stream:
    """What a page is told: (event, data, id) after one another."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self._file = line.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        while self._file.readline().strip():
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, as a page does that is closed."""
        self._file.close()
        self.line.close()

    def messages(self) -> Iterator[tuple[str, Any, str]]:
        """Each message as it comes; ends with the connection."""
        kind = data = number = ""
        for row in self._file:
            name, _, value = row.decode().rstrip("\n").partition(": ")
            match name:
                case "event":
                    kind = value
                case "data":
                    data = value
                case "id":
                    number = value
                case _:
                    yield kind, json.loads(data), number
                    kind = data = number = ""

    def items(self) -> Iterator[dict[str, Any]]:
        """Each item as it comes."""
        for kind, data, _ in self.messages():
            if kind == "items":
                yield from data["items"]

    def texts(self) -> Iterator[str]:
        """The text of each happening as it comes."""
        return (item["happening"]["text"] for item in self.items() if "happening" in item)


def read_answer(whole: bytes) -> Answer:
    """An answer from its bytes."""
    head, _, body = whole.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)
