"""A member's address, and the changes of the membership that can be asked for (etcd's messages).

Which of them are allowed, and when, is Raft's (raft/membership.py).
"""

from __future__ import annotations

from typing import Final, NamedTuple

NOBODY: Final = 0
"""A member's id where there is none: no leader is known, no vote is given, no member proposed."""


class Peer(NamedTuple):
    """A member as the log knows it: where other members reach it, and whether it only learns."""

    id: int
    peer_urls: tuple[str, ...]


class AddMember(NamedTuple):
    """Add a voter, or a learner that will not count until it is promoted."""

    peer: Peer
    learner: bool


class RemoveMember(NamedTuple):
    """Remove a member for good."""

    id: int


class ReplaceMember(NamedTuple):
    """Remove one voter and add another in one step: there is no dip in between."""

    id: int
    peer: Peer


class UpdateMember(NamedTuple):
    """A member is reached elsewhere from now on."""

    id: int
    peer_urls: tuple[str, ...]


class PromoteMember(NamedTuple):
    """A learner that has caught up becomes a voter."""

    id: int


Change = AddMember | RemoveMember | ReplaceMember | UpdateMember | PromoteMember
