"""What a member that was added to a running cluster asks before it can start: who am I?

The others know its peer URLs since it was added, and already try to reach it there: the answer
comes by the same connection as all their later messages. Refuses to know what a member does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final

import zmq

from actors.raft.codec import decode_welcome, encode_join
from actors.raft.rpc import JoinRequest, Welcome
from actors.raft.welcome import Welcomes
from actors.runtime.mailbox import FRAMES_PER_LOOK_MAX
from cluster.links import PeerDoor, PeerLinks

ASK_PEERS_EVERY_MS: Final = 100
NONCE_BYTES: Final = 8
OTHERS_SECONDS: Final = 2.0
"""A member that lags may take the new member for an earlier one at the same URLs. The others get
this time to contradict it."""


class JoinError(Exception):
    """Too few members have answered; the message says which were asked."""


def ask_to_join(
    listen_urls: tuple[str, ...],
    own_urls: tuple[str, ...],
    peer_urls: Sequence[str],
    timeout_seconds: float,
) -> Welcome:
    """Ask every peer until enough answer. Raises JoinError if too few do within the time.

    One answer that this member was here before counts, unless enough others contradict it within
    OTHERS_SECONDS.
    """
    # A context of its own: once it has ended, the ports are free for the node.
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    door = PeerDoor(context, listen_urls)
    links = PeerLinks(context)
    request = JoinRequest(int.from_bytes(os.urandom(NONCE_BYTES)), 0, own_urls)
    welcomes = Welcomes(request.nonce)
    try:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            urls = {**dict(enumerate(peer_urls)), **welcomes.urls()}
            links.update(urls)
            for target in urls:
                links.send(target, encode_join(request))
            door.wait(ASK_PEERS_EVERY_MS)
            for frame in door.drain(FRAMES_PER_LOOK_MAX):
                welcome = decode_welcome(frame)
                if welcome is not None and welcomes.take(welcome):
                    return welcome
                if welcomes.was_here is not None:
                    deadline = min(deadline, time.monotonic() + OTHERS_SECONDS)
        if welcomes.was_here is not None:
            return welcomes.was_here
    finally:
        links.close()
        door.close()
        context.term()
    raise JoinError(
        f"too few members at {', '.join(peer_urls)} know a member at {', '.join(own_urls)}: add it "
        "with `leasectl member add` first, and use the peer URLs given there"
    )
