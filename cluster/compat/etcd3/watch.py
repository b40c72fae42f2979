"""The calls that follow changes: watches that are iterated over, and watches that call back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple

from cluster.client import results
from cluster.client.api import Client
from cluster.client.requests import Key
from cluster.client.threads.objects import Watch
from cluster.compat.etcd3.calls import Calls
from cluster.compat.etcd3.etcdrpc import FilterType
from cluster.compat.etcd3.events import Event, new_event
from cluster.compat.etcd3.exceptions import (
    Etcd3Exception,
    RevisionCompactedError,
    WatchTimedOut,
    exception_of,
    translated,
)
from cluster.compat.etcd3.utils import prefix_range_end, response_to_event_iterator, to_bytes
from cluster.errors import ClientClosedError, CompactedError, DeadlineExceededError, LeaseholdError


class WatchResponse(NamedTuple):
    """Events that came together; without events it is the news that nothing has happened."""

    header: results.Header
    events: list[Event]


Callback = Callable[[WatchResponse | Etcd3Exception], None]
Cancel = Callable[[], None]


class WatchCalls(Calls):
    """The calls that follow changes.

    They take `range_end`, `start_revision`, `progress_notify`, `filters` (of `etcdrpc.FilterType`,
    or their names) and `prev_kv`. The cluster has accepted a watch when they return; it is a
    WatchTimedOut when that takes longer than the client's timeout.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._numbers = count(1)
        self._lock = threading.Lock()
        # Under the id that the program has; None until the cluster has accepted it.
        self._watches: dict[int, Watch | None] = {}

    # --- iterators ---

    @translated
    def watch_response(self, key: Key, **kwargs: Any) -> tuple[Iterator[WatchResponse], Cancel]:
        """The responses of a watch, and the function that ends it.

        The iterator raises RevisionCompactedError when history that the watch needs is gone.
        """
        try:
            watch = _opened(self._client, key, kwargs)
        except CompactedError as error:
            return _raising(error), _nothing
        return _responses(watch), watch.cancel

    def watch(self, key: Key, **kwargs: Any) -> tuple[Iterator[Event], Cancel]:
        """The events of a key, and the function that ends the watch."""
        responses, cancel = self.watch_response(key, **kwargs)
        return response_to_event_iterator(responses), cancel

    def watch_prefix_response(
        self, key_prefix: Key, **kwargs: Any
    ) -> tuple[Iterator[WatchResponse], Cancel]:
        """As `watch_response`, for the keys that begin with a prefix."""
        return self.watch_response(key_prefix, **_to_the_end_of(key_prefix, kwargs))

    def watch_prefix(self, key_prefix: Key, **kwargs: Any) -> tuple[Iterator[Event], Cancel]:
        """As `watch`, for the keys that begin with a prefix."""
        return self.watch(key_prefix, **_to_the_end_of(key_prefix, kwargs))

    # --- once ---

    @translated
    def watch_once_response(
        self, key: Key, timeout: float | None = None, **kwargs: Any
    ) -> WatchResponse:
        """The first response; WatchTimedOut after `timeout` seconds, None waits without limit."""
        with _opened(self._client, key, kwargs) as watch:
            return _response(_in_time(watch.batch, timeout))

    @translated
    def watch_once(self, key: Key, timeout: float | None = None, **kwargs: Any) -> Event:
        """The first event; WatchTimedOut after `timeout` seconds, None waits without limit."""
        with _opened(self._client, key, kwargs) as watch:
            return new_event(_in_time(watch.get, timeout))

    def watch_prefix_once_response(
        self, key_prefix: Key, timeout: float | None = None, **kwargs: Any
    ) -> WatchResponse:
        """As `watch_once_response`, for the keys that begin with a prefix."""
        return self.watch_once_response(key_prefix, timeout, **_to_the_end_of(key_prefix, kwargs))

    def watch_prefix_once(
        self, key_prefix: Key, timeout: float | None = None, **kwargs: Any
    ) -> Event:
        """As `watch_once`, for the keys that begin with a prefix."""
        return self.watch_once(key_prefix, timeout, **_to_the_end_of(key_prefix, kwargs))

    # --- callbacks ---

    @translated
    def add_watch_callback(self, key: Key, callback: Callback, **kwargs: Any) -> int:
        """Call a function with each WatchResponse, and with the exception that ends the watch.

        Returns the id for `cancel_watch`. The functions of a client are called one after the other.
        """
        watch_id = next(self._numbers)
        self._watches[watch_id] = None

        def tell(batch: results.WatchBatch | LeaseholdError) -> None:
            if not isinstance(batch, LeaseholdError):
                if watch_id in self._watches:
                    callback(_response(batch))
            elif self._forgotten(watch_id) and not isinstance(batch, ClientClosedError):
                callback(exception_of(batch))

        try:
            watch = _opened(self._client, key, kwargs, tell)
        except CompactedError as error:
            tell(error)
            return watch_id
        except BaseException:
            self._forgotten(watch_id)
            raise
        with self._lock:
            if watch_id in self._watches:
                self._watches[watch_id] = watch
        return watch_id

    def add_watch_prefix_callback(self, key_prefix: Key, callback: Callback, **kwargs: Any) -> int:
        """As `add_watch_callback`, for the keys that begin with a prefix."""
        return self.add_watch_callback(key_prefix, callback, **_to_the_end_of(key_prefix, kwargs))

    def cancel_watch(self, watch_id: int) -> None:
        """End a watch that calls back, by its id; nothing happens if it has ended."""
        with self._lock:
            watch = self._watches.pop(watch_id, None)
        if watch is not None:
            watch.cancel()

    def _forgotten(self, watch_id: int) -> bool:
        """Forget a watch that has ended; whether it was known."""
        with self._lock:
            return self._watches.pop(watch_id, self) is not self


