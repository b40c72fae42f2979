"""The in-process messages of a node, grouped by the arrow of the ring that each travels.

Others are in `metrics`, `auth` and `audit`. All are immutable, and told (DESIGN.md#the-ring), in
order from one actor to another: a query told after the entries that it must see, sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from actors.language.audit import Note
from actors.language.auth import NOBODY, Principal
from actors.language.commands import Event
from actors.language.entries import ClusterClock, Entry, Proposal
from actors.language.members import MemberChange, PublishedMember
from actors.language.queries import Query
from actors.language.results import Failure, Result
from cluster.faults import MaybeFault

Ticket = int
"""The gateway's name for a request it must answer; unique over restarts, never a request id."""

Connection = tuple[bytes, ...]
"""The frames that lead back to a client: its ROUTER identity, then a REQ's empty delimiter."""


# --- the mailbox -> its own actor -------------------------------------------------------------


class Synced(NamedTuple):
    """The thread that waits for a disk -> its actor: the wait is over."""


class Tick(NamedTuple):
    """Mailbox -> its actor: the time you asked to be woken at (`Mailbox.wake_at`) has come."""

    now_ms: int


class Computed(NamedTuple):
    """The thread that computes beside the loop -> its actor: one computation is done."""


class ClientFrames(NamedTuple):
    """Clients' socket -> Gateway: requests, each with the connection it came from."""

    frames: tuple[tuple[Connection, bytes], ...]


class PeerFrames(NamedTuple):
    """Peers' socket -> Raft: encoded peer messages, in the order of arrival."""

    frames: tuple[bytes, ...]


class HandOver(NamedTuple):
    """The main thread -> Raft: this node stops; let another lead first, then call `done`."""

    done: Callable[[], None]


class PeersDown(NamedTuple):
    """Peers' links -> Raft: the connections to these members broke (a kill, or the network)."""

    member_ids: tuple[int, ...]


# --- Gateway -> ... ---------------------------------------------------------------------------


class Propose(NamedTuple):
    """Gateway, Lease, Store -> Raft: put these in the log; applied here, each answers its ticket.
    Lease and Store send ticket 0: no client waits for the answer."""

    proposals: tuple[Proposal, ...]


class Question(NamedTuple):
    """A query, the ticket that its answer is for, and who asks."""

    ticket: Ticket
    query: Query
    principal: Principal = NOBODY


class ChangeMembers(NamedTuple):
    """Gateway -> Raft: change the members; answered like a proposal, when it is applied."""

    change: MemberChange
    ticket: Ticket


class MoveLeader(NamedTuple):
    """Gateway -> Raft: hand leadership to that member; answered by Moved or Failed."""

    target: int
    ticket: Ticket


class Read(NamedTuple):
    """Gateway -> Raft: answer these from a state that is no older than now (ReadIndex)."""

    questions: tuple[Question, ...]


class LocalRead(NamedTuple):
    """Gateway -> Store: answer these from what is applied here now (serializable)."""

    questions: tuple[Question, ...]


class WatchOpen(NamedTuple):
    """Gateway -> Store: begin a watch; Store passes it on with its revision, as WatchBegin.

    `watch_id` 0: the hub chooses; `start_revision` 0: from now on; `request_id` b"": there is none.
    """

    connection: Connection
    request_id: bytes
    watch_id: int
    key: bytes
    range_end: bytes
    start_revision: int
    prev_kv: bool
    no_put: bool
    no_delete: bool
    progress_notify: bool = False
    fragment: bool = False
    keys_only: bool = False
    without_leader: bool = False
    principal: Principal = NOBODY
    note: Note | None = None


class WatchCancel(NamedTuple):
    """Gateway -> Store -> Watch: end a watch (by way of Store, so that it follows WatchOpen)."""

    connection: Connection
    request_id: bytes
    watch_id: int


class WatchProgress(NamedTuple):
    """Gateway -> Store -> Watch: send this connection a bookmark; request_id as in WatchOpen."""

    connection: Connection
    request_id: bytes


class ReadSnapshot(NamedTuple):
    """Gateway -> Store: read a part of a snapshot for a client; with no name, make it first."""

    ticket: Ticket
    name: str
    offset: int
    principal: Principal = NOBODY


class Defragment(NamedTuple):
    """Gateway -> Store: shrink the store's file to the pages that it uses."""

    ticket: Ticket
    principal: Principal = NOBODY


class NoRoom(NamedTuple):
    """Gateway -> Store: a request was refused for lack of room, so an alarm may be due."""


class Congestion(NamedTuple):
    """Gateway -> Store -> Watch: too many bytes wait for this connection, or none any more.

    While too many do, its watches get no events; they get them from history later.
    """

    connection: Connection
    is_congested: bool


class RoomToTell(NamedTuple):
    """Gateway -> Store -> Watch: what waits for clients leaves room for more; see Deliver."""


class ConnectionGone(NamedTuple):
    """Gateway -> Store -> Watch: end all watches of this connection; Watch confirms in Deliver.

    With an empty reason the client is gone. Otherwise it may still listen, and is told the reason.
    """

    connection: Connection
    reason: str = ""


# --- Raft -> ... ------------------------------------------------------------------------------


