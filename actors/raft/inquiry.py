"""Inquiry: what a member on probation asks the others, which may know of its earlier lives.

The question is repeated until the member is a full one, and the operator is told which members have
yet to answer. Refuses to know what the answers mean: probation.py does.
"""

from __future__ import annotations

from typing import Final

from actors.raft.core import RaftCore
from actors.raft.probation import Probation
from actors.raft.rpc import JoinRequest

INQUIRE_EVERY_MS: Final = 30
SAY_AFTER_MS: Final = 1_000
SAY_EVERY_MS: Final = 60_000


class Inquiry:
    """The inquiry of the member at `own_urls`; `due_ms` is when it asks again."""

    def __init__(self, core: RaftCore, own_urls: tuple[str, ...]) -> None:
        self.due_ms = 0
        self._core = core
        self._own_urls = own_urls
        self._say_at_ms: int | None = None

    def ask(self, probation: Probation, now_ms: int) -> tuple[JoinRequest, str]:
        """The question for all members now, and a text for the operator, which may be empty."""
        self.due_ms = now_ms + INQUIRE_EVERY_MS
        own_id = self._core.config.member_id
        question = JoinRequest(probation.nonce, own_id, self._own_urls, on_probation=True)
        return question, self._complaint(probation, now_ms)

    def _complaint(self, probation: Probation, now_ms: int) -> str:
        if self._say_at_ms is None:
            self._say_at_ms = now_ms + SAY_AFTER_MS
        if now_ms < self._say_at_ms:
            return ""
        self._say_at_ms = now_ms + SAY_EVERY_MS
        return f"the data directory was empty, and this member may have {self._state(probation)}"

    def _state(self, probation: Probation) -> str:
        if not probation.is_asking:
            return "lost promises that it made: it does not vote until it has caught up"
        core = self._core
        membership = core.roster.latest
        awaited = probation.awaited(core.config.member_id, membership) or ()
        urls = [peer.peer_urls[0] for peer in membership.peers if peer.id in awaited]
        whom = f"of these have answered: {', '.join(urls)}" if urls else "others have answered"
        return f"been here before: it takes no part until enough {whom}"
