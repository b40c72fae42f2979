"""The vocabulary of the store: the queries, which only read.

`Range` and `Txn` are queries, too. They are in `commands.py`, for a transaction may hold a range,
and may be a command. Refuses to know of bytes on a wire, of Raft, and of which client asked.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.language.auth import AuthCommand, AuthQuery
from actors.language.commands import AlarmType, MemberPeers, Range, Txn
from actors.language.members import MemberChange, Transfer


class Page(NamedTuple):
    """A range without its count (not in etcd): it costs only the keys that it gives."""

    range: Range


class History(NamedTuple):
    """Every change of one key that is not compacted away, newest first (not in etcd).

    A `revision` above 0 leaves out later changes; limit 0 is no limit.
    """

    key: bytes
    limit: int = 0
    revision: int = 0


class HashKV(NamedTuple):
    """A hash of all keys and revisions up to one (rpc.proto HashKVRequest); 0 is the latest."""

    revision: int = 0


class WholeHash(NamedTuple):
    """A hash of all that the node holds (rpc.proto HashRequest)."""


class AlarmList(NamedTuple):
    """The alarms of one type that members have raised; NONE: of all types."""

    alarm: AlarmType = AlarmType.NONE


class LeaseTimeToLive(NamedTuple):
    """Remaining and granted TTL of a lease, with its keys if asked."""

    id: int
    keys: bool = False


class LeaseLeases(NamedTuple):
    """The ids of all leases."""


class MemberList(NamedTuple):
    """The members of the cluster."""


class MembersToCome(NamedTuple):
    """The members as they will be once a change that waits for a new member is done."""

    members: tuple[MemberPeers, ...]


class RaftStatus(NamedTuple):
    """Raft's part of a status, which it adds to the question on its way to the store.

    `has_caught_up` is False while a member whose disk was empty does not vote yet.
    """

    leader: int
    term: int
    last_index: int
    is_learner: bool
    has_caught_up: bool = True


class Status(NamedTuple):
    """The node's own state; Raft fills in `raft` before the store answers."""

    raft: RaftStatus | None = None


class Permit(NamedTuple):
    """Whether the asker may have this done: Done, or why not.

    It comes before what the store does not decide at an entry's place: what Raft itself does, and
    commands that cost much before they are entries.
    """

    asked: MemberChange | Transfer | AuthCommand


Query = (
    Range
    | Page
    | Txn
    | History
    | LeaseTimeToLive
    | LeaseLeases
    | MemberList
    | MembersToCome
    | Status
    | HashKV
    | WholeHash
    | AlarmList
    | AuthQuery
    | Permit
)
