"""Neighbours: where the other members are reached, and what is sent there.

It joins the core's messages to the links, and answers who asks where and who the members are. What
a message means, and when it may be sent, is the core's business and the actor's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from actors.language.members import Peer
from actors.raft.admission import STRANGER, Admission
from actors.raft.codec import PeerCodec, encode_join
from actors.raft.core import RaftCore
from actors.raft.membership import Membership, decode, encode
from actors.raft.rpc import (
    Introduction,
    JoinRequest,
    Message,
    RemovedNotice,
    VoteRequest,
    Welcome,
)
from actors.raft.seams import Links

ASK_AGAIN_MS: Final = 100
NONCE_BITS: Final = 64

LINKS_MAX: Final = 256
"""Beyond it the links to those that are no members any more are closed, oldest first."""


class Neighbours:
    """Those that one member talks to, over its links.

    `asked_urls` are where the operator says that members are: they are asked, beside those that are
    known, who a member is that the log here does not tell of. `random_bits` makes the nonces of
    these questions: nobody may guess one.
    """

    def __init__(
        self,
        core: RaftCore,
        codec: PeerCodec,
        links: Links,
        admission: Admission,
        asked_urls: Sequence[str],
        random_bits: Callable[[int], int],
    ) -> None:
        self._core = core
        self._codec = codec
        self._links = links
        self._admission = admission
        self._own_id = core.config.member_id
        self._random_bits = random_bits
        # Links are by member; who is at a URL of the operator's is not known: numbers below zero.
        self._asked = {-number: url for number, url in enumerate(asked_urls, 1)}
        self._urls: dict[int, str] = {}
        self._nonce = 0
        self._ask_again_ms = 0
        # None: the store has not told yet.
        self._published: Mapping[int, tuple[str, ...]] | None = None

    def follow(self, membership: Membership) -> None:
        """These are the members now. Links to those that are going stay for a while: their last
        acknowledgements and notices travel there."""
        self._reach(self._urls_of(membership))

    def send(self, messages: Iterable[Message], now_ms: int) -> None:
        """Send each message to its target; one that is dropped is sent again by Raft."""
        for message in messages:
            target = message.target
            if isinstance(message, RemovedNotice) and target not in self._urls:
                # It will ask again, and by then there is a link.
                former = self._core.roster.committed.former
                self._reach({peer.id: peer.peer_urls[0] for peer in former if peer.id == target})
            elif isinstance(message, VoteRequest) or self._core.peers.is_silent(target, now_ms):
                self._introduce(target)
            self._links.send(target, self._codec.encode(message))

    def close(self) -> None:
        """Close every link."""
        self._links.close()

    # --- where others are ---

    def introduced(self, introduction: Introduction) -> str:
        """A member says where it is reached; why it is not believed, if so."""
        member_id, url = introduction
        known = self._urls.get(member_id)
        if member_id == self._own_id or not self._admission.is_known(member_id):
            return STRANGER
        if url == known:
            return ""
        # As long as somebody is where the log says it is, it has not moved, whoever says so.
        if known is not None and self._introduce(member_id):
            return "it is reached where it was before"
        self._reach({member_id: url})
        return ""

    def know(self, published: Mapping[int, tuple[str, ...]]) -> None:
        """These members have told their names, and where they serve clients."""
        self._published = published

    def welcome(self, request: JoinRequest, now_ms: int) -> None:
        """Tell a member that asks who it is and who the others are, at the URL known here.

        One that was removed, and does not know it, is told what there is to know, too. Before it is
        known who has been here, nobody is told anything.
        """
        core, published = self._core, self._published
        if published is None:
            return
        for peer in self._who_asks(request)[:1]:
            self._reach({peer.id: self._urls.get(peer.id, peer.peer_urls[0])})
            # That it is gone is sure only when it is committed.
            is_here = core.roster.latest.peer(peer.id) is not None
            membership = core.roster.latest if is_here else core.roster.committed
            session = core.peers.session_for(peer.id, request, now_ms)
            welcome = Welcome(
                self._own_id,
                peer.id,
                self._codec.cluster_id,
                request.nonce,
                encode(membership),
                peer.id in published or core.peers.has_proposed(peer.id, now_ms),
                core.term,
                core.replica.log.last_index,
                core.replica.log.last_term,
                session,
                published.get(self._own_id, ()),
            )
            self._links.send(peer.id, self._codec.encode_welcome(welcome))

    def _who_asks(self, request: JoinRequest) -> list[Peer]:
        roster, urls = self._core.roster, set(request.peer_urls)
        if request.member_id:
            known = (*roster.latest.peers, *roster.committed.former)
            asking = [peer for peer in known if peer.id == request.member_id]
        else:
            former = roster.latest.removed
            there = [p for p in roster.latest.peers if set(p.peer_urls) == urls]
            # One that takes another's place at the same URLs asks, not who is about to go.
            asking = [peer for peer in there if peer.id not in former] or there
        return [peer for peer in asking if peer.id != self._own_id]

    # --- who others are ---

    def ask(self, now_ms: int) -> None:
        """Ask who the members are, since one is heard that is not known here."""
        if now_ms < self._ask_again_ms:
            return
        self._ask_again_ms = now_ms + ASK_AGAIN_MS
        self._nonce = self._random_bits(NONCE_BITS)
        self.inquire(JoinRequest(self._nonce, self._own_id, ()))

    def inquire(self, request: JoinRequest) -> None:
        """Ask everybody who is known, and whoever is where the operator says that members are."""
        known = {url for member, url in self._urls.items() if member > 0}
        self._reach({member: url for member, url in self._asked.items() if url not in known})
        question = encode_join(request)
        for target in self._urls:
            self._links.send(target, question)

    def welcomed(self, welcome: Welcome, is_believed: bool = False) -> str:
        """Somebody says who the members are; why that is not believed, if so.

        The nonce went only to where members are known to be, or the operator says they are. It is
        believed already if it answers what was asked on probation.
        """
        is_asked = bool(self._nonce) and welcome.nonce == self._nonce
        if not is_believed and not (is_asked and welcome.member_id == self._own_id):
            return "nobody asked for it"
        membership = decode(welcome.membership)
        if not self._admission.vouch(welcome.source, membership):
            return "it names too many members"
        known = {peer.id for _, each in self._core.roster.held for peer in each.peers}
        named = self._urls_of(membership)
        if not is_believed:
            self.forget_asked()
        self._reach({member: url for member, url in named.items() if member not in known})
        return ""

    def forget_asked(self) -> None:
        """The operator's URLs have served."""
        for member in self._asked:
            self._urls.pop(member, None)
        self._links.update(self._urls)

    def _urls_of(self, membership: Membership) -> dict[int, str]:
        peers = membership.peers
        return {peer.id: peer.peer_urls[0] for peer in peers if peer.id != self._own_id}

    def _reach(self, urls: dict[int, str]) -> None:
        if urls.items() <= self._urls.items():
            return
        self._urls |= urls
        if len(self._urls) > LINKS_MAX:
            gone = [each for each in self._urls if not self._admission.is_known(each)]
            for each in gone[: len(self._urls) - LINKS_MAX]:
                del self._urls[each]
        self._links.update(self._urls)

    def _introduce(self, target: int) -> bool:
        """Say where this member is reached, for one that was away may not know.

        False when nobody is there. A member that does not know its own URL yet cannot tell.
        """
        own = self._core.roster.latest.peer(self._own_id)
        if own is None:
            return True
        frame = self._codec.encode_introduction(Introduction(self._own_id, own.peer_urls[0]))
        return self._links.send(target, frame)
