"""Every in-process message of a node, grouped by the arrow of the ring it travels.

All are immutable and told, never asked (DESIGN.md#the-ring). One sender per ordered pair of actors,
so their order is the order of events: a query told after the entries it must see needs no other
proof.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from actors.language.commands import Event
from actors.language.entries import Entry, Proposal
from actors.language.members import MemberChange
from actors.language.queries import Query
from actors.language.results import Failure, Result

Ticket = int
"""The gateway's name for a request it must answer; unique over restarts, never a request id."""

Connection = tuple[bytes, ...]
"""The frames that lead back to a client: its ROUTER identity, then a REQ's empty delimiter."""


class ClusterClock(NamedTuple):
    """Cluster time is `cluster_ms + (monotonic now - monotonic_ms)`; only the leader has one."""

    cluster_ms: int
    monotonic_ms: int

    def at(self, monotonic_ms: int) -> int:
        """The cluster time in milliseconds at a monotonic time in milliseconds."""
        return self.cluster_ms + (monotonic_ms - self.monotonic_ms)


# --- the mailbox -> its own actor -------------------------------------------------------------


class Drained(NamedTuple):
    """Mailbox -> its actor: nothing more waits just now; flush what you have gathered."""


class Tick(NamedTuple):
    """Mailbox -> its actor: the time you asked to be woken at (`Mailbox.wake_at`) has come."""

    now_ms: int


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
    """Peers' links -> Raft: connections to these members are gone (a kill, or a network)."""

    member_ids: tuple[int, ...]


# --- Gateway -> ... ---------------------------------------------------------------------------


class Propose(NamedTuple):
    """Gateway, Lease, Store -> Raft: put these in the log; tickets answer when applied here.

    Lease and Store send ticket 0: nobody waits for the answer.
    """

    proposals: tuple[Proposal, ...]


class Question(NamedTuple):
    """A query, and the ticket that its answer goes to."""

    ticket: Ticket
    query: Query


class ChangeMembers(NamedTuple):
    """Gateway -> Raft: change who the members are; answered like a proposal, when it is applied."""

    change: MemberChange
    ticket: Ticket


class MoveLeader(NamedTuple):
    """Gateway -> Raft: let that member lead; answered by Moved, or Failed."""

    target: int
    ticket: Ticket


class Read(NamedTuple):
    """Gateway -> Raft: answer these from a state no older than now (ReadIndex)."""

    questions: tuple[Question, ...]


class LocalRead(NamedTuple):
    """Gateway -> Store: answer these from whatever is applied here (serializable)."""

    questions: tuple[Question, ...]


class WatchOpen(NamedTuple):
    """Gateway -> Store: begin a watch; Store passes it on, with where it is, as WatchBegin.

    `watch_id` 0 lets the hub choose, as in etcd; `start_revision` 0 means from now on; `request_id`
    is what the client's `id` was, packed, or b"" for none.
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


class WatchCancel(NamedTuple):
    """Gateway -> Store -> Watch: the client ends a watch (by way of Store: not to overtake)."""

    connection: Connection
    request_id: bytes
    watch_id: int


class WatchProgress(NamedTuple):
    """Gateway -> Store -> Watch: send this connection a bookmark; request_id as in WatchOpen."""

    connection: Connection
    request_id: bytes


class ReadSnapshot(NamedTuple):
    """Gateway -> Store: read a part of a snapshot for a client; with no name, make one first."""

    ticket: Ticket
    name: str
    offset: int


class Defragment(NamedTuple):
    """Gateway -> Store: give the disk back what the store's file does not use."""

    ticket: Ticket


class NoRoom(NamedTuple):
    """Gateway -> Store: a request was refused because there is no room for it."""


class Congestion(NamedTuple):
    """Gateway -> Store -> Watch: too much waits for this connection already, or nothing any more.

    While it does, the events of its watches are left out; it gets them from history later.
    """

    connection: Connection
    is_congested: bool


class ConnectionGone(NamedTuple):
    """Gateway -> Store -> Watch: end all watches of this connection; Watch confirms in Deliver.

    An empty reason: nobody listens there any more. Otherwise the client still may, and is told.
    """

    connection: Connection
    reason: str = ""


# --- Raft -> ... ------------------------------------------------------------------------------


class Apply(NamedTuple):
    """Raft -> Store: these entries are committed; apply them in order, answer those from here."""

    entries: tuple[Entry, ...]


class ConfirmedRead(NamedTuple):
    """Raft -> Store: all that these must see was told before; `cluster_ms` is their time."""

    questions: tuple[Question, ...]
    cluster_ms: int


