"""The calls of one client: where each is sent, what a failure means, and when to try again.

Pure: the part of the client's core that its other parts use. Inputs are calls, replies, and
connections that come up or go down; outputs are the lists `sends`, `completed` and `news`. It
refuses to know what a call is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from cluster import wire
from cluster.client.engine import endings
from cluster.client.engine.call import FOREVER, Call, Phase, WriteSession
from cluster.client.engine.endpoints import LEARNER, Endpoints
from cluster.client.engine.login import Account, Login
from cluster.client.engine.news import News, Retry
from cluster.client.engine.retrying import (
    LOST_SESSION,
    NO_VERDICT,
    NOT_THE_ENDPOINT,
    RETRIED_LIMITS,
    UNHEALTHY_ATTEMPTS_MAX,
    backoff,
)
from cluster.client.engine.sessions import WriteSessions
from cluster.client.engine.sizes import SizeLimits
from cluster.client.replies import Reply, read, refusal
from cluster.errors import (
    InvalidArgumentError,
    LeaseholdError,
    ProtocolError,
    UnavailableError,
    exception_for,
)
from cluster.faults import UNAVAILABLE, name_of


class CallOptions(NamedTuple):
    """How patient a client is, whether its writes carry a session, and who it is."""

    dial_timeout_seconds: float = 5.0
    exactly_once: bool = True
    credentials: Account | None = None


class Calls:
    """Requests, retries and the exactly-once session of one client.

    `chance` returns a number from 0 up to 1; `first` is the index of the preferred endpoint.
    """

    def __init__(
        self,
        names: Iterable[str],
        options: CallOptions,
        chance: Callable[[], float],
        first: int = 0,
    ) -> None:
        self.sends: list[tuple[str, bytes]] = []
        self.completed: list[Call] = []
        self.news: list[News] = []
        self.endpoints = Endpoints(names, first, self.news)
        # When the last frame came from each endpoint.
        self.heard_at: dict[str, float] = dict.fromkeys(self.endpoints.names, 0.0)
        # When `tick` must be called next, unless another input comes earlier.
        self.wake_at = FOREVER
        self._options = options
        self._chance = chance
        self._calls: dict[int, Call] = {}
        self._last_id = 0
        self._parked: list[Call] = []
        self._sessions = WriteSessions()
        self._sizes = SizeLimits()
        self._login = Login(options.credentials) if options.credentials is not None else None

    @property
    def outstanding(self) -> int:
        """The number of calls without an answer."""
        return len(self._calls)

    # --- inputs ---

    def begin(self, call: Call, now: float) -> None:
        """Send a call, or park it until it can be sent.

        Within its timeout it is done: then it is in `completed`, or its `on_done` is called.
        """
        call.deadline = now + call.timeout
        self._register(call)
        self._dispatch(call, now)
        if call.phase is Phase.PARKED and not call.patient:
            # If no endpoint can be reached within the dial timeout, `_overdue` says so early.
            call.due = min(call.deadline, now + self._options.dial_timeout_seconds)
            self.wake_by(call.due)

    def reply(self, endpoint: str, reply: Reply, now: float) -> None:
        """A reply with a request's id has come from an endpoint."""
        request_id = reply["id"]
        call = self._calls.get(abs(request_id)) if type(request_id) is int else None
        if call is None:
            return  # the answer to an attempt that was given up, of a call that is done
        error = reply.get("error") if self._login is None else self._login.error_in(reply)
        if error is None and request_id > 0:
            # Also from an endpoint whose attempt was given up: the answer is good all the same.
            call.reply = reply
            self._finish(call, now)
            return
        if error is None:
            self._sizes.told(endpoint, reply)
        is_present = endpoint == call.endpoint and call.is_question == (request_id < 0)
        if not is_present or call.phase is not Phase.SENT:
            return
        if error is None:
            self._dispatch(call, now)
        else:
            self._refused(call, endpoint, error, now)

    def endpoint_up(self, endpoint: str, now: float) -> None:
        """The connection to an endpoint is established."""
        self.endpoints.came_up(endpoint)
        self._sizes.forget(endpoint)
        parked, self._parked = self._parked, []
        for call in parked:
            if call.phase is Phase.PARKED:
                self._dispatch(call, now)

    def endpoint_down(self, endpoint: str, now: float) -> None:
        """The connection to an endpoint is gone: the attempts there have failed."""
        self.endpoints.went_down(endpoint, now)
        lost = UnavailableError(f"the connection to {endpoint} broke")
        for call in list(self._calls.values()):
            if call.phase is Phase.SENT and call.endpoint == endpoint:
                self._attempt_failed(call, now, lost, sure=False, at_once=True)

    def tick(self, now: float) -> list[str]:
        """End overdue calls and attempts, and retry; the endpoints that sent nothing at all."""
        self.wake_at = FOREVER
        silent: list[str] = []
        for call in list(self._calls.values()):
            if call.due > now:
                self.wake_by(call.due)
            elif call.phase is Phase.SENT and now < call.deadline:
                silent += self._unanswered(call, now)
            else:
                self._overdue(call, now)
        return silent

    def abandon(self, call: Call) -> None:
        """Forget a call: its caller no longer wants an answer."""
        if call.phase is not Phase.DONE:
            self._drop(call)

    def wake_by(self, due: float) -> None:
        """Have `tick` called at this time at the latest."""
        self.wake_at = min(self.wake_at, due)

    def backoff(self, failures: int) -> float:
        """A random delay in seconds; its bound doubles with each failure."""
        return backoff(failures, self._chance)

    def send(self, endpoint: str, fields: Mapping[str, Any]) -> None:
        """Send a request once, without waiting for its answer."""
        if self.endpoints.is_up(endpoint):
            self.sends.append((endpoint, wire.pack(fields)))

    def add_connection(self, connection: str, endpoint: str) -> None:
        """There will be a direct connection to the endpoint's member, for pinned calls at first."""
        self.endpoints.add(connection, endpoint)
        self.heard_at[connection] = 0.0

    def has_pipelined(self, endpoint: str) -> bool:
        """Whether a request whose caller may make the next one meanwhile is under way there."""
        return any(
            call.pipelined and call.phase is Phase.SENT and call.endpoint == endpoint
            for call in self._calls.values()
        )

    # --- sending ---

    def _register(self, call: Call) -> None:
        self._last_id += 1
        call.id = self._last_id
        self._calls[call.id] = call

    def _dispatch(self, call: Call, now: float) -> None:
        """Send the call's next attempt now, or park it until it can be sent."""
        sequenced = call.write and self._options.exactly_once and not call.repeatable
        if sequenced and call.session is None and not self._sessions.admit(call, now):
            self._park(call, call.deadline)
            self._open_session(now)
            return
        if self._login is not None and not self._has_token(call, self._login, now):
            return
        chosen = call.pinned or self.endpoints.choose(call.write)
        endpoint = None if chosen is None else self.endpoints.route(chosen)
        if endpoint is None:
            self._park(call, call.parked_until(now, self._options.dial_timeout_seconds))
            self._parked.append(call)
            return
        try:
            self._send_attempt(call, endpoint, now)
        except (OverflowError, TypeError, ValueError) as error:
            # The caller's mistake: a value that msgpack cannot encode, or a frame that is too big.
            self._finish(call, now, endings.refused(call, InvalidArgumentError(str(error))))

    def _park(self, call: Call, until: float) -> None:
        call.phase = Phase.PARKED
        call.due = until
        self.wake_by(until)

    def _send_attempt(self, call: Call, endpoint: str, now: float) -> None:
        if call.on_attempt is not None:
            # Each attempt asks for something else (a watch id): its own request id keeps the answer
            # to an earlier attempt from being taken for its own.
            del self._calls[call.id]
            self._register(call)
            call.on_attempt(call, endpoint)
        frame = self._sizes.frame(call, endpoint)
        call.phase = Phase.SENT
        call.endpoint = endpoint
        call.sent_at = now
        call.due = min(call.deadline, now + call.attempt_seconds)
        self.wake_by(call.due)
        call.attempts += not call.is_question
        self.sends.append((endpoint, frame))

    # --- the login ---

    def _has_token(self, call: Call, login: Login, now: float) -> bool:
        """Give a call the token that it needs; without one it is parked. Renew one in time."""
        is_admitted = login.admit(call, now)
        if not is_admitted:
            self._park(call, call.deadline)
        if (logging_in := login.due(now)) is not None:
            logging_in.on_done = lambda done, when: self._logged_in(login, done, when)
            self.begin(logging_in, now)
        return is_admitted

    def _logged_in(self, login: Login, done: Call, now: float) -> None:
        """The call that logs in is done: send the calls that wait, or end them with its error."""
        error = login.done(done, now)
        for call in login.let_in():
            if error is None:
                self._dispatch(call, now)
            else:
                self._finish(call, now, endings.refused(call, error))

    # --- the session ---

    def _open_session(self, now: float) -> None:
        if (opening := self._sessions.opening()) is not None:
            opening.on_done = self._session_opened
            self.begin(opening, now)

    def _session_opened(self, call: Call, now: float) -> None:
        """The call that opens a session is done. If it failed, the waiting writes fail with it; if
        not, `_finish` lets them in."""
        if (error := self._sessions.opened(call, now)) is not None:
            for waiter in self._sessions.turn_away():
                self._finish(waiter, now, error)

    def _let_in(self, now: float) -> None:
        """A call has ended: send the waiting writes that now have room in the session."""
        while (call := self._sessions.let_in()) is not None:
            self._dispatch(call, now)

    # --- failures ---

    def _refused(self, call: Call, endpoint: str, error: Reply, now: float) -> None:
        """The endpoint answered with an error: final, or a reason to try again."""
        try:
            code, message, unknown = read(refusal, error)
        except ProtocolError as foreign:
            self._finish(call, now, foreign)
            return
        name, reason = name_of(message), exception_for(code, message)
        given_up = name == "Unhealthy" and call.attempts >= UNHEALTHY_ATTEMPTS_MAX
        if self._login is not None and self._login.maybe_log_in_again(call, name):
            # Who asks is looked at before anything is done.
            self._attempt_failed(call, now, reason, sure=True, at_once=True)
        elif name in LOST_SESSION and call.session is not None:
            self._session_lost(call, call.session, reason, now)
        elif name == "NotSupportedForLearner" and self._may_leave(call, endpoint, now):
            at_once = self.endpoints.has_unasked(call.attempts)
            self._attempt_failed(call, now, reason, sure=True, at_once=at_once)
        elif name in NO_VERDICT and call.write and call.uncertain:
            # The refusal is of this attempt only. An earlier one without an answer may be applied.
            self._finish(call, now, endings.outcome_unknown(message))
        elif (code == UNAVAILABLE and not given_up) or name in RETRIED_LIMITS:
            if name not in NOT_THE_ENDPOINT or call.failures:
                self.endpoints.failed(endpoint, now, message)
            self._attempt_failed(call, now, reason, sure=not unknown, at_once=False)
        else:
            # The refusal of a question is no verdict on an attempt before it.
            self._finish(call, now, endings.refused(call, reason) if call.is_question else reason)

    def _session_lost(
        self, call: Call, session: WriteSession, reason: LeaseholdError, now: float
    ) -> None:
        """The call was refused because the cluster does not know its session or its number.

        So this attempt was not applied, nor was an earlier one that was refused. But an attempt
        without an answer may have been applied while the session was known. Nobody can tell any
        more, so the caller gets OutcomeUnknownError. Without such an attempt the write was surely
        not applied: it begins anew in another session.
        """
        self._sessions.leave(call, session)
        self._open_session(now)
        self._attempt_failed(call, now, reason, sure=True, at_once=not call.failures)

    def _may_leave(self, call: Call, endpoint: str, now: float) -> bool:
        """A learner has refused this before it did anything; whether another may be a voter."""
        self.endpoints.failed(endpoint, now, LEARNER)
        return not call.pinned and self.endpoints.may_be_voters(call.attempts)

    def _attempt_failed(
        self, call: Call, now: float, error: LeaseholdError, sure: bool, at_once: bool
    ) -> None:
        """Try again, at once or after a random delay. `sure`: the attempt was not applied."""
        call.last_error = error
        call.uncertain = call.uncertain or not (sure or call.is_question)
        # Without a session the cluster could not tell a repetition from a new write.
        if call.write and call.uncertain and call.session is None and not call.repeatable:
            self._finish(call, now, endings.outcome_unknown(error.message))
            return
        call.failures += 1
        self.news.append(
            Retry(call.fields["op"], call.attempts, call.endpoint or "", error.message)
        )
        if at_once:
            self._dispatch(call, now)
            return
        call.phase = Phase.BACKING_OFF
        call.due = min(call.deadline, now + self.backoff(call.failures - 1))
        self.wake_by(call.due)

    def _overdue(self, call: Call, now: float) -> None:
        """A time limit is over: the call's own, its delay, or its wait for a connection."""
        tried = self.endpoints.described(call.pinned)
        if now >= call.deadline:
            reachable = self._is_reachable(call)
            self._finish(call, now, endings.timed_out(call, tried, is_reachable=reachable))
        elif call.phase is Phase.BACKING_OFF:
            self._dispatch(call, now)
        elif self._is_reachable(call) or (call.uncertain and call.write):
            # A node can be reached, or may have applied it already: wait for the whole timeout.
            call.due = call.deadline
            self.wake_by(call.due)
        else:
            waited = self._options.dial_timeout_seconds
            self._finish(call, now, endings.unreachable(tried, waited))

    def _unanswered(self, call: Call, now: float) -> list[str]:
        """The attempt's time is over: try another endpoint. Returns the endpoint if it is silent.

        A slow node still answers other requests. A node that has sent nothing at all since the
        attempt is frozen or cut off, so its watches should leave it too.
        """
        endpoint = call.endpoint
        assert endpoint is not None, "an attempt is under way somewhere"
        self.endpoints.failed(endpoint, now, "no answer in time")
        is_silent = self.heard_at[endpoint] < call.sent_at
        unanswered = UnavailableError(f"no answer from {endpoint}")
        self._attempt_failed(call, now, unanswered, sure=False, at_once=True)
        return [endpoint] if is_silent else []

    def _is_reachable(self, call: Call) -> bool:
        if call.pinned:
            return self.endpoints.route(call.pinned) is not None
        return self.endpoints.any_up

    # --- the end of a call ---

    def close(self, now: float) -> None:
        """End every call with an error. A write that was sent may still be applied."""
        # First, or each finished call would let a waiting write in.
        self._sessions.turn_away()
        if self._login is not None:
            self._login.let_in()
        for call in list(self._calls.values()):
            self._finish(call, now, endings.closed(call))

    def _finish(self, call: Call, now: float, error: LeaseholdError | None = None) -> None:
        call.error = error or call.error
        self._drop(call)
        if call.on_done is not None:
            call.on_done(call, now)
        else:
            self.completed.append(call)
        if self._sessions.waiting:
            self._let_in(now)

    def _drop(self, call: Call) -> None:
        del self._calls[call.id]
        call.phase = Phase.DONE
        if call.session is not None:
            # Also without an answer: nobody will repeat the write, so its result is not needed.
            call.session.end(call.seq)
