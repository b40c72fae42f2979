"""The invariants, checked after each step of a node (reference 6.4), and what they need to know.

It sees everything, also what no node could: who leads which term, what is on whose disk, what was
ever committed. A violation raises FindingError; nothing here changes what a node does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from actors.language.entries import Entry
from actors.raft.disk.wal import Contents
from actors.raft.leader import Leader
from actors.raft.log import LogStart
from actors.raft.membership import Membership, read
from actors.raft.replica import Replica
from actors.raft.roles import Candidate
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    Message,
    SnapshotChunk,
    VoteRequest,
    VoteResponse,
)
from tests.simulation.lineage import Lineage
from tests.simulation.saved import Saved, require
from tests.spec.state import Member
from tests.spec.watching import Watch

RESTS_CHECKED = 8
"""Of eight looks, one also asks whether the core has nothing more to say, as it claims."""

if TYPE_CHECKING:
    from tests.simulation.node import Node


class _Seen(NamedTuple):
    """What a node was at the end of its last step."""

    term: int = 0
    commit: int = 0
    applied: int = 0
    leads: int = 0
    last: tuple[int, int] = (0, 0)
    candidate: int = 0


class Checker:
    """`chosen` is the log as it was committed, `counts` how much has happened."""

    def __init__(self, first: Membership, counts: Counter[str]) -> None:
        self.counts = counts
        self.chosen: list[Entry] = []
        self.lineage = Lineage(first)
        # Where disks have lied, members may disagree.
        self.is_off = False
        self._chosen_in_term: list[int] = []
        self._disks: dict[int, Saved] = {}
        # What members had on disks that were emptied since: it may have been acknowledged.
        self._lost: dict[int, list[Saved]] = {}
        # Term, voter and candidate of votes that were given on such a disk.
        self._lost_votes: list[tuple[int, int, int]] = []
        self._leader_of: dict[int, int] = {}
        self._votes: dict[int, dict[int, int]] = {}
        self._seen: dict[int, _Seen] = {}
        self._watches: dict[int, Watch] = {}
        self._looks = 0

    def saved(self, member: int) -> Saved:
        """What a member has surely saved."""
        disk = self._disks.get(member)
        if disk is None:
            disk = self._disks[member] = Saved()
        return disk

    def watch(self, node: Node, watch: Watch) -> None:
        """A member's core is held against the spec in this process."""
        self._watches[node.member_id] = watch

    def spec(self, node: Node) -> Member | None:
        """What a member was in the spec when its last process ended; None: it had none."""
        watch = self._watches.get(node.member_id)
        return None if watch is None else watch.m

    def forgotten(self, node: Node) -> None:
        """A node's disk was emptied."""
        self._lost.setdefault(node.member_id, []).append(self.saved(node.member_id))
        del self._disks[node.member_id]
        self._watches.pop(node.member_id, None)
        self._seen.pop(node.member_id, None)
        # It may vote again where nobody can count what it gave: two leaders in a term would tell.
        for term, votes in self._votes.items():
            if node.member_id in votes:
                self._lost_votes.append((term, node.member_id, votes.pop(node.member_id)))

    def proven(self, node: Node) -> None:
        """A member whose disk was emptied is a full one again: nothing it promised may be lost.

        From now on nobody may count what was on the lost disk.
        """
        self._catching_up(node)
        log = node.core.replica.log
        for entry in self._lost_of(node):
            held = entry.index < log.first_index or log.term(entry.index) == entry.term
            require(
                held,
                f"{node} is a full member without entry {entry.index} of term {entry.term}, "
                "which it had acknowledged",
            )
        self._lost.pop(node.member_id, None)
        self._lost_votes = [each for each in self._lost_votes if each[1] != node.member_id]

    def _voted_on_probation(self, node: Node, candidate: int) -> None:
        """A member that has forgotten something votes only for who holds it."""
        for other in node.cluster.running():
            if other.member_id == candidate and node.core.probation is not None:
                log = other.core.replica.log
                for entry in self._lost_of(node):
                    held = entry.index < log.first_index or log.term(entry.index) == entry.term
                    require(held, f"{node} votes on probation for {other}, which lacks {entry}")

    def _lost_of(self, node: Node) -> list[Entry]:
        """What a member has acknowledged on disks that are gone, and is committed."""
        chosen = self.chosen
        return [
            entry
            for disk in self._lost.get(node.member_id, ())
            for entry in disk.entries
            if entry.index <= len(chosen) and chosen[entry.index - 1] == entry
        ]

    def _catching_up(self, node: Node) -> None:
        """Who takes part again is in a term no lower than those its lost votes have decided."""
        for term, member, candidate in self._lost_votes:
            if member == node.member_id and self._leader_of.get(term) == candidate:
                now = node.core.term
                require(now >= term, f"{node} takes part in term {now}, and has voted in {term}")

    def rolled_back(self, node: Node, saved: Saved) -> None:
        """A node's disk was put back to what it held before."""
        self._disks[node.member_id] = saved
        self._watches.pop(node.member_id, None)
        self._seen.pop(node.member_id, None)

    # --- what a node says ---

    def said(self, node: Node, message: Message) -> None:
        """A message is about to leave: is what it promises true, and durable?"""
        if self.is_off:
            return
        disk = self.saved(node.member_id)
        match message:
            case VoteResponse(_, target, term, False, True):
                self._voted_on_probation(node, target)
                self._voted(node, term, target)
            case VoteRequest(_, _, term, False):
                self._voted(node, term, node.member_id)
            case AppendResponse(_, _, term, _, index, False):
                held = disk.last_index
                require(held >= index, f"{node} acknowledged {index}, saved {held}")
                self._shown_term(node, term)
            case AppendResponse(_, _, term) | HeartbeatResponse(_, _, term):
                self._shown_term(node, term)
            case AppendRequest(_, _, term, _, prev_index, prev_term, _, entries):
                self._leads(node, term)
                self._know_before(node, prev_index)
                self.lineage.add(prev_index, prev_term, entries)
            case Heartbeat(_, _, term):
                self._leads(node, term)
            case SnapshotChunk(last_index=index, last_term=term):
                known = index <= len(self.chosen) and self.chosen[index - 1].term == term
                require(known, f"{node} sends a snapshot up to {index}, which is not committed")
                self.counts["snapshot chunks"] += 1
            case _:
                pass

    def _leads(self, node: Node, term: int) -> None:
        """One member speaks as the leader of a term, also one that dies before it is looked at."""
        first = self._leader_of.setdefault(term, node.member_id)
        require(first == node.member_id, f"{first} and {node} lead term {term}")

    def _know_before(self, node: Node, prev_index: int) -> None:
        """A new member is sent what comes next before anybody is sent what came before it."""
        log, first = node.core.replica.log, prev_index + 1
        while first > log.first_index and not self.lineage.knows(first - 1, log.term(first - 1)):
            first -= 1
        if first <= prev_index:
            before_term = log.term(first - 1) or 0
            entries = log.slice(first, prev_index + 1, bytes_max=1 << 62)
            self.lineage.add(first - 1, before_term, entries)

    def _voted(self, node: Node, term: int, candidate: int) -> None:
        """Votes that leave are durable, and one a term."""
        disk = self.saved(node.member_id)
        durable = disk.term > term or (disk.term, disk.vote) == (term, candidate)
        require(
            durable, f"{node} voted for {candidate} in {term}, saved {disk.vote} in {disk.term}"
        )
        first = self._votes.setdefault(term, {}).setdefault(node.member_id, candidate)
        require(first == candidate, f"{node} voted for {first} and {candidate} in term {term}")
        self.counts["votes"] += 1

    def _shown_term(self, node: Node, term: int) -> None:
        saved = self.saved(node.member_id).term
        require(saved >= term, f"{node} showed term {term}, saved {saved}")

    # --- what a node saves, and finds again ---

    def creating(self, node: Node, entries: tuple[Entry, ...]) -> None:
        """A new log is made, with entries that are committed from the beginning."""
        disk = self.saved(node.member_id)
        disk.term, disk.vote = (entries[-1].term if entries else 0), 0
        disk.entries = list(entries)
        self.lineage.add(0, 0, entries)
        self.lineage.changes.clear()
        if entries and not self.chosen:
            self.chosen.extend(entries)
            self._chosen_in_term.extend(entry.term for entry in entries)

    def saving(self, node: Node, hard_state: HardState, entries: Sequence[Entry]) -> None:
        """A save begins."""
        disk = self.saved(node.member_id)
        if disk.saving(hard_state, entries):
            self.counts["truncations"] += 1
        if entries:
            first = entries[0].index
            before = disk.entry(first - 1)
            prev_term = before.term if before is not None else 0
            if before is None and first > 1:
                prev_term = self.chosen[first - 2].term
            self.lineage.add(first - 1, prev_term, entries)

    def resetting(
        self, node: Node, hard_state: HardState, entries: Sequence[Entry], start: LogStart
    ) -> None:
        """The log begins anew after a snapshot."""
        chosen = self.chosen[start.index - 1] if start.index <= len(self.chosen) else None
        require(
            chosen is not None and chosen.term == start.term,
            f"{node} installed a snapshot up to {start.index} that is not committed",
        )
        expected = self.lineage.membership((start.index, start.term))
        require(
            start.membership == expected,
            f"{node} has wrong members after a snapshot: {start.membership}, not {expected}",
        )
        terms = [start.term, *(entry.term for entry in entries)]
        require(
            terms == sorted(terms),
            f"{node} keeps entries of the terms {terms[1:]} behind a snapshot of {start.term}",
        )
        self.saved(node.member_id).resetting(hard_state, entries, start)
        self.counts["snapshots installed"] += 1
        if entries:
            self.counts["logs kept behind a snapshot"] += 1

    def recovered(self, node: Node, contents: Contents, applied_index: int) -> None:
        """A node reads what is on its disk."""
        try:
            lost = self.saved(node.member_id).found(contents, applied_index)
        except AssertionError as error:
            raise type(error)(f"{node} started: {error}") from None
        if lost:
            self.counts["saves lost in a crash"] += 1
        self._seen.pop(node.member_id, None)
        self.counts["starts"] += 1

    # --- what a node has become ---

    def look(self, node: Node) -> None:
        """Look at a node that has just finished a step."""
        if self.is_off:
            return
        core = node.core
        self._looks += 1
        if self._looks % RESTS_CHECKED == 0:
            _is_at_rest(node)
        if node.has_forgotten and core.probation is not None and not core.probation.is_asking:
            self._catching_up(node)
        replica = core.replica
        log = replica.log
        role = core.role
        now = _Seen(
            core.term,
            replica.commit,
            node.machine.applied_index,
            core.term if isinstance(role, Leader) else 0,
            (log.last_index, log.last_term),
            core.term if isinstance(role, Candidate) and not role.pre else 0,
        )
        before = self._seen.get(node.member_id)
        if now == before:
            return
        self._seen[node.member_id] = now
        self._note_unsaved(replica)
        if before is None:
            before = _Seen(last=(log.first_index - 1, log.term(log.first_index - 1) or 0))
        self._compare(node, before, now)
        _stands_in_log(node)
        if now.leads and now.leads != before.leads:
            self._elected(node)
        if now.commit > before.commit:
            self._committed(node, before, now)
        if self.lineage.changes:
            self._changed()
        if before.candidate and isinstance(role, Candidate) and now.candidate != before.candidate:
            self.counts["elections without a winner"] += 1

    def _note_unsaved(self, replica: Replica) -> None:
        """Entries that this member is still saving: the others may have them, and commit them."""
        log, stable_index = replica.log, replica.stable_index
        if log.last_index > stable_index >= log.first_index - 1:
            entries = log.slice(stable_index + 1, log.last_index + 1, 1 << 60)
            self.lineage.add(stable_index, log.term(stable_index) or 0, entries)

    def _compare(self, node: Node, before: _Seen, now: _Seen) -> None:
        require(now.term >= before.term, f"the term of {node} fell")
        require(now.commit >= before.commit, f"the commit index of {node} fell")
        require(now.applied >= before.applied, f"the applied index of {node} fell")
        replica = node.core.replica
        # A snapshot takes the store ahead of the log for a moment.
        ahead = now.applied > now.commit and not replica.paused
        require(not ahead, f"{node} applied {now.applied} and committed {now.commit}")
        require(now.commit <= now.last[0], f"{node} committed more than it holds")
        start = replica.log.first_index - 1
        require(start <= node.machine.committed_index, f"{node} cut its log before its store")

    def has_led(self, member_id: int, since_term: int) -> bool:
        """Whether that member has led in this term, or in a later one."""
        return any(
            member == member_id for term, member in self._leader_of.items() if term >= since_term
        )

    def _elected(self, node: Node) -> None:
        """Election safety, and leader completeness by the term of the commit (CCF PR 7970)."""
        term, log = node.core.term, node.core.replica.log
        self._leads(node, term)
        # Entries are chosen in order, so the last one that counts stands for those before it.
        latest_first = (reversed(self.chosen), reversed(self._chosen_in_term))
        for entry, in_term in zip(*latest_first, strict=False):
            if in_term >= term:
                continue
            kept = entry.index < log.first_index or log.term(entry.index) == entry.term
            require(
                kept,
                f"leader {node} of term {term} lacks entry {entry.index} of term {entry.term}, "
                f"which term {in_term} committed",
            )
            break
        self._check_ballot(node)
        self.counts["leaders"] += 1

    def _check_ballot(self, node: Node) -> None:
        """A majority of each set of voters, by the candidate's own log, has voted for it."""
        term, log, own_id = node.core.term, node.core.replica.log, node.member_id
        index = log.last_index
        while index >= log.first_index and log.term(index) == term:
            index -= 1
        place = (index, log.term(index) or 0)
        membership = self.lineage.membership(place)
        votes = self._votes.get(term, {})
        voters = [each for each, candidate in votes.items() if candidate == node.member_id]
        voters += [each for at, each, whose in self._lost_votes if (at, whose) == (term, own_id)]
        require(
            _is_majority(membership, {node.member_id, *voters}),
            f"{node} leads term {term} with the votes of {voters} only",
        )
        if membership.is_joint:
            self.counts["leaders elected in a joint membership"] += 1

    def _committed(self, node: Node, before: _Seen, now: _Seen) -> None:
        """State machine safety; and what is committed is on a majority of disks."""
        core = node.core
        log = core.replica.log
        disk = self.saved(node.member_id)
        # What was committed in this step, and applied and made durable too, the log may have cut.
        cut = [disk.entry(index) for index in range(before.commit + 1, log.first_index)]
        start = max(before.commit, log.first_index - 1)
        entries = [entry for entry in cut if entry is not None and entry.index <= now.commit]
        for entry in (*entries, *log.slice(start + 1, now.commit + 1, 1 << 60)):
            index = entry.index
            if index <= len(self.chosen):
                require(
                    self.chosen[index - 1] == entry,
                    f"{node} committed another entry at {index}: "
                    f"{self.chosen[index - 1]} and {entry}",
                )
                continue
            self._check_quorum(node, entry, before, now)
            require(index == len(self.chosen) + 1, "an entry was committed before those below it")
            self.chosen.append(entry)
            self._chosen_in_term.append(core.term)
            if entry.term < core.term:
                self.counts["commits of earlier terms"] += 1

    def _check_quorum(self, node: Node, entry: Entry, before: _Seen, now: _Seen) -> None:
        # In one step the leader may have committed by one membership and begun the next.
        places = [now.last]
        if before.last[1] <= now.term and before.last != now.last:
            log = node.core.replica.log
            if log.term(before.last[0]) == before.last[1]:
                places.append(before.last)
                later = log.slice(before.last[0] + 1, now.last[0] + 1, 1 << 60)
                places += [(each.index, each.term) for each in later]
        memberships = self.lineage.memberships(places)
        # A leader may commit by what follows a joint membership, tell of it, and die before anybody
        # has seen that: nobody wins without the new voters any more, once the joint one stands.
        joint = [each for each in memberships if each.is_joint]
        if joint:
            done = self.lineage.memberships((chosen.index, chosen.term) for chosen in self.chosen)
            memberships += [each.final() for each in joint if each in done]
        holders = {member for member, disk in self._disks.items() if disk.holds(entry)}
        # An acknowledgement counts though the disk that gave it is gone since.
        for member, lost in self._lost.items():
            if any(disk.holds(entry) for disk in lost):
                holders.add(member)
        agreed = any(_is_majority(each, holders) for each in memberships)
        require(
            agreed,
            f"{node} committed entry {entry.index} of term {entry.term}, which only "
            f"{sorted(holders)} hold on disk",
        )

    def _changed(self) -> None:
        """One change at a time, each after the leader's first commit of its term."""
        for known, earlier in self.lineage.changes:
            entry = known.entry
            if earlier is not None:
                place = earlier.entry.index
                done = place <= len(self.chosen) and self.chosen[place - 1] == earlier.entry
                require(done, f"the change at {entry.index} began before that at {place} was done")
            # What ends a change follows from what began it, whoever leads.
            ends = earlier is not None and earlier.membership.is_joint
            own = ends or entry.term in self._chosen_in_term
            require(own, f"the change at {entry.index} came before its leader's first commit")
            self.counts["joint memberships" if known.membership.is_joint else "memberships"] += 1
        self.lineage.changes.clear()


def _is_at_rest(node: Node) -> None:
    """What a core says it has not, it has not: its actor asks for nothing else."""
    core, now_ms = node.core, node.clock_at_rest()
    if not core.decisions.may_be_some():
        require(not any(core.decided(now_ms)), f"{node} has decided something, and does not say so")
    if not core.has_output(now_ms):
        require(not core.speak(now_ms), f"{node} has something to say, and does not say so")


def _is_majority(membership: Membership, agreeing: set[int]) -> bool:
    """Of the voters and, in a joint membership, of the old ones: counted here, not as nodes do."""
    sets = (membership.voters, membership.outgoing)
    return all(2 * len(each & agreeing) > len(each) for each in sets if each)


_read = lru_cache(maxsize=1024)(read)


def _stands_in_log(node: Node) -> None:
    """A membership holds while its entry is in the log (dissertation 4.1), and no longer."""
    log = node.core.replica.log
    for index, membership in node.core.roster.held:
        if index >= log.first_index:
            found = log.slice(index, index + 1, bytes_max=1)
            stands = bool(found) and _read(found[0].command) == membership
            require(stands, f"{node} goes by members that its log does not have at {index}")
