"""When a member that must stop does so: a member whose log is wrong first tells the others.

Refuses to know why the member must stop: that is decided in proof.py and trial.py.
"""

from __future__ import annotations

from typing import Final

from actors.raft.outcome import Contradicted, Ending

LAST_WORDS_MS: Final = 300
"""A member whose log is wrong stops this long after it said so. Meanwhile it answers the others,
which ask back whether the word came from it."""


class LastWords:
    """The end of one member; `due_ms` is when it has to stop, None: it need not, or has."""

    def __init__(self) -> None:
        self.due_ms: int | None = None
        self._ending: Ending | None = None

    def begin(self, ending: Ending, now_ms: int) -> None:
        """This member must stop; the first reason counts."""
        if self._ending is None:
            self._ending = ending
            self.due_ms = now_ms + (LAST_WORDS_MS if isinstance(ending, Contradicted) else 0)

    def take_due(self, now_ms: int) -> Ending | None:
        """The reason to stop, once the time has come; given a single time."""
        if self.due_ms is None or now_ms < self.due_ms:
            return None
        self.due_ms = None
        return self._ending
