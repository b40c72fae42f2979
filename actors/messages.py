"""Every in-process message of a node, grouped by the arrow of the ring it travels (DESIGN 4).

All are immutable and told, never asked. One sender per ordered pair of actors, so their order is
the order of events: a query told after the entries it must see needs no other proof.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.raft.rpc import Entry, Proposal
from actors.store.commands import Event, Failure, Query, Result

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


class PeersDown(NamedTuple):
    """Peers' links -> Raft: connections to these members are gone (a kill, or a network)."""

    member_ids: tuple[int, ...]


# --- Gateway -> ... ---------------------------------------------------------------------------


class Propose(NamedTuple):
    """Gateway or Lease -> Raft: put these in the log; their tickets answer when applied here.

    Lease sends ticket 0: nobody waits for the answer.
    """

    proposals: tuple[Proposal, ...]


class Question(NamedTuple):
    """A query, and the ticket that its answer goes to."""

    ticket: Ticket
    query: Query


class Read(NamedTuple):
    """Gateway -> Raft: answer these from a state no older than now (ReadIndex)."""

    questions: tuple[Question, ...]


class LocalRead(NamedTuple):
    """Gateway -> Store: answer these from whatever is applied here (serializable)."""

    questions: tuple[Question, ...]


class WatchOpen(NamedTuple):
    """Gateway -> Store: begin a watch; Store adds the backlog and passes it on as WatchBegin.

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


class WatchCancel(NamedTuple):
    """Gateway -> Store -> Watch: the client ends a watch (by way of Store: not to overtake)."""

    connection: Connection
    request_id: bytes
    watch_id: int


class WatchProgress(NamedTuple):
    """Gateway -> Store -> Watch: send this connection a bookmark; request_id as in WatchOpen."""

    connection: Connection
    request_id: bytes


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


class Leadership(NamedTuple):
    """Raft -> Gateway, Lease, Watch: who leads now (0: nobody known); the clock if this node does.

    `clock` is set only once this leader has committed an entry of its own term.
    """

    leader: int
    term: int
    clock: ClusterClock | None


# --- Store -> ... -----------------------------------------------------------------------------


class Replies(NamedTuple):
    """Store -> Gateway: results for tickets of this node, in the order they were applied."""

    replies: tuple[tuple[Ticket, Result], ...]


class Durable(NamedTuple):
    """Store -> Raft: the backend holds all entries up to this index: the log may be cut there."""

    applied_index: int


class LeaseFact(NamedTuple):
    """One lease as it is now; deadline 0 says that the lease is gone."""

    lease_id: int
    deadline_ms: int


class LeaseFacts(NamedTuple):
    """Store -> Lease: leases granted, renewed or ended by entries up to `cluster_ms`, in order."""

    facts: tuple[LeaseFact, ...]
    cluster_ms: int


class WatchBegin(NamedTuple):
    """Store -> Watch: a watch, and all it missed from its start revision up to `revision`.

    `compact_revision` is set, and the backlog empty, when the start is compacted away.
    """

    open: WatchOpen
    revision: int
    backlog: tuple[Event, ...]
    compact_revision: int = 0


class Events(NamedTuple):
    """Store -> Watch: the store is now at `revision`; `events` are ordered and revisions whole."""

    revision: int
    events: tuple[Event, ...]


# --- Watch -> Gateway -------------------------------------------------------------------------


class Deliver(NamedTuple):
    """Watch -> Gateway: encoded replies for watching connections, in order.

    `ended` confirms ConnectionGone: frames before this message belong to watches that it ended.
    """

    frames: tuple[tuple[Connection, bytes], ...]
    ended: tuple[Connection, ...] = ()
