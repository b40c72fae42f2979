"""From a client's frame to a request that can be served, or to the error to reply with.

The table in `operations` drives it, and that follows the protocol's table. Pure: no socket, no
clock. Whatever bytes a client sends, nothing is raised.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, Final, assert_never

from actors.gateway.audit_table import LEVELS
from actors.gateway.decoded import (
    ChoreRequest,
    CommandRequest,
    ConsensusRequest,
    LoginRequest,
    PasswordRequest,
    QueryRequest,
    Refusal,
    Request,
    SessionRequest,
    SurveyRequest,
)
from actors.gateway.fields import (
    FIELD_KINDS,
    Fields,
    RefusedError,
    check,
    converted,
    fault_of,
    shown,
    type_name,
)
from actors.gateway.identities import Identities
from actors.gateway.newcomers import LeaseGrants, Newcomers
from actors.gateway.operations import (
    TXN_OPS_MAX,
    ChoreOperation,
    CommandOperation,
    ConsensusOperation,
    EitherOperation,
    LocalOperation,
    LoginOperation,
    Operation,
    PasswordOperation,
    QueryOperation,
    SessionOperation,
    SurveyOperation,
    WatchOperation,
    operations,
)
from actors.gateway.quotas import Quotas
from actors.gateway.trail import Trail
from actors.gateway.transactions import ReadOnly
from actors.gateway.users import Passworded, make_login
from actors.language.audit import Note
from actors.language.auth import NOBODY, Principal
from actors.language.bounds import INT64_MAX
from actors.language.codec import encode_command
from actors.language.commands import Command, Range, Sequence
from actors.language.costs import cost_of
from actors.language.messages import Connection, ReadSnapshot, WatchOpen
from actors.language.queries import AlarmList, MemberList, Page, Status
from cluster import wire
from cluster.faults import FAULTS, Fault
from cluster.schema import INTEGER

REQUEST_ID_BYTES_MAX: Final = 64
"""A request id, which each reply repeats, may be of this size."""

VALUES_PER_TXN_OP_MAX: Final = 80
"""Room for the msgpack values of one compare and one operation of each branch, with all fields."""

VALUES_MIN: Final = 64
"""Room for the msgpack values of a request that is no transaction."""

NO_SPACE: Final = FAULTS["NoSpace"]
TOO_MANY: Final = FAULTS["TooManyRequests"]

_ABSENT: Final = object()
_new: Final = tuple.__new__


class RequestDecoder:
    """Decodes and checks requests; in all that it returns `request_id` is packed, b"" for none.

    A command that would add more than `room` bytes to the store is refused; None: no limit now.
    With a `trail` each request is noted, and `note` is that of the last one.
    """

    def __init__(
        self,
        grants: LeaseGrants,
        newcomers: Newcomers,
        request_bytes_max: int,
        new_secret: Callable[[], bytes],
        identities: Identities,
        txn_ops_max: int = TXN_OPS_MAX,
        trail: Trail | None = None,
    ) -> None:
        self.room: int | None = None
        self.note: Note | None = None
        self.identities = identities
        self.quotas = Quotas(identities.users)
        self._fresh = identities.fresh
        self._operations = operations(grants, newcomers, new_secret, txn_ops_max)
        self._request_bytes_max = request_bytes_max
        self._values_max = VALUES_MIN + VALUES_PER_TXN_OP_MAX * txn_ops_max
        self._pack = wire.packer()
        self._trail = trail

    def decode(self, connection: Connection, payload: bytes) -> Request:
        """What a frame asks for; `connection` is the route back, which was checked."""
        if self._trail is not None:
            self.note = None
        # Its id is looked for all the same, since a client finds its request by the reply's id.
        if len(payload) > self._request_bytes_max:
            return Refusal(self._peeked_id(payload), FAULTS["RequestTooLarge"])
        request_id = b""
        try:
            # Bounded by values as well as bytes: a value of one byte takes many times that as an
            # object.
            request = wire.unpack_few(payload, self._values_max)
            if type(request) is not dict:
                return Refusal(b"", fault_of(_no_request(request)))
            request_id = self._request_id(request)
            name = request.pop("op", None)
            operation = self._operations.get(name) if type(name) is str else None
            if operation is None:
                return Refusal(request_id, _unknown_operation(name))
            if self._trail is not None:
                asked = operation, name, connection, request_id, request
                return self._noted(self._trail, *asked, len(payload))
            # While nobody has to say who they are, that is all that it costs.
            who = NOBODY
            if self.identities.are_asked or "token" in request or "common_name" in request:
                who = self._who(connection, request)
                if self.quotas.is_on:
                    self._count(who, name, len(payload))
            return self._decoded(operation, name, connection, request_id, request, who)
        except RefusedError as refused:
            return Refusal(request_id, refused.fault)
        except wire.WireError as error:
            fault = fault_of(f"the request is not one msgpack value: {error}")
            return Refusal(b"", fault)

    def decode_as_learner(self, connection: Connection, payload: bytes) -> Request:
        """As `decode`, for a learner: it serves only what it can answer from its own state."""
        match request := self.decode(connection, payload):
            case Refusal() | QueryRequest(query=Status() | MemberList()):
                return request
            case QueryRequest(query=Range() | Page(), serializable=True):
                return request
            case ChoreRequest(work=ReadSnapshot()) | SurveyRequest():
                return request
            case _:
                return Refusal(request.request_id, FAULTS["NotSupportedForLearner"])

    def _who(self, connection: Connection, request: Fields) -> Principal:
        # Most tokens were shown here just before.
        token = request.get("token")
        if type(token) is str and "common_name" not in request:
            known = self._fresh.get(token)
            if known is not None:
                del request["token"]
                return known
        return self.identities.of(connection, request)

    def _count(self, who: Principal, name: str, size: int) -> None:
        """Count a request of a user; RefusedError: it is one too many."""
        if not self.quotas.admit(who, name, size):
            raise RefusedError(TOO_MANY)

    def _noted(
        self,
        trail: Trail,
        operation: Operation,
        name: str,
        connection: Connection,
        request_id: bytes,
        request: Fields,
        size: int,
    ) -> Request:
        """As `_decoded`, for a node with an audit log; the request has `size` bytes."""
        address = trail.told_address(request) if "client" in request else ""
        by, common_name = "token" if "token" in request else "", ""
        if "common_name" in request and type(request["common_name"]) is str:
            by, common_name = by or "certificate", request["common_name"]
        level, who = LEVELS[name], NOBODY
        asked = name, level, request, connection[0]
        shown = by, common_name, address, None
        self.note = note = _new(Note, (*asked, who, *shown))
        if self.identities.are_asked or "token" in request or "common_name" in request:
            who = self._who(connection, request)
            self.note = note = _new(Note, (*asked, who, *shown))
            if self.quotas.is_on:
                self._count(who, name, size)
        decoded = self._decoded(operation, name, connection, request_id, request, who)
        # The value is a part of what was decoded: it need not be kept twice.
        request.pop("value", None)
        if level <= trail.level:
            self.note = note = trail.settled(note, is_query=type(decoded) is QueryRequest)
        return decoded._replace(note=note) if type(decoded) is WatchOpen else decoded

    def _decoded(
        self,
        operation: Operation,
        name: str,
        connection: Connection,
        request_id: bytes,
        fields: Fields,
        who: Principal,
    ) -> Request:
        match operation:
            case CommandOperation():
                sequence = None
                if "session" in fields or "seq" in fields or "ack" in fields:
                    sequence = _sequence(name, fields)
                check(name, operation.fields, fields)
                return self._command(request_id, operation.make(fields), sequence, who)
            case EitherOperation():
                return self._decided(operation, name, request_id, fields, who)
            case PasswordOperation():
                return self._passworded(operation, name, request_id, fields, who)
        check(name, operation.fields, fields)
        match operation:
            case QueryOperation():
                serializable = "serializable" in fields and fields.pop("serializable")
                return _new(QueryRequest, (request_id, operation.make(fields), serializable, who))
            case LocalOperation():
                serializable = not fields.pop("linearizable", False)
                return QueryRequest(request_id, operation.make(fields), serializable, who)
            case SessionOperation():
                return SessionRequest(request_id, who)
            case SurveyOperation():
                return SurveyRequest(request_id, who)
            case LoginOperation():
                return LoginRequest(request_id, make_login(fields))
            case ConsensusOperation():
                return ConsensusRequest(request_id, operation.make(fields), who)
            case ChoreOperation():
                work = operation.make(fields)._replace(principal=who)
                return ChoreRequest(request_id, work)
            case WatchOperation():
                _require_stream(name, connection)
                made = operation.make(connection, request_id, fields)
                return made._replace(principal=who) if isinstance(made, WatchOpen) else made
            case _:
                assert_never(operation)

    def _command(
        self, request_id: bytes, command: Command, sequence: Sequence | None, who: Principal
    ) -> CommandRequest:
        if self.room is not None and cost_of(command) > self.room:
            raise RefusedError(NO_SPACE)
        # The hot path: tuple.__new__ spares what a NamedTuple's own constructor costs.
        return _new(CommandRequest, (request_id, encode_command(command, sequence, who)))

    def _decided(
        self,
        operation: EitherOperation,
        name: str,
        request_id: bytes,
        fields: Fields,
        who: Principal,
    ) -> CommandRequest | QueryRequest:
        # A sequence counts only if the operation goes through the log: reading twice does no harm.
        sequence = _sequence(name, fields)
        check(name, operation.fields, fields)
        match operation.make(fields):
            case ReadOnly(txn, serializable):
                return QueryRequest(request_id, txn, serializable, who)
            case AlarmList() as query:
                return QueryRequest(request_id, query, False, who)
            case command:
                return self._command(request_id, command, sequence, who)

    def _passworded(
        self,
        operation: PasswordOperation,
        name: str,
        request_id: bytes,
        fields: Fields,
        who: Principal,
    ) -> CommandRequest | PasswordRequest:
        sequence = _sequence(name, fields)
        check(name, operation.fields, fields)
        made = operation.make(fields)
        if isinstance(made, Passworded):
            return PasswordRequest(request_id, made, sequence, who)
        return self._command(request_id, made, sequence, who)

    def _request_id(self, request: Fields) -> bytes:
        value = request.pop("id", _ABSENT)
        if type(value) is int:
            return self._pack(value)
        if value is _ABSENT:
            return b""
        return self._pack(_checked_id(value))

    def _peeked_id(self, payload: bytes) -> bytes:
        try:
            return self._pack(_checked_id(wire.peek(payload, "id", REQUEST_ID_BYTES_MAX)))
        except (wire.WireError, RefusedError):
            return b""


# --- checks -----------------------------------------------------------------------------------


def _require_stream(name: str, connection: Connection) -> None:
    """Refuse a watch on a connection to which nothing can be sent unasked, or not safely."""
    if len(connection) > 1:
        raise RefusedError(fault_of(f"{name} needs a DEALER socket, not a REQ"))
    # A client that chooses its own routing id may take the id of one that is gone: the events
    # for that one would go on to it, with a gap. Ids made by libzmq begin with a zero byte.
    if not connection[0].startswith(b"\0"):
        raise RefusedError(fault_of(f"{name} needs a socket with no ZMQ_ROUTING_ID of its own"))


def _checked_id(value: Any) -> Any:
    if type(value) in (str, bytes):
        size = len(value.encode() if type(value) is str else value)
        if size > REQUEST_ID_BYTES_MAX:
            raise RefusedError(fault_of(f'field "id" has more than {REQUEST_ID_BYTES_MAX} bytes'))
        return value
    if type(value) in (NoneType, int):
        return value
    wanted = "nil, an integer, text or bytes"
    raise RefusedError(fault_of(f'field "id" must be {wanted}, not {type_name(value)}'))


def _sequence(name: str, fields: Fields) -> Sequence | None:
    """Take `session`, `seq` and `ack` out of the fields; three zeros count as absent."""
    take = fields.pop
    session, seq, ack = take("session", 0), take("seq", 0), take("ack", 0)
    if not (type(session) is type(seq) is type(ack) is int):
        for field, value in Sequence(session, seq, ack)._asdict().items():
            converted(name, field, FIELD_KINDS[INTEGER], value)
    if session == seq == ack == 0:
        return None
    if not 1 <= session <= INT64_MAX:
        raise RefusedError(fault_of(f'field "session" of {name} must be an id from session_open'))
    if not 1 <= seq <= INT64_MAX:
        raise RefusedError(fault_of(f'field "seq" of {name} must be 1, 2, 3 and so on'))
    if not 0 <= ack <= seq:
        raise RefusedError(fault_of(f'field "ack" of {name} must not be negative or above "seq"'))
    return Sequence(session, seq, ack)


def _no_request(value: Any) -> str:
    """What is wrong with a frame that is no map; an array that gets here is no sound batch."""
    if type(value) is tuple:
        batch = f"a list of 1 to {wire.BATCH_MAX} requests, each packed"
        return f"a request must be a map, or {batch}, on a DEALER without a ZMQ_ROUTING_ID"
    return f"a request must be a map, not {type_name(value)}"


def _unknown_operation(name: Any) -> Fault:
    if name is None:
        return fault_of('the request has no "op"')
    if type(name) is not str:
        return fault_of(f'field "op" must be text, not {type_name(name)}')
    return fault_of(f'unknown operation "{shown(name)}"')
