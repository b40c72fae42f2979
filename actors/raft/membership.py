"""Who the members are, and which changes of them are allowed (dissertation 4; etcd's messages).

A membership travels in the log as a JSON object, so its first byte tells it from a command, which
is a msgpack array. It takes effect when it is appended. Refuses to know how it gets into the log.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from actors.language.bounds import UINT64_MAX
from actors.language.entries import Entry
from actors.language.members import (
    MEMBER_KEYS_MAX,
    AddMember,
    MemberChange,
    Peer,
    PromoteMember,
    RemoveMember,
    ReplaceMember,
    SetKeys,
    UpdateMember,
)
from actors.raft.quorum import Configuration
from cluster.curve import parse_key
from cluster.faults import FaultName, MaybeFault
from cluster.schemes import places

MARK: Final = b"{"
LEARNERS_MAX: Final = 1

FORMER_MAX: Final = 32
"""The number of removed members that a membership remembers, so that they can be told if they ask.

A member removed before these is a stranger, like a process that never was a member, and gets no
answer. No removed member comes back under its id, which is made of its URLs and of the time at
which it was added.
"""


class Membership(NamedTuple):
    """The members at one place in the log.

    `outgoing` are the old voters while a change is under way, and then `answer` is the (origin,
    ticket) of its request. `former` are removed members, oldest first: none ever comes back.
    """

    peers: tuple[Peer, ...]
    voters: frozenset[int]
    outgoing: frozenset[int] = frozenset()
    learners: frozenset[int] = frozenset()
    former: tuple[Peer, ...] = ()
    answer: tuple[int, int] = (0, 0)

    @property
    def configuration(self) -> Configuration:
        """The voters and learners."""
        return Configuration(self.voters, self.outgoing, self.learners)

    @property
    def is_joint(self) -> bool:
        """Whether a change of voters is half done."""
        return bool(self.outgoing)

    def peer(self, member_id: int) -> Peer | None:
        """The member of that id; None: there is none."""
        return next((peer for peer in self.peers if peer.id == member_id), None)

    @property
    def has_keys(self) -> bool:
        """Whether the members of this cluster have keys: all have, or none."""
        return any(peer.keys for peer in self.peers)

    @property
    def removed(self) -> frozenset[int]:
        """The ids of the members that were removed, or are being removed."""
        return frozenset(peer.id for peer in self.former)

    def has_removed(self, member_id: int) -> bool:
        """Whether that member was removed, by a change that is done."""
        return member_id in self.removed and member_id not in self.outgoing

    def final(self) -> Membership:
        """The membership that follows this joint one."""
        kept = self.voters | self.learners
        return self._replace(
            peers=tuple(peer for peer in self.peers if peer.id in kept),
            outgoing=frozenset(),
            answer=(0, 0),
        )


UNKNOWN_MEMBERS: Final = Membership((), frozenset())
"""What a member that joins knows before the log, or a snapshot, tells it who the members are."""


class Health(NamedTuple):
    """What a leader knows of the members: those heard lately, those never heard though they had the
    time to start, and the learners that keep up. `are_informed`: all hold the latest membership."""

    active: frozenset[int]
    unstarted: frozenset[int]
    caught_up: frozenset[int]
    are_informed: bool = True


def first_membership(peers: tuple[Peer, ...]) -> Membership:
    """The membership with which a cluster begins: all of `peers` vote."""
    return Membership(peers, frozenset(peer.id for peer in peers))


def plan(now: Membership, change: MemberChange, health: Health) -> Membership | FaultName:
    """The membership after a change, or the name of etcd's error that refuses it."""
    refusal = _refusal(now, change, health)
    return refusal or _changed(now, change)


