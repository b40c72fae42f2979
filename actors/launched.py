"""The way to the other members of a node that a launcher has started: faults can be planned there.

A node without a launcher has none of it (`actors.consensus.AS_IT_IS`).
"""

from __future__ import annotations

from actors.consensus import Outside
from actors.raft.frames import source_of, summary_of
from actors.runtime.channel import Channel
from actors.runtime.link_faults import FaultyDoor, FaultyLinks
from actors.runtime.recording import Recorder


def outside_under(channel: Channel) -> Outside:
    """The ways of a node whose links obey what the channel says."""
    recorder = Recorder(channel.tell, summary_of)
    return Outside(
        open_door=lambda context, urls, lock: FaultyDoor(channel, source_of, context, urls, lock),
        open_links=lambda context, on_change: FaultyLinks(
            channel, context, on_change, recorder.record
        ),
    )
