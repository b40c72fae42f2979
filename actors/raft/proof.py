"""Proof: whether this member may be what it takes itself for, and why it must stop if not.

A disk is believed when it can show what its member has promised. A member that cannot show it is
let in step by step; probation.py says why. Logs that contradict each other are trial.py's.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.language.members import NOBODY
from actors.raft.leader import Leader
from actors.raft.log import FIRST_TERM
from actors.raft.membership import decode
from actors.raft.outcome import Contradicted, CoreConfig, Ending, Recovered, Removed, WasHere
from actors.raft.roles import Follower
from actors.raft.router import Router
from actors.raft.rpc import (
    AppendRequest,
    Heartbeat,
    JoinRequest,
    Message,
    RemovedNotice,
    SnapshotChunk,
    VoteRequest,
    Welcome,
)


class Proof(Router):
    """What one member knows against itself and others."""

    def __init__(
        self, config: CoreConfig, recovered: Recovered, now_ms: int, chance: Callable[[int], int]
    ) -> None:
        super().__init__(config, recovered, now_ms, chance)
        self._ending: Ending | None = None
        # Whose proposals the log holds, and when that was looked at: anybody may ask, at any pace.
        self._origins: tuple[int, frozenset[int]] = (
            now_ms - config.election_timeout_ms,
            frozenset(),
        )
        self._maybe_catch_up()

    # --- on probation ---

    def welcomed(self, answer: Welcome, now_ms: int) -> bool:
        """Another member answers what this one asked on its probation; False if it did not ask."""
        own_id, probation = self.config.member_id, self.probation
        if probation is None or self._ending is not None or answer.member_id != own_id:
            return False
        if not probation.take(answer):
            return False
        membership = decode(answer.membership)
        if membership.has_removed(own_id):
            urls = {
                url for each in membership.former if each.id == own_id for url in each.peer_urls
            }
            here = [each.id for each in membership.peers if urls & set(each.peer_urls)]
            self._end(Removed(here[0] if here else NOBODY), now_ms)
        elif answer.was_here:
            self._end(WasHere(answer.client_urls), now_ms)
        else:
            self._maybe_catch_up()
        return True

    def _maybe_catch_up(self) -> None:
        """Take part, without a vote, once enough others have answered."""
        own_id, probation = self.config.member_id, self.probation
        if probation is None or not probation.is_asking:
            return
        if probation.awaited(own_id, self.replica.membership) != frozenset():
            return
        probation.is_asking = False
        if probation.term >= self.term:
            # The vote of that term may be given: so nobody gets it. The timer goes on.
            self.term, self.vote = probation.term, own_id

    def _may_vote_for(self, request: VoteRequest) -> bool:
        """Whether no vote or log that this member may have forgotten speaks against a candidate."""
        probation, known = self.probation, self.replica.membership
        if probation is None:
            return True
        own_id, end = self.config.member_id, (request.last_term, request.last_index)
        return probation.is_answered_by_all(own_id, known) and end >= probation.end

    def _is_proven(self) -> bool:
        """Whether nothing that was promised can be lost, and all that shows it is durable."""
        probation = self.probation
        if probation is None or probation.is_asking or self._is_over or self._unsaved():
            return False
        goal, stable_index = probation.goal(self.term, self.leader), self.replica.stable_index
        if goal is None or stable_index < goal:
            return False
        return self.replica.log.term(stable_index) == self.term

    def admit(self, now_ms: int) -> None:
        """Be a full member from now on: the mark on the disk is gone."""
        self.probation = None
        if self.leader != NOBODY:
            self._pass_on(self._desk.take_held(), now_ms)
        elif self.term == FIRST_TERM and isinstance(self.role, Follower):
            # A cluster that starts has nobody to wait for but those who have just answered.
            self._hurry(self.role, self._configuration().all_voters(), now_ms)

    def _may_hear(self, message: Message) -> bool:
        """Whether a message may be looked at: not by who asks, nor if it may rest on an earlier
        life; and by nobody who is about to stop."""
        probation = self.probation
        if not self._takes_part:
            return False
        if probation is None or not isinstance(message, AppendRequest | Heartbeat | SnapshotChunk):
            return True
        return probation.may_follow(message.source, message.term, message.session)

    def session_for(self, member_id: int, request: JoinRequest, now_ms: int) -> int:
        """The session of this leader's stream to a member that asks; 0 if there is none.

        It forgets what that member has acknowledged, if it may have forgotten it, too.
        """
        if isinstance(self.role, Leader) and request.on_probation:
            self.role.begin_anew(member_id, request.nonce, now_ms)
        return self.sessions().get(member_id, 0)

    def has_proposed(self, member_id: int, now_ms: int) -> bool:
        """Whether something that member proposed is in the log: it was a full member then.

        Who has just started may not know yet that it is committed, and has not applied it.
        """
        looked_ms, origins = self._origins
        if now_ms - looked_ms >= self.config.election_timeout_ms:
            log = self.replica.log
            entries = log.slice(log.first_index, log.last_index + 1, bytes_max=1 << 62)
            origins = frozenset(entry.origin for entry in entries)
            self._origins = (now_ms, origins)
        return member_id in origins

    def sessions(self) -> dict[int, int]:
        """The replication sessions of this leader's peers."""
        if not isinstance(self.role, Leader):
            return {}
        return {member: peer.session for member, peer in self.role.peers.items()}

    # --- the end ---

    def _is_from_removed(self, message: Message) -> bool:
        """Whether the sender is no member any more; a candidate is told so."""
        if not self.replica.committed_membership.has_removed(message.source):
            return False
        if isinstance(message, VoteRequest):
            self._say(RemovedNotice(self.config.member_id, message.source, self.term))
        return True

    @property
    def _takes_part(self) -> bool:
        return not self._is_over and (self.probation is None or not self.probation.is_asking)

    def _wait_aside(self, now_ms: int) -> None:
        """Time passes for who takes no part."""
        if self._is_over:
            self._confess()
        if now_ms >= self._timer.due_ms:
            self._timer.restart(now_ms)

    @property
    def _is_over(self) -> bool:
        # Who is removed still helps the others until its process ends.
        return isinstance(self._ending, WasHere | Contradicted)

    def _end(self, ending: Ending, now_ms: int) -> None:
        """Take part in nothing more; what was about to be said is not to be relied on."""
        self._ending = ending
        if isinstance(self.role, Leader):
            self._become_follower(self.term, NOBODY, now_ms)
        self._messages.clear()
        self._promises.clear()
        self._confess()

    def _confess(self) -> None:
        """Say why this member stops, if it is wrong."""
        raise NotImplementedError

    def _how_it_ends(self) -> Ending | None:
        """Why this member must stop, if it must."""
        own_id = self.config.member_id
        if self._ending is None and self.replica.committed_membership.has_removed(own_id):
            self._ending = Removed()
        return self._ending