class Failed(NamedTuple):
    """Raft -> Gateway: these tickets will not be answered by an applied entry.

    `outcome_unknown` is set when an entry may yet be applied, or was, in spite of this.
    """

    tickets: tuple[Ticket, ...]
    failure: Failure
    outcome_unknown: bool


class Moved(NamedTuple):
    """Raft -> Gateway: the leader has handed over, as this ticket asked."""

    ticket: Ticket


class Accuse(NamedTuple):
    """Raft -> Store: that member lacks, or contradicts, what is committed: raise the alarm."""

    member_id: int


class TakeSnapshot(NamedTuple):
    """Raft -> Store: write a hot copy of everything applied to `path`, and serve meanwhile."""

    path: Path


class InstallSnapshot(NamedTuple):
    """Raft -> Store: the verified copy at `path` replaces all that is here (it is moved away)."""

    path: Path


class Leadership(NamedTuple):
    """Raft -> all others: who leads now (0: nobody); our clock once we have committed as leader."""

    leader: int
    term: int
    clock: ClusterClock | None
    is_learner: bool = False


# --- Store -> ... -----------------------------------------------------------------------------


class Replies(NamedTuple):
    """Store -> Gateway: results for tickets of this node, in the order they were applied."""

    replies: tuple[tuple[Ticket, Result], ...]


class Lengthy(NamedTuple):
    """Store -> Gateway: the answers for these tickets are being made, and take their time."""

    tickets: tuple[Ticket, ...]


class Room(NamedTuple):
    """Store -> Gateway: refuse what would add more bytes than this; None: there is plenty."""

    bytes: int | None


class CopyMade(NamedTuple):
    """Store's copier -> Store: a sealed copy for clients is at `path`; no bytes: it failed."""

    path: Path
    total_bytes: int
    sha256: bytes


class Compacted(NamedTuple):
    """Store's copier -> Store: a compact copy of the file follows it now, or could not be made."""


class Durable(NamedTuple):
    """Store -> Raft: the backend holds all entries up to this index: the log may be cut there."""

    applied_index: int


class Published(NamedTuple):
    """Store -> Raft: who has told its name since the cluster began, each with its client URLs."""

    members: tuple[tuple[int, tuple[str, ...]], ...]


class SnapshotTaken(NamedTuple):
    """Store -> Raft: the copy at `path` is complete and synced; it holds entries up to `index`."""

    path: Path
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int


class SnapshotInstalled(NamedTuple):
    """Store -> Raft: the copy is the store now, durably: entries up to `index` are applied.

    `membership` is Raft's own record that SetMembers left with the data; b"" if there was none.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    term: int
    cluster_ms: int
    membership: bytes


class LeaseFact(NamedTuple):
    """One lease as it is now; deadline 0 says that the lease is gone."""

    lease_id: int
    deadline_ms: int


class LeaseFacts(NamedTuple):
    """Store -> Lease: leases granted, renewed or ended by entries up to `cluster_ms`, in order."""

    facts: tuple[LeaseFact, ...]
    cluster_ms: int


class WatchBegin(NamedTuple):
    """Store -> Watch: a watch, and the revision of the store when it began."""

    open: WatchOpen
    revision: int


class Events(NamedTuple):
    """Store -> Watch: the store is now at `revision`; `events` are ordered and revisions whole."""

    revision: int
    events: tuple[Event, ...]


class HistoryCut(NamedTuple):
    """Store -> Watch: history was compacted, so say to those who watch how far they are.

    Who must go on at another node then needs nothing of what is gone.
    """


class Skipped(NamedTuple):
    """Store -> Watch: a snapshot brought the store to `revision`; on the way nothing was told.

    Who watches must read the history of what happened since the last revision that was told.
    """

    revision: int


class HistoryPortion(NamedTuple):
    """Store -> Watch: what happened in these spans from `from_revision` up to `reached`, in order.

    The answer to ReadHistory. `revision` is the store's: all that happens after it is told live.
    `compact_revision` is set, and nothing else told, when `from_revision` is compacted away.
    """

    from_revision: int
    reached: int
    revision: int
    events: tuple[Event, ...]
    compact_revision: int = 0


# --- Watch -> ... -----------------------------------------------------------------------------


class ReadHistory(NamedTuple):
    """Watch -> Store: tell a portion of what happened in these spans since a revision.

    A span is (key, range_end) as in a request; no spans are all keys. Each is answered by
    a HistoryPortion, in order, and behind all Events up to then.
    """

    from_revision: int
    spans: tuple[tuple[bytes, bytes], ...]
    prev_kv: bool


class Deliver(NamedTuple):
    """Watch -> Gateway: encoded replies for watching connections, in order.

    `ended` confirms ConnectionGone: frames before this message belong to watches that it ended.
    """

    frames: tuple[tuple[Connection, bytes], ...]
    ended: tuple[Connection, ...] = ()
