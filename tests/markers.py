"""One marker for each test: quick, process or campaign. Owns the table; `conftest.py` applies it.

A test has the marker of its folder, unless it or its module has another. What a quick
test must not do, start a process, is refused while one runs.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

QUICK: Final = "quick"
PROCESS: Final = "process"
CAMPAIGN: Final = "campaign"
MARKERS: Final = (QUICK, PROCESS, CAMPAIGN)

OF_FOLDERS: Final = {
    "bench": PROCESS,
    "chaos": PROCESS,
    "differential": PROCESS,
    "examples": PROCESS,
    "fuzz": PROCESS,
    "simulation": CAMPAIGN,
    "system": PROCESS,
}
"""The marker of what is in a folder of `tests/`; quick where the folder is not named."""

STARTS: Final = frozenset({"os.exec", "os.fork", "os.posix_spawn", "os.system", "subprocess.Popen"})
"""The interpreter's audit events of a process that starts."""


def marker_of(path: Path, marked: Collection[str]) -> str:
    """The marker of a test in this file below `tests/`, which has these by itself."""
    own = sorted(set(MARKERS) & set(marked))
    if len(own) > 1:
        raise ValueError(f"a test has one of these markers, not {' and '.join(own)}")
    return own[0] if own else OF_FOLDERS.get(path.parts[0], QUICK)


class Quiet:
    """Refuses every process that is started inside `kept`; there is no way to stop listening."""

    def __init__(self) -> None:
        self._is_kept = False
        sys.addaudithook(self._heard)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Let no process start in this block."""
        self._is_kept = True
        try:
            yield
        finally:
            self._is_kept = False

    @contextmanager
    def broken(self) -> Iterator[None]:
        """But in this block, let them."""
        was, self._is_kept = self._is_kept, False
        try:
            yield
        finally:
            self._is_kept = was

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._is_kept and event in STARTS:
            raise RuntimeError(f"a quick test starts a process: {event}{arguments!r:.200}")
