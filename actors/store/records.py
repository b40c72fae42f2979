"""The records of the store's file as bytes: what each of its tables holds, sealed against damage.

A record begins with a checksum of its key and its content. So no change of either goes unnoticed,
and no record can stand in the place of another. Decoding raises ValueError, IndexError, TypeError
or struct.error for bytes that were not made here. Knows nothing of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgpack

from actors.language.auth import AUTH_OFF, AuthState, Role, User
from actors.language.codec import SHAPES, decode_result, encode_result
from actors.language.commands import AlarmMember, Change, Event, KeyValue, Member
from actors.language.results import Result
from actors.store.steps import BYTES_PER_STEP, ITEMS_PER_STEP, Steps
from actors.store.storage import SUB_BITS, AuthRecords, LeaseRecord, Meta, Row, SessionRecord

_POSITION_BYTES: Final = 12

_CHECKSUM: Final = struct.Struct(">I")
_FORMAT: Final = struct.Struct(">I")
_STATE: Final = struct.Struct(">QQQQqQQ")
_LEASE_KEY: Final = struct.Struct(">q")
_LEASE: Final = struct.Struct(">qqQ")
# Session and number; number 0 is the session's own record.
_SESSION_KEY: Final = struct.Struct(">QQ")
_SESSION: Final = struct.Struct(">QQQQ")
_MEMBER_KEY: Final = struct.Struct(">Q")
_MEMBER: Final = SHAPES.of(Member)
_ALARM: Final = SHAPES.of(AlarmMember)
_AUTH: Final = {b"s": SHAPES.of(AuthState), b"u": SHAPES.of(User), b"r": SHAPES.of(Role)}
"""The records of the table of users and roles, by the first byte of their keys."""


_BODY: Final = struct.Struct(">BQQqI")  # change, create_revision, version, lease, key bytes
_HEAD: Final = struct.Struct(">IBQQqI")  # the same behind the checksum
_BODY_FROM: Final = _CHECKSUM.size
_KEY_FROM: Final = _HEAD.size

_CHANGES: Final = tuple(Change)
# Ranges make thousands of records: this spares what a NamedTuple's own constructor costs.
_new: Final = tuple.__new__


class State(NamedTuple):
    """Where the data stands in the log, and LMDB's number of the commit that wrote it.

    LMDB's meta pages have no checksum. Where a damaged one passes an older commit for the last one,
    the numbers differ.
    """

    meta: Meta
    transaction: int


# --- every record -----------------------------------------------------------------------------


def seal(key: bytes, body: bytes) -> bytes:
    """The record that holds `body` under `key`."""
    return _CHECKSUM.pack(crc32(body, crc32(key))) + body


def unseal(key: bytes, record: bytes) -> bytes:
    """The body that was sealed; ValueError if key or record have changed since."""
    body = record[_CHECKSUM.size :]
    (checksum,) = _CHECKSUM.unpack_from(record)
    if crc32(body, crc32(key)) != checksum:
        raise ValueError(f"the record {key.hex()} has a wrong checksum")
    return body


# --- format and state -------------------------------------------------------------------------


def encode_format(key: bytes, number: int) -> bytes:
    """The record of the file's format."""
    return seal(key, _FORMAT.pack(number))


def decode_format(key: bytes, record: bytes) -> int:
    """The format's number; the record of the first format was not sealed."""
    body = record if len(record) == _FORMAT.size else unseal(key, record)
    (number,) = _FORMAT.unpack(body)
    return int(number)


def encode_state(key: bytes, state: State) -> bytes:
    """The record that says where the data stands in the log and in time."""
    index, term, cluster_ms, revision, compact_revision, swept_revision, membership = state.meta
    numbers = (index, term, cluster_ms, revision, compact_revision, swept_revision)
    return seal(key, _STATE.pack(*numbers, state.transaction) + membership)


def decode_state(key: bytes, record: bytes) -> State:
    """What `encode_state` was given."""
    body = unseal(key, record)
    index, term, cluster_ms, revision, compacted, swept, transaction = _STATE.unpack_from(body)
    membership = body[_STATE.size :]
    meta = Meta(index, term, cluster_ms, revision, compacted, swept, membership)
    return State(meta, transaction)


# --- revisions --------------------------------------------------------------------------------


def position_key(position: int) -> bytes:
    """A position as a key: keys sort as positions do."""
    return position.to_bytes(_POSITION_BYTES, "big")


def position_of(key: bytes) -> int:
    """The position of a key."""
    if len(key) != _POSITION_BYTES:
        raise ValueError(f"{key.hex()} is not the key of a revision")
    return int.from_bytes(key, "big")


def encode_event(position: int, event: Event) -> tuple[bytes, bytes]:
    """Key and record of a change; its prev_kv is not kept."""
    change, kv, _ = event
    key, create_revision, _, version, value, lease = kv
    at = position_key(position)
    body = _BODY.pack(change, create_revision, version, lease, len(key)) + key + value
    return at, _CHECKSUM.pack(crc32(body, crc32(at))) + body


def decode_event(position: int, record: bytes) -> Event:
    """The change at a position."""
    kv = decode_key_value(position, record)
    return _new(Event, (_CHANGES[record[_BODY_FROM]], kv, None))


