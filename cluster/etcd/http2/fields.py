"""What a request's fields may be (RFC 9113, 8.2 and 8.3), and the request that they make.

A field is judged once, where it enters the header table or a header list: its kind goes with it.
This module refuses to know how fields are compressed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

Field: TypeAlias = tuple[bytes, bytes]
Entry: TypeAlias = tuple[Field, int, int]
"""A field, its kind, and its size as header tables and lists count it."""

ENTRY_OVERHEAD_BYTES: Final = 32
"""What an entry counts on top of its name and value (RFC 7541, 4.1)."""

PLAIN: Final = 0
METHOD: Final = 1
SCHEME: Final = 2
PATH: Final = 3
AUTHORITY: Final = 4
HOST: Final = 5
CONTENT_LENGTH: Final = 6
MALFORMED: Final = 7
"""Kinds of fields."""

KINDS: Final = {
    b":method": METHOD,
    b":scheme": SCHEME,
    b":path": PATH,
    b":authority": AUTHORITY,
    b"host": HOST,
    b"content-length": CONTENT_LENGTH,
    # Fields of HTTP/1.1 that are about a connection (RFC 9113, 8.2.2).
    b"connection": MALFORMED,
    b"keep-alive": MALFORMED,
    b"proxy-connection": MALFORMED,
    b"transfer-encoding": MALFORMED,
    b"upgrade": MALFORMED,
    # What this side reads in every request; the name needs no second look.
    b"content-type": PLAIN,
    b"user-agent": PLAIN,
    b"grpc-timeout": PLAIN,
}

_NAME: Final = re.compile(rb"[!-9;-@\[-~]+")
"""Visible characters without upper-case letters; a colon only begins a pseudo-header (8.2.1)."""

_VALUE: Final = re.compile(rb"(?:[^\0\r\n\t ](?:[^\0\r\n]*[^\0\r\n\t ])?)?")
"""No NUL, CR, LF, and no white space at either end (8.2.1)."""

_DIGITS: Final = re.compile(rb"[0-9]{1,18}")


def kind_of(name: bytes, value: bytes) -> int:
    """The kind of a field, which is MALFORMED where no request may have it."""
    if _VALUE.fullmatch(value) is None:
        return MALFORMED
    kind = KINDS.get(name)
    if kind is None:
        if _NAME.fullmatch(name) is None:
            return MALFORMED
        # The only coding of a connection that HTTP/2 lets pass (8.2.2).
        return MALFORMED if name == b"te" and value.lower() != b"trailers" else PLAIN
    if kind == CONTENT_LENGTH and _DIGITS.fullmatch(value) is None:
        return MALFORMED
    return kind


def entry_of(name: bytes, value: bytes) -> Entry:
    """A field that has been judged and measured."""
    return (name, value), kind_of(name, value), len(name) + len(value) + ENTRY_OVERHEAD_BYTES


class RequestFields(NamedTuple):
    """A header list that begins a request; `fault` says why none may begin so, or nothing."""

    headers: tuple[Field, ...]
    path: bytes
    content_length: int  # -1: not said
    size: int  # of the header list
    fault: str


def request_of(entries: Iterable[Entry], size: int) -> RequestFields:
    """The request of a whole header list (RFC 9113, 8.3.1)."""
    headers = []
    seen: dict[int, bytes] = {}
    is_behind = False
    fault = ""
    for field, kind, _ in entries:
        headers.append(field)
        if kind == PLAIN:
            is_behind = True
        elif kind == MALFORMED:
            fault = "a field that no request may have"
        elif kind >= HOST:
            is_behind = True
            if seen.setdefault(kind, field[1]) != field[1]:
                fault = "a field that contradicts itself"
        elif is_behind or kind in seen:
            fault = "a pseudo-header that stands twice, or behind other fields"
        else:
            seen[kind] = field[1]
    path = seen.get(PATH, b"")
    length = int(seen[CONTENT_LENGTH]) if CONTENT_LENGTH in seen and not fault else -1
    return RequestFields(tuple(headers), path, length, size, fault or _fault_of(seen, path))


def _fault_of(seen: dict[int, bytes], path: bytes) -> str:
    """What is wrong with pseudo-headers each of which may stand where it stands."""
    method = seen.get(METHOD)
    if method is None:
        return "no method"
    if method == b"CONNECT":  # RFC 9113, 8.5
        if SCHEME in seen or PATH in seen or AUTHORITY not in seen:
            return "CONNECT names an authority only"
        return ""
    if SCHEME not in seen:
        return "no scheme"
    if path[:1] != b"/" and not (path == b"*" and method == b"OPTIONS"):
        return "no path"
    host = seen.get(HOST)
    if host is not None and host.lower() != seen.get(AUTHORITY, host).lower():
        return "a host that is not the authority"
    return ""


def trailers_fault(entries: Iterable[Entry]) -> str:
    """Why these fields may not end a request (RFC 9113, 8.1), or nothing."""
    if any(kind == MALFORMED or METHOD <= kind <= AUTHORITY for _, kind, _ in entries):
        return "a field that no trailers may have"
    return ""
