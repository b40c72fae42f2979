"""What goes into a core once, and what comes out of it each time: plain values.

They are the whole contract between the pure core and the actor that carries its decisions out.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.language.entries import Entry
from actors.raft.log import LogStart, RaftLog
from actors.raft.membership import Membership
from actors.raft.probation import Probation
from actors.raft.proposals import FailedProposals
from actors.raft.reads import ReadyRead
from actors.raft.rpc import HardState, Message


class CoreConfig(NamedTuple):
    """This member, and Raft's two times; requests are kept for `hold_ms` at most."""

    member_id: int
    heartbeat_ms: int
    election_timeout_ms: int
    hold_ms: int


class Recovered(NamedTuple):
    """What the disk gives a member that starts: WAL, and how far the store has applied it.

    `membership` is the one that holds where the log begins. A member whose disk cannot show what
    it has promised is on `probation`.
    """

    hard_state: HardState
    log: RaftLog
    membership: Membership
    applied_index: int
    cluster_ms: int
    probation: Probation | None = None


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


class Transferred(NamedTuple):
    """A transfer is over: `succeeded` only if this member has heard its target lead."""

    target: int
    succeeded: bool


class Removed(NamedTuple):
    """This member has been removed; `successor` is who is reached at its URLs now, 0 nobody."""

    successor: int = 0


class WasHere(NamedTuple):
    """An earlier life of this member has taken part, and its disk does not show that.

    Who says so serves clients at `client_urls`.
    """

    client_urls: tuple[str, ...]


class Contradicted(NamedTuple):
    """`witness` has committed an entry of term `term` at `index`; here it has `own_term`, 0: none.

    A term of 0 says only that an entry must be there which was acknowledged.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int
    own_term: int
    witness: int


Ending = Removed | WasHere | Contradicted
"""Why a member must not run any more."""


class Decided(NamedTuple):
    """What follows from what is durable; `standing` and `membership` only when they have changed.

    A membership holds from when it is appended: it says who is to be talked to. With an `ending`
    this member must stop. `certain` is a change that will be done, but waits for its new member;
    it answers who asked for it. `transferred` are the transfers that are over. `behind` are the
    peers that lack what this leader's log has no more: they need a snapshot. `is_proven`: a member
    on probation has lost no promise; `admit` makes it a full one. `accused` are wrong members;
    the logs of those who are `at_odds` with this one do not come together.
    """

    committed: tuple[Entry, ...]
    reads: tuple[ReadyRead, ...]
    failed: tuple[FailedProposals, ...]
    standing: Standing | None
    membership: Membership | None
    ending: Ending | None
    certain: Certain | None
    transferred: tuple[Transferred, ...]
    behind: tuple[int, ...]
    is_proven: bool
    accused: tuple[int, ...]
    at_odds: tuple[int, ...]
