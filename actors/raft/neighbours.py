"""Neighbours: where the other members are reached, and what is sent there.

It joins the core's messages to the links, and answers who asks where and who the members are. What
a message means, and when it may be sent, is the core's business and the actor's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from actors.raft.codec import PeerCodec
from actors.raft.core import RaftCore
from actors.raft.membership import Membership
from actors.raft.rpc import Introduction, JoinRequest, Message, RemovedNotice, VoteRequest


class Links(Protocol):
    """The way to the other members (cluster.links.PeerLinks); delivery is not promised."""

    def update(self, urls: dict[int, str]) -> None:
        """Be connected to exactly these members."""

    def send(self, member_id: int, frame: bytes) -> bool:
        """Send without waiting; False when the frame was dropped."""

    def close(self) -> None:
        """Close every link."""


class Neighbours:
    """Those that one member talks to, over its links."""

    def __init__(self, core: RaftCore, codec: PeerCodec, links: Links) -> None:
        self._core = core
        self._codec = codec
        self._links = links
        self._urls: dict[int, str] = {}

    def follow(self, membership: Membership) -> None:
        """These are the members now. Links to members that are going stay: their last acks and
        notices travel there."""
        own_id = self._core.config.member_id
        self._reach({peer.id: peer.peer_urls[0] for peer in membership.peers if peer.id != own_id})

    def send(self, messages: Iterable[Message], now_ms: int) -> None:
        """Send each message to its target; one that is dropped is sent again by Raft."""
        for message in messages:
            target = message.target
            if isinstance(message, RemovedNotice) and target not in self._urls:
                # It will ask again, and by then there is a link.
                former = self._core.replica.committed_membership.former
                self._reach({peer.id: peer.peer_urls[0] for peer in former if peer.id == target})
            elif isinstance(message, VoteRequest) or self._core.is_silent(target, now_ms):
                self._introduce(target)
            self._links.send(target, self._codec.encode(message))

    def introduced(self, introduction: Introduction) -> None:
        """A member says where it is reached."""
        self._reach({introduction.member_id: introduction.url})

    def welcome(self, request: JoinRequest) -> None:
        """Tell a member that asks who it is and who the others are, at the URL known here."""
        own_id, membership = self._core.config.member_id, self._core.replica.membership
        for peer in membership.peers:
            is_asking = peer.id == request.member_id or (
                not request.member_id and set(peer.peer_urls) == set(request.peer_urls)
            )
            if is_asking:
                welcome = self._codec.encode_welcome(own_id, peer.id, request.nonce, membership)
                self._links.send(peer.id, welcome)

    def close(self) -> None:
        """Close every link."""
        self._links.close()

    def _reach(self, urls: dict[int, str]) -> None:
        if not urls.items() <= self._urls.items():
            self._urls |= urls
            self._links.update(self._urls)

    def _introduce(self, target: int) -> None:
        """Say where this member is reached: the answer of one that was away would not find it."""
        own_id = self._core.config.member_id
        own = self._core.replica.membership.peer(own_id)
        if own is not None:
            frame = self._codec.encode_introduction(own_id, own.peer_urls[0])
            self._links.send(target, frame)
