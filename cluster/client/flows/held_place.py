"""HeldPlace: a place in a queue of keys that this client has taken, and whether it is lost.

A place is lost with its lease, or when somebody deletes its key. So the lease tells of its loss,
and the key is watched over the connection that the client's other watches use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cluster.client import ops, replies, results
from cluster.client.engine.call import FOREVER
from cluster.client.engine.notices import Notice, WatchEnded, WatchEvents
from cluster.client.flows.inherited import INHERITED
from cluster.client.flows.lost import Lost
from cluster.client.flows.shell import Subscriber
from cluster.client.requests import get_fields
from cluster.errors import CompactedError, HistoryLostError, LeaseholdError, LeaseLostError

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller
    from cluster.client.flows.lease import Lease

LEASE_LOST: Final = "mutex: session is expired"
"""etcd's text, which it uses for elections too."""

DELETED: Final = "deleted"
"""The reason in a DELETE event that did not come from the end of a lease."""


class QueuePlace(NamedTuple):
    """A place in the queue: its key, and the revision that created it, which is its number."""

    key: bytes
    revision: int

    def guard(self) -> ops.Compare:
        """A compare that holds while the place is not lost: put it into the holder's writes."""
        return ops.create_revision(self.key) == self.revision


class HeldPlace:
    """A place that this client has taken with a lease, until `end`.

    `lost` is set as soon as the place can no longer be relied on; `why` then says why.
    """

    def __init__(self, caller: Caller, place: QueuePlace, lease: Lease) -> None:
        self.place = place
        self.lease = lease
        self.lost = Lost(caller.shell.signal(), lease.seconds_left)
        self._caller = caller
        self._connection = caller.connection()
        self._error: LeaseLostError | None = None
        self._told: list[Callable[[], None]] = []
        self._is_over = False
        self._number = 0
        self._watch(place.revision + 1)
        lease._tell_when_lost(self._lease_lost)

    @property
    def why(self) -> LeaseLostError | None:
        """Why the place is lost; None while it is not."""
        if not self.lost.is_set():
            return None
        return LeaseLostError(INHERITED if self.lease.is_inherited else self._reason())

    def gone(self) -> LeaseLostError:
        """The error to raise when the key is found to be gone."""
        return LeaseLostError(f"the key {self._key} is gone")

    @contextmanager
    def when_lost(self, tell: Callable[[], None]) -> Iterator[None]:
        """Within the block, call `tell` when the place is lost, or at once if it is already.

        It may be called twice, and by the client's carrier (its I/O thread, or the event loop), so
        it must not wait for anything.
        """
        self._told.append(tell)
        try:
            if self.lost.is_set():
                tell()
            yield
        finally:
            self._told.remove(tell)

    def end(self) -> None:
        """Stop watching the key and the lease; the place itself stays as it is."""
        self._is_over = True
        self.lease._tell_no_more(self._lease_lost)
        self._unwatch(self._number)

    # --- from the client's engine, in its carrier ---

    def _notice(self, notice: Notice) -> bool:
        """Take a notice of the engine about the key's watch."""
        match notice:
            case WatchEvents(events=(first, *_)):
                self._deleted(first)
            case WatchEnded(error=error):
                self._connection.detach(self._number)
                if isinstance(error, CompactedError | HistoryLostError):
                    self._look()  # a deletion may have been missed: see whether the key is there
                else:
                    self._abort(error)
            case _:
                pass  # the watch has opened, or reports its progress
        return True

    def _abort(self, error: LeaseholdError) -> None:
        """The key can no longer be watched, for this reason; called in any thread."""
        self._lose(LeaseLostError(f"the key cannot be watched any more: {error}"))

    def _orphan(self, error: LeaseholdError) -> None:
        """In a forked child there is nothing to do: the lease counts as lost there."""

    # --- the place's key ---

    def _watch(self, start_revision: int) -> None:
        fields: dict[str, Any] = {"op": "watch_create", "key": self.place.key}
        fields.update(start_revision=start_revision, filters=["NOPUT"])
        subscriber = Subscriber(self._notice, self._abort, self._orphan)
        number = self._number = self._caller.attach(self._connection, subscriber)
        self._caller.open_watch(self._connection, number, fields, FOREVER)
        # `end` may have run in another thread meanwhile, and have seen the number before this one.
        if self._is_over:
            self._unwatch(number)

    def _unwatch(self, number: int) -> None:
        self._connection.detach(number)
        self._connection.run(lambda core, now: core.watches.cancel(number))

    def _look(self) -> None:
        fields = get_fields(self.place.key, 0, serializable=False)
        connection, decode = self._connection, replies.range_result
        self._caller.look(connection, fields, decode, FOREVER, self._looked)

    def _looked(self, found: results.RangeResult | LeaseholdError) -> None:
        if isinstance(found, LeaseholdError):
            self._abort(found)
        elif not any(kv.create_revision == self.place.revision for kv in found):
            self._lose(self.gone())
        elif not self._is_over:
            self._watch(found.header.revision + 1)

    # --- how the place is lost ---

    @property
    def _key(self) -> str:
        return self.place.key.decode(errors="backslashreplace")

    def _deleted(self, event: results.Event) -> None:
        by_hand = event.reason == DELETED
        self._lose(LeaseLostError(f"the key {self._key} was deleted" if by_hand else LEASE_LOST))

    def _lease_lost(self) -> None:
        self._lose(LeaseLostError(LEASE_LOST))

    def _lose(self, error: LeaseLostError) -> None:
        if self._error is None:
            self._error = error
        self.lost._set()
        for tell in tuple(self._told):
            tell()

    def _reason(self) -> str:
        return LEASE_LOST if self._error is None else self._error.message
