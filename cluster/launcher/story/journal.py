"""Journal: everything that happened to a local cluster, in order, for all who show it.

It keeps the newest, writes each to events.jsonl, and calls its readers. It belongs to the thread
of the launcher's main loop; it refuses to know how anything is shown.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Final

from cluster.launcher.story.happenings import FLEETING, LAUNCHER, RECORDED, Happening
from cluster.private import append

KEPT_MAX: Final = 20_000
"""The number of happenings that are kept; older ones are in the file only."""

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A file of this size is written no further."""

Reader = Callable[[Happening], None]


class Journal:
    """What has happened, oldest first. `path` is the file that gets a line of JSON for each."""

    def __init__(self, path: Path | None = None) -> None:
        self._kept: deque[Happening] = deque(maxlen=KEPT_MAX)
        self._count = 0
        self._readers: list[Reader] = []
        self._file = None if path is None else append(path)

    @property
    def count(self) -> int:
        """How many have happened, the forgotten ones among them."""
        return self._count

    def since(self, number: int) -> list[Happening]:
        """Those from this number on (the first is 0), without the forgotten ones."""
        first = self._count - len(self._kept)
        return list(islice(self._kept, max(0, number - first), None))

    def read_by(self, reader: Reader) -> Callable[[], None]:
        """Call `reader` with each from now on; the result ends that."""
        self._readers.append(reader)
        return lambda: self._readers.remove(reader)

    def tell(self, kind: str, text: str, **fields: Any) -> Happening:
        """The launcher has seen or done something just now."""
        happening = Happening(time.monotonic(), time.time(), kind, LAUNCHER, text, fields)
        self.add(happening)
        return happening

    def add(self, happening: Happening) -> None:
        """Keep it, write it, and hand it to the readers; one that is FLEETING only this last."""
        if happening.kind not in FLEETING:
            self._count += 1
            self._kept.append(happening)
        if happening.kind not in RECORDED:
            self._write(happening)
        for reader in list(self._readers):
            reader(happening)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, happening: Happening) -> None:
        if self._file is None or self._file.tell() > FILE_BYTES_MAX:
            return
        self._file.write(json.dumps(happening.document()).encode() + b"\n")
        self._file.flush()
