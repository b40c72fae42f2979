"""Who a request comes from, as this node knows users now: by its token, or by its connection.

It decides nothing: the store says at the request's own place whether that principal may have what
it asks for, and whether what was shown is still worth something there. Refuses to know passwords.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

from actors.gateway.fields import Fields, RefusedError, fault_of, type_name
from actors.gateway.tokens import TTL_SECONDS, Token, unseal
from actors.language.auth import AUTH_OFF, NOBODY, UNKNOWN, AuthNews, Principal, User
from actors.language.messages import Connection
from cluster.faults import Fault

TOKENS_KEPT_MAX: Final = 10_000
"""The tokens that are known by their last use. To forget one at 10,001 costs a search of all."""

NOT_THE_FRONT: Final = fault_of('field "common_name" is for the node\'s own front')


class _Known:
    """A token whose seal was checked, and until when it is good; in seconds since 1970."""

    __slots__ = ("ends_s", "principal", "used_s")

    def __init__(self, token: Token, used_s: int) -> None:
        self.principal = Principal(token.user_id, token.shown_at)
        self.ends_s = token.ends_s
        self.used_s = used_s


class Identities:
    """The users of a cluster, as the gateway of one node sees them.

    `now_seconds` is the time since 1970. A token lives for `token_ttl_seconds` after a login, and
    here after each use. Only the node's own front knows `front_secret`, and so is believed about
    the names in certificates.
    """

    def __init__(
        self,
        now_seconds: Callable[[], int],
        token_ttl_seconds: int = TTL_SECONDS,
        front_secret: bytes = b"",
    ) -> None:
        self._now_seconds = now_seconds
        self._token_ttl_seconds = token_ttl_seconds
        self._front_secret = front_secret
        self._state = AUTH_OFF
        # The users by id.
        self.users: dict[int, User] = {}
        self._by_name: dict[str, int] = {}
        self._by_key: dict[bytes, int] = {}
        self._tokens: dict[str, _Known] = {}
        # The public key that each connection has shown, by the connection's name: the door's.
        self.keys: Mapping[bytes, bytes] = {}
        # The tokens that were shown in the second that `_fresh_s` numbers: these are good.
        self.fresh: dict[str, Principal] = {}
        self._fresh_s = 0
        # Whether requests are checked, so that each must say who it is from.
        self.are_asked = False

    def learn(self, news: AuthNews) -> None:
        """Users have changed."""
        if news.is_whole:
            self.users.clear()
            self._by_name.clear()
            self._by_key.clear()
        for user_id, user in news.users:
            self._forget(user_id)
            if user is not None:
                self.users[user_id] = user
                self._by_name[user.name] = user_id
                self._by_key.update(dict.fromkeys(user.keys, user_id))
        if news.state.secret != self._state.secret:
            self._tokens.clear()
            self.fresh.clear()
        self._state = news.state
        self.are_asked = news.state.enabled
        self._fresh_s = self._now_seconds()

    def look(self) -> None:
        """Before each burst of requests: what was good a second ago must be looked at again."""
        now_s = self._now_seconds()
        if now_s != self._fresh_s:
            self._fresh_s = now_s
            self.fresh.clear()

    def name_of(self, principal: Principal) -> str:
        """The name of a user; "" if it is none, or is deleted."""
        user = self.users.get(principal.user_id)
        return "" if user is None else user.name

    def of(self, connection: Connection, fields: Fields) -> Principal:
        """Who a request comes from; takes the fields that say so out of it.

        Raises RefusedError for fields of a wrong type, and for a name that only the front may give.
        """
        token = fields.pop("token", None)
        has_name = "common_name" in fields or "front" in fields
        common_name = self._common_name(fields) if has_name else ""
        if token is not None:
            return self._of_token(token)
        if common_name:
            user_id = self._by_name.get(common_name, 0)
        else:
            user_id = self._by_key.get(self.keys.get(connection[0], b""), 0)
        return Principal(user_id, self._state.revision) if user_id else NOBODY

    def _of_token(self, text: Any) -> Principal:
        if type(text) is not str:
            raise RefusedError(_not_text("token", text))
        # While requests are not checked there is no secret, and no token matters.
        if not self.are_asked:
            return NOBODY
        now_s, known = self._fresh_s, self._tokens.get(text)
        if known is None:
            token = unseal(self._state.secret, text)
            if token is None or token.ends_s <= now_s:
                return UNKNOWN
            known = self._keep(text, token, now_s)
        if known.ends_s <= now_s:
            del self._tokens[text]
            return UNKNOWN
        # As in etcd, its life begins again with each use: many clients log in once for all.
        known.used_s = now_s
        known.ends_s = max(known.ends_s, now_s + self._token_ttl_seconds)
        self.fresh[text] = known.principal
        return known.principal

    def _keep(self, text: str, token: Token, now_s: int) -> _Known:
        """Know a token from now on; of too many, forget the one that was not used for longest."""
        if len(self._tokens) >= TOKENS_KEPT_MAX:
            del self._tokens[min(self._tokens, key=lambda each: self._tokens[each].used_s)]
        known = self._tokens[text] = _Known(token, now_s)
        known.ends_s = max(token.ends_s, now_s + self._token_ttl_seconds)
        return known

    def _common_name(self, fields: Fields) -> str:
        """The name in the certificate of the front's client."""
        secret, common_name = fields.pop("front", b""), _text(fields, "common_name")
        if not common_name:
            return ""
        is_front = type(secret) is bytes and bool(self._front_secret)
        if not is_front or not hmac.compare_digest(secret, self._front_secret):
            raise RefusedError(NOT_THE_FRONT)
        return common_name

    def _forget(self, user_id: int) -> None:
        before = self.users.pop(user_id, None)
        if before is not None:
            for key in before.keys:
                self._by_key.pop(key, None)
            if self._by_name.get(before.name) == user_id:
                del self._by_name[before.name]


def _text(fields: Fields, name: str) -> str:
    value: Any = fields.pop(name, "")
    if type(value) is not str:
        raise RefusedError(_not_text(name, value))
    return value


def _not_text(name: str, value: Any) -> Fault:
    return fault_of(f'field "{name}" must be text, not {type_name(value)}')
