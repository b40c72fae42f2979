"""Inquiry: asks the others, while a member is on probation, what they know of its earlier lives.

It repeats the question until the member is a full one, says whom it waits for, and removes the mark
when the core has found that nothing is lost. What the answers mean is probation.py's.
"""

from __future__ import annotations

import logging
from typing import Final

from actors.raft.core import RaftCore
from actors.raft.disk.mark import Mark
from actors.raft.neighbours import Neighbours
from actors.raft.rpc import JoinRequest

ASK_EVERY_MS: Final = 30
SAY_AFTER_MS: Final = 1_000
SAY_EVERY_MS: Final = 60_000

log = logging.getLogger("leasehold.raft")


class Inquiry:
    """One member's, which is reached at `own_urls`."""

    def __init__(self, core: RaftCore, own_urls: tuple[str, ...], mark: Mark) -> None:
        self._core = core
        self._own_urls = own_urls
        self._mark = mark
        self._ask_at_ms = 0
        self._say_at_ms: int | None = None

    def tick(self, neighbours: Neighbours, now_ms: int) -> int | None:
        """Ask if it is time to; when to come again, None once there is nothing to ask."""
        probation = self._core.probation
        if probation is None:
            return None
        if now_ms >= self._ask_at_ms:
            self._ask_at_ms = now_ms + ASK_EVERY_MS
            own_id = self._core.config.member_id
            request = JoinRequest(probation.nonce, own_id, self._own_urls, on_probation=True)
            neighbours.inquire(request)
            self._say(now_ms)
        return self._ask_at_ms

    def proven(self, neighbours: Neighbours, now_ms: int) -> None:
        """Nothing is lost: first the disk says so, then the member acts so."""
        self._mark.remove()
        self._core.admit(now_ms)
        neighbours.forget_asked()
        log.info("nothing that this member may have promised before is lost: it is a full member")

    def _say(self, now_ms: int) -> None:
        """Whom it waits for, if that takes long."""
        if self._say_at_ms is None:
            self._say_at_ms = now_ms + SAY_AFTER_MS
        if now_ms >= self._say_at_ms:
            self._say_at_ms = now_ms + SAY_EVERY_MS
            log.warning("the data directory was empty, and this member may have %s", self._state())

    def _state(self) -> str:
        core = self._core
        if core.probation is None or not core.probation.is_asking:
            return "promised what it has forgotten: it catches up, and does not vote until it has"
        membership = core.replica.membership
        awaited = core.probation.awaited(core.config.member_id, membership) or ()
        urls = [peer.peer_urls[0] for peer in membership.peers if peer.id in awaited]
        whom = f"of these have answered: {', '.join(urls)}" if urls else "others have answered"
        return f"been here before: it takes no part until enough {whom}"
