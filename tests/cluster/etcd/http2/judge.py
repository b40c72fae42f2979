"""The library `h2` as a client of the engine, in memory, and a server that echoes.

Nothing here is checked by our own code: h2 raises for whatever breaks the protocol.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, TypeVar

import h2.config
import h2.connection
import h2.events

from cluster.etcd.http2 import LIMITS, Http2Stream, Limits, ServerConnection, encode_block

E = TypeVar("E", bound=h2.events.Event)

RESPONSE: Final = [(b":status", b"200"), (b"content-type", b"application/grpc")]
TRAILERS: Final = [(b"grpc-status", b"0")]
RESPONSE_BLOCK: Final = encode_block(RESPONSE)
TRAILERS_BLOCK: Final = encode_block(TRAILERS)
REQUEST: Final = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/etcdserverpb.KV/Put"),
    (":authority", "127.0.0.1:2379"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


class Echo:
    """A handler that answers each request with its own body, and notes what it is told."""

    def __init__(self) -> None:
        self.connection: ServerConnection
        self.requests: list[Http2Stream] = []
        self.resets: list[tuple[int, int]] = []
        self.drained: list[int] = []
        self.answers = True

    def on_request(self, stream: Http2Stream) -> None:
        stream.context = bytearray()
        self.requests.append(stream)

    def on_data(self, stream: Http2Stream, data: bytes) -> None:
        stream.context += data
        if stream.ended:
            self.on_end(stream)

    def on_end(self, stream: Http2Stream) -> None:
        if self.answers:
            body = bytes(stream.context)
            self.connection.unary(stream, RESPONSE_BLOCK, body, TRAILERS_BLOCK)

    def on_reset(self, stream: Http2Stream, code: int) -> None:
        self.resets.append((stream.id, code))

    def on_drained(self, stream: Http2Stream) -> None:
        self.drained.append(stream.id)


class Judge:
    """One connection between h2 and the engine."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.handler = Echo()
        self.server = ServerConnection(self.handler, limits)
        self.handler.connection = self.server
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.events: list[h2.events.Event] = []
        self.reads = True  # whether the client gives windows back
        self.now_ms = 0
        self.client.initiate_connection()
        self.exchange()

    def exchange(self) -> None:
        """Carry bytes in both directions until neither side has more to say."""
        while True:
            self.now_ms += 1
            sent = self.client.data_to_send()
            if sent:
                self.server.receive(sent, self.now_ms)
            answered = self.server.take()
            if answered:
                self._hear(answered)
            if not sent and not answered:
                return

    def _hear(self, data: bytes) -> None:
        for event in self.client.receive_data(data):
            self.events.append(event)
            if self.reads and isinstance(event, h2.events.DataReceived):
                length, number = event.flow_controlled_length, event.stream_id
                if length:
                    self.client.acknowledge_received_data(length, number or 0)

    def request(
        self, body: bytes = b"", headers: list[Any] | None = None, *, end: bool = True
    ) -> int:
        """Send a request as the windows allow, and carry it over; returns its stream's id."""
        number = self.client.get_next_available_stream_id()
        self.client.send_headers(number, headers or REQUEST, end_stream=end and not body)
        self.send(number, body, end=end)
        return number

    def send(self, number: int, body: bytes, *, end: bool = True) -> None:
        """Send data as the windows allow."""
        parts = deque(body[at : at + 16_384] for at in range(0, len(body), 16_384))
        while parts:
            part = parts.popleft()
            while self.client.local_flow_control_window(number) < len(part):
                before = self.client.local_flow_control_window(number)
                self.exchange()
                assert self.client.local_flow_control_window(number) > before, "no window"
            self.client.send_data(number, part, end_stream=end and not parts)
        self.exchange()

    def of(self, kind: type[E], number: int | None = None) -> list[E]:
        """The events of a kind, of one stream."""
        return [
            event
            for event in self.events
            if isinstance(event, kind) and number in {None, getattr(event, "stream_id", None)}
        ]

    def body(self, number: int) -> bytes:
        """The data of an answer."""
        return b"".join(event.data or b"" for event in self.of(h2.events.DataReceived, number))

    def is_answered(self, number: int) -> bool:
        """Whether an answer has come whole, with its trailers."""
        ended = self.of(h2.events.StreamEnded, number)
        return bool(ended and self.of(h2.events.TrailersReceived, number))
