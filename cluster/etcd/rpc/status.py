"""How a call fails: gRPC's codes, their names and HTTP statuses, and the text of `grpc-message`.

Refuses to know which error comes when; etcd's texts are in `cluster.faults`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cluster.faults import DEADLINE_EXCEEDED, FAULTS, RESOURCE_EXHAUSTED, UNKNOWN, Fault, FaultName


class Code(NamedTuple):
    """A gRPC status code: its name in Go and in metrics, and the HTTP status for it."""

    name: str
    http_status: int


CODES: Final = (
    Code("OK", 200),
    Code("Canceled", 408),
    Code("Unknown", 500),
    Code("InvalidArgument", 400),
    Code("DeadlineExceeded", 504),
    Code("NotFound", 404),
    Code("AlreadyExists", 409),
    Code("PermissionDenied", 403),
    Code("ResourceExhausted", 429),
    Code("FailedPrecondition", 400),
    Code("Aborted", 409),
    Code("OutOfRange", 400),
    Code("Unimplemented", 501),
    Code("Internal", 500),
    Code("Unavailable", 503),
    Code("DataLoss", 500),
    Code("Unauthenticated", 401),
)
"""The codes by number. The HTTP statuses are those of etcd 3.5's gateway, grpc-gateway 1.16."""

OK: Final = 0

DEADLINE: Final = Fault(DEADLINE_EXCEEDED, "context deadline exceeded")
"""A call that took longer than its client waits, in the words of Go."""

_ESCAPED: Final = re.compile(rb"[^ -$&-~]")
"""The bytes that `grpc-message` holds as %XX: all but printable ASCII, and the percent sign."""


class RpcError(Exception):
    """A call that ends with this code and text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """The status of an answer over HTTP."""
        return code_of(self.code).http_status


def error_of(name: FaultName) -> RpcError:
    """The error with this name in `cluster.faults`."""
    fault = FAULTS[name]
    return RpcError(fault.code, fault.message)


def error_in(reply: Mapping[str, Any]) -> RpcError | None:
    """The error that a reply of the node holds, or None for a reply that holds none."""
    error = reply.get("error")
    return None if error is None else RpcError(error["code"], error["message"])


def code_of(number: int) -> Code:
    """The code of this number; those that gRPC does not have are unknown errors."""
    return CODES[number if number < len(CODES) else UNKNOWN]


def too_large(size: int, bytes_max: int) -> RpcError:
    """The refusal of a message over its limit, in the words of Go's gRPC."""
    text = f"grpc: received message larger than max ({size} vs. {bytes_max})"
    return RpcError(RESOURCE_EXHAUSTED, text)


def grpc_message(text: str) -> bytes:
    """A text as the value of the header `grpc-message` (gRPC over HTTP/2, Responses)."""
    return _ESCAPED.sub(lambda found: b"%%%02X" % ord(found[0]), text.encode(errors="replace"))
