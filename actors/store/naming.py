"""Members as the store knows them: Raft's, with the name and the URLs that each has published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from actors.language.commands import Member, MemberPeers


def named(peers: Iterable[MemberPeers], before: Mapping[int, Member]) -> dict[int, Member]:
    """These members by id, with what those among them that were known `before` have published."""
    members: dict[int, Member] = {}
    for peer in peers:
        known = before.get(peer.id)
        name, client_urls = ("", ()) if known is None else (known.name, known.client_urls)
        members[peer.id] = Member(
            peer.id, name, peer.peer_urls, client_urls, peer.is_learner, peer.keys
        )
    return members


def called(members: Mapping[int, Member], member_id: int) -> str:
    """A member in a sentence: by its name, and by the id that commands take."""
    member = members.get(member_id)
    name = member.name if member is not None and member.name else "without a name"
    return f"member {name} ({member_id:x})"


def by_id(members: Mapping[int, Member]) -> tuple[Member, ...]:
    """The members in the order of their ids."""
    return tuple(sorted(members.values(), key=lambda member: member.id))
