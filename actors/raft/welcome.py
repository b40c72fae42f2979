"""Who a new member is: what the members of a running cluster say of it, and when to believe them.

One that lags may still take the newcomer for a member of earlier days, removed since, that was
reached at the same URLs: with its id, an empty disk would vote as if it had kept its promises.
"""

from __future__ import annotations

from typing import Final

from actors.raft.membership import decode
from actors.raft.rpc import Welcome

WELCOMES_MAX: Final = 64
"""Members whose answers are kept; a cluster has fewer."""


class Welcomes:
    """The answers to a newcomer's JoinRequests with this nonce, of each member the latest."""

    def __init__(self, nonce: int) -> None:
        self._nonce = nonce
        self._latest: dict[int, Welcome] = {}

    def take(self, welcome: Welcome) -> bool:
        """Whether this answer is to be believed: most of the other voters that it names agree.

        A removal is known to most of the voters it was of, so those that do not know are too few.
        """
        # Whoever was not asked does not know the nonce. Those who were are few.
        is_known = welcome.source in self._latest or len(self._latest) < WELCOMES_MAX
        if welcome.nonce != self._nonce or not is_known:
            return False
        self._latest[welcome.source] = welcome
        answers = self._latest.values()
        own_id = welcome.member_id
        if any(own_id in decode(each.membership).removed for each in answers):
            return False
        others = decode(welcome.membership).configuration.all_voters() - {own_id}
        agreeing = {
            each.source
            for each in answers
            if (each.member_id, each.cluster_id) == (own_id, welcome.cluster_id)
        }
        return len(others & agreeing) > len(others) // 2

    @property
    def was_here(self) -> Welcome | None:
        """An answer that says so, if any does."""
        return next((each for each in self._latest.values() if each.was_here), None)

    def urls(self) -> dict[int, str]:
        """Where the members that were named so far are reached."""
        return {
            peer.id: peer.peer_urls[0]
            for each in self._latest.values()
            for peer in decode(each.membership).peers
            if peer.id != each.member_id
        }