def decode_key_value(position: int, record: bytes) -> KeyValue:
    """What the change at a position has put. A hot path: ranges read thousands."""
    checksum, _, create_revision, version, lease, key_bytes = _HEAD.unpack_from(record)
    # A slice is a copy, and cheaper than a memoryview; for large records the checksum costs most.
    if crc32(record[_BODY_FROM:], crc32(position.to_bytes(_POSITION_BYTES, "big"))) != checksum:
        raise ValueError(f"revision {position >> SUB_BITS} has a wrong checksum")
    value_from = _KEY_FROM + key_bytes
    fields = (
        record[_KEY_FROM:value_from],
        create_revision,
        position >> SUB_BITS,
        version,
        record[value_from:],
        lease,
    )
    return _new(KeyValue, fields)


def decode_row(at: bytes, record: bytes) -> Row:
    """What the index keeps of the change at a position; the whole record is checked."""
    checksum, change, create_revision, version, lease, key_bytes = _HEAD.unpack_from(record)
    position = position_of(at)
    if crc32(record[_BODY_FROM:], crc32(at)) != checksum:
        raise ValueError(f"revision {position >> SUB_BITS} has a wrong checksum")
    key = record[_KEY_FROM : _KEY_FROM + key_bytes]
    return position, change, key, create_revision, version, lease


# --- leases, members, alarms, sessions --------------------------------------------------------


def lease_key(lease_id: int) -> bytes:
    """The key of a lease."""
    return _LEASE_KEY.pack(lease_id)


def encode_lease(lease: LeaseRecord) -> tuple[bytes, bytes]:
    """Key and record of a lease."""
    key = _LEASE_KEY.pack(lease.id)
    return key, seal(key, _LEASE.pack(lease.ttl_ms, lease.deadline_ms, lease.owner))


def decode_lease(key: bytes, record: bytes) -> LeaseRecord:
    """What `encode_lease` was given."""
    (lease_id,) = _LEASE_KEY.unpack(key)
    return LeaseRecord(lease_id, *_LEASE.unpack(unseal(key, record)))


def encode_member(member: Member) -> tuple[bytes, bytes]:
    """Key and record of a member."""
    key = _MEMBER_KEY.pack(member.id)
    _, *fields = _MEMBER.row(member)  # the id is in the key
    return key, seal(key, msgpack.packb(fields))


def decode_member(key: bytes, record: bytes) -> Member:
    """What `encode_member` was given."""
    fields = msgpack.unpackb(unseal(key, record), use_list=False)
    member: Member = _MEMBER.value((*_MEMBER_KEY.unpack(key), *fields))
    return member


def encode_alarms(key: bytes, alarms: tuple[AlarmMember, ...]) -> bytes:
    """The record of all alarms."""
    return seal(key, msgpack.packb(tuple([_ALARM.row(alarm) for alarm in alarms])))


def decode_alarms(key: bytes, record: bytes) -> tuple[AlarmMember, ...]:
    """What `encode_alarms` was given."""
    rows = msgpack.unpackb(unseal(key, record), use_list=False)
    return tuple([_ALARM.value(row) for row in rows])


def auth_key(kind: type[User | Role], name: str) -> bytes:
    """The key of a user or of a role."""
    return (b"u" if kind is User else b"r") + name.encode()


def encode_auth(value: AuthState | User | Role) -> tuple[bytes, bytes]:
    """Key and record of the state, of a user, or of a role."""
    key = b"s" if isinstance(value, AuthState) else auth_key(type(value), value.name)
    return key, seal(key, msgpack.packb(_AUTH[key[:1]].row(value)))


def decode_auth(records: Iterable[tuple[bytes, bytes]]) -> AuthRecords:
    """The state, the users and the roles, from their records."""
    found: dict[bytes, list[Any]] = {kind: [] for kind in _AUTH}
    for key, record in records:
        row = msgpack.unpackb(unseal(key, record), use_list=False)
        found[key[:1]].append(_AUTH[key[:1]].value(row))
    states, users, roles = found.values()
    return AuthRecords(states[0] if states else AUTH_OFF, tuple(users), tuple(roles))


def session_key(session_id: int, seq: int = 0) -> bytes:
    """The key of a session's own record, or of its result with the number `seq`."""
    return _SESSION_KEY.pack(session_id, seq)


def encode_session(session: SessionRecord) -> tuple[bytes, bytes]:
    """Key and record of a session without its results."""
    session_id, used_index, used_ms, floor, owner = session
    key = _SESSION_KEY.pack(session_id, 0)
    return key, seal(key, _SESSION.pack(used_index, used_ms, floor, owner))


def encode_session_result(session_id: int, seq: int, result: Result) -> tuple[bytes, bytes]:
    """Key and record of one result of a session."""
    key = _SESSION_KEY.pack(session_id, seq)
    return key, seal(key, encode_result(result))


def decode_sessions(
    records: Iterable[tuple[bytes, bytes]],
) -> Steps[tuple[tuple[SessionRecord, dict[int, Result]], ...]]:
    """All sessions, each with its results, from their records in order."""
    sessions: list[tuple[SessionRecord, dict[int, Result]]] = []
    size = 0
    for number, (key, record) in enumerate(records, start=1):
        size += len(record)
        if not number % ITEMS_PER_STEP or size >= BYTES_PER_STEP:
            size = 0
            yield
        session_id, seq = _SESSION_KEY.unpack(key)
        body = unseal(key, record)
        if seq == 0:
            used_index, used_ms, floor, owner = _SESSION.unpack(body)
            sessions.append((SessionRecord(session_id, used_index, used_ms, floor, owner), {}))
        elif sessions and sessions[-1][0].id == session_id:
            sessions[-1][1][seq] = decode_result(body)
        else:
            raise ValueError(f"a result of session {session_id}, which does not exist")
    return tuple(sessions)
