"""Waiting for the store to be in a certain state: look, and look again after each change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from cluster.client.flows.deadlines import left_until
from cluster.client.requests import Key
from cluster.errors import CompactedError, HistoryLostError, WatchCanceledError

if TYPE_CHECKING:
    from cluster.client.flows.held_place import HeldPlace
    from cluster.client.flows.primitives import Primitives
    from cluster.client.flows.watch import Watch

T = TypeVar("T")


class Nothing(NamedTuple):
    """What was looked for is not there at this revision of the store."""

    revision: int


async def wait_until(
    client: Primitives,
    prefix: Key,
    look: Callable[[], Awaitable[T | Nothing]],
    deadline: float | None,
    held: HeldPlace | None = None,
) -> T:
    """What `look` finds, at once or after a change of a key with this prefix.

    DeadlineExceededError when it has found nothing at the deadline (monotonic seconds).
    LeaseLostError when a place that is `held` meanwhile is lost.
    """
    while True:
        found = await look()
        if not isinstance(found, Nothing):
            return found
        # If the history is compacted meanwhile, it is not needed: look again.
        with suppress(CompactedError, HistoryLostError):
            start = found.revision + 1
            async with client.watch(
                prefix, prefix=True, start_revision=start, keys_only=True
            ) as seen:
                with held.when_lost(seen.cancel) if held else nullcontext():
                    while isinstance(found, Nothing):
                        await _change(seen, deadline, held)
                        found = await look()
                    return found


async def _change(seen: Watch, deadline: float | None, held: HeldPlace | None) -> None:
    """Wait for the next change."""
    try:
        await seen.batch(left_until(deadline))
    except WatchCanceledError:
        if held is not None and held.why is not None:
            raise held.why from None
        raise
