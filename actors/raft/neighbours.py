"""Neighbours: at which URLs the other members are reached, and what is sent there.

It sends the core's messages over the links, and answers members that ask who and where the members
are. Refuses to know what a message means, and when it may be sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from actors.language.members import Peer
from actors.raft.admission import MISDIRECTED, NOT_SENT, STRANGER, Admission
from actors.raft.codec import PeerCodec, encode_join
from actors.raft.core import RaftCore
from actors.raft.membership import Membership, decode, encode
from actors.raft.round_trips import RoundTrips
from actors.raft.rpc import (
    Introduction,
    JoinRequest,
    Message,
    Ping,
    Pong,
    RemovedNotice,
    VoteRequest,
    Welcome,
)
from actors.raft.seams import Links
from actors.raft.surroundings import Surroundings
from cluster.schemes import places, zeromq_url

ASK_AGAIN_MS: Final = 100
NONCE_BITS: Final = 64

NEVER_MS: Final = 1 << 62
"""A time that does not come."""

LINKS_MAX: Final = 256
"""Beyond this number, links to members that were removed are closed, the oldest first."""


class Neighbours:
    """The members that one member talks to, over its links.

    If a member is heard that the log does not tell of, the members at the operator's URLs are asked
    about it, beside the known ones. No other process may guess the nonce of such a question.
    """

    def __init__(
        self,
        core: RaftCore,
        codec: PeerCodec,
        links: Links,
        admission: Admission,
        surroundings: Surroundings,
        trips: RoundTrips,
    ) -> None:
        self._core = core
        self._codec = codec
        self._links = links
        self._admission = admission
        self._own_id = core.config.member_id
        self._random_bits = surroundings.random_bits
        self._trips = trips
        # Links are kept by member id. Which member is at one of the operator's URLs is not known,
        # so these have ids below zero.
        self._asked = {-number: url for number, url in enumerate(surroundings.asked_urls, 1)}
        self.ping_due_ms = NEVER_MS  # when to ping next
        self._urls: dict[int, str] = {}
        self._nonce = self._last_nonce = 0
        self._ask_again_ms = 0
        # Which members have published their names, and their client URLs; None: the store has not
        # said yet.
        self._published: Mapping[int, tuple[str, ...]] | None = None

    @property
    def asked(self) -> Mapping[int, str]:
        """The operator's URLs, by the ids of their links."""
        return self._asked

    def follow(self, membership: Membership) -> None:
        """Connect to these members. Links to removed ones stay open for a while: they still carry
        the last acknowledgements and notices."""
        self._reach(self._urls_of(membership))

    def send(self, messages: Iterable[Message], now_ms: int) -> None:
        """Send each message to its target; if it is dropped, Raft will send it again."""
        for message in messages:
            target, kind = message.target, type(message)
            if kind is RemovedNotice and target not in self._urls:
                # The link is new, and this notice may be lost. The removed member asks again.
                former = self._core.roster.committed.former
                self._reach({peer.id: peer.peer_urls[0] for peer in former if peer.id == target})
            elif kind is VoteRequest or self._core.peers.is_silent(target, now_ms):
                self._introduce(target)
            self._links.send(target, self._codec.encode(message))

    def close(self) -> None:
        """Close every link."""
        self._links.close()

    # --- how far others are ---

    def lost(self, member_ids: Iterable[int], now_ms: int) -> None:
        """The connections to these members broke."""
        for member_id in member_ids:
            self._trips.lost(member_id)
            self._core.peer_down(member_id, now_ms)

    def ping(self, now_ms: int) -> int:
        """Ask the other members for an answer that is due; returns when to do so again.

        NEVER_MS: no round trips are measured. A ping to one without a connection does not leave.
        """
        if not self._trips.are_measured:
            return NEVER_MS
        peers = self._core.roster.latest.peers
        for ping in self._trips.pings(peer.id for peer in peers if peer.id != self._own_id):
            if self._links.send(ping.target, self._codec.encode_ping(ping)):
                self._trips.sent(ping)
        self.ping_due_ms = now_ms + self._trips.wait_ms()
        return self.ping_due_ms

    def pinged(self, ping: Ping) -> str:
        """Answer a member that measures; returns why it is not answered, or ""."""
        refusal = self._refusal(ping)
        if not refusal:
            pong = Pong(self._own_id, ping.source, ping.stamp)
            self._links.send(ping.source, self._codec.encode_ping(pong))
        return refusal

    def ponged(self, pong: Pong) -> str:
        """A member has answered; returns why that is not believed, or ""."""
        return self._refusal(pong) or ("" if self._trips.heard(pong) else NOT_SENT)

    def _refusal(self, said: Ping | Pong) -> str:
        if said.target != self._own_id:
            return MISDIRECTED
        is_known = said.source != self._own_id and self._admission.is_known(said.source)
        return "" if is_known else STRANGER

    # --- where others are ---

    def introduced(self, introduction: Introduction) -> str:
        """A member says at which URL it is reached; returns why that is not believed, or ""."""
        member_id, url = introduction
        known = self._urls.get(member_id)
        if member_id == self._own_id or not self._admission.is_known(member_id):
            return STRANGER
        if url == known:
            return ""
        # While a process is connected at the URL known so far, that member has not moved: the
        # introduction is a mistake, or is forged.
        if known is not None and self._introduce(member_id):
            return "it is reached where it was before"
        self._reach({member_id: url})
        return ""

    def know(self, published: Mapping[int, tuple[str, ...]]) -> None:
        """These members have published their names, and these client URLs."""
        self._published = published

    def welcome(self, request: JoinRequest, now_ms: int) -> None:
        """Tell a member that asks who it is and who the others are.

        The answer goes to the URL known here, not to one that the question names: a forged question
        leads to no stranger. A removed member that does not know of its removal is answered, too.
        """
        core, published = self._core, self._published
        if published is None:
            return  # whether that member was here before is not known yet
        for peer in self._who_asks(request)[:1]:
            self._reach({peer.id: self._urls.get(peer.id, peer.peer_urls[0])})
            # A removal is certain only when it is committed.
            is_here = core.roster.latest.peer(peer.id) is not None
            membership = core.roster.latest if is_here else core.roster.committed
            stream = core.peers.stream_for(peer.id, request, now_ms)
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
                stream,
                published.get(self._own_id, ()),
            )
            self._links.send(peer.id, self._codec.encode_welcome(welcome))

    def _who_asks(self, request: JoinRequest) -> list[Peer]:
        roster, here = self._core.roster, places(request.peer_urls)
        if request.member_id:
            known = (*roster.latest.peers, *roster.committed.former)
            asking = [peer for peer in known if peer.id == request.member_id]
        else:
            former = roster.latest.removed
            there = [p for p in roster.latest.peers if places(p.peer_urls) == here]
            # Of two members at the same URLs the new one asks, not the one that is being removed.
            asking = [peer for peer in there if peer.id not in former] or there
        return [peer for peer in asking if peer.id != self._own_id]

    # --- who others are ---

    def ask(self, now_ms: int) -> None:
        """Ask who the members are: a message came from one that is not known here."""
        if now_ms < self._ask_again_ms:
            return
        self._ask_again_ms = now_ms + ASK_AGAIN_MS
        self._nonce = self._random_bits(NONCE_BITS)
        self.inquire(JoinRequest(self._nonce, self._own_id, ()))

    def inquire(self, request: JoinRequest) -> None:
        """Ask all known members, and the members at the operator's URLs."""
        self._last_nonce = request.nonce
        known = places(url for member, url in self._urls.items() if member > 0)
        asked = self._asked.items()
        self._reach({member: url for member, url in asked if zeromq_url(url) not in known})
        question = encode_join(request)
        for target in self._urls:
            self._links.send(target, question)

    def welcomed(self, welcome: Welcome, is_believed: bool = False) -> str:
        """A member says who the members are; returns why that is not believed, or "".

        The nonce went only to URLs of known members and of the operator's, so an answer with it
        comes from there. `is_believed`: it answers what was asked on probation.
        """
        is_asked = bool(self._nonce) and welcome.nonce == self._nonce
        if not is_believed and not (is_asked and welcome.member_id == self._own_id):
            # One that answers the last question comes late: enough others have answered before.
            is_late = welcome.nonce == self._last_nonce != 0 and welcome.member_id == self._own_id
            return "" if is_late else "it answers no question of this member's"
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
        """Close the links to the operator's URLs: they are not needed any more."""
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
        """Tell `target` the URL of this member, which it may not know; False: nobody is there."""
        own = self._core.roster.latest.peer(self._own_id)
        if own is None:
            return True  # this member does not know its own URL yet
        frame = self._codec.encode_introduction(Introduction(self._own_id, own.peer_urls[0]))
        return self._links.send(target, frame)
