"""What a request's headers say, and the headers and header blocks of answers.

Refuses to know HTTP/2's frames, and what a call is about.
"""

from __future__ import annotations

from typing import Final

from cluster.etcd.http2 import encode_block
from cluster.etcd.rpc.status import RpcError, grpc_message

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
