"""How a call ends that was not answered: the errors, and when the outcome of a write is unknown.

Pure; refuses to know when a call ends.
"""

from __future__ import annotations

from cluster.client.engine.call import Call, Phase
from cluster.errors import (
    ClientClosedError,
    DeadlineExceededError,
    LeaseholdError,
    OutcomeUnknownError,
    UnavailableError,
)


def outcome_unknown(reason: str) -> OutcomeUnknownError:
    """The error of a write that was sent and not answered."""
    return OutcomeUnknownError(
        f"context deadline exceeded: {reason}; the write may have been applied"
    )


def refused(call: Call, error: LeaseholdError) -> LeaseholdError:
    """The end of a call that is not sent again, for this reason."""
    return outcome_unknown(error.message) if call.write and call.uncertain else error


def timed_out(call: Call, tried: str, *, is_reachable: bool) -> LeaseholdError:
    """The end of a call whose own time is over; `tried` are the endpoints that it could go to."""
    if call.phase is Phase.PARKED and not is_reachable:
        reason = f"no endpoint answered ({tried})"
    elif call.last_error is not None:
        reason = call.last_error.message
    else:
        reason = f"no answer from {call.endpoint or tried}"
    if call.write and call.is_in_doubt:
        return outcome_unknown(reason)
    return DeadlineExceededError(f"context deadline exceeded: {reason}")


def unreachable(tried: str, waited_seconds: float) -> LeaseholdError:
    """The end of a call for which no connection was established in time."""
    text = f"context deadline exceeded: no endpoint answered within {waited_seconds:g} s"
    return UnavailableError(f"{text} ({tried})")


def closed(call: Call) -> LeaseholdError:
    """The end of a call that is under way when the client is closed."""
    reason = "the client was closed"
    if call.write and call.is_in_doubt:
        return outcome_unknown(reason)
    return ClientClosedError(reason)
