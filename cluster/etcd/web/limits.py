"""What a client of HTTP/1.1 may cost a front, each limit with its unit."""

from __future__ import annotations

from typing import Final

HEAD_BYTES_MAX: Final = 64 * 1024
"""The request line and all headers of one request; etcd's server takes up to 1 MiB."""

HEADERS_MAX: Final = 100
"""Headers of one request."""

PIPELINED_MAX: Final = 16
"""Requests of one connection that have arrived while an earlier one is under way."""

BODY_OVERHEAD_BYTES: Final = 64 * 1024
"""A body may be larger by this than the base64 of the largest message: names and punctuation."""

HEAD_SECONDS_MAX: Final = 10.0
"""A request's head must be complete within this time of its first byte."""

BODY_STALL_SECONDS_MAX: Final = 20.0
"""A body of which nothing more arrives for this time ends its connection."""

UNWANTED_BYTES_MAX: Final = 256 * 1024
"""Of a body that goes on after its answer this much is read, as in Go's server; then the
connection is closed."""

IDLE_SECONDS_MAX: Final = 300.0
"""A connection without a request is closed after this time."""

READ_STALL_SECONDS_MAX: Final = 30.0
"""A client that reads nothing of a waiting answer for this time loses its connection."""

UNREAD_BYTES_MAX: Final = 128 * 1024 * 1024
"""While answers of this size in all wait for clients of HTTP/1.1, large ones are refused."""

LARGE_ANSWER_BYTES: Final = 16 * 1024
"""Answers of more are refused while too much waits unread."""

LOOK_SECONDS: Final = 1.0
"""How often the times above are looked at."""