def encode(membership: Membership) -> bytes:
    """JSON, with sorted keys and members: equal memberships give equal bytes.

    Removed members stand in the order of their removal.
    """
    fields: dict[str, Any] = {
        "peers": [_row(peer) for peer in sorted(membership.peers)],
        "voters": sorted(membership.voters),
    }
    if membership.former:
        fields["former"] = [_row(peer) for peer in membership.former]
    for name in ("outgoing", "learners"):
        members = sorted(getattr(membership, name))
        if members:
            fields[name] = members
    if membership.answer != (0, 0):
        fields["answer"] = list(membership.answer)
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def decode(data: bytes) -> Membership:
    """What `encode` made. Raises ValueError for anything else."""
    try:
        fields = json.loads(data)
        origin, ticket = fields.get("answer", (0, 0))
        membership = Membership(
            peers=tuple(_peer(*row) for row in fields["peers"]),
            voters=_ids(fields["voters"]),
            outgoing=_ids(fields.get("outgoing", ())),
            learners=_ids(fields.get("learners", ())),
            former=tuple(_peer(*row) for row in fields.get("former", ())),
            answer=(_number(origin), _number(ticket)),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a membership: {error!r}") from None
    if membership.configuration.members() - {peer.id for peer in membership.peers}:
        raise ValueError("not a membership: a member in it has no URLs")
    return membership


def read(command: bytes) -> Membership | None:
    """The membership that an entry's command is; None: it is none, or cannot be decoded.

    This rule must be the same on every member: an entry that cannot be decoded changes the voters
    on no member. So the fields of a membership may only change together with MARK.
    """
    if command[:1] != MARK:
        return None
    try:
        membership = decode(command)
    except ValueError:
        return None
    return membership if membership.voters else None


def _row(peer: Peer) -> list[Any]:
    row = [peer.id, list(peer.peer_urls)]
    return [*row, list(peer.keys)] if peer.keys else row


def _peer(id_: Any, urls: Any, keys: Any = ()) -> Peer:
    if not (isinstance(urls, list) and urls and all(isinstance(url, str) for url in urls)):
        raise TypeError("URLs are a list of texts")
    if len(keys) > MEMBER_KEYS_MAX or any(parse_key(key) != key for key in keys):
        raise TypeError("keys are a list of few keys")
    return Peer(_id(id_), tuple(urls), tuple(keys))


def _ids(values: Any) -> frozenset[int]:
    return frozenset(map(_id, values))


def _id(value: Any) -> int:
    if not _number(value):
        raise TypeError("no member has the id 0")
    return int(value)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= UINT64_MAX:
        raise TypeError(f"{str(value)[:20]} is no number of 64 bits")
    return value


def memberships_among(entries: Sequence[Entry]) -> list[Entry]:
    """The entries whose commands are memberships; nearly always there is none."""
    return [entry for entry in entries if entry.command[:1] == MARK]


# --- what a change makes of a membership ------------------------------------------------------


def _changed(now: Membership, change: MemberChange) -> Membership:
    match change:
        case AddMember(peer, learner):
            added = now._replace(peers=(*now.peers, peer))
            if learner:
                return added._replace(learners=now.learners | {peer.id})
            return _with_voters(added, now.voters | {peer.id})
        case RemoveMember(id_):
            without = _without(now, id_)._replace(learners=now.learners - {id_})
            if id_ in now.learners:
                return without.final()
            return _with_voters(without, now.voters - {id_})
        case ReplaceMember(id_, peer):
            both = _without(now, id_)._replace(peers=(*now.peers, peer))
            return _with_voters(both, now.voters - {id_} | {peer.id})
        case UpdateMember(id_, peer_urls):
            return _with_peer(now, id_, peer_urls=peer_urls)
        case SetKeys(id_, keys):
            return _with_peer(now, id_, keys=keys)
        case PromoteMember(id_):
            promoted = now._replace(learners=now.learners - {id_})
            return _with_voters(promoted, now.voters | {id_})


def _with_peer(membership: Membership, member_id: int, **fields: Any) -> Membership:
    """The membership with these fields of one member changed."""
    peers = membership.peers
    return membership._replace(
        peers=tuple(p._replace(**fields) if p.id == member_id else p for p in peers)
    )


def _without(membership: Membership, member_id: int) -> Membership:
    gone = tuple(peer for peer in membership.peers if peer.id == member_id)
    return membership._replace(former=(*membership.former, *gone)[-FORMER_MAX:])


def _with_voters(membership: Membership, voters: frozenset[int]) -> Membership:
    return membership._replace(voters=voters, outgoing=membership.voters)


# --- what is refused --------------------------------------------------------------------------


def _refusal(now: Membership, change: MemberChange, health: Health) -> MaybeFault:
    """The name of etcd's error, or nothing when the change is allowed."""
    known = {peer.id for peer in now.peers}
    match change:
        case AddMember(peer, learner):
            refusal = _refuse_new(now, peer)
            if not refusal and learner and len(now.learners) >= LEARNERS_MAX:
                return "TooManyLearners"
            return refusal or ("" if learner else _refuse_growth(now, health))
        case RemoveMember(id_):
            if id_ not in known:
                return "MemberNotFound"
            return "" if id_ in now.learners else _refuse_shrinking(now, id_, health)
        case ReplaceMember(id_, peer):
            if id_ not in now.voters:
                return "MemberNotFound"
            # The new member may have the old one's URLs: it may take the place of a lost disk.
            rest = now._replace(peers=tuple(each for each in now.peers if each.id != id_))
            return _refuse_new(rest, peer) or _refuse_shrinking(now, id_, health, added=1)
        case UpdateMember(id_, peer_urls):
            if id_ not in known:
                return "MemberNotFound"
            others = [url for peer in now.peers if peer.id != id_ for url in peer.peer_urls]
            return "PeerURLExist" if places(others) & places(peer_urls) else ""
        case PromoteMember(id_):
            if id_ not in known:
                return "MemberNotFound"
            if id_ not in now.learners:
                return "MemberNotLearner"
            return "" if id_ in health.caught_up else "LearnerNotReady"
        case SetKeys(id_, keys):
            member = now.peer(id_)
            if member is None:
                return "MemberNotFound"
            if not now.has_keys:
                return "NoMemberKeys"
            return _refuse_keys(now, member, keys, health)


def _refuse_keys(
    now: Membership, member: Peer, keys: tuple[str, ...], health: Health
) -> MaybeFault:
    """Refuse all but the two steps of a change of keys, and the second one while it is too early.

    A member that has not heard of the new key yet could neither reach this one, nor be reached.
    """
    *kept, newest = keys or ("",)
    if kept == list(member.keys):
        return _refuse_key(now, newest) if len(kept) == 1 else "KeyChangeUnderWay"
    if not kept and len(member.keys) == MEMBER_KEYS_MAX and newest == member.keys[-1]:
        return "" if health.are_informed else "KeyNotKnown"
    return "KeyChangeUnderWay"


def _refuse_key(now: Membership, key: str) -> MaybeFault:
    """Refuse a key that is, or was, another member's: frames tell by the key who has sent them."""
    taken = any(key in peer.keys for peer in (*now.peers, *now.former))
    return "MemberKeyExist" if taken else ""


def _refuse_new(now: Membership, peer: Peer) -> MaybeFault:
    if now.peer(peer.id) is not None or peer.id in now.removed:
        return "MemberExist"
    if now.has_keys != (len(peer.keys) == 1):
        return "MemberKeyMissing" if now.has_keys else "NoMemberKeys"
    if peer.keys and _refuse_key(now, peer.keys[0]):
        return "MemberKeyExist"
    taken = places(url for known in now.peers for url in known.peer_urls)
    return "PeerURLExist" if taken & places(peer.peer_urls) else ""


def _refuse_growth(now: Membership, health: Health) -> MaybeFault:
    """Refuse a new voter unless those heard lately are a quorum of the larger set without it.

    A new voter does not answer yet, and until it does it counts like one that is down.
    """
    active = len(now.voters & health.active)
    if len(now.voters) > 1 and active < (len(now.voters) + 1) // 2 + 1:
        return "Unhealthy"
    return ""


def _refuse_shrinking(now: Membership, removed: int, health: Health, added: int = 0) -> MaybeFault:
    """Refuse a removal unless the voters that are left can form a quorum by themselves."""
    left = now.voters - {removed}
    if not left:
        return "MemberNotEnoughStarted"
    needed = (len(left) + added) // 2 + 1
    if len(left - health.unstarted) < needed:
        return "MemberNotEnoughStarted"
    return "" if len(left & health.active) >= needed else "Unhealthy"
