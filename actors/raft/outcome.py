"""What goes into a core once, and what comes out of it each time: plain values.

They are the whole contract between the pure core and the actor that carries its decisions out.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.raft.log import LogStart, RaftLog
from actors.raft.membership import Membership
from actors.raft.proposals import FailedProposals
from actors.raft.reads import ReadyRead
from actors.raft.rpc import Entry, HardState, Message
from actors.raft.transfers import Transferred


class CoreConfig(NamedTuple):
    """This member, and Raft's two times; requests are kept for `hold_ms` at most."""

    member_id: int
    heartbeat_ms: int
    election_timeout_ms: int
    hold_ms: int


class Recovered(NamedTuple):
    """What the disk gives a member that starts: WAL, and how far the store has applied it.

    `membership` is the one that holds where the log begins.
    """

    hard_state: HardState
    log: RaftLog
    membership: Membership
    applied_index: int
    cluster_ms: int


class Output(NamedTuple):
    """What to send now, what to write and sync, and what may be said only after that.

    `start` is what stands before the entries, or at the end of the log if there are none.
    """

    messages: tuple[Message, ...]
    hard_state: HardState | None
    entries: tuple[Entry, ...]
    start: LogStart
    promises: tuple[Message, ...]


class Standing(NamedTuple):
    """Who leads (0: nobody known); a leader that has committed in its term gives its clock.

    The clock is (cluster ms, monotonic ms) at one and the same moment.
    """

    leader: int
    term: int
    clock: tuple[int, int] | None
    is_learner: bool


class Certain(NamedTuple):
    """A change of members that nothing can undo any more, though it is not done: who asked for it.

    It waits for a member that is new, and may not have been started yet.
    """

    ticket: int
    membership: Membership


class Decided(NamedTuple):
    """What follows from what is durable; `standing` and `membership` only when they have changed.

    A membership holds from when it is appended: it says who is to be talked to. `removed`: this
    member is none any more. `certain` is a change that will be done, but waits for its new member;
    it answers who asked for it. `transferred` are the transfers that are over. `behind` are the
    peers that lack what this leader's log has no more: they need a snapshot.
    """

    committed: tuple[Entry, ...]
    reads: tuple[ReadyRead, ...]
    failed: tuple[FailedProposals, ...]
    standing: Standing | None
    membership: Membership | None
    removed: bool
    certain: Certain | None
    transferred: tuple[Transferred, ...]
    behind: tuple[int, ...]
