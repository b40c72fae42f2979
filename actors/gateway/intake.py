"""Requests on their way in: what each becomes, which actor is told, and which are refused.

A request that waits for an answer gets a ticket. `requests` decides what a request means; Raft and
Store do what it asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from actors.gateway.audit_table import Level
from actors.gateway.decoded import (
    ChoreRequest,
    CommandRequest,
    ConsensusRequest,
    LoginRequest,
    PasswordRequest,
    QueryRequest,
    Refusal,
    SessionRequest,
    SurveyRequest,
)
from actors.gateway.fields import fault_of
from actors.gateway.held import HeldRefusals
from actors.gateway.openings import OpeningLimits, Openings
from actors.gateway.operations import TXN_OPS_MAX
from actors.gateway.passwords import COST_LOG2
from actors.gateway.requests import NO_SPACE, TOO_MANY, RequestDecoder
from actors.gateway.routes import is_envelope, way_back
from actors.gateway.stages import SessionOpening, Stages, StageSettings
from actors.gateway.throttle import Throttle
from actors.gateway.tickets import REQUESTS_NODE_MAX, Pending, Tickets
from actors.gateway.tokens import TTL_SECONDS
from actors.gateway.trail import Trail
from actors.language.auth import NODE, AuthDisable
from actors.language.codec import encode_command
from actors.language.commands import MemberPublish
from actors.language.encoding import error_reply
from actors.language.entries import Proposal
from actors.language.messages import (
    Connection,
    Defragment,
    LocalRead,
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
from cluster.faults import FAULTS, Fault

_new: Final = tuple.__new__

Named = tuple[bytes, Proposal]
"""A proposal, and the name of the connection whose turn in the throttle it takes."""


class GatewaySettings(NamedTuple):
    """What a gateway must be told.

    Tickets count up from `first_ticket`, which no earlier run may have reached: an entry of that
    run would answer a request of this one. `member list` shows `advertised_urls` as the addresses
    for clients. Only the node's own front knows `front_secret`. `resets_auth`: authentication is to
    end, because whoever may write this node's data has asked for it. `audit_level` counts only for
    a gateway with an audit log.
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
    token_ttl_seconds: int = TTL_SECONDS
    password_cost_log2: int = COST_LOG2
    front_secret: bytes = b""
    resets_auth: bool = False
    audit_level: Level = Level.AUTH

    @property
    def own(self) -> tuple[Proposal, ...]:
        """What the node itself puts into the log at its start; the last one's answer ends that."""
        member = MemberPublish(self.member_id, self.name, self.advertised_urls)
        published = encode_command(member, None, NODE)
        proposal = Proposal(self.member_id, self.first_ticket, published)
        if not self.resets_auth:
            return (proposal,)
        # With a ticket of its own: Raft keeps nothing without one while there is no leader.
        off = encode_command(AuthDisable(), None, NODE)
        return proposal, Proposal(self.member_id, self.first_ticket + 1, off)

    @property
    def of_stages(self) -> StageSettings:
        """What requests of several steps depend on."""
        return StageSettings(
            self.member_id,
            self.request_timeout_ms,
            self.token_ttl_seconds,
            self.password_cost_log2,
        )


class Answer(NamedTuple):
    """An order to send a frame to a client."""

    connection: Connection
    frame: bytes


ToTellRaft = Propose | Read | Survey
ToTellStore = (
    LocalRead | WatchOpen | WatchCancel | WatchProgress | ReadSnapshot | Defragment | NoRoom
)
Order = ToTellRaft | ToTellStore | Answer


Rare = ConsensusRequest | PasswordRequest | LoginRequest | ChoreRequest | SurveyRequest
"""The requests of which a burst has few: each is an order of its own."""


