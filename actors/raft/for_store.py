"""Entries as Store understands them: a membership of Raft's becomes Store's command SetMembers.

The one place where consensus and the state machine share a word about who the members are.
"""

from __future__ import annotations

from actors.raft.membership import decode, is_membership
from actors.raft.rpc import Entry
from actors.store.codec import encode_command
from actors.store.commands import MemberPeers, SetMembers


def for_store(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Entries as Store understands them: a membership becomes its command SetMembers."""
    if not any(is_membership(entry.command) for entry in entries):
        return entries
    return tuple(
        entry._replace(command=_set_members(entry.command))
        if is_membership(entry.command)
        else entry
        for entry in entries
    )


def _set_members(packed: bytes) -> bytes:
    membership = decode(packed)
    peers = tuple(
        MemberPeers(peer.id, peer.peer_urls, peer.id in membership.learners)
        for peer in membership.peers
        if peer.id in membership.voters | membership.learners
    )
    return encode_command(SetMembers(peers, packed), None)
