"""What members say to each other (Raft figure 2, dissertation 3-6), and what each must keep.

Plain values; the codec turns them to bytes, by the annotations of their fields. Every message names
its source and target, and the sender's term as it was when the message was made. Nothing is
promised about delivery or order.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.language.bounds import Number, Unsigned
from actors.language.entries import Entry, Proposal
from actors.language.members import MemberChange
from cluster.errors import FaultName, MaybeFault


class HardState(NamedTuple):
    """What must survive a crash before anything that depends on it is said (Raft figure 2)."""

    term: Unsigned
    vote: Unsigned  # 0: nobody
    commit: Unsigned  # a hint: never ahead of the truth


class VoteRequest(NamedTuple):
    """May I lead `term`? A pre-vote asks the same without anybody changing a term (9.6).

    `transfer`: the leader itself asked for this election, so hearing it is no reason to refuse.
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    pre: bool
    last_index: Unsigned
    last_term: Unsigned
    transfer: bool = False


class VoteResponse(NamedTuple):
    """A grant carries the term asked for, a refusal the voter's own."""

    source: Unsigned
    target: Unsigned
    term: Unsigned
    pre: bool
    granted: bool


class AppendRequest(NamedTuple):
    """The leader's entries after (prev_index, prev_term), and how far it has committed.

    `session` names this leader's stream to this peer; the answer repeats it.
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    session: Unsigned
    prev_index: Unsigned
    prev_term: Unsigned
    commit: Unsigned
    entries: tuple[Entry, ...]


class AppendResponse(NamedTuple):
    """Accepted: the log matches up to `index`. Rejected: not at `index`; try after the hint.

    An answer that goes beyond what the append itself proves, since that is committed here already,
    says so by its hint: the last committed entry, which the leader must have.
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    session: Unsigned
    index: Unsigned  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    rejected: bool
    hint_index: Unsigned
    hint_term: Unsigned


class Heartbeat(NamedTuple):
    """I lead. `commit` is never beyond what this peer is known to hold.

    `sent_index` is how far the log was sent, so that the answer shows whether something was lost;
    `read_id` asks to confirm all reads up to it; `cluster_ms` is the leader's cluster time.
    Without `answer` it only tells the commit index.
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    session: Unsigned
    commit: Unsigned
    sent_index: Unsigned
    read_id: Unsigned
    cluster_ms: Unsigned
    answer: bool


class HeartbeatResponse(NamedTuple):
    """I hear you, my log ends at `last_index`; the rest repeats the heartbeat.

    `on_probation`: what I acknowledge counts, but I vote for nobody yet (probation.py).
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    session: Unsigned
    sent_index: Unsigned
    last_index: Unsigned
    read_id: Unsigned
    on_probation: bool = False


class ReadRequest(NamedTuple):
    """A follower asks its leader from which index on a read is linearizable (dissertation 6.4)."""

    source: Unsigned
    target: Unsigned
    term: Unsigned
    read_id: Unsigned


class ReadResponse(NamedTuple):
    """Serve that read from index `index` or later; it is at cluster time `cluster_ms`."""

    source: Unsigned
    target: Unsigned
    term: Unsigned
    read_id: Unsigned
    index: Unsigned  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    cluster_ms: Unsigned


class ForwardRequest(NamedTuple):
    """A follower passes proposals on to its leader."""

    source: Unsigned
    target: Unsigned
    term: Unsigned
    proposals: tuple[Proposal, ...]


class ForwardRefusal(NamedTuple):
    """These proposals did not enter the log: `name` is etcd's error, or "" when I do not lead."""

    source: Unsigned
    target: Unsigned
    term: Unsigned
    tickets: tuple[Unsigned, ...]
    name: MaybeFault


class SnapshotChunk(NamedTuple):
    """A piece of the leader's snapshot up to entry (last_index, last_term); CRC-32 of its data."""

    source: Unsigned
    target: Unsigned
    term: Unsigned
    session: Unsigned
    snapshot_id: Unsigned
    last_index: Unsigned
    last_term: Unsigned
    total_bytes: Unsigned
    offset: Unsigned
    checksum: Unsigned
    data: bytes


