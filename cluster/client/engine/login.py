"""The login of one client: its name and password, and the token that it shows in their place.

Pure: a part of the client's calls. It says whether a request may be sent, and with which token. It
refuses to send: it returns the call that `calling` is to send.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from cluster.client.auth_results import AuthenticateResult
from cluster.client.engine.call import FOREVER, Call, Phase
from cluster.client.replies import Reply, of, read
from cluster.errors import LeaseholdError
from cluster.faults import FAULTS, FaultName, name_of

RENEWED_AT: Final = 2 / 3
"""The part of its life after which a token is renewed, if it is still used."""

AGAIN_SECONDS: Final = 10.0
"""A token that could not be renewed is tried to be renewed again after this time."""

LOGINS_MAX: Final = 1
"""The logins that one request may cost after its token was refused."""

NOT_LOGGED_IN: Final[tuple[FaultName, ...]] = ("InvalidAuthToken", "UserEmpty")
"""Refusals of a request whose token is worth nothing any more, or that came without one."""


class Account:
    """The name of a user and the password; the password is never printed."""

    __slots__ = ("name", "password")

    def __init__(self, name: str, password: str) -> None:
        self.name = name
        self.password = password

    def __repr__(self) -> str:
        return f"Account({self.name!r})"


def credentials(name: str | None, password: str | None) -> Account | None:
    """What a program gives to log in with; None: nothing. The error names no password."""
    if name is None and password is None:
        return None
    if not isinstance(name, str) or not isinstance(password, str):
        raise TypeError("user and password go together, and each is a text")
    return Account(name, password)


class Login:
    """The present token, and the requests that wait for one.

    While authentication is off there is none, and none is needed: `is_off`.
    """

    def __init__(self, credentials: Account) -> None:
        self.waiting: deque[Call] = deque()
        self._credentials = credentials
        self._token: str | None = None
        self._ends_at = FOREVER
        self._renew_at = FOREVER
        self._is_off = False
        self._call: Call | None = None

    def admit(self, call: Call, now: float) -> bool:
        """Give a request the present token; False when it has to wait for one."""
        if call is self._call:
            return True
        if self._token is not None and now < self._ends_at:
            call.fields["token"] = self._token
            return True
        if self._is_off:
            call.fields.pop("token", None)
            return True
        self.waiting.append(call)
        return False

    def due(self, now: float) -> Call | None:
        """The call that logs in, when that is due and none is under way."""
        is_needed = bool(self.waiting) or (self._token is not None and now >= self._renew_at)
        if self._call is not None or not is_needed:
            return None
        name, password = self._credentials.name, self._credentials.password
        fields = {"op": "authenticate", "name": name, "password": password}
        self._call = Call(fields, FOREVER)
        return self._call

    def error_in(self, reply: Reply) -> Any:
        """The error of a reply; also the refusal of a watch for want of a token, which has none."""
        reason = reply.get("cancel_reason")
        name = name_of(reason) if isinstance(reason, str) else None
        return FAULTS[name]._asdict() if name in NOT_LOGGED_IN else reply.get("error")

    def maybe_log_in_again(self, call: Call, refused_as: FaultName | None) -> bool:
        """A request was refused: whether a login may help, and its token is given up."""
        if refused_as not in NOT_LOGGED_IN or call is self._call or call.logins >= LOGINS_MAX:
            return False
        call.logins += 1
        # Another request may have brought a new token meanwhile.
        if call.fields.get("token") == self._token:
            self._token = None
            self._is_off = False
        return True

    def done(self, call: Call, now: float) -> LeaseholdError | None:
        """The call that logs in is done: take the token, or return why there is none."""
        self._call = None
        error = call.error
        if error is None:
            assert call.reply is not None, "a call that is done has a reply or an error"
            try:
                self._take(read(of(AuthenticateResult), call.reply), now)
            except LeaseholdError as foreign:
                error = foreign
        elif name_of(error.message) == "AuthNotEnabled":
            self._token, self._is_off = None, True
            return None
        if error is not None:
            self._renew_at = now + AGAIN_SECONDS
        return error

    def _take(self, result: AuthenticateResult, now: float) -> None:
        self._token = result.token
        self._is_off = False
        self._ends_at = now + result.ttl if result.ttl else FOREVER
        self._renew_at = now + result.ttl * RENEWED_AT if result.ttl else FOREVER

    def let_in(self) -> list[Call]:
        """Empty the queue: the requests that waited, and still do."""
        waiting = [call for call in self.waiting if call.phase is Phase.PARKED]
        self.waiting.clear()
        return waiting
