"""What members say to each other (Raft figure 2, dissertation 3-6), and what each must keep.

Plain values; the codec turns them into bytes, by the annotations of their fields. Every message
names its source and target, and the sender's term as it was when the message was made. Safety needs
neither delivery nor order. A leader uses the order within a connection to notice lost messages.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.language.bounds import Number, Unsigned
from actors.language.entries import Entry, Proposal
from actors.language.members import MemberChange
from cluster.faults import FaultName, MaybeFault


class HardState(NamedTuple):
    """What must survive a crash before anything that depends on it is said (Raft figure 2)."""

    term: Unsigned
    vote: Unsigned  # 0: nobody
    commit: Unsigned  # may be too low, never too high


class VoteRequest(NamedTuple):
    """May I lead `term`? With `pre` it only asks whether the answer would be yes (9.6).

    `transfer`: the leader itself asked for this election, so to hear it is no reason to refuse.
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

    `stream` is the number of this leader's stream to this peer; the answer repeats it.
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    stream: Unsigned
    prev_index: Unsigned
    prev_term: Unsigned
    commit: Unsigned
    entries: tuple[Entry, ...]


class AppendResponse(NamedTuple):
    """Accepted: the log matches up to `index`. Rejected: not at `index`; try after the hint.

    An acceptance may name this member's commit index, which the append does not prove. Then the
    hint is not 0: it names the last committed entry, which the leader must have.
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    stream: Unsigned
    index: Unsigned  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    rejected: bool
    hint_index: Unsigned
    hint_term: Unsigned


class Heartbeat(NamedTuple):
    """I lead. `commit` is never beyond what this peer is known to hold.

    The log was sent up to `sent_index`, so the answer shows whether an append was lost. `read_id`
    is the latest round of reads to confirm; `cluster_ms` is the leader's cluster time. `answer` is
    False if only the commit index is to be told.
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    stream: Unsigned
    commit: Unsigned
    sent_index: Unsigned
    read_id: Unsigned
    cluster_ms: Unsigned
    answer: bool


class HeartbeatResponse(NamedTuple):
    """I hear you, and my log ends at `last_index`; the other fields repeat the heartbeat's.

    `on_probation`: my acknowledgements count, but I may not vote yet (probation.py).
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    stream: Unsigned
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
    """Serve that read once `index` is applied; its time is the cluster time `cluster_ms`."""

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
    stream: Unsigned
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
    """You have been removed from the cluster, and ask for votes as if you had not heard of it."""

    source: Unsigned
    target: Unsigned
    term: Unsigned


class Contradiction(NamedTuple):
    """Your log contradicts mine: I have committed an entry of `entry_term` at `index` (trial.py).

    With a `nonce` it answers a Doubt. An `entry_term` of 0: the entry is compacted away here.
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    index: Unsigned  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    entry_term: Unsigned
    nonce: Unsigned = 0


class Confession(NamedTuple):
    """I stop: my log lacks or contradicts the entry that is committed at `index`.

    With a `nonce` it answers a Doubt.
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    index: Unsigned  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    nonce: Unsigned = 0


class Doubt(NamedTuple):
    """Did you say so, and what have you committed at `index`? Repeat it with this random `nonce`.

    `acknowledged`: answer only if you lead, and I have acknowledged `index` to you.
    """

    source: Unsigned
    target: Unsigned
    term: Unsigned
    index: Unsigned  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    nonce: Unsigned
    acknowledged: bool = False


class JoinRequest(NamedTuple):
    """Who am I, and who are the members? It is not a message of Raft's.

    From a new member that starts, and knows only its own URLs; or from `member_id`, which hears a
    member that its log does not tell of. `nonce` is random: an answer with it comes from a process
    that was asked. A member `on_probation` may have forgotten promises of an earlier life
    (probation.py); its nonce names this life.
    """

    nonce: Unsigned
    member_id: Unsigned  # 0: not known
    peer_urls: tuple[str, ...]
    on_probation: bool = False


class Introduction(NamedTuple):
    """I am that member, at this URL: you may have been away when I joined or moved. Not Raft's."""

    member_id: Unsigned
    url: str


class Ping(NamedTuple):
    """Any member -> any other: repeat `stamp` in a Pong, so that I know the time. Not Raft's."""

    source: Unsigned
    target: Unsigned
    stamp: Unsigned


class Pong(NamedTuple):
    """The answer to a Ping. Not Raft's."""

    source: Unsigned
    target: Unsigned
    stamp: Unsigned


class Welcome(NamedTuple):
    """The answer to a JoinRequest: your id, the cluster's, and membership.py's JSON of the members.

    `nonce` is the question's. `was_here`: an earlier life of the asking member has taken part, for
    its name was published, or the log has a proposal of its. `term`, `last_index` and `last_term`
    are those of the answering member; if it leads, `stream` is that of its stream to the asking
    one. It serves clients at `client_urls`.

    welcome.py and probation.py say when to believe an answer, and what follows from it.
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
    stream: Unsigned = 0
    client_urls: tuple[str, ...] = ()


NotRafts = JoinRequest | Introduction | Welcome | Ping | Pong
"""What members say to each other beside Raft's messages."""

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