class SnapshotAck(NamedTuple):
    """I have that snapshot up to `next_offset`."""

    source: Unsigned
    target: Unsigned
    term: Unsigned
    snapshot_id: Unsigned
    next_offset: Unsigned


class TimeoutNow(NamedTuple):
    """A leader hands over: stand for election at once, your log is complete (dissertation 3.10)."""

    source: Unsigned
    target: Unsigned
    term: Unsigned


class ChangeRequest(NamedTuple):
    """A follower passes a change of members on to its leader."""

    source: Unsigned
    target: Unsigned
    term: Unsigned
    ticket: Unsigned
    change: MemberChange


class ChangeRefusal(NamedTuple):
    """That change was not begun; `name` is etcd's error."""

    source: Unsigned
    target: Unsigned
    term: Unsigned
    ticket: Unsigned
    name: FaultName


class RemovedNotice(NamedTuple):
    """You have been removed from the cluster: whoever asks for votes may not have heard."""

    source: Unsigned
    target: Unsigned
    term: Unsigned


class Contradiction(NamedTuple):
    """Your log cannot be: I have committed an entry of term `entry_term` at `index` (proof.py).

    With a `nonce` it answers a Doubt.
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    index: Unsigned  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    entry_term: Unsigned
    nonce: Unsigned = 0


class Confession(NamedTuple):
    """I stop: I lack, or contradict, what you have committed at `index`. Nonce as above."""

    source: Unsigned
    target: Unsigned
    term: Unsigned
    index: Unsigned  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    nonce: Unsigned = 0


class Doubt(NamedTuple):
    """Is it you who says so? What have you committed at `index`? Only who is there can answer.

    The `nonce` is random. `acknowledged`: do you, as the leader, know it from me that I have it?
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    index: Unsigned  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    nonce: Unsigned
    acknowledged: bool = False


class JoinRequest(NamedTuple):
    """Who am I, and who are the members? No message of Raft's.

    From a member that was added and starts, which knows only the URLs it is reached at, or from one
    (`member_id`) that hears a member its log does not tell of. `nonce` is random: an answer that
    repeats it comes from who was asked. A member `on_probation` may have forgotten what it has
    promised in an earlier life (probation.py); its nonce is this life's.
    """

    nonce: Unsigned
    member_id: Unsigned  # 0: not known
    peer_urls: tuple[str, ...]
    on_probation: bool = False


class Introduction(NamedTuple):
    """I am that member, and reached here: who was away when I came cannot know. Not Raft's."""

    member_id: Unsigned
    url: str


class Welcome(NamedTuple):
    """One member's answer: your id, the cluster's, and membership.py's JSON of who belongs to it.

    `nonce` is the question's. `was_here` tells that the member's name was published, or that the
    log has something it proposed: an earlier life of it has taken part. `term`, `last_index` and
    `last_term` are where the answering member and its log are; if it leads, `session` is that of
    its stream to the asking one. It serves clients at `client_urls`.

    See welcome.py and probation.py for when it is to be believed, and what follows from it.
    """

    source: Unsigned
    member_id: Unsigned
    cluster_id: Unsigned
    nonce: Unsigned
    membership: bytes
    was_here: bool = False
    term: Number = 0
    last_index: Number = 0
    last_term: Number = 0
    session: Unsigned = 0
    client_urls: tuple[str, ...] = ()


Message = (
    AppendRequest
    | AppendResponse
    | Heartbeat
    | HeartbeatResponse
    | ForwardRequest
    | ReadRequest
    | ReadResponse
    | VoteRequest
    | VoteResponse
    | ForwardRefusal
    | SnapshotChunk
    | SnapshotAck
    | TimeoutNow
    | ChangeRequest
    | ChangeRefusal
    | RemovedNotice
    | Contradiction
    | Confession
    | Doubt
)