def _opened(
    client: Client,
    key: Key,
    options: dict[str, Any],
    callback: Callable[[results.WatchBatch | LeaseholdError], None] | None = None,
) -> Watch:
    """A watch that the cluster has accepted."""
    known = {"range_end", "start_revision", "progress_notify", "filters", "prev_kv"}
    if options.keys() - known:
        names = ", ".join(sorted(options.keys() - known))
        raise TypeError(f"a watch has the options {', '.join(sorted(known))}, and no {names}")
    try:
        return client.watch(
            key,
            options.get("range_end"),
            start_revision=options.get("start_revision"),
            prev_kv=bool(options.get("prev_kv")),
            filters=[_filter(each) for each in options.get("filters") or ()],
            progress_notify=bool(options.get("progress_notify")),
            callback=callback,
        )
    except DeadlineExceededError as error:
        raise WatchTimedOut(str(error)) from error


def _filter(given: int | str) -> str:
    return given if isinstance(given, str) else FilterType(given).name


def _to_the_end_of(prefix: Key, options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "range_end": prefix_range_end(to_bytes(prefix))}


def _response(batch: results.WatchBatch) -> WatchResponse:
    return WatchResponse(batch.header, [new_event(event) for event in batch.events])


def _responses(watch: Watch) -> Iterator[WatchResponse]:
    """The responses of a watch until it is cancelled, or its client is closed."""
    try:
        for batch in watch.batches():
            yield _response(batch)
    except ClientClosedError:
        return
    except LeaseholdError as error:
        raise exception_of(error) from error
    finally:
        watch.cancel()  # a program may drop an iterator before its end


def _raising(error: CompactedError) -> Iterator[WatchResponse]:
    raise RevisionCompactedError(error.compact_revision, str(error)) from error
    yield  # the error comes where the events would


def _nothing() -> None:
    """End a watch that never was."""


def _in_time(wait: Callable[[float | None], Any], timeout: float | None) -> Any:
    try:
        return wait(timeout)
    except DeadlineExceededError as error:
        raise WatchTimedOut(str(error)) from error
