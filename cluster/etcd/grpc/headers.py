"""What a request's headers say, and the headers and header blocks of answers.

Refuses to know HTTP/2's frames, and what a call is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cluster.etcd.grpc.messages import ENCODINGS
from cluster.etcd.http2 import encode_block
from cluster.etcd.rpc.status import DEADLINE, RpcError, grpc_message
from cluster.faults import INTERNAL, INVALID_ARGUMENT, UNIMPLEMENTED

Headers = list[tuple[bytes, bytes]]

CONTENT_TYPE: Final = b"application/grpc"

RESPONSE_HEADERS: Final[Headers] = [(b":status", b"200"), (b"content-type", CONTENT_TYPE)]

OK_TRAILERS: Final[Headers] = [(b"grpc-status", b"0")]

RESPONSE_BLOCK: Final = encode_block(RESPONSE_HEADERS)
OK_TRAILERS_BLOCK: Final = encode_block(OK_TRAILERS)
"""What every call that goes well says, encoded once: blocks of the engine change no table."""

_UNITS_MS: Final = {
    b"H": 3_600_000.0,
    b"M": 60_000.0,
    b"S": 1_000.0,
    b"m": 1.0,
    b"u": 0.001,
    b"n": 0.000_001,
}

TIMEOUT_DIGITS_MAX: Final = 8


class NotGrpcError(RpcError):
    """A request that is none of gRPC's, with the HTTP status that says so."""

    def __init__(self, http_status: int, text: str) -> None:
        super().__init__(INVALID_ARGUMENT, text)
        self.refused_with = http_status


def check_grpc(headers: Mapping[bytes, bytes]) -> None:
    """Raise NotGrpcError unless these are the headers of a request of gRPC."""
    if headers.get(b":method") != b"POST":
        raise NotGrpcError(405, "the method of a gRPC request is POST")
    content_type = headers.get(b"content-type", b"")
    if content_type != CONTENT_TYPE and not is_grpc(content_type):
        raise NotGrpcError(415, f'invalid gRPC request content-type "{_shown(content_type)}"')


def time_left_ms(headers: Mapping[bytes, bytes]) -> float | None:
    """How long the client waits; None: for ever. Raises RpcError if that is over or malformed."""
    timeout = headers.get(b"grpc-timeout")
    if timeout is None:
        return None
    left_ms = timeout_ms(timeout)
    if left_ms is None:
        raise RpcError(INTERNAL, f'malformed grpc-timeout: "{_shown(timeout)}"')
    if not left_ms:
        raise RpcError(*DEADLINE)
    return left_ms


def encoding_of(headers: Mapping[bytes, bytes]) -> bytes:
    """How the messages are compressed. Raises RpcError for a way that is not known."""
    encoding = headers.get(b"grpc-encoding", b"")
    if encoding not in ENCODINGS:
        text = f'grpc: Decompressor is not installed for grpc-encoding "{_shown(encoding)}"'
        raise RpcError(UNIMPLEMENTED, text)
    return encoding


def _shown(value: bytes) -> str:
    return value.decode("ascii", "backslashreplace")


def timeout_ms(value: bytes) -> float | None:
    """The milliseconds of a `grpc-timeout`; None if it is malformed."""
    digits, unit = value[:-1], value[-1:]
    if unit not in _UNITS_MS or not digits.isdigit() or len(digits) > TIMEOUT_DIGITS_MAX:
        return None
    return int(digits) * _UNITS_MS[unit]


def is_grpc(content_type: bytes) -> bool:
    """Whether this content type is gRPC's: `application/grpc`, perhaps with `+proto` or `;...`."""
    rest = content_type[len(CONTENT_TYPE) :]
    return content_type.lower().startswith(CONTENT_TYPE) and rest[:1] in (b"", b"+", b";")


def trailers(error: RpcError | None) -> Headers:
    """How a call ends."""
    if error is None:
        return OK_TRAILERS
    message = grpc_message(error.message)
    return [(b"grpc-status", b"%d" % error.code), (b"grpc-message", message)]


def refusal(http_status: int, error: RpcError) -> Headers:
    """The answer to what is no gRPC request: an HTTP status, and gRPC's beside it."""
    status = (b":status", b"%d" % http_status)
    return [status, (b"content-type", CONTENT_TYPE), *trailers(error)]
