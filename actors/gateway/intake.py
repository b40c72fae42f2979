"""Requests on their way in: what each becomes, which actor is told, and which are refused.

A request that waits for an answer gets a ticket. `requests` decides what a request means; Raft and
Store do what it asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, assert_never

from actors.gateway.fields import fault_of
from actors.gateway.openings import OpeningLimits, Openings
from actors.gateway.operations import TXN_OPS_MAX, Transfer
from actors.gateway.requests import (
    NO_SPACE,
    ChoreRequest,
    CommandRequest,
    ConsensusRequest,
    QueryRequest,
    Refusal,
    RequestDecoder,
    SessionRequest,
    SurveyRequest,
)
from actors.gateway.routes import is_envelope, way_back
from actors.gateway.throttle import Throttle
from actors.gateway.tickets import REQUESTS_NODE_MAX, Pending, Tickets
from actors.language.codec import encode_command
from actors.language.commands import MemberPublish, SessionOpen
from actors.language.encoding import error_reply
from actors.language.entries import Proposal
from actors.language.members import AddMember, ReplaceMember
from actors.language.messages import (
    ChangeMembers,
    Connection,
    Defragment,
    LocalRead,
    MoveLeader,
    NoRoom,
    Propose,
    Question,
    Read,
    ReadSnapshot,
    Ticket,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.language.metrics import Survey
from cluster.errors import FAULTS

_new: Final = tuple.__new__

Named = tuple[bytes, Proposal]
"""A proposal, and the name of the connection whose turn in the throttle it takes."""


class GatewaySettings(NamedTuple):
    """What a gateway must be told.

    Tickets count up from `first_ticket`, which no earlier run may have reached: an entry of that
    run would answer a request of this one. `member list` shows `advertised_urls` as the addresses
    for clients.
    """

    cluster_id: int
    member_id: int
    version: str
    request_bytes_max: int
    lease_ttl_ms_min: int
    request_timeout_ms: int
    first_ticket: Ticket
    name: str = ""
    advertised_urls: tuple[str, ...] = ()
    cluster_token: str = ""
    requests_max: int = REQUESTS_NODE_MAX
    quota_bytes: int = 0
    txn_ops_max: int = TXN_OPS_MAX
    opening_limits: OpeningLimits = OpeningLimits()


class Answer(NamedTuple):
    """An order to send a frame to a client."""

    connection: Connection
    frame: bytes


ToTellRaft = Propose | Read | ChangeMembers | MoveLeader | Survey
ToTellStore = (
    LocalRead | WatchOpen | WatchCancel | WatchProgress | ReadSnapshot | Defragment | NoRoom
)
Order = ToTellRaft | ToTellStore | Answer


class Intake:
    """The intake of one gateway; it issues tickets, asks the throttle, and opens sessions."""

    def __init__(
        self,
        settings: GatewaySettings,
        decoder: RequestDecoder,
        tickets: Tickets,
        throttle: Throttle,
        openings: Openings,
    ) -> None:
        self._member_id = settings.member_id
        self._timeout_ms = settings.request_timeout_ms
        self._decoder = decoder
        self._decode = decoder.decode
        self._tickets = tickets
        self._throttle = throttle
        self._openings = openings

    def serve(self, *, is_learner: bool) -> None:
        """Serve everything, or only what a learner may."""
        decoder = self._decoder
        self._decode = decoder.decode_as_learner if is_learner else decoder.decode

    def take(self, frames: tuple[tuple[Connection, bytes], ...], now_ms: int) -> list[Order]:
        """The orders that a burst of frames comes to.

        All its writes are one message to Raft, and so are all its linearizable reads: one sync of
        the log, or one round of heartbeats, serves many requests.
        """
        decode = self._decode
        issue, waiting = self._tickets.issue, self._throttle.queues
        member_id = self._member_id
        deadline_ms = now_ms + self._timeout_ms
        orders: list[Order] = []
        proposals: list[Named] = []
        linearizable: list[Question] = []
        local: list[Question] = []
        for route, payload in frames:
            if len(route) > 1 and not is_envelope(route):
                fault = fault_of("a request must be one frame")
                orders.append(Answer(way_back(route), error_reply(b"", fault)))
                continue
            match decode(route, payload):
                case CommandRequest(request_id, command):
                    # The hot path: tuple.__new__ spares what a NamedTuple's constructor costs.
                    pending = _new(Pending, (route, request_id, True, deadline_ms, 0, 0))
                    # While no write waits there is room. A refused write takes no ticket.
                    is_full = waiting and not self._throttle.has_room(route[0], len(command))
                    ticket = None if is_full else issue(pending)
                    if ticket is None:
                        orders.append(refusal(pending))
                    else:
                        proposal = _new(Proposal, (member_id, ticket, command))
                        proposals.append((route[0], proposal))
                case QueryRequest(request_id, query, serializable):
                    pending = _new(Pending, (route, request_id, False, deadline_ms, 0, 0))
                    ticket = issue(pending)
                    if ticket is None:
                        orders.append(refusal(pending))
                    else:
                        asked = local if serializable else linearizable
                        asked.append(_new(Question, (ticket, query)))
                case WatchOpen() | WatchCancel() | WatchProgress() as request:
                    orders.append(request)
                case Refusal(request_id, fault):
                    orders.append(Answer(route, error_reply(request_id, fault)))
                    # Store must know: a refusal near the quota raises the alarm.
                    if fault is NO_SPACE:
                        orders.append(NoRoom())
                case SessionRequest(request_id):
                    pending = Pending(route, request_id, True, deadline_ms)
                    proposals += self._open_session(pending, now_ms, orders)
                case ConsensusRequest() | ChoreRequest() | SurveyRequest() as request:
                    orders.append(self._pass_on(request, route, now_ms))
                case request:
                    assert_never(request)
        if proposals and (admitted := self._throttle.ask(proposals)):
            orders.append(Propose(tuple(admitted)))
        if linearizable:
            orders.append(Read(tuple(linearizable)))
        if local:
            orders.append(LocalRead(tuple(local)))
        return orders

    def let_in(self, openings: Iterable[Pending], now_ms: int) -> list[Order]:
        """Propose the writes whose turn it is now, and these sessions again under other ids."""
        orders: list[Order] = []
        again: list[Named] = []
        for pending in openings:
            again += self._open_session(pending, now_ms, orders)
        admitted = self._throttle.let_in()
        if again:
            admitted += self._throttle.ask(again)
        return [*orders, Propose(tuple(admitted))] if admitted else orders

    def _open_session(self, pending: Pending, now_ms: int, orders: list[Order]) -> list[Named]:
        """Propose a session under a new id, at first or because the last id was taken."""
        ticket = None
        if pending.ids or self._openings.admit(pending.connection, now_ms):
            deadline_ms = now_ms + self._timeout_ms
            again = pending._replace(ids=pending.ids + 1, deadline_ms=deadline_ms)
            ticket = self._tickets.issue(again)
        if ticket is None:
            orders.append(refusal(pending))
            return []
        return [(pending.connection[0], self.proposal(ticket, self._openings.command()))]

    def proposal(self, ticket: Ticket, command: SessionOpen | MemberPublish) -> Proposal:
        """A proposal of a command that the gateway itself has made."""
        return Proposal(self._member_id, ticket, encode_command(command, None))

    def _pass_on(
        self,
        request: ConsensusRequest | ChoreRequest | SurveyRequest,
        route: Connection,
        now_ms: int,
    ) -> Order:
        """The order for Raft to change members or leader or begin a survey, for Store to do a
        chore."""
        deadline_ms = now_ms + self._timeout_ms
        mutates = isinstance(request, ConsensusRequest)
        pending = Pending(route, request.request_id, mutates, deadline_ms)
        match request:
            case ConsensusRequest(order=AddMember() | ReplaceMember() as change):
                pending = pending._replace(added=change.peer.id)
        ticket = self._tickets.issue(pending)
        if ticket is None:
            return refusal(pending)
        if isinstance(request, SurveyRequest):
            return Survey(ticket)
        # A copy or a defragmentation may take minutes, far beyond the timeout of a request.
        if isinstance(request, ChoreRequest):
            self._tickets.give_time((ticket,), now_ms)
            return request.work._replace(ticket=ticket)
        if isinstance(request.order, Transfer):
            return MoveLeader(request.order.target, ticket)
        return ChangeMembers(request.order, ticket)


def refusal(pending: Pending) -> Answer:
    """The answer to a request that is refused because too many wait already."""
    return Answer(pending.connection, error_reply(pending.request_id, FAULTS["TooManyRequests"]))
