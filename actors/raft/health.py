"""What a leader knows of its peers' health: who was heard, who keeps up, who could follow it.

Refuses to know what follows from that for a change of members or a transfer.
"""

from __future__ import annotations

from typing import Final

from actors.raft.leader import Leader
from actors.raft.membership import Health
from actors.raft.progress import Contact, Progress

STARTING_TIMES: Final = 10
"""A peer that was never heard counts as not started after this number of election timeouts."""


def health_of(leader: Leader, now_ms: int, within_ms: int) -> Health:
    """Which members were heard lately (this one too), which never, which learners keep up.

    A member on probation is not among those heard: it may not vote yet, so a quorum that needs it
    might elect no leader.
    """
    heard: set[int] = set()
    never: set[int] = set()
    for member, peer in leader.peers.items():
        silent_ms = now_ms - peer.heard_ms
        if peer.contact is Contact.HEARD and silent_ms < within_ms:
            if not peer.on_probation:
                heard.add(member)
        elif peer.contact is Contact.NONE_YET and silent_ms >= STARTING_TIMES * within_ms:
            never.add(member)
    keeping_up = {
        member
        for member in leader.configuration.learners & heard
        if _lag_ms(leader, leader.peers[member], now_ms) < within_ms
    }
    return Health(frozenset(heard | {leader.own_id}), frozenset(never), frozenset(keeping_up))


def _lag_ms(leader: Leader, peer: Progress, now_ms: int) -> int:
    """For how long this leader's log has held the first entry a peer lacks; 0: it lacks none.

    A count of entries would say less: a log that grows fast makes every peer lack many.
    """
    if peer.match >= leader.log.last_index:
        return 0
    return leader.cluster_ms(now_ms) - leader.log.time_ms(peer.match + 1)


def best_successor(leader: Leader, voters: frozenset[int]) -> int:
    """The voter that lacks least of the log, of equal ones the one heard last; 0: no voter."""
    candidates = [(p.match, p.heard_ms, i) for i, p in leader.peers.items() if i in voters]
    return max(candidates)[2] if candidates else 0
