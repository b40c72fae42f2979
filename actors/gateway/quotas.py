"""Quotas: how many requests, and bytes of them, the users of one node's clients may send now.

Each user has a bucket of each, which holds what the user's roles allow in a second and fills again
as fast. A request that finds a bucket empty is refused, and costs nothing. It refuses to know who
somebody is, and what a request does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from actors.language.auth import ROOT, AuthNews, Principal, User
from actors.language.limits import NO_LIMITS, UserLimits, limits_together

BURST_MS: Final = 1_000
"""What is allowed in a second may come at once, after a second without requests."""

UNCOUNTED: Final = frozenset({"watch_cancel", "watch_progress"})
"""Operations that cost next to nothing; the first of them is what a client should do more of."""

RENEWAL: Final = "lease_keep_alive"
"""This operation has a bucket of its own, of the same size: whoever writes too much must not lose
leases and locks by that. Some of etcd's clients give a lease up at the first refusal."""

_UNIT: Final = 1_000
"""The thousandths of a request, or of a byte. In a millisecond as many come back as units in a
second."""


class _Bucket:
    """What was used of a rate and has not come back yet, in thousandths of a unit.

    Where one unit is left, more may be taken: a request of more bytes than a bucket holds could
    never pass otherwise. What comes after it waits for that, too.
    """

    __slots__ = ("_at_ms", "_used")

    def __init__(self) -> None:
        self._used = self._at_ms = 0

    def has_room(self, per_second: int, now_ms: int) -> bool:
        """Whether a unit is left now, at this rate; 0: there is no limit."""
        if not per_second:
            return True
        self._used = max(0, self._used - (now_ms - self._at_ms) * per_second)
        self._at_ms = now_ms
        return self._used + _UNIT <= per_second * BURST_MS

    def take(self, units: int) -> None:
        """Something was let in."""
        self._used += units * _UNIT


class _Account:
    """A user's buckets, and what the user may take, by the news with a number."""

    __slots__ = ("bytes", "limits", "news", "renewals", "requests", "valid_from")

    def __init__(self, limits: UserLimits = NO_LIMITS, news: int = 0) -> None:
        self.requests, self.renewals, self.bytes = _Bucket(), _Bucket(), _Bucket()
        self.limits = limits
        self.valid_from = 0
        self.news = news


class Quotas:
    """The quotas at one node of `users`, who are known by id.

    `is_on`: requests are checked, and a role limits their rate. `now_ms` is the node's clock; it
    must be set before each burst of requests.
    """

    def __init__(self, users: Mapping[int, User]) -> None:
        self.is_on = False
        self.now_ms = 0
        self._users = users
        # Of the roles that limit something.
        self._limits: dict[str, UserLimits] = {}
        # Of the users who have asked for something while some role had limits; those who have none
        # share one account.
        self._accounts: dict[int, _Account] = {}
        self._news = 0
        self._unlimited = _Account()

    def learn(self, news: AuthNews) -> None:
        """Users or roles have changed; `users` has changed already."""
        if news.is_whole:
            self._limits.clear()
            self._accounts.clear()
        for name, limits in news.limits:
            if limits == NO_LIMITS:
                self._limits.pop(name, None)
            else:
                self._limits[name] = limits
        for user_id, user in news.users:
            if user is None:
                self._accounts.pop(user_id, None)
        total = limits_together(self._limits.values())
        has_rate = total.requests_per_second or total.bytes_per_second
        self.is_on = news.state.enabled and bool(has_rate)
        self._news += 1
        self._unlimited = _Account(news=self._news)

    def admit(self, who: Principal, operation: str, size: int) -> bool:
        """Whether a request of `size` bytes may be served now; if so, it is counted."""
        account = self._accounts.get(who.user_id)
        if account is None or account.news != self._news:
            account = self._known(who.user_id)
        # Whoever shows what is worth nothing any more is refused by the store, and must not use up
        # what belongs to the user.
        limits = account.limits
        if limits is NO_LIMITS or who.shown_at < account.valid_from or operation in UNCOUNTED:
            return True
        now_ms, requests_per_second = self.now_ms, limits.requests_per_second
        if operation == RENEWAL:
            if not account.renewals.has_room(requests_per_second, now_ms):
                return False
            account.renewals.take(1)
            return True
        requests, bytes_ = account.requests, account.bytes
        if not requests.has_room(requests_per_second, now_ms):
            return False
        if not bytes_.has_room(limits.bytes_per_second, now_ms):
            return False
        requests.take(1)
        bytes_.take(size)
        return True

    def _known(self, user_id: int) -> _Account:
        """The account of a user, as the last news have it."""
        user = self._users.get(user_id)
        if user is None:
            return self._unlimited
        given = [self._limits[role] for role in user.roles if role in self._limits]
        if not given or ROOT in user.roles:
            account = self._unlimited
        else:
            limits, before = limits_together(given), self._accounts.get(user_id)
            # News must not fill buckets, and what was used of a large one may be years of a small.
            if before is None or before.limits != limits:
                before = _Account(limits)
            account = before
            account.news, account.valid_from = self._news, user.valid_from
        self._accounts[user_id] = account
        return account
