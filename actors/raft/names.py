"""Names: what people call the members: by what they have published, else by the operator's flags.

A member without a name is called by its id, as etcd prints it. Refuses to know who is a member.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Names:
    """The names as one member knows them; `configured` are those of its flags, by id."""

    def __init__(self, configured: Mapping[int, str]) -> None:
        self._configured = configured
        self._published: Mapping[int, str] = {}

    def learn(self, published: Mapping[int, str]) -> None:
        """These members have published these names."""
        self._published = published

    def of(self, member: int) -> str:
        """What a member is called."""
        return self._published.get(member) or self._configured.get(member) or f"{member:x}"

    def of_all(self, members: Iterable[int]) -> tuple[str, ...]:
        """What these members are called, in the order of their names."""
        return tuple(sorted(map(self.of, members)))

    def listed(self, members: Iterable[int]) -> str:
        """These members in a sentence."""
        *others, last = self.of_all(members) or ("nobody",)
        return f"{', '.join(others)} and {last}" if others else last
