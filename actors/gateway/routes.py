"""Routes: the frames before a request that lead back to whoever sent it, perhaps through proxies.

Knows what a ROUTER socket and a REQ put there, and nothing of requests.
"""

from __future__ import annotations

from typing import Final

ROUTE_FRAMES_MAX: Final = 8
ROUTE_BYTES_MAX: Final = 1_024
"""A route may have so many frames and bytes."""

Route = tuple[bytes, ...]


def is_envelope(route: Route) -> bool:
    """Whether a route of several frames ends as a REQ's does, perhaps with proxies before it."""
    if route[-1] or len(route) > ROUTE_FRAMES_MAX:
        return False
    return sum(map(len, route)) <= ROUTE_BYTES_MAX


def way_back(route: Route) -> Route:
    """As much of a malformed route as leads to whoever sent it."""
    return route[:2] if route[1] == b"" else route[:1]
