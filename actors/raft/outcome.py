"""What goes into a core once, and what comes out of it each time: plain values.

They are the whole contract between the pure core and the actor that carries its decisions out.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.raft.log import RaftLog
from actors.raft.proposals import FailedProposals
from actors.raft.quorum import Configuration
from actors.raft.reads import ReadyRead
from actors.raft.rpc import Entry, HardState, Message


class CoreConfig(NamedTuple):
    """This member, the voters, and Raft's two times; requests are kept for `hold_ms` at most."""

    member_id: int
    configuration: Configuration
    heartbeat_ms: int
    election_timeout_ms: int
    hold_ms: int


class Recovered(NamedTuple):
    """What the disk gives a member that starts: WAL, and how far the store has applied it."""

    hard_state: HardState
    log: RaftLog
    applied_index: int
    cluster_ms: int


class Output(NamedTuple):
    """What to send now, what to write and sync, and what may be said only after that."""

    messages: tuple[Message, ...]
    hard_state: HardState | None
    entries: tuple[Entry, ...]
    promises: tuple[Message, ...]


class Standing(NamedTuple):
    """Who leads (0: nobody known); a leader that has committed in its term gives its clock.

    The clock is (cluster ms, monotonic ms) at one and the same moment.
    """

    leader: int
    term: int
    clock: tuple[int, int] | None


class Decided(NamedTuple):
    """What follows from what is durable; `standing` only when it has changed."""

    committed: tuple[Entry, ...]
    reads: tuple[ReadyRead, ...]
    failed: tuple[FailedProposals, ...]
    standing: Standing | None
