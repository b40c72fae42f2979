"""Requests that take more than one step: what follows each step, until they are answered.

To change members or to hand over, and to hash a password, the store is asked first whether that is
allowed. To log in, it is asked for the hash of the password. Passwords are hashed and checked in a
thread. Refuses to know what is allowed, and how a hash is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol, assert_never

from actors.gateway.decoded import ConsensusRequest, LoginRequest, PasswordRequest
from actors.gateway.desk import NewPassword, PasswordCheck, PasswordDesk, PasswordJob
from actors.gateway.openings import RandomBits
from actors.gateway.passwords import COST_LOG2, SALT_BYTES, hash_of_none
from actors.gateway.tickets import Pending, Tickets
from actors.gateway.tokens import Token, seal
from actors.gateway.users import LoginAttempt, Passworded
from actors.language.audit import Note
from actors.language.auth import NODE, Principal, UserSecret
from actors.language.codec import encode_command
from actors.language.commands import Sequence
from actors.language.entries import Proposal
from actors.language.members import (
    AddMember,
    MemberChange,
    PromoteMember,
    RemoveMember,
    ReplaceMember,
    SetKeys,
    Transfer,
    UpdateMember,
)
from actors.language.messages import ChangeMembers, Connection, MoveLeader, Question, Ticket
from actors.language.queries import Permit
from actors.language.results import Authenticated, Failure, Result, UserSecretDone

TOO_MANY: Final = Failure("TooManyRequests")


class SessionOpening(NamedTuple):
    """A session is being opened, for somebody; `ids` were tried."""

    ids: int
    principal: Principal


class Hashing(NamedTuple):
    """A password is hashed when the store allows that, and then its command is proposed."""

    made: Passworded
    sequence: Sequence | None
    principal: Principal


class Checking(NamedTuple):
    """A password is checked against what the store knows of its user."""

    name: str
    known: UserSecretDone


Stage = SessionOpening | Hashing | LoginAttempt | Checking | MemberChange | Transfer
"""What comes next for a request that waits."""


class StageSettings(NamedTuple):
    """What a gateway must be told; a token lives for `token_ttl_seconds`."""

    member_id: int
    timeout_ms: int
    token_ttl_seconds: int
    cost_log2: int = COST_LOG2


class ToPropose(NamedTuple):
    """A command is made: this proposal, of a request on this connection, is for the log."""

    name: bytes
    proposal: Proposal


class Reply(NamedTuple):
    """A request has its answer."""

    pending: Pending
    result: Result


class Outcome(NamedTuple):
    """What follows, if anything; and how many wrong passwords the name has had now, in a row."""

    step: ToPropose | Reply | None
    name: str
    wrong: int


class Computing(Protocol):
    """What computes beside the loop, one thing at a time (runtime.beside)."""

    def begin(self, compute: Callable[[], Any], done: Callable[[], None]) -> None:
        """Compute something, and call `done` at the end."""

    def take(self) -> Any:
        """What was computed."""


Next = ChangeMembers | MoveLeader | ToPropose | Reply


class Stages:
    """The requests of one gateway that take more than one step.

    `now_seconds` is the time since 1970. What passwords need is computed by `beside`; when one is
    done, `done` is called, by any thread: then call `computed`.
    """

    def __init__(
        self,
        settings: StageSettings,
        tickets: Tickets,
        random_bits: RandomBits,
        now_seconds: Callable[[], int],
        beside: Computing,
        done: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._tickets = tickets
        self._random_bits = random_bits
        self._now_seconds = now_seconds
        self._hash_of_none = hash_of_none(settings.cost_log2)
        self._beside = beside
        self._done = done
        self._desk = PasswordDesk()
        # The passwords that wait for their turn.
        self.waiting: Final = self._desk.waiting
        self._job: PasswordJob | None = None

    def begin(
        self,
        request: PasswordRequest | LoginRequest | ConsensusRequest,
        route: Connection,
        now_ms: int,
        note: Note | None = None,
    ) -> Question | Pending:
        """What the store is asked first; or the request itself, if too many wait."""
        deadline_ms = now_ms + self._settings.timeout_ms
        pending = Pending(route, request.request_id, False, deadline_ms, note=note)
        question: tuple[UserSecret | Permit, Principal]
        match request:
            case LoginRequest(_, login):
                pending = pending._replace(next=login)
                question = UserSecret(login.name), NODE
            case PasswordRequest(_, made, sequence, principal):
                pending = pending._replace(next=Hashing(made, sequence, principal))
                question = Permit(made.command), principal
            case ConsensusRequest(_, order, principal):
                pending = pending._replace(next=order)
                question = Permit(order), principal
            case _:
                assert_never(request)
        ticket = self._tickets.issue(pending)
        return pending if ticket is None else Question(ticket, *question)

    def answered(self, pending: Pending, result: Result, now_ms: int) -> Next | None:
        """What follows when the store has answered; None: the password waits for its turn."""
        stage, timeout_ms = pending.next, self._settings.timeout_ms
        if isinstance(result, Failure):
            return Reply(pending, result)
        pending = pending._replace(deadline_ms=now_ms + timeout_ms)
        match stage:
            case LoginAttempt(name, password):
                assert isinstance(result, UserSecretDone), "UserSecret has this answer"
                if result.user_id and not result.password:
                    return Reply(pending, Failure("NoPasswordUser"))
                hashed = result.password or self._hash_of_none
                check = PasswordCheck(name, password, hashed)
                return self._to_desk(pending._replace(next=Checking(name, result)), check)
            case Hashing(made):
                salt = self._random_bits(8 * SALT_BYTES).to_bytes(SALT_BYTES)
                make = NewPassword(made.password, salt, self._settings.cost_log2)
                return self._to_desk(pending, make)
            case SetKeys(member_id) if member_id != self._settings.member_id:
                # The secret half of a member's next key must not leave its machine.
                return Reply(pending, Failure("NotThisMember"))
            case AddMember() | ReplaceMember():
                return self._to_raft(pending._replace(added=stage.peer.id), stage)
            case RemoveMember() | UpdateMember() | PromoteMember() | SetKeys() | Transfer():
                return self._to_raft(pending, stage)
            case _:
                return Reply(pending, result)

    def _to_desk(self, pending: Pending, work: PasswordCheck | NewPassword) -> Reply | None:
        ticket = self._tickets.issue(pending)
        if ticket is None:
            return Reply(pending, TOO_MANY)
        if not self._desk.maybe_take_in(PasswordJob(ticket, work)):
            self._tickets.take(ticket)
            return Reply(pending, TOO_MANY)
        return None

    def _to_raft(
        self, pending: Pending, order: MemberChange | Transfer
    ) -> ChangeMembers | MoveLeader | Reply:
        ticket = self._tickets.issue(pending._replace(mutates=True, next=None))
        if ticket is None:
            return Reply(pending, TOO_MANY)
        if isinstance(order, Transfer):
            return MoveLeader(order.target, ticket)
        return ChangeMembers(order, ticket)

    def due_ms(self) -> int | None:
        """When to call `work`; None if no password waits, or one is under way."""
        return self._desk.due_ms() if self._job is None else None

    def work(self, now_ms: int) -> None:
        """Begin with the password whose turn it is, if none is under way."""
        if self._job is None and (job := self._desk.next(now_ms)) is not None:
            self._job = job
            self._beside.begin(job.work.compute, self._done)

    def computed(self, now_ms: int) -> Outcome:
        """What follows when a password is hashed, or checked."""
        assert self._job is not None, "one is under way"
        job, outcome, self._job = self._job, self._beside.take(), None
        wrong = 0
        if isinstance(job.work, PasswordCheck):
            wrong = self._desk.checked(job.work.name, now_ms, is_right=outcome is True)
        step = self._after(job, outcome)
        self.work(now_ms)
        return Outcome(step, job.work.name if isinstance(job.work, PasswordCheck) else "", wrong)

    def _after(self, job: PasswordJob, outcome: bool | bytes) -> ToPropose | Reply | None:
        """None if its request has timed out."""
        pending = self._tickets.take(job.ticket)
        if pending is None:
            return None
        match pending.next:
            case Hashing(made, sequence, principal):
                assert type(outcome) is bytes
                command = made.command._replace(password=outcome)
                return self._to_log(pending, encode_command(command, sequence, principal))
            case Checking(_, known) if outcome is True and known.user_id:
                ttl_seconds = self._settings.token_ttl_seconds
                ends_s = self._now_seconds() + ttl_seconds
                text = seal(known.secret, Token(known.user_id, known.auth_revision, ends_s))
                return Reply(pending, Authenticated(known.revision, text, ttl_seconds))
            case _:
                return Reply(pending, Failure("AuthFailed"))

    def _to_log(self, pending: Pending, command: bytes) -> ToPropose | Reply:
        ticket: Ticket | None = self._tickets.issue(pending._replace(mutates=True, next=None))
        if ticket is None:
            return Reply(pending, TOO_MANY)
        proposal = Proposal(self._settings.member_id, ticket, command)
        return ToPropose(pending.connection[0], proposal)
