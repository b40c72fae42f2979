"""The proposals made at this member that are not in its log yet: held, passed on, or failed.

Refuses to know of terms and of quorums. A proposal that is in this member's log has left the desk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from actors.language.entries import Proposal
from cluster.faults import FaultName, MaybeFault

HELD_PROPOSALS_MAX: Final = 20_000
"""Proposals that may wait for a leader; beyond this number they fail."""


class FailedProposals(NamedTuple):
    """Tickets that no applied entry will answer, and why: the name of an error of etcd's."""

    tickets: tuple[int, ...]
    name: FaultName
    outcome_unknown: bool


class ProposalDesk:
    """Holds proposals while no leader is known, and remembers which were passed on.

    `failed` are the failures since the last `take_failed`.
    """

    def __init__(self, hold_ms: int) -> None:
        self._hold_ms = hold_ms
        self._held: deque[tuple[int, Proposal]] = deque()
        self._forwarded: dict[int, tuple[int, Proposal]] = {}
        self.failed: list[FailedProposals] = []

    def hold(self, proposals: Sequence[Proposal], now_ms: int) -> None:
        """Keep proposals until a leader is known; over the limit they fail."""
        room = HELD_PROPOSALS_MAX - len(self._held)
        self._held.extend((now_ms, proposal) for proposal in proposals[:room])
        self.fail(proposals[room:], "TooManyRequests", outcome_unknown=False)

    def take_held(self) -> list[Proposal]:
        """Give out the held proposals: a leader is known."""
        if not self._held:
            return []
        held = [proposal for _, proposal in self._held]
        self._held.clear()
        return held

    def forwarded(self, proposals: Sequence[Proposal], now_ms: int) -> None:
        """These went to the leader; only their entries in the log tell what became of them."""
        for proposal in proposals:
            self._forwarded[proposal.ticket] = (now_ms, proposal)

    def under_way(self) -> bool:
        """Whether a proposal that was passed on has not come back in the log yet."""
        return bool(self._forwarded)

    def entered_log(self, tickets: Iterable[int]) -> None:
        """Entries with these tickets are in this member's log: applying them answers."""
        if self._forwarded:
            for ticket in tickets:
                self._forwarded.pop(ticket, None)

    def refused(self, tickets: Sequence[int], name: MaybeFault, now_ms: int) -> None:
        """The leader says that these did not enter its log: hold them, or fail them with `name`."""
        # Others have expired, or have failed when the leader changed: they were answered already.
        known = [self._forwarded.pop(t)[1] for t in tickets if t in self._forwarded]
        if name:
            self.fail(known, name, outcome_unknown=False)
        else:
            self.hold(known, now_ms)

    def leader_changed(self) -> None:
        """Fail what was passed on and is not in the log here: it is lost, or may yet come back."""
        forwarded = [proposal for _, proposal in self._forwarded.values()]
        self._forwarded.clear()
        self.fail(forwarded, "LeaderChanged", outcome_unknown=True)

    def fail(self, proposals: Sequence[Proposal], name: FaultName, outcome_unknown: bool) -> None:
        """Report a failure for those proposals that have a ticket."""
        tickets = tuple(proposal.ticket for proposal in proposals if proposal.ticket)
        if tickets:
            self.failed.append(FailedProposals(tickets, name, outcome_unknown))

    def expire(self, now_ms: int) -> None:
        """Fail proposals that have waited for `hold_ms`: their clients wait no longer."""
        if not self._held and not self._forwarded:
            return
        oldest = now_ms - self._hold_ms
        expired: list[Proposal] = []
        while self._held and self._held[0][0] < oldest:
            expired.append(self._held.popleft()[1])
        self.fail(expired, "Timeout", outcome_unknown=False)  # they never left this member
        while self._forwarded:
            ticket, (since_ms, proposal) = next(iter(self._forwarded.items()))
            if since_ms >= oldest:
                break
            del self._forwarded[ticket]
            # A leader may have appended it, and it may yet be committed.
            self.fail([proposal], "Timeout", outcome_unknown=True)

    def take_failed(self) -> tuple[FailedProposals, ...]:
        """The failures since the last call."""
        failed, self.failed = tuple(self.failed), []
        return failed
