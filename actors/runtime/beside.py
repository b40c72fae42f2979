"""Beside: a thread that computes what would hold up everything else on the node, one at a time.

Refuses to know what is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Beside:
    """The computations of one actor; the thread, which has a name, is made for the first one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: Future[Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a computation is under way, or its result was not taken yet."""
        return self._under_way is not None

    def begin(self, compute: Callable[[], Any], done: Callable[[], None]) -> None:
        """Compute something in the thread, which calls `done` at the end; then call `take`."""
        assert self._under_way is None, "one computation at a time"
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        self._under_way = self._thread.submit(compute)
        self._under_way.add_done_callback(lambda _: done())

    def take(self) -> Any:
        """What was computed; raises what the computation has raised."""
        assert self._under_way is not None, "a computation is under way"
        under_way, self._under_way = self._under_way, None
        return under_way.result()

    def close(self) -> None:
        """Wait for what is under way; nobody wants its result."""
        if self._thread is not None:
            self._thread.shutdown()
