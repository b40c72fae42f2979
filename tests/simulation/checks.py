"""The invariants, checked after each step of a node (reference 6.4), and what they need to know.

It sees everything, also what no node could: who leads which term, what is on whose disk, what was
ever committed. A violation raises FindingError; nothing here changes what a node does.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from actors.raft.leader import Leader
from actors.raft.quorum import Configuration
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    Entry,
    HardState,
    HeartbeatResponse,
    Message,
    VoteRequest,
    VoteResponse,
)
from actors.raft.wal import Contents
from actors.store.commands import Command, Failure, LeaseExpire, Result, Sequence
from tests.simulation.timeline import FindingError

if TYPE_CHECKING:
    from tests.simulation.node import Node


class _Disk:
    """What a member has surely saved, and what it is saving just now."""

    def __init__(self) -> None:
        self.hard_state = HardState(0, 0, 0)
        self.entries: list[Entry] = []
        self.saving: tuple[HardState, tuple[Entry, ...]] | None = None

    def after_saving(self) -> tuple[HardState, list[Entry]]:
        """How it looks when the present save has come through."""
        assert self.saving is not None
        hard_state, new = self.saving
        kept = self.entries[: new[0].index - 1] if new else self.entries
        return hard_state, [*kept, *new]


class Checker:
    """`lease_ends_ms` tells when leases were first seen to expire, `counts` what has happened."""

    def __init__(self, members: tuple[int, ...]) -> None:
        self.counts: Counter[str] = Counter()
        self.results: dict[int, tuple[Result, int]] = {}
        self.lease_ends_ms: dict[int, int] = {}
        # What was committed at each index, and in which term that was.
        self._commits: list[tuple[Entry, int]] = []
        self._configuration = Configuration(frozenset(members))
        self._disks = {member: _Disk() for member in members}
        self._leader_of: dict[int, int] = {}
        self._votes: dict[tuple[int, int], int] = {}
        self._entries: dict[tuple[int, int], tuple[int, Entry]] = {}
        self._seen: dict[int, tuple[int, int, int, int]] = {}
        self._executed: dict[tuple[int, int], tuple[Result, int]] = {}

    # --- what a node says ---

    def said(self, node: Node, message: Message) -> None:
        """A message is about to leave: is what it promises true, and durable?"""
        disk = self._disks[node.member_id]
        match message:
            case VoteResponse(_, target, term, False, True):
                self._voted(node, term, target)
            case VoteRequest(_, _, term, False):
                self._voted(node, term, node.member_id)
            case AppendResponse(_, _, term, _, index, False):
                held = len(disk.entries)
                # What a later term's leader has replaced in the same burst is no promise any more:
                # the voters of that term had not accepted it, so no majority ever can.
                over = disk.hard_state.term > term
                _require(
                    over or held >= index, f"{node.member_id} acknowledged {index}, saved {held}"
                )
                self._shown_term(node, term)
            case AppendResponse(_, _, term) | HeartbeatResponse(_, _, term):
                self._shown_term(node, term)
            case AppendRequest(_, _, term, _, prev_index, prev_term, _, entries):
                self._sent(node, term, prev_index, prev_term, entries)
            case _:
                pass

    def _voted(self, node: Node, term: int, candidate: int) -> None:
        """Votes that leave are durable, and one a term."""
        hard_state = self._disks[node.member_id].hard_state
        saved = hard_state.term > term or hard_state[:2] == (term, candidate)
        _require(saved, f"{node.member_id} voted for {candidate} in {term}, saved {hard_state}")
        first = self._votes.setdefault((node.member_id, term), candidate)
        _require(
            first == candidate,
            f"{node.member_id} voted for {first} and for {candidate} in term {term}",
        )
        self.counts["votes"] += 1

    def _shown_term(self, node: Node, term: int) -> None:
        saved = self._disks[node.member_id].hard_state.term
        _require(saved >= term, f"{node.member_id} showed term {term}, saved {saved}")

    def _sent(
        self, node: Node, term: int, prev_index: int, prev_term: int, entries: tuple[Entry, ...]
    ) -> None:
        _require(self._leader_of.get(term, node.member_id) == node.member_id, "two senders")
        self._match_log(prev_term, prev_index, entries)

    def _match_log(self, prev_term: int, prev_index: int, entries: tuple[Entry, ...]) -> None:
        """Log matching: an index and a term stand for one entry and all before it (Raft 5.3)."""
        for entry in entries:
            known = self._entries.setdefault((entry.index, entry.term), (prev_term, entry))
            _require(
                known == (prev_term, entry),
                f"entry {entry.index} of term {entry.term} exists twice, and differs",
            )
            _require(entry.index == prev_index + 1, "entries leave a gap")
            prev_term, prev_index = entry.term, entry.index

    # --- what a node saves, and finds again ---

    def saving_new_term(self, node: Node, hard_state: HardState) -> bool:
        """Whether this is the first that a node saves of a term."""
        return hard_state.term > self._disks[node.member_id].hard_state.term

    def saving(self, node: Node, hard_state: HardState, entries: tuple[Entry, ...]) -> None:
        """A save begins."""
        disk = self._disks[node.member_id]
        _require(hard_state.term >= disk.hard_state.term, "a saved term fell")
        if entries:
            first = entries[0].index
            _require(first <= len(disk.entries) + 1, "a save leaves a gap")
            if first <= len(disk.entries):
                self.counts["truncations"] += 1
            prev_term = disk.entries[first - 2].term if first > 1 else 0
            self._match_log(prev_term, first - 1, entries)
        disk.saving = (hard_state, entries)

    def saved(self, node: Node) -> None:
        """It is done."""
        disk = self._disks[node.member_id]
        assert disk.saving is not None
        disk.hard_state, new = disk.saving
        if new:
            del disk.entries[new[0].index - 1 :]
            disk.entries += new
        disk.saving = None
        self.counts["saves"] += 1

    def recovered(self, node: Node, contents: Contents) -> None:
        """A node reads its log: all that was saved is there, the last save wholly or not at all."""
        disk = self._disks[node.member_id]
        log = contents.log
        found = list(log.slice(1, log.last_index + 1, 1 << 60)) if log.last_index else []
        state = contents.hard_state[:2]
        if state != disk.hard_state[:2] or found != disk.entries:
            _require(disk.saving is not None, f"{node.member_id} lost what it had saved")
            hard_state, entries = disk.after_saving()
            _require(
                state == hard_state[:2] and found == entries,
                f"{node.member_id} found neither its last state nor the one it was saving",
            )
            disk.hard_state, disk.entries = hard_state, entries
        elif disk.saving is not None:
            self.counts["saves lost in a crash"] += 1
        disk.saving = None
        self._seen.pop(node.member_id, None)
        self.counts["starts"] += 1

    # --- what a node has become ---

    def look(self, node: Node) -> None:
        """Look at a node that has just finished a step."""
        if not node.is_up:
            return
        core = node.core
        commit, applied = core.replica.commit, node.machine.applied_index
        leads = core.term if isinstance(core.role, Leader) else 0
        before = self._seen.get(node.member_id, (0, 0, 0, 0))
        now = (core.term, commit, applied, leads)
        if now == before:
            return
        self._seen[node.member_id] = now
        _require(core.term >= before[0], f"the term of {node.member_id} fell")
        _require(commit >= before[1], f"the commit index of {node.member_id} fell")
        _require(applied >= before[2], f"the applied index of {node.member_id} fell")
        log = core.replica.log
        _require(applied <= commit <= log.last_index, "applied, commit, last are out of order")
        if leads and leads != before[3]:
            self._elected(node)
        if commit > before[1]:
            self._committed(node, before[1], commit)

    def _elected(self, node: Node) -> None:
        """Election safety, and leader completeness by the term of the commit (CCF PR 7970)."""
        term, log = node.core.term, node.core.replica.log
        first = self._leader_of.setdefault(term, node.member_id)
        _require(first == node.member_id, f"{first} and {node.member_id} lead term {term}")
        # Entries are chosen in order, so the last one that counts stands for those before it.
        for entry, in_term in reversed(self._commits):
            if in_term < term:
                held = log.term(entry.index)
                _require(
                    held == entry.term,
                    f"leader {node.member_id} of term {term} lacks entry {entry.index} of term "
                    f"{entry.term}, which term {in_term} committed",
                )
                break
        self.counts["leaders"] += 1

    def _committed(self, node: Node, before: int, commit: int) -> None:
        """State machine safety; and what is committed is on a majority of disks."""
        core = node.core
        for entry in core.replica.log.slice(before + 1, commit + 1, 1 << 60):
            index = entry.index
            if index <= len(self._commits):
                chosen, _ = self._commits[index - 1]
                _require(
                    chosen == entry,
                    f"{node.member_id} committed another entry at {index}: {chosen} and {entry}",
                )
                continue
            holders = [
                member
                for member, disk in self._disks.items()
                if len(disk.entries) >= index and disk.entries[index - 1] == entry
            ]
            _require(
                self._configuration.majority_reached(holders),
                f"{node.member_id} committed entry {index} of term {entry.term}, "
                f"which only {holders} hold on disk",
            )
            self._commits.append((entry, core.term))
            if entry.term < core.term:
                self.counts["commits of earlier terms"] += 1

    # --- what entries do ---

    def applied(
        self,
        node: Node,
        index: int,
        command: Command,
        sequence: Sequence | None,
        result: Result,
        revision: int,
        leases_ended: list[int],
    ) -> None:
        """An entry was applied: everywhere with the same effect, and each number once."""
        known = self.results.get(index)
        if known is not None:
            _require(known == (result, revision), f"entry {index} had another result elsewhere")
            return
        self.results[index] = (result, revision)
        self.counts["entries applied"] += 1
        if isinstance(command, LeaseExpire):
            self.counts["leases expired"] += len(leases_ended)
            for lease in leases_ended:
                self.lease_ends_ms[lease] = node.true_ms
        if sequence is None or isinstance(result, Failure):
            return
        number = (sequence.session, sequence.seq)
        if number in self._executed:
            first, _ = self._executed[number]
            before = self.results.get(index - 1)
            _require(first == result, f"a retry of {number} had another result")
            _require(
                before is None or before[1] == revision, f"a retry of {number} changed the store"
            )
            self.counts["retries answered"] += 1
        else:
            self._executed[number] = (result, revision)


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise FindingError(reason)
