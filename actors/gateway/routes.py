"""Routes: the frames before a request, which lead back to its sender, perhaps through proxies.

Knows what ROUTER and REQ sockets put before a request, and nothing of requests.
"""

from __future__ import annotations

from typing import Final

ROUTE_FRAMES_MAX: Final = 8
ROUTE_BYTES_MAX: Final = 1_024
"""A route may have at most 8 frames and 1,024 bytes: each waiting request keeps its route."""

Route = tuple[bytes, ...]


def is_envelope(route: Route) -> bool:
    """Whether a route of several frames is sound: it ends with the empty frame of a REQ socket."""
    if route[-1] or len(route) > ROUTE_FRAMES_MAX:
        return False
    return sum(map(len, route)) <= ROUTE_BYTES_MAX


def way_back(route: Route) -> Route:
    """The first frames of a malformed route, which lead back to the sender's connection."""
    return route[:2] if route[1] == b"" else route[:1]
