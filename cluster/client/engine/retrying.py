"""What the refusals of nodes mean for a call, and how long to wait before it is tried again.

Pure. It refuses to know calls: `calling` asks by the name of a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

BACKOFF_SECONDS: Final = 0.010
BACKOFF_SECONDS_MAX: Final = 0.500

UNHEALTHY_ATTEMPTS_MAX: Final = 8
"""The attempts of a change of members that is refused as "unhealthy cluster". That is normal during
an election (about 0.6 s); after the last of these attempts the caller gets the error."""

NO_VERDICT: Final = frozenset(
    {"NotSupportedForLearner", "NoSpace", "PermissionDenied", "InvalidAuthToken", "UserEmpty"}
)
"""Refusals of an attempt that do not tell whether an earlier attempt was applied."""

RETRIED_LIMITS: Final = frozenset({"TooManyRequests", "TooManyOutstanding", "TooManySessions"})
NOT_THE_ENDPOINT: Final = RETRIED_LIMITS | {"LeaderChanged", "Unhealthy"}
"""Failures that another endpoint is as likely to report: the first one does not make the client
change its endpoint."""

LOST_SESSION: Final = frozenset({"SessionNotFound", "SequenceTooOld"})
"""The cluster has forgotten a session, or the result of its number: the client opens another."""


def backoff(failures: int, chance: Callable[[], float]) -> float:
    """A random delay in seconds, below a bound that doubles with each failure ("full jitter", so
    that many clients do not come back at the same moment)."""
    bound = BACKOFF_SECONDS * float(2 ** min(failures, 16))
    return chance() * min(BACKOFF_SECONDS_MAX, bound)