class Intake:
    """The intake of one gateway; it issues tickets, asks the throttle, and opens sessions."""

    def __init__(
        self,
        settings: GatewaySettings,
        decoder: RequestDecoder,
        tickets: Tickets,
        throttle: Throttle,
        openings: Openings,
        stages: Stages,
        trail: Trail | None = None,
    ) -> None:
        self._member_id = settings.member_id
        self._timeout_ms = settings.request_timeout_ms
        self._decoder = decoder
        self._decode = decoder.decode
        self._identities = decoder.identities
        self._quotas = decoder.quotas
        self._tickets = tickets
        self._throttle = throttle
        self._openings = openings
        self._stages = stages
        self._trail = trail
        # Refusals of users who ask for more than they may.
        self.held = HeldRefusals()

    def serve(self, *, is_learner: bool) -> None:
        """Serve everything, or only what a learner may."""
        decoder = self._decoder
        self._decode = decoder.decode_as_learner if is_learner else decoder.decode

    def take(self, frames: tuple[tuple[Connection, bytes], ...], now_ms: int) -> list[Order]:
        """The orders that a burst of frames comes to.

        All its writes are one message to Raft, and so are all its linearizable reads: one sync of
        the log, or one round of heartbeats, serves many requests.
        """
        if self._identities.are_asked:
            self._look(now_ms)
        decode, decoder = self._decode, self._decoder
        issue, waiting = self._tickets.issue, self._throttle.queues
        member_id, due_ms = self._member_id, now_ms + self._timeout_ms
        orders: list[Order] = []
        proposals: list[Named] = []
        linearizable, local = list[Question](), list[Question]()
        for route, payload in frames:
            if route[1:] and not is_envelope(route):
                fault = fault_of("a request must be one frame")
                orders.append(Answer(way_back(route), error_reply(b"", fault)))
                continue
            match decode(route, payload):
                case CommandRequest(request_id, command):
                    # The hot path: tuple.__new__ spares what a NamedTuple's constructor costs.
                    waits = _new(Pending, (route, request_id, True, due_ms, 0, None, decoder.note))
                    # While no write waits there is room. A refused write takes no ticket.
                    is_full = waiting and not self._throttle.has_room(route[0], len(command))
                    ticket = None if is_full else issue(waits)
                    if ticket is None:
                        orders.append(self._refused(waits))
                    else:
                        proposal = _new(Proposal, (member_id, ticket, command))
                        proposals.append((route[0], proposal))
                case QueryRequest(request_id, query, serializable, who):
                    waits = _new(Pending, (route, request_id, False, due_ms, 0, None, decoder.note))
                    ticket = issue(waits)
                    if ticket is None:
                        orders.append(self._refused(waits))
                    else:
                        asked = local if serializable else linearizable
                        asked.append(_new(Question, (ticket, query, who)))
                case WatchOpen() | WatchCancel() | WatchProgress() as request:
                    orders.append(request)
                case Refusal(request_id, fault):
                    orders += self._refuse(route, request_id, fault, now_ms)
                case SessionRequest(request_id, who):
                    stage = SessionOpening(0, who)
                    waits = Pending(route, request_id, True, due_ms, 0, stage, decoder.note)
                    proposals += self._open_session(waits, now_ms, orders)
                case request:
                    orders.append(self._pass_on(request, route, now_ms))
        if proposals and (admitted := self._throttle.ask(proposals)):
            orders.append(Propose(tuple(admitted)))
        if linearizable:
            orders.append(Read(tuple(linearizable)))
        if local:
            orders.append(LocalRead(tuple(local)))
        return orders

    def _look(self, now_ms: int) -> None:
        """Before a burst of requests that must say who they are from."""
        self._identities.look()
        self._quotas.now_ms = now_ms

    def let_in(
        self, openings: Iterable[Pending], now_ms: int, made: Iterable[Named] = ()
    ) -> list[Order]:
        """Propose the writes whose turn it is now, these sessions again under other ids, and what
        is made only now."""
        orders: list[Order] = []
        again: list[Named] = [*made]
        for pending in openings:
            again += self._open_session(pending, now_ms, orders)
        admitted = self._throttle.let_in()
        if again:
            admitted += self._throttle.ask(again)
        return [*orders, Propose(tuple(admitted))] if admitted else orders

    def _open_session(self, pending: Pending, now_ms: int, orders: list[Order]) -> list[Named]:
        """Propose a session under a new id, at first or because the last id was taken."""
        ticket, opening = None, pending.next
        assert isinstance(opening, SessionOpening)
        if opening.ids or self._openings.admit(pending.connection, now_ms):
            deadline_ms = now_ms + self._timeout_ms
            opening = opening._replace(ids=opening.ids + 1)
            again = pending._replace(next=opening, deadline_ms=deadline_ms)
            ticket = self._tickets.issue(again)
        if ticket is None:
            orders.append(self._refused(pending))
            return []
        command = encode_command(self._openings.command(), None, opening.principal)
        return [(pending.connection[0], Proposal(self._member_id, ticket, command))]

    def _pass_on(self, request: Rare, route: Connection, now_ms: int) -> Order:
        """The order to begin a survey or a chore, or what takes several steps."""
        if isinstance(request, ConsensusRequest | PasswordRequest | LoginRequest):
            begun = self._stages.begin(request, route, now_ms, self._decoder.note)
            return Read((begun,)) if isinstance(begun, Question) else self._refused(begun)
        deadline_ms, note = now_ms + self._timeout_ms, self._decoder.note
        pending = Pending(route, request.request_id, False, deadline_ms, note=note)
        ticket = self._tickets.issue(pending)
        if ticket is None:
            return self._refused(pending)
        if isinstance(request, SurveyRequest):
            return Survey(ticket, principal=request.principal)
        # A copy or a defragmentation may take minutes, far beyond the timeout of a request.
        self._tickets.give_time((ticket,), now_ms)
        return request.work._replace(ticket=ticket)

    def _refuse(
        self, route: Connection, request_id: bytes, fault: Fault, now_ms: int
    ) -> tuple[Order, ...]:
        """The orders for the last request, which is refused; it may have been no request at all."""
        if self._trail is not None and self._decoder.note is not None:
            self._trail.failed(self._decoder.note, fault)
        frame = error_reply(request_id, fault)
        if fault is TOO_MANY and self.held.maybe_hold(route, frame, now_ms):
            return ()
        # Store must know: a refusal near the quota raises the alarm.
        more = (NoRoom(),) if fault is NO_SPACE else ()
        return Answer(route, frame), *more

    def _refused(self, pending: Pending) -> Answer:
        if self._trail is not None and pending.note is not None:
            self._trail.failed(pending.note, FAULTS["TooManyRequests"])
        return refusal(pending)


def refusal(pending: Pending) -> Answer:
    """The answer to a request that is refused because too many wait already."""
    return Answer(pending.connection, error_reply(pending.request_id, FAULTS["TooManyRequests"]))
