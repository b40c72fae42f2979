"""Replica: one member's copy of the log, how far it is durable, and how far it is committed.

It is Raft 5.3 from the follower's side, and the hand-over of committed entries to the store. The
log is truncated only at a proven conflict, never below the commit index. Refuses to know of roles
and votes: those are the elector's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.language.entries import Entry, Proposal, entries_of
from actors.raft.log import LogStart, RaftLog
from actors.raft.membership import memberships_among, read
from actors.raft.proposals import ProposalDesk
from actors.raft.roster import Roster
from actors.raft.rpc import AppendRequest, AppendResponse, Heartbeat, SnapshotChunk

COMMITTED_BYTES_MAX: Final = 64 * 1024
COMMITTED_ENTRIES_MAX: Final = 256
"""Committed entries are handed out in parts of this size, which take about 2 ms to apply: between
two parts the node does other things, and a read waits for no part after the entries it must see."""


class Replica:
    """The log up to `stable_index` is durable.

    `cluster_ms` is the latest cluster time heard from the leader that was followed last, that of
    `clock_term`. It is not the greatest time ever heard. A leader that is cut off lets its clock
    run on, while the next leader begins with an earlier time and sets the deadlines of leases by
    that. A later leader holds the entries with those deadlines, so it has followed that next
    leader: it must continue the clock by which the deadlines were set.
    """

    def __init__(
        self,
        own_id: int,
        log: RaftLog,
        roster: Roster,
        commit: int,
        applied_index: int,
        cluster_ms: int,
        desk: ProposalDesk,
    ) -> None:
        assert applied_index <= commit <= log.last_index, "the log must hold what is committed"
        self._own_id = own_id
        self._desk = desk
        # The last index that `take_committed` has given out.
        self.handed_out = applied_index
        self.paused = False
        self.log = log
        self.commit = commit
        self.stable_index = log.last_index
        # Entries up to here were given out to be saved, and are still in the log.
        self._given_out = log.last_index
        self.cluster_ms = cluster_ms
        # The leader that made the last entry had reached this time: it never goes back behind it.
        self.clock_term = log.last_term
        self._roster = roster
        self._note_memberships(log.slice(log.first_index, log.last_index + 1, bytes_max=1 << 62))

    def _note_memberships(self, entries: Sequence[Entry]) -> None:
        for entry in memberships_among(entries):
            membership = read(entry.command)
            if membership is not None:
                self._roster.add(entry.index, membership, self.commit)

    # --- as a follower ---

    def accept(self, message: AppendRequest) -> AppendResponse:
        """Take a leader's append. The answer may leave once everything in the log is durable."""
        prev_index, entries = message.prev_index, message.entries
        if prev_index < self.commit:
            # Late, or sent to a member that has restarted. Committed entries match the leader's
            # (`contradiction` has looked), so the leader may go on after the commit index.
            return self.response(message, self.commit, committed=True)
        if self.log.term(prev_index) != message.prev_term:
            # The hint says where the leader should try next: it skips a whole term, not one entry
            # (the last paragraphs of Raft 5.3).
            hint = self.log.last_index_up_to_term(prev_index, message.prev_term)
            return self.response(message, prev_index, hint)
        # Only a conflict truncates. An append that a later one has overtaken ends before the log
        # does: to cut the log there would take back entries that are acknowledged already (5.3).
        conflict = self.log.first_conflict(entries)
        if conflict is not None:
            self._truncate_from(conflict)
            fresh = entries[conflict - prev_index - 1 :]
            self.log.append(fresh)
            self._note_memberships(fresh)
            self._desk.entered_log([e.ticket for e in fresh if e.origin == self._own_id])
        # The message proves that the log matches up to here. What the log holds after this may be
        # an earlier leader's, so it is neither acknowledged nor committed (Raft figure 2).
        proven = prev_index + len(entries)
        self.commit_to(min(message.commit, proven))
        time_ms = self.log.time_ms(proven)
        # 0: the entry is compacted away. A heartbeat will bring the time.
        if time_ms:
            self._hear_clock(message.term, time_ms)
        return self.response(message, proven)

    def contradiction(self, message: AppendRequest) -> int | None:
        """The index of a committed entry that a leader's append contradicts; None: there is none.

        Such an append truncates nothing: one of the two members has lost what it promised.
        """
        index, term = message.prev_index, message.prev_term
        if index > self.commit:
            return None
        # A term of None here: the entry is compacted away, and cannot be compared.
        if self.log.term(index) not in (term, None):
            return index
        for entry in message.entries:
            if entry.index > self.commit:
                return None
            if self.log.term(entry.index) not in (entry.term, None):
                return entry.index
        return None

    def response(
        self,
        message: AppendRequest | Heartbeat | SnapshotChunk,
        index: int,
        hint: tuple[int, int] | None = None,
        committed: bool = False,
    ) -> AppendResponse:
        """The answer to a message, in its term; with a hint (index, term) it is a rejection.

        `committed`: the answer is about this member's commit index, not about what the message
        proves. Then its hint fields name the committed entry, which the leader has to hold.
        """
        hint_index, hint_term = hint or (0, 0)
        if committed:
            hint_index, hint_term = index, self.log.term(index) or 0
        return AppendResponse(
            source=self._own_id,
            target=message.source,
            term=message.term,
            stream=message.stream,
            index=index,
            rejected=hint is not None,
            hint_index=hint_index,
            hint_term=hint_term,
        )

    def hear(self, message: Heartbeat) -> None:
        """Take the commit index and the cluster time of a heartbeat.

        A leader names no commit index beyond what this member has acknowledged. A heartbeat with
        one that this log does not reach is ignored.
        """
        if message.commit > self.log.last_index:
            return
        self._hear_clock(message.term, message.cluster_ms)
        self.commit_to(message.commit)

    def _hear_clock(self, term: int, cluster_ms: int) -> None:
        if term > self.clock_term:
            # The clock of a new leader holds, even where it is behind (see the class).
            self.clock_term, self.cluster_ms = term, cluster_ms
        else:
            self.cluster_ms = cluster_ms if cluster_ms > self.cluster_ms else self.cluster_ms

    # --- as a leader ---

    def start_clock(self) -> int:
        """The cluster time with which a new leader begins; no entry of its log has a later one."""
        return max(self.cluster_ms, self.log.time_ms(self.log.last_index))

    def append(self, term: int, cluster_ms: int, proposals: Sequence[Proposal]) -> None:
        """Put proposals at the end of the log."""
        last_index = self.log.last_index
        entries = entries_of(
            [
                (index, term, cluster_ms, *proposal)
                for index, proposal in enumerate(proposals, last_index + 1)
            ]
        )
        self.log.append(entries)
        # A membership holds once it is in the log, committed or not: the leader counts the very
        # entry that holds it by the new majority (dissertation 4.1).
        self._note_memberships(entries)

    # --- durable and committed ---

    def commit_to(self, index: int) -> None:
        """Raise the commit index to `index`; it never falls."""
        if index > self.commit:
            self.commit = index
            if index >= self._roster.next_index:
                self._roster.commit_to(index)

    def give_out(self) -> tuple[Entry, ...]:
        """The entries that are not durable yet, to be saved; the first may replace durable ones."""
        self._given_out = last_index = self.log.last_index
        if self.stable_index == last_index:
            return ()
        return self.log.slice(self.stable_index + 1, last_index + 1, bytes_max=1 << 62)

    def start_of(self, entries: Sequence[Entry]) -> LogStart:
        """The entry before these entries of the log; without any, the last entry of the log."""
        return self._place(entries[0].index - 1 if entries else self.log.last_index)

    def saved_end(self) -> LogStart:
        """The last durable entry; those after it have yet to be saved."""
        return self._place(self.stable_index)

    def _place(self, index: int) -> LogStart:
        term = self.log.term(index)
        assert term is not None, "what is to be saved follows the log"
        return LogStart(index, term, self._roster.at(index))

    def persisted(self) -> None:
        """The entries that were given out last are durable, those that are still in the log."""
        self.stable_index = self._given_out

    def has_committed(self) -> bool:
        """Whether `take_committed` would give something.

        The others may have committed entries that are not durable here yet. These wait: if they
        were applied now, the store could be ahead of the log after a crash, and nothing would tell
        which entries the store holds.
        """
        return not self.paused and min(self.commit, self.stable_index) > self.handed_out

    def take_committed(self) -> tuple[Entry, ...]:
        """The next entries that are committed and durable here, each once and in order.

        Only if `has_committed`.
        """
        stop = min(self.commit, self.stable_index, self.handed_out + COMMITTED_ENTRIES_MAX) + 1
        committed = self.log.slice(self.handed_out + 1, stop, COMMITTED_BYTES_MAX)
        self.handed_out = committed[-1].index
        return committed

    # --- snapshots ---

    def pause(self) -> None:
        """The store is about to be replaced: hand out no entries until `restore` or `resume`."""
        self.paused = True

    def resume(self) -> None:
        """The snapshot was not installed: go on with the log and the store as they are."""
        self.paused = False

    def compact(self, index: int) -> None:
        """Forget entries up to `index`, which the store holds durably."""
        assert index <= self.handed_out, "only what is applied may be forgotten"
        self.log.compact(index)

    def restore(self, start: LogStart, term: int, cluster_ms: int) -> tuple[Entry, ...]:
        """Go on after an installed snapshot; returns the entries after it that the log keeps."""
        assert start.index > self.handed_out, "a snapshot only ever moves forward"
        # A log that holds the snapshot's last entry keeps what follows it; any other log is
        # discarded (Raft 7).
        self._fail_lost(self.log.restart_after(start.index, start.term))
        self.commit = max(self.commit, start.index)
        self.handed_out = start.index
        # The caller begins the WAL anew with the entries kept before any promise leaves, so they
        # count as durable.
        self.stable_index = self._given_out = self.log.last_index
        self._hear_clock(term, cluster_ms)
        self.paused = False
        self._roster.restart(start.index, start.membership, self.commit)
        kept = self.log.slice(self.log.first_index, self.log.last_index + 1, bytes_max=1 << 62)
        self._note_memberships(kept)
        return kept

    def _truncate_from(self, index: int) -> None:
        if index > self.log.last_index:
            return
        removed = self.log.truncate_from(index, self.commit)
        # Other entries take the places of those removed, and are not durable yet.
        self.stable_index = min(self.stable_index, index - 1)
        self._given_out = min(self._given_out, index - 1)
        self._roster.cut_from(index, self.commit)
        self._fail_lost(removed)

    def _fail_lost(self, removed: Sequence[Entry]) -> None:
        own = [Proposal(e.origin, e.ticket, e.command) for e in removed if e.origin == self._own_id]
        # The outcome is unknown: another member may still hold such an entry, become the leader,
        # and commit it.
        self._desk.fail(own, "LeaderChanged", outcome_unknown=True)
