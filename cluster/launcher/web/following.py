"""PageWatch: a watch of keys for one page, in a thread of its own.

It goes on where it ended when the cluster's members change or nobody answers, and says so. It
refuses to know HTTP: it hands texts to a function.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Final

from cluster.client.threads.objects import Watch
from cluster.errors import CompactedError, LeaseholdError
from cluster.launcher.web.keys import Keys, event, is_shown

AGAIN_SECONDS: Final = 0.5
"""A watch that has ended is begun again after this time."""

EVENTS_MAX: Final = 200
"""Events in one text; of a larger batch the newest."""

Tell = Callable[[str], None]


class PageWatch:
    """Tells the changes below a prefix until `end`. `tell` is called in a thread of its own."""

    def __init__(self, keys: Keys, prefix: bytes, tell: Tell) -> None:
        self._keys = keys
        self._prefix = prefix
        self._tell = tell
        self._ended = threading.Event()
        self._watch: Watch | None = None
        self._after = 0
        self._thread = threading.Thread(target=self._run, name="page-watch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Tell no more. The thread ends by itself."""
        self._ended.set()
        if self._watch is not None:
            self._watch.cancel()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._follow()
            except CompactedError:
                self._after = 0  # what was missed is gone: the page reads all keys again
            except LeaseholdError as error:
                if not self._ended.is_set():
                    self._tell(json.dumps({"interrupted": error.message}))
            self._ended.wait(AGAIN_SECONDS)

    def _follow(self) -> None:
        start = self._after + 1 if self._after else None
        watch = self._keys.client().watch(self._prefix, prefix=True, start_revision=start)
        self._watch = watch
        with watch:
            if self._ended.is_set():
                return  # `end` came before there was a watch to cancel
            # The page reads the keys when it hears this: then it misses nothing in between.
            self._tell(json.dumps({"watching": watch.header.revision, "resumed": bool(start)}))
            for batch in watch.batches():
                self._after = max(self._after, batch.header.revision)
                shown = [change for change in batch.events if is_shown(change.kv.key)]
                if shown:
                    rows = [event(change) for change in shown[-EVENTS_MAX:]]
                    skipped = len(shown) - len(rows)
                    self._tell(json.dumps({"events": rows, "skipped": skipped}))
