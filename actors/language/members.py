"""A member's address, and the changes of the membership that can be asked for (etcd's messages).

Refuses to know which changes are allowed: that is raft/membership.py's. The member id in a change
is what a client asked for, and may be no member's.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from actors.language.bounds import MemberId, Unsigned

NOBODY: Final = 0
"""A member's id where there is none: no leader is known, no vote is given, no member proposed."""


MEMBER_KEYS_MAX: Final = 2
"""A member that is changing its key has two: the one that goes, and then the one that comes."""


class Peer(NamedTuple):
    """A member as the log knows it: its id, and the URLs at which other members reach it.

    `keys` are its public keys (cluster.curve), the newest last; a cluster without keys has none.
    """

    id: MemberId
    peer_urls: tuple[str, ...]
    keys: tuple[str, ...] = ()


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


class SetKeys(NamedTuple):
    """Change the keys of a member: first its next key comes in, then the former one goes.

    Without keys it is a client's wish, and the member itself has to make its next key.
    """

    id: Unsigned
    keys: tuple[str, ...] = ()


class Transfer(NamedTuple):
    """Let the member `target` lead; the membership stays as it is."""

    target: int


MemberChange = AddMember | RemoveMember | ReplaceMember | UpdateMember | PromoteMember | SetKeys


class PublishedMember(NamedTuple):
    """A member that has published its name and its client URLs."""

    member_id: int
    name: str
    client_urls: tuple[str, ...]


class Knock(NamedTuple):
    """Gatekeeper -> Raft: somebody with this key, which is no member's, was not let in."""

    key: str
