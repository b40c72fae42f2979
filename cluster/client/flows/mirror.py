"""Mirror: the keys with a prefix, kept here and up to date: read at once, then followed.

Whoever reads a mirror waits for nothing and sees whole revisions only. The carrier of the engine
applies them; what is compacted away before it was seen is made up for by reading all keys again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Self

from cluster.client.engine.call import FOREVER
from cluster.client.engine.notices import Notice, WatchEnded, WatchEvents
from cluster.client.flows.deadlines import deadline_in, left_until
from cluster.client.flows.shell import Signal, Subscriber
from cluster.client.replies import range_result
from cluster.client.requests import Key, interval, interval_fields, to_bytes
from cluster.client.results import Data, Event, KeyValue, RangeResult
from cluster.errors import (
    CompactedError,
    DeadlineExceededError,
    HistoryLostError,
    LeaseholdError,
    WatchCanceledError,
)

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller
    from cluster.client.forms import DataForm

PAGE_KEYS: Final = 500
"""The keys of each read in the beginning; a page of values of 128 KiB fits one answer."""


class MirrorState(NamedTuple, Generic[Data]):
    """All keys of a mirror with their key-values, as they were at a revision of the store."""

    revision: int
    kvs: dict[Data, KeyValue[Data]]


class MirrorChange(NamedTuple, Generic[Data]):
    """The events that took a mirror to a revision, all of that revision.

    When the mirror had to read all keys again, they are the differences to what it had before.
    """

    revision: int
    events: tuple[Event[Data], ...]


MirrorListener = Callable[[MirrorChange[Data]], None]


class Mirror(Mapping[Data, Data], Generic[Data]):
    """A live dict of the keys with a prefix, and their values.

    It is a step behind the store, and further while no node can be reached; `revision` tells how
    far it is, and `wait_for` waits. One look sees one revision, two looks may see two: `state` has
    all of one revision. When the mirror has ended by an `error`, each look raises it; after `close`
    it stays as it is.
    """

    def __init__(self, caller: Caller, form: DataForm[Data], prefix: Key) -> None:
        self._caller = caller
        self._form = form
        self._keys = interval(prefix, prefix=True)
        self._connection = caller.connection()
        self._guard: AbstractContextManager[Any] = caller.shell.guard()
        self._state: MirrorState = MirrorState(0, {})
        self._read: dict[bytes, KeyValue] = {}
        self._error: LeaseholdError | None = None
        self._ready = caller.shell.signal()
        self._awaited: list[tuple[int, Signal]] = []
        self._listeners: list[MirrorListener[Data]] = []
        self._number = 0
        self._is_over = False

    # --- a dict ---

    def __getitem__(self, key: Key) -> Data:
        return self.key_value(key).value

    def __iter__(self) -> Iterator[Data]:
        """The keys in their order, as they are now."""
        with self._looking() as kvs:
            keys = list(kvs)
        return map(self._form.key, sorted(keys))

    def __len__(self) -> int:
        with self._looking() as kvs:
            return len(kvs)

    def __contains__(self, key: object) -> bool:
        with self._looking() as kvs:
            return isinstance(key, bytes | str | bytearray | memoryview) and to_bytes(key) in kvs

    def __repr__(self) -> str:
        return f"Mirror(revision={self.revision}, keys={len(self._state.kvs)})"

    def key_value(self, key: Key) -> KeyValue[Data]:
        """The key-value of a key, with its revisions; KeyError when there is none."""
        with self._looking() as kvs:
            return self._form.key_value(kvs[to_bytes(key)])

    def state(self) -> MirrorState[Data]:
        """All keys, as they were at one revision; it does not change any more."""
        with self._looking() as kvs:
            return MirrorState(self._state.revision, self._form.kvs(kvs))

    @property
    def revision(self) -> int:
        """The revision of the store that the mirror shows."""
        return self._state.revision

    @property
    def error(self) -> LeaseholdError | None:
        """Why the mirror has ended; None while it lives, and after `close`."""
        return self._error

    # --- its changes ---

    def add_listener(self, listener: MirrorListener[Data]) -> None:
        """Call a function after each change, in the order of revisions, one after the other."""
        self._listeners.append(listener)

    def remove_listener(self, listener: MirrorListener[Data]) -> None:
        """Call a listener no more; ValueError when it was not added."""
        self._listeners.remove(listener)

    async def wait_for(self, revision: int, timeout: float | None = None) -> bool:
        """Wait until the mirror shows a revision, that of a put for example.

        False after `timeout` seconds; None: it waits without limit.
        """
        reached = self._caller.shell.signal()
        with self._guard:
            self._awaited.append((revision, reached))
        self._tell_reached()
        number = self._number
        self._connection.run(lambda core, now: core.watches.progress(number))
        deadline = deadline_in(timeout)
        while not reached.is_set():
            left = left_until(deadline)
            if left == 0:
                break
            await reached.wait(FOREVER if left is None else left)
        if self._error is not None:
            raise self._error
        return reached.is_set()

    # --- its life ---

    async def _begin(self) -> Self:
        """Read all keys for the first time."""
        timeout = self._caller.timeout
        self._read_from(self._keys.key, 0)
        if not await self._ready.wait(timeout):
            self.close()
            raise DeadlineExceededError(f"the mirror was not ready within {timeout:g} s")
        if self._error is not None:
            raise self._error
        return self

    def close(self) -> None:
        """Follow no more; the mirror stays as it is."""
        self._is_over = True
        number = self._number
        self._connection.detach(number)
        self._connection.run(lambda core, now: core.watches.cancel(number))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        self.close()

    # --- in the carrier of the engine ---

    def _read_from(self, key: bytes, revision: int) -> None:
        """Read a page of keys from here on, at this revision; 0: at the present one."""
        keys = self._keys._replace(key=key)
        fields = interval_fields("range", keys, limit=PAGE_KEYS, revision=revision)
        seen = partial(self._page, revision)
        self._caller.look(self._connection, fields, range_result, FOREVER, seen)

    def _page(self, revision: int, page: RangeResult | LeaseholdError) -> None:
        if self._is_over:
            return
        if isinstance(page, CompactedError):
            self._read = {}
            self._read_from(self._keys.key, 0)
        elif isinstance(page, LeaseholdError):
            self._abort(page)
        else:
            revision = revision or page.header.revision
            self._read.update((kv.key, kv) for kv in page)
            if page.more:
                self._read_from(page.kvs[-1].key + b"\0", revision)
            else:
                self._take_all(revision)

    def _take_all(self, revision: int) -> None:
        """All keys are read: tell the differences, and follow from here on."""
        found, self._read = self._read, {}
        before = self._state.kvs
        events = [
            Event("PUT", kv, before.get(key), "")
            for key, kv in found.items()
            if before.get(key) != kv
        ]
        events += [
            Event("DELETE", KeyValue(key, b"", 0, revision, 0, 0), kv, "")
            for key, kv in before.items()
            if key not in found
        ]
        with self._guard:
            self._state = MirrorState(revision, found)
        is_first = not self._ready.is_set()
        if events and not is_first:
            self._tell(MirrorChange(revision, tuple(events)))
        self._follow(revision + 1)
        self._ready.set()
        self._tell_reached()

    def _follow(self, start_revision: int) -> None:
        fields = interval_fields("watch_create", self._keys, start_revision=start_revision)
        subscriber = Subscriber(self._notice, self._abort, self._orphan)
        self._number = self._caller.attach(self._connection, subscriber)
        self._caller.open_watch(self._connection, self._number, fields, FOREVER)

    def _notice(self, notice: Notice) -> bool:
        match notice:
            case WatchEvents():
                for revision, events in groupby(notice.events, key=lambda event: event.revision):
                    self._apply(MirrorChange(revision, tuple(events)))
                self._reach(notice.header.revision)
                self._tell_reached()
            case WatchEnded(error=CompactedError() | HistoryLostError()):
                self._connection.detach(self._number)
                self._read_from(self._keys.key, 0)
            case WatchEnded():
                self._abort(notice.error)
            case _:
                pass  # the watch has opened
        return True

    def _apply(self, change: MirrorChange) -> None:
        kvs = self._state.kvs
        with self._guard:
            for event in change.events:
                if event.type == "PUT":
                    kvs[event.kv.key] = event.kv
                else:
                    kvs.pop(event.kv.key, None)
            self._state = MirrorState(change.revision, kvs)
        self._tell(change)

    def _reach(self, revision: int) -> None:
        """All events up to a revision have been applied."""
        with self._guard:
            self._state = MirrorState(max(self._state.revision, revision), self._state.kvs)

    def _tell(self, change: MirrorChange) -> None:
        for listener in tuple(self._listeners):
            self._connection.tell(partial(self._told, listener, change))

    def _told(self, listener: MirrorListener[Data], change: MirrorChange) -> None:
        listener(MirrorChange(change.revision, tuple(map(self._form.event, change.events))))

    def _tell_reached(self) -> None:
        with self._guard:
            revision, over = self._state.revision, self._error is not None
            reached = [signal for wanted, signal in self._awaited if over or wanted <= revision]
            self._awaited = [
                (wanted, signal) for wanted, signal in self._awaited if signal not in reached
            ]
        for signal in reached:
            signal.set()

    def _abort(self, error: LeaseholdError) -> None:
        """The mirror ends with this error; called in any thread."""
        if not self._is_over and self._error is None:
            self._error = error
        self._ready.set()
        self._tell_reached()

    def _orphan(self, error: LeaseholdError) -> None:
        # A thread of the parent may have held the guard at the fork.
        self._guard = self._caller.shell.guard()
        self._error = WatchCanceledError(error.message)

    @contextmanager
    def _looking(self) -> Iterator[dict[bytes, KeyValue]]:
        """A block in which the mirror does not change."""
        if self._error is not None:
            raise self._error
        with self._guard:
            yield self._state.kvs
