"""What a client's calls return: typed values, and how each is read from a reply of PROTOCOL.md.

Knows the shape of replies and nothing of how they arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from cluster.errors import ProtocolError

Reply = Mapping[str, Any]
"""A decoded reply map, as msgpack left it: anything may be missing or of a wrong type."""

T = TypeVar("T")


class Header(NamedTuple):
    """Who answered, at which store revision and Raft term."""

    cluster_id: int
    member_id: int
    revision: int
    raft_term: int


class KeyValue(NamedTuple):
    """A key and its value; revisions as in etcd, `lease` 0 for none."""

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int


class PutResult(NamedTuple):
    """`prev_kv` is None unless it was asked for and the key existed."""

    header: Header
    prev_kv: KeyValue | None


class DeleteResult(NamedTuple):
    """How many keys are gone, and what they were if that was asked for."""

    header: Header
    deleted: int
    prev_kvs: tuple[KeyValue, ...]


class RangeResult:
    """The keys of an interval, in order: iterable, sized, true when there is any.

    `count` is the number of keys in the interval, whatever the limit; `more` says that the limit
    cut some off.
    """

    __slots__ = ("count", "header", "kvs", "more")

    def __init__(self, header: Header, kvs: tuple[KeyValue, ...], more: bool, count: int) -> None:
        self.header = header
        self.kvs = kvs
        self.more = more
        self.count = count

    def __iter__(self) -> Iterator[KeyValue]:
        return iter(self.kvs)

    def __len__(self) -> int:
        return len(self.kvs)

    def __bool__(self) -> bool:
        return bool(self.kvs)

    def __getitem__(self, index: int) -> KeyValue:
        return self.kvs[index]

    def __repr__(self) -> str:
        return f"RangeResult(count={self.count}, more={self.more}, kvs={self.kvs!r})"


class Event(NamedTuple):
    """One change of a watched key. A DELETE's `kv` has only `key` and `mod_revision`.

    `reason` of a DELETE says why: `deleted`, `lease expired` or `lease revoked`; a PUT has none.
    """

    type: Literal["PUT", "DELETE"]
    kv: KeyValue
    prev_kv: KeyValue | None
    reason: str

    @property
    def revision(self) -> int:
        """The revision that made the change."""
        return self.kv.mod_revision


class WatchBatch(NamedTuple):
    """Events that arrived together: whole revisions, in order."""

    header: Header
    events: tuple[Event, ...]


class LeaseGrantResult(NamedTuple):
    """The lease's id and the TTL it really got, in seconds."""

    header: Header
    id: int
    ttl: float


class LeaseRevokeResult(NamedTuple):
    """The lease and its keys are gone."""

    header: Header


class LeaseKeepAliveResult(NamedTuple):
    """The lease was renewed for its whole TTL, in seconds."""

    header: Header
    id: int
    ttl: float


class LeaseTimeToLiveResult(NamedTuple):
    """`ttl` is the remaining time in whole seconds, -1 when there is no such lease.

    `remaining_ms` is the same, exact; `keys` is None unless it was asked for.
    """

    header: Header
    id: int
    ttl: int
    granted_ttl: float
    remaining_ms: int
    keys: tuple[bytes, ...] | None


class LeaseListResult(NamedTuple):
    """The ids of all leases, the one that ends first in front."""

    header: Header
    ids: tuple[int, ...]


class Member(NamedTuple):
    """One member; `name` is empty until it has first started."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool


class MemberListResult(NamedTuple):
    """Every member of the cluster, ordered by id."""

    header: Header
    members: tuple[Member, ...]


class StatusResult(NamedTuple):
    """One node's own state; `leader` is a member id, 0 when it knows none; sizes are in bytes."""

    header: Header
    version: str
    db_size: int
    db_size_in_use: int
    leader: int
    raft_index: int
    raft_term: int
    raft_applied_index: int
    is_learner: bool
    errors: tuple[str, ...]


def read(decode: Callable[[Reply], T], reply: Reply) -> T:
    """Decode a reply; one that PROTOCOL.md does not allow is a ProtocolError, not a KeyError."""
    try:
        return decode(reply)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(f"unexpected reply ({error!r}); is a Leasehold node there?") from None


