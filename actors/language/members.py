"""A member's address, and the changes of the membership that can be asked for (etcd's messages).

Which of them are allowed, and when, is Raft's (raft/membership.py). The id of a member in a change
is what somebody asks for, and may be nobody's.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from actors.language.bounds import MemberId, Unsigned

NOBODY: Final = 0
"""A member's id where there is none: no leader is known, no vote is given, no member proposed."""


class Peer(NamedTuple):
    """A member as the log knows it: where other members reach it, and whether it only learns."""

    id: MemberId
    peer_urls: tuple[str, ...]


class AddMember(NamedTuple):
    """Add a voter, or a learner that will not count until it is promoted."""

    peer: Peer
    learner: bool


class RemoveMember(NamedTuple):
    """Remove a member for good."""

    id: Unsigned


class ReplaceMember(NamedTuple):
    """Remove one voter and add another in one step: there is no dip in between."""

    id: Unsigned
    peer: Peer


class UpdateMember(NamedTuple):
    """A member is reached elsewhere from now on."""

    id: Unsigned
    peer_urls: tuple[str, ...]


class PromoteMember(NamedTuple):
    """A learner that has caught up becomes a voter."""

    id: Unsigned


MemberChange = AddMember | RemoveMember | ReplaceMember | UpdateMember | PromoteMember
