"""Time limits of waits, as moments of the monotonic clock."""

from __future__ import annotations

import time

from cluster.client.arguments import patience


def deadline_in(timeout: float | None) -> float | None:
    """When a wait of `timeout` seconds ends (monotonic seconds); None: never."""
    patience(timeout)
    return None if timeout is None else time.monotonic() + timeout


def left_until(deadline: float | None) -> float | None:
    """The seconds until then, not below 0; None: without limit."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())
