"""GatewayActor: the clients' socket; it routes requests into the ring and answers back out of it.

It owns the tickets: which request waits, on which connection, and until when. What a request means
is decided in `requests`, what a reply looks like in `replies`, and what happens by the neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, assert_never

from actors.gateway.admission import Admission
from actors.gateway.fields import fault_of
from actors.gateway.newcomers import LeaseGrants, Newcomers
from actors.gateway.openings import OpeningLimits, Openings, RandomBits
from actors.gateway.operations import TXN_OPS_MAX, Transfer
from actors.gateway.outbox import Door, Outbox
from actors.gateway.publication import Publication
from actors.gateway.reception import Reception
from actors.gateway.replies import ReplyEncoder
from actors.gateway.requests import (
    NO_SPACE,
    Chore,
    Directive,
    Inquiry,
    Opening,
    Refusal,
    RequestDecoder,
    Write,
)
from actors.gateway.routes import is_envelope, way_back
from actors.gateway.tickets import REQUESTS_NODE_MAX, Pending, Tickets
from actors.language.codec import encode_command
from actors.language.commands import MemberPublish, SessionOpen
from actors.language.encoding import error_reply
from actors.language.entries import Proposal
from actors.language.members import AddMember, Change, ReplaceMember
from actors.language.messages import (
    ChangeMembers,
    ClientFrames,
    Congestion,
    Connection,
    ConnectionGone,
    Deliver,
    Drained,
    Failed,
    Leadership,
    Lengthy,
    LocalRead,
    Moved,
    MoveLeader,
    Propose,
    Question,
    Read,
    Refused,
    Replies,
    Room,
    Tick,
    Ticket,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.language.results import Result
from actors.runtime.base import Clock, NodeActor, send
from cluster.errors import FAULTS, Fault

CHORES_LOOK_MS: Final = 1_000

BACKLOG_RETRY_MS: Final = 5

LARGE_ANSWER_BYTES: Final = 16 * 1024
"""An answer from this size on is refused while too much waits for clients that do not read."""

SLOW_READER: Final = "leasehold: the client reads its events too slowly"

GatewayMessage = (
    ClientFrames
    | Replies
    | Deliver
    | Drained
    | Tick
    | Failed
    | Leadership
    | Lengthy
    | Room
    | Moved  # hottest first
)


Named = tuple[bytes, Proposal]
"""A proposal, and the name of the connection whose turn it takes."""


class GatewaySettings(NamedTuple):
    """What a gateway must be told; tickets count up from `first_ticket`, unique over restarts.

    Clients reach this member at `advertised_urls`, as `member list` will say.
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


