"""Verdicts: carries out what the core has found of members: names them, raises alarms, and ends.

Who is wrong, and why this member must not go on, is the core's business (proof.py, trial.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.language.messages import Accuse
from actors.raft.outcome import Contradicted, Decided, Ending
from actors.runtime.base import Address, send
from actors.runtime.complaints import Complaints

LAST_WORDS_MS: Final = 300
"""A member that is wrong stops so long after it has said so: others ask whether it was it."""


class Verdicts:
    """One member's; `on_ending` is called once, when and why this member must stop."""

    def __init__(self, on_ending: Callable[[Ending], None], complaints: Complaints) -> None:
        self._on_ending = on_ending
        self._complaints = complaints
        self._ending: Ending | None = None
        self._end_at_ms = 0
        self._is_over = False

    def take(self, decided: Decided, store: Address, now_ms: int) -> None:
        """Say whose logs do not fit to this one, and raise the alarm for those who are wrong."""
        for member_id in decided.at_odds:
            text = f"the log of member {member_id:x} and this one do not come together"
            self._complaints.say(f"at odds with {member_id:x}", text)
        for member_id in decided.accused:
            send(store, Accuse(member_id))
        if decided.ending is not None and self._ending is None:
            self._ending = decided.ending
            words_ms = LAST_WORDS_MS if isinstance(decided.ending, Contradicted) else 0
            self._end_at_ms = now_ms + words_ms

    def carry_out(self, now_ms: int) -> int | None:
        """End if it is time to; when to come again."""
        if self._ending is None or self._is_over:
            return None
        if now_ms < self._end_at_ms:
            return self._end_at_ms
        self._is_over = True
        self._on_ending(self._ending)
        return None
