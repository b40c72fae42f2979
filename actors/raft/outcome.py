"""What goes into a core at its start, and what comes out of it at each flush: plain values.

They are the contract between the pure core and the actor that carries its decisions out.
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
    """This member, and Raft's two times; a request waits in the core for `hold_ms` at most."""

    member_id: int
    heartbeat_ms: int
    election_timeout_ms: int
    hold_ms: int


class Recovered(NamedTuple):
    """What the disk gives a member that starts: its WAL, and how far the store has applied it.

    `membership` holds where the log begins. A member whose disk cannot show what it has promised is
    on `probation`.
    """

    hard_state: HardState
    log: RaftLog
    membership: Membership
    applied_index: int
    cluster_ms: int
    probation: Probation | None = None


class Save(NamedTuple):
    """What to write and sync; `start` is the entry before the entries, or the log's last one."""

    hard_state: HardState
    entries: tuple[Entry, ...]
    start: LogStart


class Output(NamedTuple):
    """What to send now, and what to make durable; a `save` of None: nothing."""

    messages: tuple[Message, ...]
    save: Save | None


class LeaderNews(NamedTuple):
    """Who leads (0: no leader is known); a leader that has committed in its term gives its clock.

    The clock is (cluster ms, monotonic ms) at the same moment.
    """

    leader: int
    term: int
    clock: tuple[int, int] | None
    is_learner: bool


class Certain(NamedTuple):
    """A change of members that can no longer be undone, and the ticket of the request for it.

    It is not done yet: it waits for its new member, which may not have been started.
    """

    ticket: int
    membership: Membership


class Transferred(NamedTuple):
    """A transfer is over. It `succeeded` if this member has heard its target lead."""

    target: int
    succeeded: bool


class Removed(NamedTuple):
    """This member was removed; `successor` is the member at its URLs now, 0: there is none."""

    successor: int = 0


class WasHere(NamedTuple):
    """An earlier life of this member has taken part in Raft, and its disk does not show that.

    The member that says so serves clients at `client_urls`.
    """

    client_urls: tuple[str, ...]


class Contradicted(NamedTuple):
    """Member `witness` has committed an entry of `term` at `index`; the entry here has `own_term`.

    An `own_term` of 0: no entry is here. A `term` of 0: the witness only knows that this member
    acknowledged an entry there.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int
    own_term: int
    witness: int


Ending = Removed | WasHere | Contradicted
"""Why a member must not run any more."""


class Decided(NamedTuple):
    """What follows from what is durable; `leader_news` and `membership` only when new.

    `reads` may be served once the entries in `committed` are applied. A `membership` holds once it
    is in the log: it says which members to connect to. With an `ending` this member must stop.
    `certain` is a change that will be done, but waits for its new member: its request is answered
    now. `transferred` are the transfers that are over. `behind` are the peers that need a snapshot.
    `is_proven`: a member on probation has lost no promise; `admit` makes it a full member.
    `accused` are members whose logs are wrong, `at_odds` those whose logs contradict this one.
    """

    committed: tuple[Entry, ...]
    reads: tuple[ReadyRead, ...]
    failed: tuple[FailedProposals, ...]
    leader_news: LeaderNews | None
    membership: Membership | None
    ending: Ending | None
    certain: Certain | None
    transferred: tuple[Transferred, ...]
    behind: tuple[int, ...]
    is_proven: bool
    accused: tuple[int, ...]
    at_odds: tuple[int, ...]
