"""What of users and roles a node's gateway was not told yet.

Refuses to know why something has changed.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.language.auth import AuthNews, AuthState, Role, User
from actors.language.limits import NO_LIMITS


class Untold:
    """The changes of which nobody was told; at first, that is everything. `is_news`: tell them."""

    def __init__(self, is_news: bool) -> None:
        self.is_news = is_news
        self._is_whole = True
        self._users: set[int] = set()
        self._roles: set[str] = set()

    def note_user(self, user_id: int) -> None:
        """A user has changed, or was deleted."""
        if not self._is_whole:
            self._users.add(user_id)

    def note_role(self, name: str) -> None:
        """A role has changed, or was deleted."""
        if not self._is_whole:
            self._roles.add(name)

    def take(
        self, state: AuthState, users: Mapping[int, User], roles: Mapping[str, Role]
    ) -> AuthNews | None:
        """What the gateway must hear since the last call; None: nothing."""
        if not self.is_news:
            return None
        is_whole, ids, names = self._is_whole, self._users, self._roles
        if is_whole:
            ids = set(users)
            names = {name for name, role in roles.items() if role.limits != NO_LIMITS}
        limits = [(each, roles[each].limits if each in roles else NO_LIMITS) for each in names]
        changed = tuple([(each, users.get(each)) for each in sorted(ids)])
        self.is_news = self._is_whole = False
        self._users, self._roles = set(), set()
        return AuthNews(state, changed, is_whole, tuple(sorted(limits)))
