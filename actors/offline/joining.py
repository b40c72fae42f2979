"""What a member that was added to a running cluster asks before it can start: who am I?

The others know it by its peer URLs and are already trying to reach it there: the answer comes the
way that all their messages will come. Knows nothing of Raft.
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
"""One that lags may take a newcomer for who was at its URLs before: others get time to say so."""


class JoinError(Exception):
    """Too few members have answered; the message says who was asked."""


def ask_to_join(
    listen_urls: tuple[str, ...],
    own_urls: tuple[str, ...],
    peer_urls: Sequence[str],
    timeout_seconds: float,
) -> Welcome:
    """Ask every peer until enough answer. Raises JoinError when too few have within the time.

    An answer that it was here before is enough by itself, unless enough others know better soon.
    """
    # Of its own: when it has ended, the ports are free again for the node itself.
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
