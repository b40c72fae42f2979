"""The numbers among a node's flags, checked: times, sizes, and how much history is kept.

The defaults and error texts are etcd's. It refuses to know URLs and names.
"""

from __future__ import annotations

import math
import re
from typing import Final

from cluster.flag_values import ConfigError, at_least, integer, invalid
from cluster.values import parse_duration

ELECTION_TIMEOUT_MS_MAX: Final = 50_000
ELECTION_HEARTBEATS_MIN: Final = 5
"""An election timeout is at least this number of heartbeat intervals, as in etcd."""

MAX_REQUEST_BYTES_HIGHEST: Final = 8 * 1024 * 1024
"""The highest --max-request-bytes: a request and its framing must fit into a client's frame."""

QUOTA_BYTES_DEFAULT: Final = 2 * 1024 * 1024 * 1024
"""The value that --quota-backend-bytes=0 stands for, as in etcd."""


def timing(heartbeat_interval: str, election_timeout: str) -> tuple[int, int]:
    """The milliseconds between a leader's heartbeats, and those until an election."""
    heartbeat_ms = integer("heartbeat-interval", heartbeat_interval)
    election_ms = integer("election-timeout", election_timeout)
    if heartbeat_ms <= 0:
        raise ConfigError(f"--heartbeat-interval must be >0 (set to {heartbeat_ms}ms)")
    if election_ms <= 0:
        raise ConfigError(f"--election-timeout must be >0 (set to {election_ms}ms)")
    if election_ms < ELECTION_HEARTBEATS_MIN * heartbeat_ms:
        raise ConfigError(
            f"--election-timeout[{election_ms}ms] should be at least as"
            f" {ELECTION_HEARTBEATS_MIN} times as --heartbeat-interval[{heartbeat_ms}ms]"
        )
    if election_ms > ELECTION_TIMEOUT_MS_MAX:
        raise ConfigError(
            f"--election-timeout[{election_ms}ms] is too long, and should be set less than"
            f" {ELECTION_TIMEOUT_MS_MAX}ms"
        )
    return heartbeat_ms, election_ms


def max_request_bytes(text: str) -> int:
    """The size of the largest request."""
    limit = integer("max-request-bytes", text)
    if not 1 <= limit <= MAX_REQUEST_BYTES_HIGHEST:
        raise invalid("max-request-bytes", str(limit), f"between 1 and {MAX_REQUEST_BYTES_HIGHEST}")
    return limit


def min_lease_ttl_ms(text: str, election_ms: int) -> int:
    """Etcd's minimum is one and a half election timeouts, rounded up to whole seconds."""
    if not text:
        return math.ceil(1.5 * election_ms / 1000) * 1000
    try:
        seconds = float(text)
    except ValueError:
        raise invalid("min-lease-ttl", text, "expected seconds, such as 0.5") from None
    if not 0.001 <= seconds <= 9_000_000_000:
        raise invalid("min-lease-ttl", text, "between 0.001 and 9000000000 seconds")
    return math.ceil(seconds * 1000)


def retention(mode: str, text: str) -> tuple[int, int]:
    """The history to keep: a number of revisions, and a time in milliseconds; 0 keeps all."""
    if mode == "revision":
        return at_least(0, "auto-compaction-retention", text), 0
    if mode != "periodic":
        raise ConfigError(f'unknown auto-compaction-mode "{mode}"')
    try:
        # As in etcd, a number without a unit is hours.
        seconds = int(text) * 3_600 if re.fullmatch("[0-9]{1,7}", text) else parse_duration(text)
    except ValueError as error:
        raise invalid("auto-compaction-retention", text, str(error)) from None
    if seconds < 0:
        raise invalid("auto-compaction-retention", text, "at least 0")
    return 0, math.ceil(seconds * 1_000)


def quota(text: str) -> int:
    """The quota in bytes, 0 for none; as in etcd, a negative flag means none."""
    return max(0, integer("quota-backend-bytes", text) or QUOTA_BYTES_DEFAULT)
