"""Checks of what a program passes to the client's methods; an error names the valid values.

Pure. It checks only what the cluster would accept in silence, or refuse without naming the valid
values. All else is the cluster's to check.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

LEASE_TTL_SECONDS_MAX: Final = 9_000_000_000
"""etcd's limit."""


def lease_ttl(ttl: float) -> float:
    """The TTL of a lease in seconds; the cluster refuses one that is too large, in etcd's words."""
    _number("ttl", ttl)
    if not ttl > 0:
        most = f"at most {LEASE_TTL_SECONDS_MAX}"
        raise ValueError(f"ttl must be greater than 0 and {most} seconds, not {ttl!r}")
    return ttl


def put_ttl(ttl: float) -> float:
    """The TTL of the lease that a put asks for in seconds; 0 for none."""
    return ttl if ttl == 0 and not isinstance(ttl, bool) else lease_ttl(ttl)


def patience(timeout: float | None) -> float | None:
    """How long to wait, in seconds; None waits without limit."""
    if timeout is not None:
        _number("timeout", timeout)
        if not timeout >= 0:
            raise ValueError(f"timeout must be 0 seconds or more, or None, not {timeout!r}")
    return timeout


def time_limit(name: str, seconds: float) -> float:
    """A time limit for requests: a finite number of seconds above 0."""
    _number(name, seconds)
    if not 0 < seconds < math.inf:
        raise ValueError(f"{name} must be a finite number of seconds above 0, not {seconds!r}")
    return seconds


def at_least_one(name: str, number: int) -> int:
    """A number that must be 1 or more."""
    if type(number) is not int:
        raise TypeError(f"{name} must be an int, not {type(number).__name__}")
    if number < 1:
        raise ValueError(f"{name} must be 1 or more, not {number}")
    return number


def whole_number(name: str, number: int, least: int, most: int) -> int:
    """A number from `least` to `most`."""
    if type(number) is not int:
        raise TypeError(f"{name} must be an int, not {type(number).__name__}")
    if not least <= number <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {number}")
    return number


def not_negative(name: str, number: int) -> int:
    """A revision or a limit, which must be 0 or more; 0 stands for none."""
    if type(number) is not int:
        raise TypeError(f"{name} must be an int, not {type(number).__name__}")
    if number < 0:
        raise ValueError(f"{name} must be 0 (none) or more, not {number}")
    return number


def one_of(name: str, word: str, words: Collection[str]) -> str:
    """A word of the protocol, which must be one of `words`."""
    if word not in words:
        raise ValueError(f"{name} must be one of {', '.join(words)}, not {word!r}")
    return word


def _number(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
