"""Rounds: how a leader confirms, for many reads at once, that it still leads (dissertation 6.4).

A read needs every entry that was committed when it came. A leader that was deposed before, without
knowing it, may not know the last of them. So a round of heartbeats goes out after the read came: a
majority that answers it had followed no later leader by then. All reads that wait share the next
round. Refuses to know how a round travels, and what is committed.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from actors.raft.quorum import Configuration

READ_ROUNDS_MAX: Final = 2
"""While this number of rounds is under way, the reads that come gather for the next round."""

READS_IN_ROUNDS_MAX: Final = 100_000
"""Reads of all members together that may wait for a round."""


class PendingRead(NamedTuple):
    """A read that waits for a quorum to confirm the leader: its member, and the index it needs."""

    round_id: int
    source: int
    read_id: int
    index: int  # type: ignore[assignment]


class ReadRounds:
    """The rounds of one leadership; `sent` is the last that went out, and answers name theirs."""

    def __init__(self) -> None:
        self.sent = 0
        self.reads: deque[PendingRead] = deque()
        # Whether reads wait, and one of their rounds was answered since `take_confirmed`.
        self.is_answered = False
        self._early: list[tuple[int, int]] = []
        self._acks: dict[int, int] = {}

    def is_full(self) -> bool:
        """Whether no more reads may wait."""
        return len(self.reads) + len(self._early) >= READS_IN_ROUNDS_MAX

    def add(self, source: int, read_id: int, index: int) -> None:
        """Let a read wait for the next round: one under way began before the read came."""
        self.reads.append(PendingRead(self.sent + 1, source, read_id, index))

    def add_early(self, source: int, read_id: int) -> None:
        """Let a read wait until `release` says which index it needs."""
        self._early.append((source, read_id))

    def release(self, index: int) -> None:
        """The early reads need this index: let them wait for the next round."""
        early, self._early = self._early, []
        for source, read_id in early:
            self.add(source, read_id, index)

    def is_due(self) -> bool:
        """Whether reads wait for a round and fewer than READ_ROUNDS_MAX are under way."""
        if not self.reads or self.reads[-1].round_id <= self.sent:
            return False
        # Reads of each round that went out and is not confirmed are still here.
        return self.sent - self.reads[0].round_id + 1 < READ_ROUNDS_MAX

    def maybe_begin(self) -> bool:
        """Begin a round if one is due."""
        if self.is_due():
            self.sent = self.reads[-1].round_id
            return True
        return False

    def acknowledged(self, member: int, round_id: int) -> None:
        """A member has answered this round, which confirms all earlier ones as well."""
        if round_id > self._acks.get(member, 0):
            self._acks[member] = round_id
            if self.reads:
                self.is_answered = True

    def forget(self, member: int) -> None:
        """Count no answer of this member: it was removed, or has forgotten what it answered."""
        self._acks.pop(member, None)

    def take_confirmed(self, own_id: int, configuration: Configuration) -> list[PendingRead]:
        """Take the reads whose round was sent and answered by a majority."""
        confirmed: list[PendingRead] = []
        self.is_answered = False
        while self.reads and self.reads[0].round_id <= self.sent:
            round_id = self.reads[0].round_id
            agreeing = [member for member, acked in self._acks.items() if acked >= round_id]
            if not configuration.majority_reached([own_id, *agreeing]):
                break
            while self.reads and self.reads[0].round_id == round_id:
                confirmed.append(self.reads.popleft())
        return confirmed
