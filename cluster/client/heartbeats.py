"""How a client notices that a connection is dead though nobody closed it. Pure."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from cluster.client.arguments import time_limit

KEEPALIVE_TIME_SECONDS: Final = 1.0
KEEPALIVE_TIMEOUT_SECONDS: Final = 3.0

MS_MAX: Final = 2**31 - 1
"""libzmq has no longer times."""


class Heartbeats(NamedTuple):
    """The node is asked for a sign of life in this interval. When nothing comes within the timeout
    after that, the connection is closed, and made anew."""

    interval_ms: int
    timeout_ms: int


def heartbeats(keepalive_time: float, keepalive_timeout: float) -> Heartbeats:
    """Those of a client with these arguments, in seconds; an error names a wrong one."""
    return Heartbeats(
        _ms(time_limit("keepalive_time", keepalive_time)),
        _ms(time_limit("keepalive_timeout", keepalive_timeout)),
    )


def _ms(seconds: float) -> int:
    return min(MS_MAX, math.ceil(seconds * 1_000))
