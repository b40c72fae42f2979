"""What a leader knows and does: the progress of its peers, commitment by counting, and reads.

One object lives for one leadership of one term. It derives what to send from its state when it is
asked, so a burst of proposals makes one append a peer. Votes and terms are the core's business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from actors.language.entries import Proposal
from actors.raft.log import RaftLog
from actors.raft.membership import Health
from actors.raft.progress import Contact, Progress, Rejection
from actors.raft.quorum import Configuration
from actors.raft.rounds import ReadRounds
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    Message,
    ReadResponse,
)

APPEND_BYTES_MAX: Final = 1024 * 1024
UNCOMMITTED_BYTES_MAX: Final = 64 * 1024 * 1024
COMMIT_NOTICE_MS: Final = 5
"""A peer that answers none of what was committed hears of it with the next append, or this late."""

SESSION_SHIFT: Final = 48
SESSION_COUNT_MASK: Final = 0xFFFF
"""A session has 64 bits, and nobody comes back after exactly 65,536 changes of members."""

WAVES_MAX: Final = 2
"""Bursts of proposals that may be under way; what comes meanwhile gathers."""

ENTRY_OVERHEAD_BYTES: Final = 64
"""What an entry costs beside its command, so that empty commands count too."""


STARTING_TIMES: Final = 10
"""A peer that a leader has not heard for so many election timeouts counts as never started."""


class Leader:
    """Leads `term` from its entry `start_index` on (the no-op that opens the term).

    Cluster time is `cluster_ms_at_start` plus what the monotonic clock has moved since.
    """

    def __init__(
        self,
        own_id: int,
        term: int,
        configuration: Configuration,
        log: RaftLog,
        cluster_ms: int,
        now_ms: int,
    ) -> None:
        self.own_id = own_id
        self.term = term
        self.configuration = configuration
        self.log = log
        self.start_index = log.last_index + 1
        self.cluster_ms_at_start = cluster_ms
        self.started_ms = now_ms
        self.peers: dict[int, Progress] = {}
        self._rounds = ReadRounds()
        # Peers that answer some committed entry they have not been told of, and when the rest hear.
        self._awaiting_commit: set[int] = set()
        self.notice_due_ms: int | None = None
        self._reconfigurations = 0
        # Peers that reject again and again what they should hold, until the core asks.
        self.at_odds: set[int] = set()
        self.reconfigure(configuration, now_ms)
        self.uncommitted_bytes = 0
        self.heartbeat_due_ms = now_ms
        self.quorum_check_due_ms = now_ms
        self._waves: deque[int] = deque()

    def cluster_ms(self, now_ms: int) -> int:
        """The cluster time now (DESIGN.md#cluster-time)."""
        return self.cluster_ms_at_start + (now_ms - self.started_ms)

    # --- who the peers are ---

    def reconfigure(self, configuration: Configuration, now_ms: int) -> None:
        """Talk to the members of a configuration from now on, to new ones in a new session.

        The term and a count make a session unlike any other: a member that was removed and comes
        back must not be credited with what it acknowledged before.
        """
        self.configuration = configuration
        wanted = configuration.members() - {self.own_id}
        for gone in self.peers.keys() - wanted:
            del self.peers[gone]
            self._rounds.forget(gone)
            self._awaiting_commit.discard(gone)
        session = self._next_session()
        # Sorted, so that the order in which peers are sent to depends on nothing but who they are.
        for member in sorted(wanted - self.peers.keys()):
            # The first probe asks at the end: most peers hold nearly all of it.
            self.peers[member] = Progress(session, self.log.last_index + 1, now_ms)

    def begin_anew(self, member: int, life: int, now_ms: int) -> None:
        """A peer may have forgotten what it acknowledged in an earlier life: nothing of it counts.

        Once for each life: what it acknowledges in this one counts.
        """
        peer = self.peers.get(member)
        if peer is None or peer.life == life:
            return
        self.peers[member] = Progress(self._next_session(), self.log.last_index + 1, now_ms)
        self.peers[member].life, self.peers[member].on_probation = life, True
        self._rounds.forget(member)
        self._awaiting_commit.discard(member)

    def _next_session(self) -> int:
        session = (self._reconfigurations & SESSION_COUNT_MASK) << SESSION_SHIFT | self.term
        self._reconfigurations += 1
        return session

    def health(self, now_ms: int, within_ms: int) -> Health:
        """Who was heard lately (this member included), who never was, and who keeps up.

        Nobody who is on probation counts: without a vote of its own it does not help to elect.
        """
        heard: set[int] = set()
        never: set[int] = set()
        for member, peer in self.peers.items():
            silent_ms = now_ms - peer.heard_ms
            if peer.contact is Contact.HEARD and silent_ms < within_ms:
                if not peer.on_probation:
                    heard.add(member)
            elif peer.contact is Contact.NONE_YET and silent_ms >= STARTING_TIMES * within_ms:
                never.add(member)
        keeping_up = {
            member
            for member in self.configuration.learners & heard
            if self._lag_ms(self.peers[member], now_ms) < within_ms
        }
        return Health(frozenset(heard | {self.own_id}), frozenset(never), frozenset(keeping_up))

    def _lag_ms(self, peer: Progress, now_ms: int) -> int:
        """For how long this leader's log has held what a peer lacks; 0 if it lacks nothing.

        Entries do not tell: where the log begins, and how fast it grows, is not the peer's doing.
        """
        if peer.match >= self.log.last_index:
            return 0
        return self.cluster_ms(now_ms) - self.log.time_ms(peer.match + 1)

    def best_successor(self, voters: frozenset[int]) -> int:
        """The voter that lacks least of the log, among those heard last; 0: nobody."""
        candidates = [(p.match, p.heard_ms, i) for i, p in self.peers.items() if i in voters]
        return max(candidates)[2] if candidates else 0

    # --- what peers answer ---

    def acknowledged(self, message: AppendResponse, now_ms: int) -> None:
        """Learn from a peer's answer to an append."""
        peer = self.peers.get(message.source)
        # An answer to an earlier stream proves nothing about this one: the peer may have been
        # removed since, and be back with an empty log.
        if peer is None or peer.session != message.session:
            return
        peer.heard_ms = now_ms
        peer.contact = Contact.HEARD
        if not message.rejected:
            # Nobody can hold more than was ever sent: what it says proves nothing.
            if message.index <= self.log.last_index:
                peer.maybe_accept(message.index)
        else:
            resume_after, _ = self.log.last_index_up_to_term(message.hint_index, message.hint_term)
            if peer.maybe_reject(message.index, resume_after) is Rejection.IN_VAIN:
                self.at_odds.add(message.source)

    def heartbeat_answered(self, message: HeartbeatResponse, now_ms: int) -> None:
        """Learn from a peer's answer to a heartbeat: it is there, and what it lacks."""
        peer = self.peers.get(message.source)
        if peer is None or peer.session != message.session:
            return
        peer.heard_ms = now_ms
        peer.contact = Contact.HEARD
        peer.on_probation = message.on_probation
        self._rounds.acknowledged(message.source, message.read_id)
        # Frames are dropped and never reported, so each answer tells what became of them. What was
        # sent before a heartbeat arrives before it, or never.
        if peer.probing:
            peer.probe_sent = False  # the probe, or its answer, may be lost: send another
        elif message.last_index < message.sent_index:
            peer.probe_from(message.last_index + 1)  # an append was lost
        elif peer.match < message.sent_index:
            peer.ack_wanted = True  # its acknowledgement may have been lost

    def agreed_index(self, stable_index: int) -> int:
        """How far a majority holds the log durably; this node itself up to `stable_index`."""
        match = {member: peer.match for member, peer in self.peers.items()}
        # Only what is durable here counts, as with any other member. A majority of the others may
        # be ahead of this disk, and is enough without it (dissertation 10.2.1).
        match[self.own_id] = stable_index
        return self.configuration.agreed_index(match)

    def is_silent(self, peer: int, now_ms: int, within_ms: int) -> bool:
        """Whether a peer has not been heard yet, or not lately."""
        progress = self.peers.get(peer)
        if progress is None:
            return False
        return progress.contact is not Contact.HEARD or now_ms - progress.heard_ms >= within_ms

    def lost(self, peer: int) -> None:
        """The connection to a peer broke: what was under way to it may be gone."""
        progress = self.peers.get(peer)
        if progress is not None:
            progress.probe_again()
            # No change of members may count on it until it is heard again.
            progress.contact = Contact.BROKEN

    def snapshot_failed(self, peer: int) -> None:
        """A snapshot did not reach that peer: find out again what it needs."""
        progress = self.peers.get(peer)
        if progress is not None:
            progress.probe_from(progress.match + 1)

    def hears_quorum(self, now_ms: int, within_ms: int) -> bool:
        """Whether a majority, this node included, was heard lately (check-quorum, 6.2)."""
        heard = [i for i, peer in self.peers.items() if now_ms - peer.heard_ms < within_ms]
        return self.configuration.majority_reached([self.own_id, *heard])

    def has_news(self, commit: int) -> bool:
        """Whether some peer waits for a commit index that it can be told."""
        return any(
            min(commit, self.peers[target].match) > self.peers[target].commit_sent
            for target in self._awaiting_commit
        )

    def under_way(self) -> bool:
        """Whether so much is being replicated that a small burst of proposals should gather."""
        return len(self._waves) >= WAVES_MAX

    def maybe_take(self, proposals: Sequence[Proposal]) -> bool:
        """Count proposals as uncommitted, unless that would be too much while a quorum is away."""
        size = sum(len(p.command) for p in proposals) + ENTRY_OVERHEAD_BYTES * len(proposals)
        # Where nothing is uncommitted anything may enter, however large: else it never could.
        if self.uncommitted_bytes and self.uncommitted_bytes + size > UNCOMMITTED_BYTES_MAX:
            return False
        self.uncommitted_bytes += size
        self._waves.append(self.log.last_index + len(proposals))
        return True

    def committed(self, previous: int, commit: int, now_ms: int) -> None:
        """The commit index moved: free what it counted; the first time, early reads can count."""
        while self._waves and self._waves[0] <= commit:
            self._waves.popleft()
        entries = self.log.slice(previous + 1, commit + 1, bytes_max=1 << 62)
        size = sum(len(e.command) for e in entries) + ENTRY_OVERHEAD_BYTES * len(entries)
        # Entries of earlier terms were never counted.
        self.uncommitted_bytes = max(0, self.uncommitted_bytes - size)
        # Whoever took a request answers it when it applies the entry: a client waits for that, so
        # its node hears of the commit at once, the others with the next append or a little later.
        self._awaiting_commit.update({e.origin for e in entries} & self.peers.keys())
        if self.notice_due_ms is None:
            self.notice_due_ms = now_ms + COMMIT_NOTICE_MS
        self._rounds.release(commit)

    # --- reads (dissertation 6.4) ---

    def has_asked(self, read_id: int) -> bool:
        """Whether a round of reads was sent whose answer can carry this id."""
        return read_id <= self._rounds.sent

    def add_read(self, source: int, read_id: int, commit: int) -> None:
        """Register a read; before the term's first commit nobody knows what is committed.

        Over the limit it is dropped: who waits for it asks again.
        """
        if self._rounds.is_full():
            return
        if commit < self.start_index:
            # Its predecessors may have committed more than it knows, up to all that its log held
            # when it was elected; its own first commit settles that.
            self._rounds.add_early(source, read_id)
        else:
            self._rounds.add(source, read_id, commit)

    def read_answers(self, now_ms: int) -> list[ReadResponse]:
        """Answers to the reads that are confirmed now; some may be this member's own."""
        if not self._rounds.reads:
            return []
        cluster_ms = self.cluster_ms(now_ms)
        return [
            ReadResponse(self.own_id, source, self.term, read_id, index, cluster_ms)
            for _, source, read_id, index in self._rounds.take_confirmed(
                self.own_id, self.configuration
            )
        ]

    # --- what to send ---

    def messages(self, commit: int, now_ms: int) -> list[Message]:
        """Everything peers should hear now: a read round, entries they lack, the commit index."""
        messages: list[Message] = []
        # First, since a heartbeat names what was sent until now: the appends below come behind it.
        if self._rounds.maybe_begin():
            messages += self.heartbeats(commit, now_ms)
        everybody = self.notice_due_ms is not None and now_ms >= self.notice_due_ms
        for target, peer in self.peers.items():
            messages += self._appends(target, peer, commit)
            if min(commit, peer.match) > peer.commit_sent and (
                everybody or target in self._awaiting_commit
            ):
                messages.append(self._heartbeat(target, peer, commit, now_ms, answer=False))
            if peer.commit_sent >= commit:
                self._awaiting_commit.discard(target)
        if everybody:
            self.notice_due_ms = None
        return messages

    def heartbeats(self, commit: int, now_ms: int) -> list[Message]:
        """One heartbeat to every peer; they also carry the latest read round."""
        return [
            self._heartbeat(target, peer, commit, now_ms, answer=True)
            for target, peer in self.peers.items()
        ]

    def _heartbeat(
        self, target: int, peer: Progress, commit: int, now_ms: int, answer: bool
    ) -> Heartbeat:
        # Never more than the peer is known to hold: its log may still differ beyond.
        peer.commit_sent = min(commit, peer.match)
        return Heartbeat(
            source=self.own_id,
            target=target,
            term=self.term,
            session=peer.session,
            commit=peer.commit_sent,
            sent_index=peer.match if peer.probing else peer.next - 1,
            read_id=self._rounds.sent,
            cluster_ms=self.cluster_ms(now_ms),
            answer=answer,
        )

    def _appends(self, target: int, peer: Progress, commit: int) -> list[AppendRequest]:
        appends: list[AppendRequest] = []
        last_index = self.log.last_index
        while peer.may_send() and (peer.next <= last_index or peer.ack_wanted or peer.probing):
            append = self._append(target, peer, commit)
            if append is None:
                break
            appends.append(append)
        return appends

    def behind(self) -> tuple[int, ...]:
        """The peers that only a snapshot can help."""
        return tuple([target for target, peer in self.peers.items() if peer.snapshotting])

    def _append(self, target: int, peer: Progress, commit: int) -> AppendRequest | None:
        prev_index = peer.next - 1
        prev_term = self.log.term(prev_index)
        if prev_term is None:
            peer.snapshotting = True  # what it lacks is compacted away
            return None
        # A full window may be full only because the answers were lost: ask, but send no more.
        stop = self.log.last_index + 1 if peer.has_room() else peer.next
        entries = self.log.slice(peer.next, stop, APPEND_BYTES_MAX)
        last_sent = prev_index + len(entries)
        # Taken for received at once, so that the next append follows without waiting; a heartbeat's
        # answer shows if it was not.
        peer.sent(last_sent, sum(len(entry.command) for entry in entries))
        peer.ack_wanted = False
        peer.commit_sent = max(peer.commit_sent, min(commit, last_sent))
        return AppendRequest(
            source=self.own_id,
            target=target,
            term=self.term,
            session=peer.session,
            prev_index=prev_index,
            prev_term=prev_term,
            commit=commit,
            entries=entries,
        )
