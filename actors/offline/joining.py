"""What a member that was added to a running cluster asks before it can start: who am I?

The others know its peer URLs since it was added, and already try to reach it there: the answer
comes by the same connection as all their later messages. Refuses to know what a member does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import zmq

from actors.raft.codec import decode_welcome, encode_join
from actors.raft.membership import decode
from actors.raft.rpc import JoinRequest, Welcome
from actors.raft.welcome import Welcomes
from actors.runtime.mailbox import FRAMES_PER_LOOK_MAX
from cluster.curve import KeyPair
from cluster.gatekeeper import Gatekeeper
from cluster.links import PEER_DOMAIN, PeerDoor, PeerFrame, PeerLock
from cluster.peer_links import PeerLinks

ASK_PEERS_EVERY_MS: Final = 100
NONCE_BYTES: Final = 8
OTHERS_SECONDS: Final = 2.0
"""A member that lags may take the new member for an earlier one at the same URLs. The others get
this time to contradict it."""


class JoinKeys(NamedTuple):
    """A member's own pair, and the keys that the operator has given for others, by URL."""

    pair: KeyPair
    trusted: Mapping[str, str]


class JoinError(Exception):
    """Too few members have answered; the message says which were asked."""


def ask_to_join(
    listen_urls: tuple[str, ...],
    own_urls: tuple[str, ...],
    peer_urls: Sequence[str],
    timeout_seconds: float,
    keys: JoinKeys | None = None,
) -> Welcome:
    """Ask every peer until enough answer. Raises JoinError if too few do within the time.

    One answer that this member was here before counts, unless enough others contradict it within
    OTHERS_SECONDS.
    """
    # A context of its own: once it has ended, the ports are free for the node.
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    asking = _Asking(context, listen_urls, keys)
    door, links = asking.door, asking.links
    request = JoinRequest(int.from_bytes(os.urandom(NONCE_BYTES)), 0, own_urls)
    welcomes = Welcomes(request.nonce)
    try:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            urls = {**dict(enumerate(peer_urls)), **welcomes.urls()}
            asking.reach(urls, welcomes)
            for target in urls:
                links.send(target, encode_join(request))
            door.wait(ASK_PEERS_EVERY_MS)
            for frame in door.drain(FRAMES_PER_LOOK_MAX):
                welcome = decode_welcome(frame)
                if welcome is None or not asking.believes(frame, welcome):
                    continue
                if welcomes.take(welcome):
                    return welcome
                if welcomes.was_here is not None:
                    deadline = min(deadline, time.monotonic() + OTHERS_SECONDS)
        if welcomes.was_here is not None:
            return welcomes.was_here
    finally:
        asking.close()
        context.term()
    raise JoinError(
        f"too few members at {', '.join(peer_urls)} know a member at {', '.join(own_urls)}: add it "
        "with `leasectl member add` first, and use the peer URLs given there"
    )


class _Asking:
    """The sockets of a member that asks; with keys, it hears those that it was told to trust.

    A key speaks for one member: so one member cannot answer in the names of many.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        listen_urls: tuple[str, ...],
        keys: JoinKeys | None,
    ) -> None:
        self._keys = keys
        self._speakers: dict[str, int] = {}
        self._lock = None if keys is None else PeerLock(keys.pair)
        self._gatekeeper = None if keys is None else Gatekeeper(context)
        if self._gatekeeper is not None and self._lock is not None:
            self._gatekeeper.guard(PEER_DOMAIN, self._lock.judge)
        self.door = PeerDoor(context, listen_urls, self._lock)
        self.links = PeerLinks(context)

    def reach(self, urls: dict[int, str], welcomes: Welcomes) -> None:
        """Connect to these members, under the keys that the operator and the members name."""
        if self._keys is not None and self._lock is not None:
            trusted, named = self._keys.trusted, welcomes.keys()
            self._lock.admitted = {*trusted.values(), *(k for ks in named.values() for k in ks)}
            asked = {link: (trusted[url],) for link, url in urls.items() if url in trusted}
            self.links.use((self._keys.pair,), {**asked, **named})
        self.links.update(urls)

    def believes(self, frame: bytes, welcome: Welcome) -> bool:
        """Whether the key that an answer came under is that of the member that it is from."""
        if self._keys is None:
            return True
        key = frame.key if isinstance(frame, PeerFrame) else ""
        peer = decode(welcome.membership).peer(welcome.source)
        if peer is None or key not in peer.keys:
            return False
        return self._speakers.setdefault(key, welcome.source) == welcome.source

    def close(self) -> None:
        """Close the sockets."""
        self.links.close()
        self.door.close()
        if self._gatekeeper is not None:
            self._gatekeeper.close()