def refusal(error: Reply) -> tuple[int, str, bool]:
    """The code and text of a reply's `error`, and whether the request may have been applied."""
    return int(error["code"]), str(error["message"]), bool(error.get("unknown", False))


def session_id(reply: Reply) -> int:
    """The answer to a session_open."""
    return int(reply["session"])


def header(reply: Reply) -> Header:
    """The header of any reply."""
    raw = reply["header"]
    return Header(raw["cluster_id"], raw["member_id"], raw["revision"], raw["raft_term"])


def key_value(raw: Reply) -> KeyValue:
    """A key-value of a read, whole or (keys_only) without its value."""
    return KeyValue(
        raw["key"],
        raw.get("value", b""),
        raw["create_revision"],
        raw["mod_revision"],
        raw["version"],
        raw.get("lease", 0),
    )


def put_result(reply: Reply) -> PutResult:
    """The answer to a put."""
    previous = reply.get("prev_kv")
    return PutResult(header(reply), None if previous is None else key_value(previous))


def range_result(reply: Reply) -> RangeResult:
    """The answer to a range."""
    kvs = tuple(map(key_value, reply["kvs"]))
    return RangeResult(header(reply), kvs, reply["more"], reply["count"])


def single_result(reply: Reply) -> KeyValue | None:
    """The answer to a range of one key: the key-value, or None when there is none."""
    for raw in reply["kvs"]:
        return key_value(raw)
    return None


def delete_result(reply: Reply) -> DeleteResult:
    """The answer to a delete_range."""
    previous = tuple(map(key_value, reply.get("prev_kvs") or ()))
    return DeleteResult(header(reply), reply["deleted"], previous)


def event(raw: Reply) -> Event:
    """One event of a watch reply."""
    kv = raw["kv"]
    previous = raw.get("prev_kv")
    return Event(
        "PUT" if raw["type"] == "PUT" else "DELETE",
        KeyValue(
            kv["key"],
            kv.get("value", b""),
            kv.get("create_revision", 0),
            kv["mod_revision"],
            kv.get("version", 0),
            kv.get("lease", 0),
        ),
        None if previous is None else key_value(previous),
        raw.get("reason", ""),
    )


def lease_grant_result(reply: Reply) -> LeaseGrantResult:
    """The answer to a lease_grant."""
    return LeaseGrantResult(header(reply), reply["ID"], reply["TTL"])


def lease_revoke_result(reply: Reply) -> LeaseRevokeResult:
    """The answer to a lease_revoke."""
    return LeaseRevokeResult(header(reply))


def lease_keep_alive_result(reply: Reply) -> LeaseKeepAliveResult:
    """The answer to a lease_keep_alive; a TTL of 0 means that there is no such lease."""
    return LeaseKeepAliveResult(header(reply), reply["ID"], reply["TTL"])


def lease_time_to_live_result(reply: Reply) -> LeaseTimeToLiveResult:
    """The answer to a lease_time_to_live."""
    ttl = reply["TTL"]
    keys = reply.get("keys")
    return LeaseTimeToLiveResult(
        header(reply),
        reply["ID"],
        ttl,
        reply["grantedTTL"],
        reply.get("remaining_ms", ttl * 1000 if ttl > 0 else ttl),
        None if keys is None else tuple(keys),
    )


def lease_list_result(reply: Reply) -> LeaseListResult:
    """The answer to a lease_leases."""
    return LeaseListResult(header(reply), tuple(lease["ID"] for lease in reply["leases"]))


def member_list_result(reply: Reply) -> MemberListResult:
    """The answer to a member_list."""
    members = tuple(
        Member(
            raw["ID"],
            raw["name"],
            tuple(raw["peerURLs"]),
            tuple(raw["clientURLs"]),
            raw.get("isLearner", False),
        )
        for raw in reply["members"]
    )
    return MemberListResult(header(reply), members)


def status_result(reply: Reply) -> StatusResult:
    """The answer to a status."""
    return StatusResult(
        header(reply),
        reply["version"],
        reply["dbSize"],
        reply["dbSizeInUse"],
        reply["leader"],
        reply["raftIndex"],
        reply["raftTerm"],
        reply["raftAppliedIndex"],
        reply.get("isLearner", False),
        tuple(reply.get("errors") or ()),
    )
