"""How flags and commands read and write single values: Go's numbers and durations, byte sizes, ids.

The error texts are those of Go's parsers, which the scripts of etcd's users may expect.
"""

from __future__ import annotations

import math
import re
from typing import Final

INT64_MIN: Final = -(1 << 63)
INT64_MAX: Final = (1 << 63) - 1
UINT64_MAX: Final = (1 << 64) - 1

_NUMBER: Final = re.compile(r"[+-]?[0-9]+\Z", re.ASCII)
_HEX_NUMBER: Final = re.compile(r"[+-]?[0-9a-fA-F]+\Z", re.ASCII)
_HEX_DIGITS: Final = re.compile(r"[0-9a-fA-F]+\Z", re.ASCII)
_FRACTION: Final = re.compile(r"[+-]?[0-9]+\.[0-9]+\Z", re.ASCII)
_DURATION: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([a-zµμ]*)", re.ASCII | re.IGNORECASE)

DAY_SECONDS: Final = 86_400

_SECONDS_OF: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}

_BYTES_OF: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB")

_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def parse_bool(text: str) -> bool:
    """A truth value as Go's strconv.ParseBool reads it; ValueError has Go's text."""
    if text not in _TRUE | _FALSE:
        raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return text in _TRUE


def parse_int(text: str, base: int = 10) -> int:
    """A 64-bit number as Go's strconv.ParseInt reads it; ValueError has Go's text."""
    if not (_HEX_NUMBER if base == 16 else _NUMBER).match(text):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = int(text, base)
    if not INT64_MIN <= value <= INT64_MAX:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def parse_hex_id(text: str) -> int:
    """A member's id, as Go's strconv.ParseUint reads it in base 16; ValueError has Go's text."""
    if not _HEX_DIGITS.match(text):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    value = int(text, 16)
    if value > UINT64_MAX:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return value


def parse_seconds(text: str) -> float:
    """A TTL: whole seconds as in etcd, or, beyond etcd, a decimal fraction."""
    return float(text) if _FRACTION.match(text) else parse_int(text)


def parse_size(text: str) -> int:
    """Bytes of 64 bits: `1000`, `64KiB`, `1MiB`, `2GiB`; ValueError says what is wrong."""
    number = text.rstrip("KMGiB")
    unit = text[len(number) :]
    if not _NUMBER.match(number) or unit not in _BYTES_OF:
        raise ValueError(f'invalid size "{text}"')
    return parse_int(str(parse_int(number) * _BYTES_OF[unit]))


def parse_duration(text: str) -> float:
    """Seconds of a Go duration (`5s`, `1m30s`, `200ms`); ValueError has Go's text."""
    rest = text.removeprefix("-").removeprefix("+")
    if rest == "0":
        return 0.0
    seconds, position = 0.0, 0
    while position < len(rest):
        match = _DURATION.match(rest, position)
        if match is None:
            break
        number, unit = match.groups()
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _SECONDS_OF:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        seconds += float(number) * _SECONDS_OF[unit]
        position = match.end()
    if position == 0 or position < len(rest):
        raise ValueError(f'time: invalid duration "{text}"')
    return -seconds if text.startswith("-") else seconds


def format_duration(seconds: float) -> str:
    """A duration as Go prints it: `2.312621ms`, `1.5s`, `1m30s`."""
    nanoseconds = round(seconds * 1e9)
    if nanoseconds == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if nanoseconds < size * 1000:
            return f"{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    text = f"{_decimal(rest, 1_000_000_000)}s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def format_size(size_bytes: int) -> str:
    """A size with SI units as etcd shows it: `20 kB`, `2.1 GB`."""
    if size_bytes < 10:
        return f"{size_bytes} B"
    power = next(power for power in reversed(range(len(_SIZES))) if size_bytes >= 1000**power)
    value = math.floor(size_bytes / 1000**power * 10 + 0.5) / 10
    digits = 1 if value < 10 else 0
    return f"{value:.{digits}f} {_SIZES[power]}"


def format_seconds(seconds: float) -> str:
    """A TTL in seconds, without a fraction that is 0: `100`, `0.5`."""
    return str(int(seconds)) if seconds == int(seconds) else repr(seconds)


def _decimal(value: int, size: int) -> str:
    """The exact quotient value / size as a decimal, without trailing zeros."""
    whole, part = divmod(value, size)
    digits = str(part).rjust(len(str(size)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)