class Apply(NamedTuple):
    """Raft -> Store: these entries are committed; apply them, and answer those of this member."""

    entries: tuple[Entry, ...]


class ConfirmedRead(NamedTuple):
    """Raft -> Store: all entries that these must see were told before, and their cluster time."""

    questions: tuple[Question, ...]
    cluster_ms: int


class Failed(NamedTuple):
    """Raft -> Gateway: these tickets will not be answered by an applied entry.

    `outcome_unknown`: an entry for them may have been applied all the same, or may yet be.
    """

    tickets: tuple[Ticket, ...]
    failure: Failure
    outcome_unknown: bool


class Moved(NamedTuple):
    """Raft -> Gateway: the leader has handed over, as this ticket asked."""

    ticket: Ticket


class Accuse(NamedTuple):
    """Raft -> Store: that member's log lacks or contradicts a committed entry: raise the alarm."""

    member_id: int


class TakeSnapshot(NamedTuple):
    """Raft -> Store: write a copy of all that is applied to `path`, and go on serving meanwhile."""

    path: Path


class InstallSnapshot(NamedTuple):
    """Raft -> Store: let the copy at `path` replace the store, if it is sound (it is moved)."""

    path: Path


class Leadership(NamedTuple):
    """Raft -> all others: who leads (0: not known); the clock if we do, and have committed."""

    leader: int
    term: int
    clock: ClusterClock | None
    is_learner: bool = False


# --- Store -> ... -----------------------------------------------------------------------------


class Replies(NamedTuple):
    """Store -> Gateway: results for tickets of this node, in the order they were applied."""

    replies: tuple[tuple[Ticket, Result], ...]


class Lengthy(NamedTuple):
    """Store -> Gateway: the answers for these tickets are being made: give them more time."""

    tickets: tuple[Ticket, ...]


class Room(NamedTuple):
    """Store -> Gateway: refuse requests that add more bytes than this; None: there is plenty."""

    bytes: int | None


class CopyMade(NamedTuple):
    """Store's copier -> Store: a sealed copy for clients is at `path`; 0 bytes: it failed."""

    path: Path
    total_bytes: int
    sha256: bytes


class Compacted(NamedTuple):
    """Store's copier -> Store: a compact copy of the file follows it now, or could not be made."""


class Durable(NamedTuple):
    """Store -> Raft: the backend holds all entries up to this index: the log may be cut there."""

    applied_index: int


class Published(NamedTuple):
    """Store -> Raft: the members that ever published their names."""

    members: tuple[PublishedMember, ...]


class SnapshotTaken(NamedTuple):
    """Store -> Raft: the copy at `path` is complete and synced; it holds entries up to `index`."""

    path: Path
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int


class SnapshotInstalled(NamedTuple):
    """Store -> Raft: the copy is the store now, durably: entries up to `index` are applied.

    `membership` is Raft's own record, which SetMembers has left with the data; b"": there is none.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int
    cluster_ms: int
    membership: bytes


class LeaseFact(NamedTuple):
    """One lease as it is now; a deadline of 0 says that it has ended."""

    lease_id: int
    deadline_ms: int


class LeaseFacts(NamedTuple):
    """Store -> Lease: leases granted, renewed or ended by entries up to `cluster_ms`, in order."""

    facts: tuple[LeaseFact, ...]
    cluster_ms: int


class WatchBegin(NamedTuple):
    """Store -> Watch: a watch, and the revision of the store when it began, or why it may not. Its
    user may have `watches_max` watches at this node; 0: there is no limit."""

    open: WatchOpen
    revision: int
    fault: MaybeFault = ""
    watches_max: int = 0


class Events(NamedTuple):
    """Store -> Watch: the store is at `revision`; `events` are in order, each revision's whole."""

    revision: int
    events: Sequence[Event]


class HistoryCut(NamedTuple):
    """Store -> Watch: history was compacted; by a bookmark, watchers can move to other nodes."""


class Skipped(NamedTuple):
    """Store -> Watch: a snapshot brought the store to `revision`; history has what it skipped."""

    revision: int


class HistoryPortion(NamedTuple):
    """Store -> Watch: the events in these spans from `from_revision` up to `reached`, in order.

    The answer to ReadHistory. `revision` is the store's: events after it are told as they happen.
    If `from_revision` is compacted away, `compact_revision` is set, and there are no events.
    """

    from_revision: int
    reached: int
    revision: int
    events: tuple[Event, ...]
    compact_revision: int = 0


# --- Watch -> ... -----------------------------------------------------------------------------


class ReadHistory(NamedTuple):
    """Watch -> Store: tell a portion of the events in these spans since a revision.

    A span is (key, range_end) as in a request; no spans mean all keys. Each is answered by a
    HistoryPortion, in order, and after all Events that happened before.
    """

    from_revision: int
    spans: tuple[tuple[bytes, bytes], ...]
    prev_kv: bool


class Deliver(NamedTuple):
    """Watch -> Gateway: encoded replies for watching connections, in order.

    `ended` confirms ConnectionGone: frames before this message belong to watches that it ended.
    With `asks` Watch tells no more history until RoomToTell comes.
    """

    frames: tuple[tuple[Connection, bytes], ...]
    ended: tuple[Connection, ...] = ()
    asks: bool = False
