"""This member's copy of the log: what follows the leader's, what is durable, what is committed.

Roles, terms and votes are the core's business; here is Raft 5.3 from the follower's side, and the
hand-over of committed entries. Truncation happens only at a proven conflict, never below commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.language.entries import Entry, Proposal
from actors.raft.log import LogStart, RaftLog
from actors.raft.membership import read
from actors.raft.proposals import ProposalDesk
from actors.raft.roster import Roster
from actors.raft.rpc import AppendRequest, AppendResponse, Heartbeat, SnapshotChunk

COMMITTED_BYTES_MAX: Final = 8 * 1024 * 1024
"""At most so much is handed out as committed at a time: a long replay comes in parts."""


class Replica:
    """`stable_index` is how far the log is durable.

    `cluster_ms` is the clock of the leader that was followed last, as far as it was heard. It is
    not the greatest ever heard: a leader that was cut off ran on, while deadlines were set by the
    clock of the next one, which began with less. Whoever leads then must hold those deadlines'
    entries, so it has followed that next one, and goes by its clock.
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
        self.cluster_ms = cluster_ms
        self._clock_term = 0
        self._roster = roster
        self._note_memberships(log.slice(log.first_index, log.last_index + 1, bytes_max=1 << 62))

    def _note_memberships(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            membership = read(entry.command)
            if membership is not None:
                self._roster.add(entry.index, membership, self.commit)

    # --- as a follower ---

    def accept(self, message: AppendRequest) -> AppendResponse:
        """Take a leader's append; the answer may be given once everything here is durable."""
        prev_index, entries = message.prev_index, message.entries
        if prev_index < self.commit:
            # What is committed matches, or `contradiction` has told; the leader goes on from there.
            return self.response(message, self.commit, committed=True)
        if self.log.term(prev_index) != message.prev_term:
            # Where the leader should try next: skipping a term at a time, not an entry (5.3).
            hint = self.log.last_index_up_to_term(prev_index, message.prev_term)
            return self.response(message, prev_index, hint)
        # Only a conflict truncates. An append that was overtaken by a later one is shorter than the
        # log: to cut behind it would take back entries that are acknowledged already (5.3).
        conflict = self.log.first_conflict(entries)
        if conflict is not None:
            self._truncate_from(conflict)
            fresh = entries[conflict - prev_index - 1 :]
            self.log.append(fresh)
            self._note_memberships(fresh)
            self._desk.entered_log(e.ticket for e in fresh if e.origin == self._own_id)
        # Only what this message proves may be committed, not what else the log holds.
        proven = prev_index + len(entries)
        self.commit_to(min(message.commit, proven))
        time_ms = self.log.time_ms(proven)
        # Nothing is known of the time before the first entry here; a heartbeat will tell.
        if time_ms and (conflict is not None or message.term > self._clock_term):
            self._hear_clock(message.term, time_ms)
        return self.response(message, proven)

    def contradiction(self, message: AppendRequest) -> int | None:
        """The index of a committed entry that a leader's append is at odds with; None: no such.

        Nothing is truncated for it: one of the two logs is not what its member has promised.
        """
        index, term = message.prev_index, message.prev_term
        if index > self.commit:
            return None
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
        """An answer in the sender's own term; a hint makes it a rejection.

        With `committed` it is about more than the message proves.
        """
        hint_index, hint_term = hint or (0, 0)
        if committed:
            hint_index, hint_term = index, self.log.term(index) or 0
        return AppendResponse(
            source=self._own_id,
            target=message.source,
            term=message.term,
            session=message.session,
            index=index,
            rejected=hint is not None,
            hint_index=hint_index,
            hint_term=hint_term,
        )

    def hear(self, message: Heartbeat) -> None:
        """Take the commit index, which the log here reaches, and cluster time of a heartbeat.

        It tells of no commit beyond what was acknowledged; one that does is ignored.
        """
        if message.commit > self.log.last_index:
            return
        self._hear_clock(message.term, message.cluster_ms)
        self.commit_to(message.commit)

    def _hear_clock(self, term: int, cluster_ms: int) -> None:
        if term > self._clock_term:
            self._clock_term, self.cluster_ms = term, cluster_ms
        else:
            self.cluster_ms = max(self.cluster_ms, cluster_ms)

    # --- as a leader ---

    def start_clock(self) -> int:
        """The cluster time from which a new leader goes on; its log holds nothing later."""
        return max(self.cluster_ms, self.log.time_ms(self.log.last_index))

    def append(self, term: int, cluster_ms: int, proposals: Sequence[Proposal]) -> None:
        """Put proposals at the end of the log."""
        last_index = self.log.last_index
        entries = [
            Entry(last_index + count, term, cluster_ms, origin, ticket, command)
            for count, (origin, ticket, command) in enumerate(proposals, 1)
        ]
        self.log.append(entries)
        # A membership holds from here, before it is committed: the leader of a change counts by it.
        self._note_memberships(entries)

    # --- durable and committed ---

    def commit_to(self, index: int) -> None:
        """The commit index never falls."""
        if index > self.commit:
            self.commit = index
            if index >= self._roster.next_index:
                self._roster.commit_to(index)

    def unstable(self) -> tuple[Entry, ...]:
        """The entries that are not durable yet; the first may replace durable ones."""
        last_index = self.log.last_index
        if self.stable_index == last_index:
            return ()
        return self.log.slice(self.stable_index + 1, last_index + 1, bytes_max=1 << 62)

    def start_of(self, entries: Sequence[Entry]) -> LogStart:
        """What stands before these entries of the log, or at its end if there are none."""
        return self._place(entries[0].index - 1 if entries else self.log.last_index)

    def saved_end(self) -> LogStart:
        """The last entry that is durable and still stands: what follows it has yet to be saved."""
        return self._place(self.stable_index)

    def _place(self, index: int) -> LogStart:
        term = self.log.term(index)
        assert term is not None, "what is to be saved follows the log"
        return LogStart(index, term, self._roster.at(index))

    def persisted(self) -> None:
        """Everything here is durable now."""
        self.stable_index = self.log.last_index

    def has_committed(self) -> bool:
        """Whether `take_committed` would give something.

        Others may have committed what this disk does not hold yet. To apply that would let the
        store get ahead of the log: after a crash nobody could tell which entries it holds.
        """
        return not self.paused and min(self.commit, self.stable_index) > self.handed_out

    def take_committed(self) -> tuple[Entry, ...]:
        """The next entries that are committed and durable here, each once and in order."""
        if not self.has_committed():
            return ()
        stop = min(self.commit, self.stable_index) + 1
        committed = self.log.slice(self.handed_out + 1, stop, COMMITTED_BYTES_MAX)
        self.handed_out = committed[-1].index
        return committed

    # --- snapshots ---

    def pause(self) -> None:
        """The store is about to be replaced: hand out nothing until `restore` or `resume`."""
        self.paused = True

    def resume(self) -> None:
        """The snapshot was not installed: go on with what is here."""
        self.paused = False

    def compact(self, index: int) -> None:
        """Forget entries up to `index`, which the store holds durably."""
        assert index <= self.handed_out, "only what is applied may be forgotten"
        self.log.compact(index)

    def restore(self, start: LogStart, term: int, cluster_ms: int) -> tuple[Entry, ...]:
        """Go on after an installed snapshot; returns the entries that are still good after it."""
        assert start.index > self.handed_out, "a snapshot only ever moves forward"
        # What contradicts the snapshot goes, with all behind it; what continues it stays.
        self._fail_lost(self.log.restart_after(start.index, start.term))
        self.commit = max(self.commit, start.index)
        self.handed_out = start.index
        # The WAL begins anew with what is kept, before anything of it is promised.
        self.stable_index = self.log.last_index
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
        # What was durable behind it is so no more: the same places get other entries.
        self.stable_index = min(self.stable_index, index - 1)
        self._roster.cut_from(index, self.commit)
        self._fail_lost(removed)

    def _fail_lost(self, removed: Sequence[Entry]) -> None:
        own = [Proposal(e.origin, e.ticket, e.command) for e in removed if e.origin == self._own_id]
        # Another member may still hold the entry and bring it back as leader.
        self._desk.fail(own, "LeaderChanged", outcome_unknown=True)
