"""GatewayActor: the clients' socket; it routes requests into the ring and answers back out of it.

`intake` decides what each request becomes, and which have to wait or are refused. `replies` makes
the bytes of an answer. Raft, Store and Watch do what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, assert_never

from actors.gateway.answers import Answers
from actors.gateway.departures import Departures
from actors.gateway.identities import Identities
from actors.gateway.intake import Answer, GatewaySettings, Intake, Order
from actors.gateway.newcomers import LeaseGrants, Newcomers
from actors.gateway.openings import Openings, RandomBits, is_worth_another
from actors.gateway.outbox import ClientOutbox, Door
from actors.gateway.publication import Publication
from actors.gateway.reception import Reception
from actors.gateway.replies import ReplyEncoder
from actors.gateway.requests import RequestDecoder
from actors.gateway.room import RoomToSend
from actors.gateway.stages import Next, Reply, SessionOpening, Stages, ToPropose
from actors.gateway.throttle import Throttle
from actors.gateway.tickets import Pending, Tickets
from actors.gateway.tokens import SECRET_BYTES
from actors.gateway.trail import AuditLog, Trail
from actors.language.audit import WatchAnswered
from actors.language.auth import AuthNews
from actors.language.inboxes import ToGateway
from actors.language.messages import (
    Apply,
    ClientFrames,
    Computed,
    Congestion,
    Connection,
    Deliver,
    Failed,
    Leadership,
    Lengthy,
    Moved,
    Propose,
    Read,
    Replies,
    Room,
    RoomToTell,
    Tick,
    Ticket,
)
from actors.language.metrics import GatewayMetrics, Survey
from actors.language.results import Result
from actors.runtime.base import Clock, NodeActor, log
from actors.runtime.beside import Beside
from actors.runtime.system import System
from cluster.faults import FAULTS, Fault
from cluster.logs import complain, tell
from cluster.visitors import SLOW_MS, UNREAD_BYTES_MAX, ClosedForCause, Gone

CHORES_LOOK_MS: Final = 1_000
"""How often to look for long work whose time is over."""

BACKLOG_RETRY_MS: Final = 5
"""How soon to send again to a slow client: a ROUTER does not say when one peer's queue has room."""

SLOW_READER: Final = "leasehold: the client reads its events too slowly"
"""The reason that ends a client's watches when its backlog was dropped."""


