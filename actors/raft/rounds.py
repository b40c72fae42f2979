"""Rounds: how a leader confirms, for many reads at once, that it still leads (dissertation 6.4).

A read may be served from an index only if its leader was not deposed before the read came: another
leader may have committed more by then. So a round of heartbeats goes out after the read came in: a
majority that answers it had no later leader. All reads that wait share the next round. Knows
nothing of how a round travels, or of what is committed.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from actors.raft.quorum import Configuration

READ_ROUNDS_MAX: Final = 2
"""Rounds that may be under way; what comes meanwhile gathers for the next."""

READS_IN_ROUNDS_MAX: Final = 100_000
"""Reads of all members that wait for a round."""


class PendingRead(NamedTuple):
    """A read that waits for a quorum to confirm the leader: whose it is, and the index it needs."""

    round_id: int
    source: int
    read_id: int
    index: int  # type: ignore[assignment]


class ReadRounds:
    """One leadership's. `sent` is the last round that went out; its members answer with its id."""

    def __init__(self) -> None:
        self.sent = 0
        self.reads: deque[PendingRead] = deque()
        self._early: list[tuple[int, int]] = []
        self._acks: dict[int, int] = {}

    def is_full(self) -> bool:
        """Whether no more reads may wait."""
        return len(self.reads) + len(self._early) >= READS_IN_ROUNDS_MAX

    def add(self, source: int, read_id: int, index: int) -> None:
        """A read waits for the next round, not for one under way: that began before it came."""
        self.reads.append(PendingRead(self.sent + 1, source, read_id, index))

    def add_early(self, source: int, read_id: int) -> None:
        """A read waits until the index that it needs is known."""
        self._early.append((source, read_id))

    def release(self, index: int) -> None:
        """Those that came early need this index."""
        for source, read_id in self._early:
            self.add(source, read_id, index)
        self._early.clear()

    def maybe_begin(self) -> bool:
        """Begin a round if reads wait for one, and not too many rounds are unanswered."""
        if not self.reads or self.reads[-1].round_id <= self.sent:
            return False
        if self.sent - self.reads[0].round_id + 1 >= READ_ROUNDS_MAX:
            return False
        self.sent = self.reads[-1].round_id
        return True

    def acknowledged(self, member: int, round_id: int) -> None:
        """A member has answered a round, and with it all before."""
        self._acks[member] = max(self._acks.get(member, 0), round_id)

    def forget(self, member: int) -> None:
        """It is a member no more, or has forgotten what it answered."""
        self._acks.pop(member, None)

    def take_confirmed(self, own_id: int, configuration: Configuration) -> list[PendingRead]:
        """Take the reads whose round was sent and answered by a majority."""
        confirmed: list[PendingRead] = []
        while self.reads and self.reads[0].round_id <= self.sent:
            round_id = self.reads[0].round_id
            agreeing = [member for member, acked in self._acks.items() if acked >= round_id]
            if not configuration.majority_reached([own_id, *agreeing]):
                break
            while self.reads and self.reads[0].round_id == round_id:
                confirmed.append(self.reads.popleft())
        return confirmed
