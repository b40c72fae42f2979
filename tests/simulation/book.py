"""Who may do what, by a plain reading of the log: the judge of simulated rights.

It repeats none of the product's code: a set of keys is the set of the places in it, among the few
keys that there are, and each question goes through all permissions. Knows nothing of nodes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from actors.language import auth
from actors.language import commands as c
from actors.language.auth import NOBODY, NODE, Permission, PermissionType, Principal
from actors.language.intervals import FROM_KEY

KEYS = tuple(b"u%d" % number for number in range(5))
"""The keys that there are."""

Places = frozenset[str]


def places(key: bytes, range_end: bytes) -> Places:
    """What of the key space is in an interval: each key, what lies behind it, and the end."""
    if not range_end:
        return frozenset({f"{key!r}"})
    inside: set[str] = set()
    for each in KEYS:
        if each >= key and (range_end == FROM_KEY or each < range_end):
            inside |= {f"{each!r}", f"behind {each!r}"}
    if range_end == FROM_KEY:
        inside.add("the end")
    return frozenset(inside)


class Need(NamedTuple):
    """To read, or else to write, these places."""

    writes: bool
    places: Places


def needs(op: Any) -> list[Need]:
    """What an operation needs; a transaction: all that is in it."""
    match op:
        case c.Put():
            found = [Need(True, places(op.key, b""))]
            return [*found, Need(False, places(op.key, b""))] if op.prev_kv else found
        case c.Range():
            return [Need(False, places(op.key, op.range_end))]
        case c.DeleteRange(key, range_end, prev_kv):
            found = [Need(True, places(key, range_end))]
            return [*found, Need(False, places(key, range_end))] if prev_kv else found
        case c.Txn(compares, success, failure):
            read = [Need(False, places(each.key, each.range_end)) for each in compares]
            return read + [need for each in (*success, *failure) for need in needs(each)]
        case _:
            return []


class Person(NamedTuple):
    """A user."""

    name: str
    valid_from: int
    roles: frozenset[str] = frozenset()
    keys: frozenset[bytes] = frozenset()


class Version(NamedTuple):
    """Users and roles as the entry with the index `at` has left them."""

    at: int = 0
    enabled: bool = False
    revision: int = 1
    people: tuple[tuple[int, Person], ...] = ()
    roles: tuple[tuple[str, tuple[Permission, ...]], ...] = ()

    def fault(self, principal: Principal, op: Any) -> str:
        """Why somebody may not have this; empty: they may."""
        if not self.enabled or principal == NODE:
            return ""
        if principal == NOBODY:
            return "UserEmpty"
        person = dict(self.people).get(principal.user_id)
        if person is None or principal.shown_at < person.valid_from:
            return "InvalidAuthToken"
        return "" if self._may(person, op) else "PermissionDenied"

    def may(self, name: str, op: Any) -> bool:
        """Whether the user of this name may have this."""
        people = [person for _, person in self.people if person.name == name]
        return not self.enabled or any(self._may(person, op) for person in people)

    def _may(self, person: Person, op: Any) -> bool:
        if "root" in person.roles:
            return True
        if type(op) in auth_types():
            return False
        given = [each for name, some in self.roles if name in person.roles for each in some]
        return all(_has(given, need) for need in needs(op))

    def after(self, index: int, command: Any) -> Version:
        """The version that a command of users makes; this one, if it is refused."""
        people, roles = dict(self.people), dict(self.roles)
        done = self._replace(at=index, revision=self.revision + 1)
        named = {person.name: user_id for user_id, person in people.items()}
        match command:
            case auth.AuthEnable():
                return self._replace(at=index, enabled=True)
            case auth.UserAdd(name) if name not in named:
                people[index] = Person(name, done.revision)
            case auth.UserDelete(name) if name in named and name != "root":
                del people[named[name]]
            case auth.UserChangePassword(name) if name in named:
                before = people[named[name]]
                people[named[name]] = before._replace(valid_from=done.revision)
            case auth.UserAddKey(name, key) if name in named:
                if any(key in person.keys for person in people.values()):
                    return self
                people[named[name]] = people[named[name]]._replace(keys=frozenset({key}))
            case auth.UserGrantRole(name, role) if name in named:
                before = people[named[name]]
                if role in before.roles or (role not in roles and role != "root"):
                    return self
                people[named[name]] = before._replace(roles=before.roles | {role})
            case auth.UserRevokeRole(name, role) if name in named:
                before = people[named[name]]
                if role not in before.roles or name == "root":
                    return self
                people[named[name]] = before._replace(roles=before.roles - {role})
            case auth.RoleAdd(name) if name not in roles:
                roles[name] = ()
            case auth.RoleGrantPermission(name, given) if name in roles and given is not None:
                kept = [each for each in roles[name] if each[1:] != given[1:]]
                roles[name] = (*kept, given)
            case auth.RoleRevokePermission(name, key, range_end) if name in roles:
                kept = [each for each in roles[name] if each[1:] != (key, range_end)]
                if len(kept) == len(roles[name]):
                    return self
                roles[name] = tuple(kept)
            case _:
                return self
        return done._replace(people=tuple(people.items()), roles=tuple(roles.items()))


def auth_types() -> frozenset[type]:
    """The commands that change users and roles."""
    return frozenset(auth.AuthCommand.__args__)


def _has(given: list[Permission], need: Need) -> bool:
    missing = {PermissionType.READ} if need.writes else {PermissionType.WRITE}
    found: set[str] = set()
    for kind, key, range_end in given:
        if kind not in missing:
            found |= places(key, range_end)
    return need.places <= found
