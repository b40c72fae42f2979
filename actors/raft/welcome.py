"""Who a new member is: what the members of a running cluster say of it, and when to believe them.

A member that lags may take the new member for an earlier one at the same URLs, which was removed
since. With the id of that one, an empty disk would vote as if it had kept the promises of another.
"""

from __future__ import annotations

from typing import Final

from actors.raft.membership import decode
from actors.raft.rpc import Welcome

WELCOMES_MAX: Final = 64
"""Members whose answers are kept; a cluster has fewer."""


class Welcomes:
    """The answers to a new member's JoinRequests with this nonce, from each member the latest."""

    def __init__(self, nonce: int) -> None:
        self._nonce = nonce
        self._latest: dict[int, Welcome] = {}

    def take(self, welcome: Welcome) -> bool:
        """Whether to believe this answer: a majority of the other voters that it names agree.

        A committed removal is known to a majority of the voters, so the members that lag are too
        few to agree on an earlier member.
        """
        # A process that was not asked does not know the nonce. Those that were asked are few.
        is_known = welcome.source in self._latest or len(self._latest) < WELCOMES_MAX
        if welcome.nonce != self._nonce or not is_known:
            return False
        self._latest[welcome.source] = welcome
        answers = self._latest.values()
        own_id = welcome.member_id
        # One answer that knows of the removal of this id outweighs all others: it is not the new
        # member's.
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
        """An answer that says that this member was here before; None: there is none."""
        return next((each for each in self._latest.values() if each.was_here), None)

    def keys(self) -> dict[int, tuple[str, ...]]:
        """The keys of all members that the answers name, by id."""
        return {
            peer.id: peer.keys
            for each in self._latest.values()
            for peer in decode(each.membership).peers
            if peer.id != each.member_id
        }

    def urls(self) -> dict[int, str]:
        """The URLs of all members that the answers name, by id."""
        return {
            peer.id: peer.peer_urls[0]
            for each in self._latest.values()
            for peer in decode(each.membership).peers
            if peer.id != each.member_id
        }
