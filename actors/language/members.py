"""A member's address, and the changes of the membership that can be asked for (etcd's messages).

Refuses to know which changes are allowed: that is raft/membership.py's. The member id in a change
is what a client asked for, and may be no member's.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from actors.language.bounds import MemberId, Unsigned

NOBODY: Final = 0
"""A member's id where there is none: no leader is known, no vote is given, no member proposed."""


class Peer(NamedTuple):
    """A member as the log knows it: its id, and the URLs at which other members reach it."""

    id: MemberId
    peer_urls: tuple[str, ...]


class AddMember(NamedTuple):
    """Add a voter, or a learner, which does not vote until it is promoted."""

    peer: Peer
    learner: bool


class RemoveMember(NamedTuple):
    """Remove a member for good."""

    id: Unsigned


class ReplaceMember(NamedTuple):
    """Remove one voter and add another in one step, so that there is never one voter less."""

    id: Unsigned
    peer: Peer


class UpdateMember(NamedTuple):
    """Change the URLs at which a member is reached."""

    id: Unsigned
    peer_urls: tuple[str, ...]


class PromoteMember(NamedTuple):
    """Make a learner that has caught up a voter."""

    id: Unsigned


class Transfer(NamedTuple):
    """Let the member `target` lead; the membership stays as it is."""

    target: int


MemberChange = AddMember | RemoveMember | ReplaceMember | UpdateMember | PromoteMember


class PublishedMember(NamedTuple):
    """A member that has published its name and its client URLs."""

    member_id: int
    name: str
    client_urls: tuple[str, ...]
