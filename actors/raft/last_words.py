"""When a member that must not go on stops: one that is wrong tells the others so first.

Who is wrong, and why this member must stop, is the core's business (proof.py, trial.py).
"""

from __future__ import annotations

from typing import Final

from actors.raft.outcome import Contradicted, Ending

LAST_WORDS_MS: Final = 300
"""A member that is wrong stops so long after it has said so: others ask whether it was it."""


class LastWords:
    """One member's; `due_ms` is when it has to stop, None while it need not, or has."""

    def __init__(self) -> None:
        self.due_ms: int | None = None
        self._ending: Ending | None = None

    def begin(self, ending: Ending, now_ms: int) -> None:
        """This member must stop; the first reason counts."""
        if self._ending is None:
            self._ending = ending
            self.due_ms = now_ms + (LAST_WORDS_MS if isinstance(ending, Contradicted) else 0)

    def take_due(self, now_ms: int) -> Ending | None:
        """Why to stop now, if it is time to; once."""
        if self.due_ms is None or now_ms < self.due_ms:
            return None
        self.due_ms = None
        return self._ending
