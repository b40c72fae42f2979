"""Peers: what one member can tell of the others beside the log - streams, silence, who was here.

For those who carry messages and answer questions; nothing here decides anything in Raft.
"""

from __future__ import annotations

from actors.raft.elector import Elector
from actors.raft.leader import Leader
from actors.raft.log import RaftLog
from actors.raft.outcome import CoreConfig
from actors.raft.rpc import JoinRequest


class Peers:
    """As the leader that this member is knows them; a follower knows no streams and no silence."""

    def __init__(self, config: CoreConfig, elector: Elector, log: RaftLog, now_ms: int) -> None:
        self._elector = elector
        self._log = log
        self._within_ms = config.election_timeout_ms
        # Whose proposals the log holds, and when that was looked at: anybody may ask, at any pace.
        self._origins: frozenset[int] = frozenset()
        self._looked_ms = now_ms - self._within_ms

    def sessions(self) -> dict[int, int]:
        """The replication sessions of this leader's peers."""
        role = self._elector.role
        if not isinstance(role, Leader):
            return {}
        return {member: progress.session for member, progress in role.peers.items()}

    def session_for(self, member_id: int, request: JoinRequest, now_ms: int) -> int:
        """The session of this leader's stream to a member that asks; 0 if there is none.

        It forgets what that member has acknowledged, if it may have forgotten it, too.
        """
        role = self._elector.role
        if isinstance(role, Leader) and request.on_probation:
            role.begin_anew(member_id, request.nonce, now_ms)
        return self.sessions().get(member_id, 0)

    def is_silent(self, member_id: int, now_ms: int) -> bool:
        """Whether this member leads and has not heard that peer yet, or not for long."""
        role = self._elector.role
        return isinstance(role, Leader) and role.is_silent(member_id, now_ms, self._within_ms)

    def has_proposed(self, member_id: int, now_ms: int) -> bool:
        """Whether something that member proposed is in the log: it was a full member then.

        Who has just started may not know yet that it is committed, and has not applied it.
        """
        if now_ms - self._looked_ms >= self._within_ms:
            log = self._log
            entries = log.slice(log.first_index, log.last_index + 1, bytes_max=1 << 62)
            self._origins = frozenset(entry.origin for entry in entries)
            self._looked_ms = now_ms
        return member_id in self._origins