class GatewayActor(NodeActor):
    """Carries clients' requests into the ring, and answers and events back to the clients.

    `open_door` makes the socket, in the actor's thread. `system` has the wall clock: its time is in
    the ids of leases and members made here. `random_bits` chooses the ids of sessions.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        open_door: Callable[[], Door],
        clock: Clock,
        system: System,
        random_bits: RandomBits,
        beside: Beside,
        audit_log: AuditLog | None = None,
    ) -> None:
        super().__init__()
        self._open_door = open_door
        self._clock = clock
        self._system, wall_ms = system, system.wall_ms()
        grants = LeaseGrants(settings.member_id, wall_ms, settings.lease_ttl_ms_min)
        # The wall clock was read once: from then on time only goes forward, with the node's clock.
        wall_offset_ms = wall_ms - clock()

        def now_seconds() -> int:
            return (clock() + wall_offset_ms) // 1_000

        def computed() -> None:
            self.mailbox.tell(Computed())

        ttl_seconds, secret = settings.token_ttl_seconds, settings.front_secret
        identities = self._identities = Identities(now_seconds, ttl_seconds, secret)
        trail = self._trail = _trail_of(settings, identities, audit_log)
        self._decoder = RequestDecoder(
            grants,
            Newcomers(settings.cluster_token, now_seconds),
            settings.request_bytes_max,
            lambda: random_bits(8 * SECRET_BYTES).to_bytes(SECRET_BYTES),
            identities,
            settings.txn_ops_max,
            trail,
        )
        told = (settings.version, settings.request_bytes_max, settings.quota_bytes)
        self._encoder = ReplyEncoder(settings.cluster_id, settings.member_id, *told)
        self._own, self._resets_auth = settings.own, settings.resets_auth
        self._tickets = Tickets(self._own[-1].ticket + 1, settings.requests_max)
        self._throttle = Throttle()
        self._openings = Openings(random_bits, settings.opening_limits)
        staged = settings.of_stages
        self._stages = Stages(staged, self._tickets, random_bits, now_seconds, beside, computed)
        self._beside = beside
        intake = (self._decoder, self._tickets, self._throttle, self._openings, self._stages)
        self._intake = Intake(settings, *intake, trail)
        self._publication = Publication(clock())
        self._urls = ", ".join(settings.advertised_urls)
        self._departures = Departures()
        # Requests that were answered with an error because nobody else could answer them.
        self._failed_changes = self._failed_reads = 0
        self._door: Door | None = None

    def open(self) -> None:
        # A ZeroMQ socket belongs to the thread that makes it: so here, and not in __init__.
        door = self._door = self._open_door()
        outbox = self._outbox = ClientOutbox(door)
        self._answers = Answers(self._encoder, self._send, outbox.has_room, self._trail)
        self._room = RoomToSend(self._outbox, UNREAD_BYTES_MAX, SLOW_MS)
        self.mailbox.attach(door, ClientFrames)
        self._identities.keys = door.keys
        if self._trail is not None:
            self._trail.address_of = door.address_of
            if self._resets_auth:
                self._trail.reset()
        self._reception = Reception(door.look, door.look_ms, self._clock())
        self._arm()

    def close(self) -> None:
        if self._door is not None:
            self._fail(tuple(self._tickets), FAULTS["Stopped"], outcome_unknown=True)
            for connection, frame in self._intake.held.all():
                self._send(connection, frame)
            self._flush()
            self._door.close()
            self._door = None
        self._beside.close()
        if self._trail is not None:
            self._trail.log.close()

    def receive(self, message: ToGateway) -> None:
        match message:
            case ClientFrames(frames):
                self._carry_out(self._intake.take(frames, self._clock()))
            case Replies(replies):
                self._answer(replies)
            case Deliver(frames, ended, asks):
                self._departures.confirmed(ended)
                self._deliver(frames)
                if asks:
                    self._flush()
                    self._room.ask(self._clock())
                    self._look_for_room(self._clock())
            case Tick(now_ms):
                self._on_tick(now_ms)
            case Failed(tickets, failure, outcome_unknown):
                self._fail(tickets, FAULTS[failure.name], outcome_unknown=outcome_unknown)
            case Leadership(term=term, is_learner=is_learner):
                self._encoder.set_term(term)
                self._intake.serve(is_learner=is_learner)
            case Lengthy(tickets):
                self._tickets.give_time(tickets, self._clock())
            case Room(room):
                self._decoder.room = room
            case Moved(ticket):
                self._moved(ticket)
            case AuthNews():
                self._identities.learn(message)
                self._decoder.quotas.learn(message)
            case Computed():
                self._computed()
            case WatchAnswered():
                if self._trail is not None:
                    self._trail.watch_answered(message)
            case Survey():
                self._end_survey(message)
            case _:
                assert_never(message)
        if self._outbox.gathered or self._outbox.turned:
            self._flush()
        self._arm()

    def _carry_out(self, orders: Iterable[Order]) -> None:
        """Send refusals to clients, and everything else to Raft or Store."""
        for order in orders:
            match order:
                case Propose() | Read() | Survey():
                    self.ring.raft.tell(order)
                case Answer(connection, frame):
                    self._send(connection, frame)
                case _:
                    self.ring.store.tell(order)

    # --- answers out ---

    def _answer(self, replies: tuple[tuple[Ticket, Result], ...]) -> None:
        take, done = self._tickets.take, self._throttle.done
        staged: list[tuple[Pending, Result]] = []
        for ticket, result in replies:
            pending = take(ticket)
            # A write counts as under way until it is applied, even if its client waits no longer.
            if pending is None or pending.mutates:
                done(ticket)
            # Without a request it has timed out, or Raft has given it up: its client was told then.
            if pending is None:
                if ticket == self._own[-1].ticket:
                    self._tell_serving()
            elif pending.next is None:
                self._answers.give(pending, result)
            else:
                staged.append((pending, result))
        if staged:
            self._go_on(staged)
        elif self._throttle.queues:
            self._carry_out(self._intake.let_in((), self._clock()))

    def _go_on(self, staged: list[tuple[Pending, Result]]) -> None:
        """Requests that take more than one step have the answer to one of them."""
        again: list[Pending] = []
        for pending, result in staged:
            opening = pending.next
            if isinstance(opening, SessionOpening) and is_worth_another(result, opening.ids):
                again.append(pending)
            else:
                self._follow(self._stages.answered(pending, result, self._clock()))
        self._carry_out(self._intake.let_in(again, self._clock()))
        self._stages.work(self._clock())

    def _follow(self, step: Next | None) -> None:
        match step:
            case None:
                pass
            case Reply(pending, result):
                self._answers.give(pending, result)
            case ToPropose(name, proposal):
                self._carry_out(self._intake.let_in((), self._clock(), [(name, proposal)]))
            case _:
                self.ring.raft.tell(step)

    def _computed(self) -> None:
        """A password is hashed, or checked."""
        step, name, wrong = self._stages.computed(self._clock())
        if wrong:
            text = f"a wrong password, or none, for user {name!r}: {wrong} in a row"
            complain(log, f"wrong password {name}", text)
        self._follow(step)

    def _tell_serving(self) -> None:
        """The others know this member: it has applied what it published of itself."""
        took_ms = self._publication.done(self._clock())
        if took_ms is not None:
            text = f"serves clients on {self._urls}, {took_ms} ms after its start"
            tell("serving", text, took_ms=took_ms)

    def _moved(self, ticket: Ticket) -> None:
        pending = self._tickets.take(ticket)
        if pending is not None:
            self._answers.tell_moved(pending)

    def _end_survey(self, survey: Survey) -> None:
        """A survey has come round the ring: add this actor's part, and answer."""
        pending = self._tickets.take(survey.ticket)
        if pending is None:
            return  # it has timed out
        loop = self.mailbox.loop
        own = GatewayMetrics(
            turns=loop.turns,
            turns_over_budget=loop.overruns.count,
            slow_applies=loop.overruns.alarming[Apply],
            requests_under_way=self._tickets.count,
            proposals_pending=self._tickets.count_changes(),
            proposals_failed=self._failed_changes,
            read_indexes_failed=self._failed_reads,
            pending_events=self._outbox.count(),
            audit_records_lost=0 if self._trail is None else self._trail.log.lost,
            wall_ms=self._system.wall_ms(),
            resident_bytes=self._system.resident_bytes(),
        )
        self._answers.tell_counted(pending, survey, own)

    def _fail(self, tickets: tuple[Ticket, ...], fault: Fault, *, outcome_unknown: bool) -> None:
        for ticket in tickets:
            pending = self._tickets.take(ticket)
            was_waiting = self._throttle.done(ticket)
            if pending is not None:
                if pending.mutates:
                    self._failed_changes += 1
                else:
                    self._failed_reads += 1
                # A proposal that still waited for its turn never reached the log.
                is_unknown = outcome_unknown and pending.mutates and not was_waiting
                self._answers.fail(pending, fault, is_unknown=is_unknown)
        self._carry_out(self._intake.let_in((), self._clock()))

    def _deliver(self, frames: tuple[tuple[Connection, bytes], ...]) -> None:
        leaving = self._departures.connections
        for connection, frame in frames:
            # Its backlog was dropped: a frame after that would leave a gap in the client's events.
            if connection in leaving:
                continue
            if self._send(connection, frame) is None:
                self._end_watches(connection, "")

    def _look_for_room(self, now_ms: int) -> None:
        """Let Watch go on if there is room for it; if there was none for long, make some."""
        if self._room.is_there(now_ms):
            self.ring.store.tell(RoomToTell())
        for connection in self._room.overdue(now_ms):
            self._outbox.drop(connection)
            self._end_watches(connection, SLOW_READER)

    def _send(self, connection: Connection, frame: bytes) -> bool | None:
        sent = self._outbox.send(connection, frame)
        if sent is False:
            self._end_watches(connection, SLOW_READER)
        return sent

    def _flush(self) -> None:
        """Send what has gathered; tell Watch which clients read slowly, and which no longer do."""
        for connection, sent in self._outbox.send_batches():
            self._end_watches(connection, SLOW_READER if sent is False else "")
        for connection, is_congested in self._outbox.take_turned():
            self.ring.store.tell(Congestion(connection, is_congested))

    def _end_watches(self, connection: Connection, reason: str) -> None:
        for gone in self._departures.begin(connection, reason):
            self.ring.store.tell(gone)

    # --- time ---

    def _on_tick(self, now_ms: int) -> None:
        if self._answers.long_answers.under_way:
            self._answers.work(self._clock)
        self._fail(self._tickets.overdue(now_ms), FAULTS["Timeout"], outcome_unknown=True)
        for connection, frame in self._intake.held.due(now_ms):
            self._send(connection, frame)
        for connection in self._outbox.retry():
            self._end_watches(connection, "")
        self._look_for_room(now_ms)
        self._stages.work(now_ms)
        if self._publication.maybe_due(now_ms):
            self.ring.raft.tell(Propose(self._own))
        for news in self._reception.news(now_ms):
            match news:
                case Gone(name):
                    self._end_watches((name,), "")
                case ClosedForCause(reason, address):
                    log.warning("%s, from %s", reason, address or "an unknown address")

    def _arm(self) -> None:
        """Ask to be woken for the oldest request's deadline, and soon while a client is slow."""
        # The hot path: a wake-up that is set already is for an older request or a slow client, and
        # comes before this deadline.
        if self.mailbox.next_wake_ms is None:
            deadline_ms = self._tickets.next_deadline_ms
            if deadline_ms is not None:
                self.mailbox.wake_at(deadline_ms)
        if self._reception.due_ms is not None:
            self.mailbox.wake_at(self._reception.due_ms)
        if self._tickets.chores:
            self.mailbox.wake_at(self._clock() + CHORES_LOOK_MS)
        if (due_ms := self._intake.held.due_ms) is not None:
            self.mailbox.wake_at(due_ms)
        if self._publication.due_ms is not None:
            self.mailbox.wake_at(self._publication.due_ms)
        if self._room.due_ms is not None:
            self.mailbox.wake_at(self._room.due_ms)
        if self._outbox.backlogs:
            self.mailbox.wake_at(self._clock() + BACKLOG_RETRY_MS)
        if self._answers.long_answers.under_way:
            self.mailbox.wake_at(self._clock())
        if self._stages.waiting and (due_ms := self._stages.due_ms()) is not None:
            self.mailbox.wake_at(due_ms)


def _trail_of(
    settings: GatewaySettings, identities: Identities, audit_log: AuditLog | None
) -> Trail | None:
    if audit_log is None:
        return None
    return Trail(audit_log, settings.audit_level, identities, settings.front_secret)
