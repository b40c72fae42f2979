"""Peers: what a member knows of the others beside the log: streams, silence, and who was here.

It is for the code that carries messages and answers questions. Decides nothing in Raft.
"""

from __future__ import annotations

from actors.raft.elector import Elector
from actors.raft.log import RaftLog
from actors.raft.outcome import CoreConfig
from actors.raft.progress import Contact
from actors.raft.rpc import JoinRequest


class Peers:
    """The peers as this member knows them; only a leader knows of streams and of silence."""

    def __init__(self, config: CoreConfig, elector: Elector, log: RaftLog, now_ms: int) -> None:
        self._elector = elector
        self._log = log
        self._within_ms = config.election_timeout_ms
        # Whose proposals the log holds, and when that was computed. It is kept for a while, for any
        # stranger may ask, at any rate, and the answer takes a walk through the log.
        self._origins: frozenset[int] = frozenset()
        self._looked_ms = now_ms - self._within_ms

    def streams(self) -> dict[int, int]:
        """The numbers of this leader's streams, by peer."""
        leader = self._elector.leads_as
        if leader is None:
            return {}
        return {member: progress.stream for member, progress in leader.peers.items()}

    def stream_for(self, member_id: int, request: JoinRequest, now_ms: int) -> int:
        """The number of this leader's stream to a member that asks; 0 if there is none.

        If that member is on probation, this leader begins a new stream, and counts nothing that
        the member acknowledged in an earlier life.
        """
        leader = self._elector.leads_as
        if leader is not None and request.on_probation:
            leader.begin_anew(member_id, request.nonce, now_ms)
        return self.streams().get(member_id, 0)

    def is_silent(self, member_id: int, now_ms: int) -> bool:
        """Whether this member leads and has not heard that peer for an election timeout."""
        leader = self._elector.leads_as
        progress = None if leader is None else leader.peers.get(member_id)
        if progress is None:
            return False
        is_heard = progress.contact is Contact.HEARD
        return not is_heard or now_ms - progress.heard_ms >= self._within_ms

    def has_proposed(self, member_id: int, now_ms: int) -> bool:
        """Whether the log has a proposal of that member, which was then a full member.

        The log is asked, and not the store: a member that has just started does not know yet how
        much of its log is committed, and has not applied it.
        """
        if now_ms - self._looked_ms >= self._within_ms:
            log = self._log
            entries = log.slice(log.first_index, log.last_index + 1, bytes_max=1 << 62)
            self._origins = frozenset(entry.origin for entry in entries)
            self._looked_ms = now_ms
        return member_id in self._origins
