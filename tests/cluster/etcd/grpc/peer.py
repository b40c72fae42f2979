"""A client of one gRPC connection, with `h2` as its judge of HTTP/2: no socket, no process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from hyperframe.frame import Frame, PingFrame

from cluster.etcd.counters import RpcCounters
from cluster.etcd.grpc.messages import MessageSplitter, framed
from cluster.etcd.grpc.server import GrpcServer
from cluster.etcd.rpc.mapping import ResponseEncoder
from tests.cluster.etcd.services.probe import ProbeLink

REQUEST_BYTES_MAX = 1_000
MESSAGE_BYTES_MAX = REQUEST_BYTES_MAX + 512 * 1024


class Answer:
    """What came back on one stream."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.trailers: dict[str, str] = {}
        self.has_ended = False
        self.reset_code: int | None = None
        self._splitter = MessageSplitter(1 << 30, b"")
        self.messages: list[bytes] = []

    def take(self, data: bytes) -> None:
        self._splitter.feed(data)
        while (message := self._splitter.next()) is not None:
            self.messages.append(message)

    @property
    def status(self) -> tuple[int, str]:
        """gRPC's status and message, from the trailers or from headers that are all there is."""
        last = self.trailers or self.headers
        return int(last["grpc-status"]), last.get("grpc-message", "")


class ProbeTransport:
    """A transport whose other end is the peer."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self._peer.hear(data)

    def close(self) -> None:
        self.is_closed = True
        self._peer.hear(b"")

    def set_write_buffer_limits(self, high: int) -> None:
        """Nothing waits here."""


class Peer:
    """A client, and the connection under test whose node the test plays (`link`)."""

    def __init__(self) -> None:
        self.link = ProbeLink()
        self.counters = RpcCounters()
        self.server = GrpcServer(ResponseEncoder(7, 1), self.counters, REQUEST_BYTES_MAX)
        self.connection = self.server.connection(self.link)
        self.transport = ProbeTransport(self)
        self.answers: dict[int, Answer] = defaultdict(Answer)
        self.reads = True
        self._heard = asyncio.Event()
        # What is heard after `listen`: h2 takes the first GOAWAY for the end of all streams.
        self.frames: list[Frame] | None = None
        self._answers_pings = True
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.connection.connection_made(cast(asyncio.BaseTransport, self.transport))
        self.h2.initiate_connection()
        self.flush()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is heard that makes this true."""
        while not condition():
            self._heard.clear()
            await self._heard.wait()

    def flush(self) -> None:
        """Have the connection receive what the client has to say."""
        data = self.h2.data_to_send()
        if data:
            self.connection.data_received(data)

    def hear(self, data: bytes) -> None:
        self._heard.set()
        if self.frames is not None:
            self._read_frames(data)
            return
        for event in self.h2.receive_data(data):
            self._on_event(event)
        asyncio.get_running_loop().call_soon(self.flush)  # acknowledgements

    def _on_event(self, event: Any) -> None:
        match event:
            case ResponseReceived(stream_id=stream, headers=headers):
                self.answers[stream].headers = as_text(headers)
            case DataReceived(stream_id=stream, data=data, flow_controlled_length=size):
                self.answers[stream].take(data)
                if self.reads and size:
                    self.h2.acknowledge_received_data(size, stream)
            case TrailersReceived(stream_id=stream, headers=headers):
                self.answers[stream].trailers = as_text(headers)
            case StreamEnded(stream_id=stream):
                self.answers[stream].has_ended = True
            case StreamReset(stream_id=stream, error_code=code):
                self.answers[stream].reset_code = int(code)

    def listen(self, answers_pings: bool = True) -> None:
        """From now on, only read frames, and perhaps answer pings."""
        self.frames = []
        self._answers_pings = answers_pings

    def _read_frames(self, data: bytes) -> None:
        assert self.frames is not None, "it listens"
        while data:
            frame, size = Frame.parse_frame_header(memoryview(data[:9]))
            frame.parse_body(memoryview(data[9 : 9 + size]))
            data = data[9 + size :]
            self.frames.append(frame)
            if isinstance(frame, PingFrame) and self._answers_pings:
                answer = PingFrame(0, frame.opaque_data, flags=["ACK"]).serialize()
                asyncio.get_running_loop().call_soon(self.connection.data_received, answer)

    def begin(self, path: str, *more: tuple[str, str], method: str = "POST", **named: str) -> int:
        """A request's headers; the number of its stream. Named ones replace what is usual."""
        stream = self._request(path, *more, method=method, **named)
        self.flush()
        return stream

    def _request(
        self, path: str, *more: tuple[str, str], method: str = "POST", **named: str
    ) -> int:
        stream = self.h2.get_next_available_stream_id()
        usual = {"content-type": "application/grpc", "te": "trailers"}
        usual.update({name.replace("_", "-"): value for name, value in named.items()})
        pseudo = [
            (":method", method),
            (":scheme", "http"),
            (":authority", "node"),
            (":path", path),
        ]
        self.h2.send_headers(stream, [*pseudo, *usual.items(), *more])
        return stream

    def send(self, stream: int, data: bytes, end: bool = False) -> None:
        """Bytes of a request."""
        self.h2.send_data(stream, data, end_stream=end)
        self.flush()

    def call(self, path: str, message: bytes = b"", **named: str) -> int:
        """A whole request of one message, received at once."""
        stream = self._request(path, **named)
        self.send(stream, framed(message), end=True)
        return stream


def as_text(headers: Iterable[Any]) -> dict[str, str]:
    """Headers as h2 gives them for a header encoding."""
    return {str(name): str(value) for name, value in headers}
