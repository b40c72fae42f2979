"""The ids that a gateway chooses, of leases and of members that join, by etcd's formulas.

Every node makes ids without asking the others, and no two nodes make the same. Of requests it knows
only the fields.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1
from typing import Final

from actors.gateway.fields import Fields, RefusedError
from actors.language.bounds import INT64_MAX
from actors.language.commands import LeaseGrant
from actors.language.members import AddMember, Peer, ReplaceMember
from cluster.addresses import AddressError, member_urls
from cluster.curve import parse_key
from cluster.faults import FAULTS
from cluster.schemes import etcd_url

LEASE_TTL_SECONDS_MAX: Final = 9_000_000_000
"""etcd's longest TTL."""


class LeaseGrants:
    """Makes grants of leases: chooses ids, and raises TTLs to the cluster's minimum."""

    def __init__(self, member_id: int, wall_ms: int, ttl_ms_min: int) -> None:
        # An id is 2 bytes of the member's id, 5 of the start's time in ms, and 1 that counts. The
        # count carries into the time: a restart chooses no id again, if on average fewer than 256
        # were made a millisecond.
        self._member_bits = (member_id & 0xFFFF) << 48
        self._count = (wall_ms & 0xFF_FFFF_FFFF) << 8
        self._ttl_ms_min = ttl_ms_min

    def make(self, fields: Fields) -> LeaseGrant:
        """The grant that a request asks for, with an id chosen here if it has none.

        Its TTL in seconds may be 0, negative or a fraction.
        """
        ttl_ms = self.ttl_ms(fields.get("TTL", 0))
        return LeaseGrant(fields.get("ID", 0) or self.next_id(), ttl_ms)

    def ttl_ms(self, seconds: float) -> int:
        """The TTL in milliseconds that is granted for a request of `seconds`."""
        if seconds > LEASE_TTL_SECONDS_MAX:
            raise RefusedError(FAULTS["LeaseTTLTooLarge"])
        return max(round(max(0, seconds) * 1_000), self._ttl_ms_min)

    def next_id(self) -> int:
        """An id that no node has chosen before."""
        while True:
            self._count = (self._count + 1) & 0xFFFF_FFFF_FFFF
            lease_id = (self._member_bits | self._count) & INT64_MAX
            if lease_id:
                return lease_id


class Newcomers:
    """Makes members that join a running cluster.

    An id is a hash of the peer URLs, the cluster's token and the time in whole seconds. So a member
    that was removed gets another id when it is added again. `now_seconds` is the wall clock.
    """

    def __init__(self, token: str, now_seconds: Callable[[], int]) -> None:
        self._token = token
        self._now_seconds = now_seconds
        self._last_seconds = 0

    def add(self, fields: Fields) -> AddMember:
        """The change that member_add asks for."""
        return AddMember(self._peer(fields), fields.get("isLearner", False))

    def replace(self, fields: Fields) -> ReplaceMember:
        """The change that member_replace asks for."""
        return ReplaceMember(fields.get("ID", 0), self._peer(fields))

    def _peer(self, fields: Fields) -> Peer:
        urls = peer_urls(fields)
        # Each gets a second of its own: a member that is added, removed and added again within one
        # second must not get the id of the removed one.
        self._last_seconds = max(self._now_seconds(), self._last_seconds + 1)
        # Spelled as in etcd: so the id is the one that etcd would make.
        spelled = "".join(map(etcd_url, urls))
        text = f"{spelled}{self._token}{self._last_seconds}"
        digest = sha1(text.encode(), usedforsecurity=False).digest()
        return Peer(int.from_bytes(digest[:8], "big"), urls, _keys(fields))


def _keys(fields: Fields) -> tuple[str, ...]:
    """A new member's key, where members have keys."""
    text: str = fields.get("member_key", "")
    try:
        return (parse_key(text),) if text else ()
    except ValueError:
        raise RefusedError(FAULTS["MemberBadKey"]) from None


def peer_urls(fields: Fields) -> tuple[str, ...]:
    """A member's peer URLs, in the one spelling in which they are kept."""
    try:
        return member_urls(fields.get("peerURLs", ()))
    except AddressError:
        raise RefusedError(FAULTS["MemberBadURLs"]) from None