class GatewayActor(NodeActor):
    """Between clients and the ring.

    `open_door` makes the socket, in the actor's thread; `wall_ms` is what the wall clock shows now,
    and goes into the ids of leases and members made here; `random_bits` chooses those of sessions.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        open_door: Callable[[], Door],
        clock: Clock,
        wall_ms: int,
        random_bits: RandomBits,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._open_door = open_door
        self._clock = clock
        grants = LeaseGrants(settings.member_id, wall_ms, settings.lease_ttl_ms_min)
        wall_offset_ms = wall_ms - clock()
        newcomers = Newcomers(settings.cluster_token, lambda: (clock() + wall_offset_ms) // 1_000)
        self._decoder = RequestDecoder(
            grants, newcomers, settings.request_bytes_max, settings.txn_ops_max
        )
        self._decode = self._decoder.decode
        self._encoder = ReplyEncoder(
            settings.cluster_id, settings.member_id, settings.version, settings.quota_bytes
        )
        member = MemberPublish(settings.member_id, settings.name, settings.advertised_urls)
        self._own = self._proposal(settings.first_ticket, member)
        self._publication = Publication(clock())
        self._tickets = Tickets(settings.first_ticket + 1, settings.requests_max)
        self._admission: Admission[Proposal] = Admission()
        self._openings = Openings(random_bits, settings.opening_limits)
        # Connections whose watches are being ended: events on their way to them must not be sent.
        self._ending: set[Connection] = set()
        self._door: Door | None = None

    def open(self) -> None:
        self._door = self._open_door()
        self._outbox = Outbox(self._door)
        self.mailbox.attach(self._door, ClientFrames)
        self._reception = Reception(self._door, self._clock)
        self._arm()

    def close(self) -> None:
        if self._door is not None:
            self._fail(tuple(self._tickets), FAULTS["Stopped"], outcome_unknown=True)
            self._door.close()
            self._door = None

    def receive(self, message: GatewayMessage) -> None:
        match message:
            case ClientFrames(frames):
                self._take(frames)
            case Replies(replies):
                self._answer(replies)
            case Deliver(frames, ended):
                self._ending.difference_update(ended)
                self._deliver(frames)
            case Drained():
                pass
            case Tick(now_ms):
                self._on_tick(now_ms)
            case Failed(tickets, failure, outcome_unknown):
                self._fail(tickets, FAULTS[failure.name], outcome_unknown=outcome_unknown)
            case Leadership(term=term, is_learner=is_learner):
                self._encoder.set_term(term)
                decoder = self._decoder
                self._decode = decoder.decode_as_learner if is_learner else decoder.decode
            case Lengthy(tickets):
                self._tickets.give_time(tickets, self._clock())
            case Room(room):
                self._decoder.room = room
            case Moved(ticket):
                self._moved(ticket)
            case _:
                assert_never(message)
        self._arm()

    # --- requests in ---

    def _take(self, frames: tuple[tuple[Connection, bytes], ...]) -> None:
        decode = self._decode
        member_id = self._settings.member_id
        deadline_ms = self._clock() + self._settings.request_timeout_ms
        proposals: list[Named] = []
        linearizable: list[Question] = []
        local: list[Question] = []
        for route, payload in frames:
            if len(route) > 1 and not is_envelope(route):
                fault = fault_of("a request must be one frame")
                self._send(way_back(route), error_reply(b"", fault))
                continue
            match decode(route, payload):
                case Write(request_id, command):
                    pending = Pending(route, request_id, True, deadline_ms)
                    if not self._admission.has_room(route[0], len(command)):
                        self._refuse(pending)
                        continue
                    ticket = self._ticket(pending)
                    if ticket is not None:
                        proposals.append((route[0], Proposal(member_id, ticket, command)))
                case Inquiry(request_id, query, serializable):
                    ticket = self._ticket(Pending(route, request_id, False, deadline_ms))
                    if ticket is not None:
                        asked = local if serializable else linearizable
                        asked.append(Question(ticket, query))
                case WatchOpen() | WatchCancel() | WatchProgress() as request:
                    send(self.ring.store, request)
                case Refusal(request_id, fault):
                    self._send(route, error_reply(request_id, fault))
                    if fault is NO_SPACE:
                        send(self.ring.store, Refused())
                case Opening(request_id):
                    proposals += self._open_session(Pending(route, request_id, True, deadline_ms))
                case Directive(request_id, order):
                    self._direct(Pending(route, request_id, True, deadline_ms), order)
                case Chore() as chore:
                    self._do(chore, route)
                case request:
                    assert_never(request)
        # One message for the burst: each one told may cost a wake-up.
        if proposals:
            self._propose(self._admission.ask(proposals))
        if linearizable:
            send(self.ring.raft, Read(tuple(linearizable)))
        if local:
            send(self.ring.store, LocalRead(tuple(local)))

    def _propose(self, proposals: list[Proposal]) -> None:
        if proposals:
            send(self.ring.raft, Propose(tuple(proposals)))

    def _open_session(self, pending: Pending) -> list[Named]:
        """Propose a session under an id of its own, or under another one if that was taken."""
        now_ms = self._clock()
        if not pending.ids and not self._openings.admit(pending.connection, now_ms):
            self._refuse(pending)
            return []
        deadline_ms = now_ms + self._settings.request_timeout_ms
        ticket = self._ticket(pending._replace(ids=pending.ids + 1, deadline_ms=deadline_ms))
        if ticket is None:
            return []
        return [(pending.connection[0], self._proposal(ticket, self._openings.command()))]

    def _proposal(self, ticket: Ticket, command: SessionOpen | MemberPublish) -> Proposal:
        return Proposal(self._settings.member_id, ticket, encode_command(command, None))

    def _direct(self, pending: Pending, order: Change | Transfer) -> None:
        """Have consensus do something: it has one thing of the kind under way at a time."""
        if isinstance(order, AddMember | ReplaceMember):
            pending = pending._replace(added=order.peer.id)
        ticket = self._ticket(pending)
        if ticket is None:
            return
        if isinstance(order, Transfer):
            send(self.ring.raft, MoveLeader(order.target, ticket))
        else:
            send(self.ring.raft, ChangeMembers(order, ticket))

    def _do(self, chore: Chore, route: Connection) -> None:
        """Have the store work on its files; it answers when that is done."""
        ticket = self._ticket(Pending(route, chore.request_id, False, self._clock()))
        if ticket is not None:
            self._tickets.give_time((ticket,), self._clock())
            send(self.ring.store, chore.work._replace(ticket=ticket))

    def _ticket(self, pending: Pending) -> Ticket | None:
        """A ticket for the request, or None when it was refused because too many wait."""
        ticket = self._tickets.issue(pending)
        if ticket is None:
            self._refuse(pending)
        return ticket

    def _refuse(self, pending: Pending) -> None:
        refusal = error_reply(pending.request_id, FAULTS["TooManyRequests"])
        self._send(pending.connection, refusal)

    # --- answers out ---

    def _answer(self, replies: tuple[tuple[Ticket, Result], ...]) -> None:
        take = self._tickets.take
        done = self._admission.done
        again: list[Named] = []
        for ticket, result in replies:
            pending = take(ticket)
            done(ticket)
            # No request: it has timed out, or Raft has given it up, and its client was told.
            if pending is None:
                if ticket == self._own.ticket:
                    self._publication.done()
            elif pending.ids and self._openings.is_worth_another(result, pending.ids):
                again += self._open_session(pending)
            else:
                self._send_answer(pending, result)
        self._propose([*self._admission.let_in(), *self._admission.ask(again)])

    def _send_answer(self, pending: Pending, result: Result) -> None:
        """Answer, or refuse to where that is large; what is done cannot be refused any more."""
        connection, request_id, mutates, _, added, _ = pending
        frame = self._encoder.encode(request_id, result, added)
        size = len(frame)
        if size < LARGE_ANSWER_BYTES or mutates or self._outbox.has_room(size):
            self._send(connection, frame)
        else:
            self._refuse(pending)

    def _moved(self, ticket: Ticket) -> None:
        pending = self._tickets.take(ticket)
        if pending is not None:
            self._send(pending.connection, self._encoder.encode_moved(pending.request_id))

    def _fail(self, tickets: tuple[Ticket, ...], fault: Fault, *, outcome_unknown: bool) -> None:
        for ticket in tickets:
            pending = self._tickets.take(ticket)
            was_waiting = self._admission.done(ticket)
            if pending is not None:
                unknown = outcome_unknown and pending.mutates and not was_waiting
                frame = error_reply(pending.request_id, fault, outcome_unknown=unknown)
                self._send(pending.connection, frame)
        self._propose(self._admission.let_in())

    def _deliver(self, frames: tuple[tuple[Connection, bytes], ...]) -> None:
        ending = self._ending
        for connection, frame in frames:
            # Left out: after a dropped frame the next one would be a gap in the client's events.
            if connection in ending:
                continue
            if self._send(connection, frame) is None:
                self._end_watches(connection, "")
        if self._outbox.turned:
            self._tell_congestion()

    def _tell_congestion(self) -> None:
        for connection, is_congested in self._outbox.take_turned():
            send(self.ring.store, Congestion(connection, is_congested))

    def _send(self, connection: Connection, frame: bytes) -> bool | None:
        sent = self._outbox.send(connection, frame)
        if sent is False:
            self._end_watches(connection, SLOW_READER)
        return sent

    def _end_watches(self, connection: Connection, reason: str) -> None:
        if connection not in self._ending:
            self._ending.add(connection)
            send(self.ring.store, ConnectionGone(connection, reason))

    # --- time ---

    def _on_tick(self, now_ms: int) -> None:
        self._fail(self._tickets.overdue(now_ms), FAULTS["Timeout"], outcome_unknown=True)
        for connection in self._outbox.retry():
            self._end_watches(connection, "")
        if self._outbox.turned:
            self._tell_congestion()
        if self._publication.maybe_due(now_ms):
            send(self.ring.raft, Propose((self._own,)))
        for connection in self._reception.gone(now_ms):
            self._end_watches(connection, "")

    def _arm(self) -> None:
        """Ask to be woken for the oldest request's deadline, and soon while a client is slow."""
        # A wake-up that is already set is for an older request or a slow client: it comes first.
        deadline_ms = self._tickets.next_deadline_ms
        if deadline_ms is not None and self.mailbox.next_wake_ms is None:
            self.mailbox.wake_at(deadline_ms)
        if self._reception.due_ms is not None:
            self.mailbox.wake_at(self._reception.due_ms)
        if self._tickets.has_chores:
            self.mailbox.wake_at(self._clock() + CHORES_LOOK_MS)
        if self._publication.due_ms is not None:
            self.mailbox.wake_at(self._publication.due_ms)
        if self._outbox.waiting:
            self.mailbox.wake_at(self._clock() + BACKLOG_RETRY_MS)
