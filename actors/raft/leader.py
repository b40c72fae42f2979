"""Leader: the progress of each peer, commitment by counting (Raft 5.3), reads (dissertation 6.4).

One object lives for one leadership of one term. `messages` derives what to send from the state, so
a burst of proposals makes one append for each peer. Refuses to know of votes and of other terms:
those are the elector's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from actors.language.entries import Entry, Proposal, command_sizes
from actors.raft.log import RaftLog
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
"""Proposals beyond this are refused: without a quorum the log would grow until memory ran out."""

COMMIT_NOTICE_MS: Final = 5
"""A peer whose clients wait for a committed entry hears of the commit at once. The other peers hear
of it with their next append, or in a heartbeat after this time."""

STREAM_SHIFT: Final = 48
STREAM_COUNT_MASK: Final = 0xFFFF
"""A stream's number is 16 bits of a count above 48 bits of the term. The count comes round after
65,536 streams of one term; no answer is under way for that long."""

WAVES_MAX: Final = 2
"""While this number of bursts is uncommitted, proposals that arrive gather into the next burst."""

ENTRY_OVERHEAD_BYTES: Final = 64
"""What an entry costs beside its command, so that empty commands count too."""


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
        # The same, to go through: each flush does.
        self._each_peer: tuple[tuple[int, Progress], ...] = ()
        self.rounds = ReadRounds()
        # Peers whose clients wait for a committed entry, and that may not know the commit index.
        self._awaiting_commit: set[int] = set()
        # When the other peers are told the commit index; None: all know it, or have been told.
        self.notice_due_ms: int | None = None
        self._reconfigurations = 0
        # Peers that reject entries which they have acknowledged. `Trial` takes them from here.
        self.at_odds: set[int] = set()
        # Whether a peer may need a snapshot.
        self.may_be_behind = False
        self.reconfigure(configuration, now_ms)
        self.uncommitted_bytes = 0
        # When heartbeats, or the check of the quorum, are due, and which of them is first.
        self.heartbeat_due_ms = self.quorum_check_due_ms = self.due_ms = now_ms
        self._waves: deque[int] = deque()
        # The last run of entries that was sent, and where it is.
        self._kept: tuple[tuple[Entry, ...], int, int] = ((), 0, 0)
        self._kept_at = (0, 0)

    def cluster_ms(self, now_ms: int) -> int:
        """The cluster time now (DESIGN.md#cluster-time)."""
        return self.cluster_ms_at_start + (now_ms - self.started_ms)

    # --- who the peers are ---

    def reconfigure(self, configuration: Configuration, now_ms: int) -> None:
        """Replicate to the members of `configuration` from now on, to a new one in a new stream.

        No two streams have one number, so a member that is removed and added again is not
        credited with what it acknowledged before.
        """
        self.configuration = configuration
        self._decides_alone = configuration.majority_reached([self.own_id])
        if self.rounds.reads:
            # Of fewer voters, those that have answered may be a majority.
            self.rounds.is_answered = True
        wanted = configuration.members() - {self.own_id}
        for gone in self.peers.keys() - wanted:
            del self.peers[gone]
            self.rounds.forget(gone)
            self._awaiting_commit.discard(gone)
        stream = self._next_stream()
        # Sorted, so that the order in which peers are sent to depends on nothing but who they are.
        for member in sorted(wanted - self.peers.keys()):
            # The first probe asks at the end of the log: most peers hold nearly all of it (5.3).
            self.peers[member] = Progress(stream, self.log.last_index + 1, now_ms)
        self._each_peer = tuple(self.peers.items())

    def begin_anew(self, member: int, life: int, now_ms: int) -> None:
        """Count nothing that a peer acknowledged before this `life`: its disk may have lost it.

        Only the first call for a life does this: what the peer acknowledges in that life counts.
        """
        # A lost acknowledgement that still counted could commit an entry which no majority holds.
        peer = self.peers.get(member)
        if peer is None or peer.life == life:
            return
        peer = self.peers[member] = Progress(self._next_stream(), self.log.last_index + 1, now_ms)
        peer.life, peer.on_probation = life, True
        self._each_peer = tuple(self.peers.items())
        self.rounds.forget(member)
        self._awaiting_commit.discard(member)

    def _next_stream(self) -> int:
        stream = (self._reconfigurations & STREAM_COUNT_MASK) << STREAM_SHIFT | self.term
        self._reconfigurations += 1
        return stream

    # --- what peers answer ---

    def acknowledged(self, message: AppendResponse, now_ms: int) -> None:
        """Learn from a peer's answer to an append."""
        peer = self.peers.get(message.source)
        # An answer to an earlier stream proves nothing about this one: the peer may have been
        # removed since, and be back with an empty log.
        if peer is None or peer.stream != message.stream:
            return
        peer.heard_ms = now_ms
        peer.contact = Contact.HEARD
        if not message.rejected:
            # No peer can hold more than this log does: a higher index is an error of the peer's.
            if message.index <= self.log.last_index:
                peer.maybe_accept(message.index)
        else:
            # Nothing after the peer's hint can match this log, and before it only entries of terms
            # up to the hint's can: a rejection skips whole terms (Raft 5.3, at its end).
            resume_after, _ = self.log.last_index_up_to_term(message.hint_index, message.hint_term)
            if peer.maybe_reject(message.index, resume_after) is Rejection.IN_VAIN:
                self.at_odds.add(message.source)

    def heartbeat_answered(self, message: HeartbeatResponse, now_ms: int) -> None:
        """Learn from a peer's answer to a heartbeat that it lives, and which appends were lost."""
        peer = self.peers.get(message.source)
        if peer is None or peer.stream != message.stream:
            return
        peer.heard_ms = now_ms
        peer.contact = Contact.HEARD
        peer.on_probation = message.on_probation
        self.rounds.acknowledged(message.source, message.read_id)
        # A lost frame is reported by nobody, so a heartbeat's answer has to show the loss. Frames
        # keep their order: an append sent before this heartbeat arrived before it, or never will.
        if peer.probing:
            peer.probe_sent = False  # the probe, or its answer, may be lost: send another
        elif message.last_index < message.sent_index:
            peer.probe_from(message.last_index + 1)  # an append was lost
        elif peer.match < message.sent_index:
            peer.ack_wanted = True  # its acknowledgement may have been lost

    def agreed_index(self, stable_index: int) -> int:
        """The highest index that a majority holds durably; this member holds `stable_index`."""
        match = {member: peer.match for member, peer in self._each_peer}
        # This member counts by what is durable, like any other. The leader sends entries while its
        # own disk still writes them, so a majority of the others may commit entries before this
        # disk has them (dissertation 10.2.1).
        match[self.own_id] = stable_index
        return self.configuration.agreed_index(match)

    def lost(self, peer: int) -> None:
        """The connection to a peer broke: appends under way to it may be lost."""
        progress = self.peers.get(peer)
        if progress is not None:
            progress.probe_again()
            # A change of members must not count on this peer until it is heard again.
            progress.contact = Contact.BROKEN

    def snapshot_failed(self, peer: int) -> None:
        """A snapshot did not reach that peer: probe again for what it needs."""
        progress = self.peers.get(peer)
        if progress is not None:
            progress.probe_from(progress.match + 1)

    def hears_quorum(self, now_ms: int, within_ms: int) -> bool:
        """Whether a majority with this member was heard lately (check-quorum, dissertation 6.2)."""
        heard = [i for i, peer in self._each_peer if now_ms - peer.heard_ms < within_ms]
        return self.configuration.majority_reached([self.own_id, *heard])

    def has_news(self, commit: int) -> bool:
        """Whether a peer whose clients wait can be told of a commit that it does not know."""
        for target in self._awaiting_commit:
            peer = self.peers[target]
            if commit > peer.commit_sent < peer.match:
                return True
        return False

    def has_messages(self, commit: int, now_ms: int) -> bool:
        """Whether `messages` would give something."""
        is_notice_due = self.notice_due_ms is not None and now_ms >= self.notice_due_ms
        if is_notice_due or (self.rounds.reads and self.rounds.is_due()):
            return True
        last_index = self.log.last_index
        for _, peer in self._each_peer:
            if (peer.next <= last_index or peer.ack_wanted or peer.probing) and peer.may_send():
                return True
        return bool(self._awaiting_commit) and self.has_news(commit)

    def under_way(self) -> bool:
        """Whether WAVES_MAX bursts are being replicated, so that a small one should wait."""
        return len(self._waves) >= WAVES_MAX

    def maybe_take(self, proposals: Sequence[Proposal]) -> bool:
        """Count proposals as uncommitted; False if that would exceed UNCOMMITTED_BYTES_MAX."""
        count = len(proposals)
        size = sum(command_sizes(proposals)) + ENTRY_OVERHEAD_BYTES * count
        # With nothing uncommitted a burst of any size may enter: otherwise a burst larger than the
        # limit could never enter.
        if self.uncommitted_bytes and self.uncommitted_bytes + size > UNCOMMITTED_BYTES_MAX:
            return False
        self.uncommitted_bytes += size
        self._waves.append(self.log.last_index + count)
        return True

    def committed(self, previous: int, commit: int, now_ms: int) -> None:
        """The commit index moved: free counted bytes, note who must hear, release early reads."""
        while self._waves and self._waves[0] <= commit:
            self._waves.popleft()
        log = self.log
        overhead = ENTRY_OVERHEAD_BYTES * (commit - previous)
        size = log.bytes_of(previous + 1, commit + 1) + overhead
        # Entries of earlier terms were never counted, so the difference may be below zero.
        self.uncommitted_bytes = max(0, self.uncommitted_bytes - size)
        # The member that took a request answers it when it applies the entry, and a client waits
        # for that. So this member hears of the commit at once, the others within COMMIT_NOTICE_MS.
        entries = log.slice(previous + 1, commit + 1, bytes_max=1 << 62)
        self._awaiting_commit |= {e.origin for e in entries} & self.peers.keys()
        if self.notice_due_ms is None and self._each_peer:
            self.notice_due_ms = now_ms + COMMIT_NOTICE_MS
        self.rounds.release(commit)

    # --- reads (dissertation 6.4) ---

    def has_asked(self, read_id: int) -> bool:
        """Whether this round of reads was sent, so that an answer may name it."""
        return read_id <= self.rounds.sent

    def add_read(self, source: int, read_id: int, commit: int) -> None:
        """Register a read of the member `source`.

        Over the limit the read is dropped: that member asks again after a while.
        """
        if self.rounds.is_full():
            return
        if commit < self.start_index:
            # An earlier leader may have committed entries that this one holds and does not know to
            # be committed. The commit of its own no-op settles that (Raft 8, dissertation 6.4), so
            # the read waits for that commit.
            self.rounds.add_early(source, read_id)
        else:
            self.rounds.add(source, read_id, commit)

    def read_answers(self, now_ms: int) -> list[ReadResponse]:
        """Answers to the reads that are confirmed now; some may be this member's own."""
        if not self.rounds.reads:
            return []
        cluster_ms = self.cluster_ms(now_ms)
        return [
            ReadResponse(self.own_id, source, self.term, read_id, index, cluster_ms)
            for _, source, read_id, index in self.rounds.take_confirmed(
                self.own_id, self.configuration
            )
        ]

    # --- what to send ---

    def messages(self, commit: int, now_ms: int) -> list[Message]:
        """What the peers should hear now: a read round, entries they lack, the commit index."""
        messages: list[Message] = []
        # Heartbeats come before appends: a heartbeat names the last index sent before it, so that
        # its answer shows whether that was lost. The appends below are sent after it.
        if self.rounds.reads and self.rounds.maybe_begin():
            messages += self.heartbeats(commit, now_ms)
            self.rounds.is_answered |= self._decides_alone
        everybody = self.notice_due_ms is not None and now_ms >= self.notice_due_ms
        all_know = True
        last_index = self.log.last_index
        for target, peer in self._each_peer:
            while (peer.next <= last_index or peer.ack_wanted or peer.probing) and peer.may_send():
                append = self._append(target, peer, commit)
                if append is None:
                    break
                messages.append(append)
            is_told = everybody or target in self._awaiting_commit
            if is_told and commit > peer.commit_sent < peer.match:
                messages.append(self._heartbeat(target, peer, commit, now_ms, answer=False))
            if target in self._awaiting_commit and peer.commit_sent >= commit:
                self._awaiting_commit.remove(target)
            all_know = all_know and peer.commit_sent >= commit
        if everybody or all_know:
            self.notice_due_ms = None
        return messages

    def heartbeats(self, commit: int, now_ms: int) -> list[Heartbeat]:
        """One heartbeat to every peer; they also carry the latest read round."""
        beats = [
            self._heartbeat(target, peer, commit, now_ms, answer=True)
            for target, peer in self._each_peer
        ]
        if self.notice_due_ms is not None and all(beat.commit >= commit for beat in beats):
            self.notice_due_ms = None
        return beats

    def _heartbeat(
        self, target: int, peer: Progress, commit: int, now_ms: int, answer: bool
    ) -> Heartbeat:
        # Not beyond `match`: after it the peer may hold entries of an earlier leader, and would
        # take those for committed.
        peer.commit_sent = min(commit, peer.match)
        return Heartbeat(
            source=self.own_id,
            target=target,
            term=self.term,
            stream=peer.stream,
            commit=peer.commit_sent,
            sent_index=peer.match if peer.probing else peer.next - 1,
            read_id=self.rounds.sent,
            cluster_ms=self.cluster_ms(now_ms),
            answer=answer,
        )

    def _run(self, start: int, stop: int) -> tuple[tuple[Entry, ...], int, int]:
        """The entries of an append, the last index, their bytes; most peers lack the same run."""
        if (start, stop) != self._kept_at:
            entries = self.log.slice(start, stop, APPEND_BYTES_MAX)
            last_index = start - 1 + len(entries)
            self._kept = entries, last_index, self.log.bytes_of(start, last_index + 1)
            self._kept_at = start, stop
        return self._kept

    def behind(self) -> tuple[int, ...]:
        """The peers that need a snapshot: this log no longer holds the entries they lack."""
        behind = tuple([target for target, peer in self._each_peer if peer.snapshotting])
        self.may_be_behind = bool(behind)
        return behind

    def _append(self, target: int, peer: Progress, commit: int) -> AppendRequest | None:
        prev_index = peer.next - 1
        prev_term = self.log.term(prev_index)
        if prev_term is None:
            peer.snapshotting = self.may_be_behind = True  # the entries it lacks are gone
            return None
        # With a full window this append carries no entries and only asks for an answer: the window
        # may be full because earlier answers were lost.
        stop = self.log.last_index + 1 if peer.has_room() else peer.next
        entries, last_sent, size = self._run(peer.next, stop)
        # `next` moves on before the answer comes, so the next append follows without waiting
        # (pipelining, dissertation 10.2.2). If this one is lost, a heartbeat's answer shows that.
        peer.sent(last_sent, size)
        peer.ack_wanted = False
        told = commit if commit < last_sent else last_sent
        peer.commit_sent = told if told > peer.commit_sent else peer.commit_sent
        return AppendRequest(
            source=self.own_id,
            target=target,
            term=self.term,
            stream=peer.stream,
            prev_index=prev_index,
            prev_term=prev_term,
            commit=commit,
            entries=entries,
        )
