"""Random programs of users, roles, rights and requests; one number makes one program.

Left out is what is answered differently on purpose (`deliberate`). Knows no server.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from tests.differential.auth.language import (
    ENABLED,
    READ,
    READWRITE,
    ROOT_PASSWORD,
    WRITE,
    Program,
    Step,
    grant,
    login,
    step,
    user,
)

STEPS: Final = 80
USERS: Final = ("alice", "bob")
ROLES: Final = ("r", "q", "root")
PASSWORDS: Final = ("pw", "pw", "other")
KEYS: Final = (b"a", b"b", b"bb", b"c", b"d", b"e", b"x")
LEASES: Final = (7, 8)

# No two begin with the same key: then etcd 3.5.1 would keep a permission that was replaced.
INTERVALS: Final = ((b"a", b""), (b"b", b"d"), (b"bb", b""), (b"c", b"e"), (b"d", b"\0"))

RANGES: Final = (*INTERVALS, (b"a", b"c"), (b"b", b"e"), (b"\0", b"\0"), (b"x", b"\0"))

REQUESTERS: Final = ("alice", "alice", "alice", "bob", "bob", "root", "nobody", "")
OPERATORS: Final = ("root", "root", "root", "root", "alice", "")


class Maker:
    """Makes a program, step by step; it knows whether requests are checked where it is."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._is_on = True
        self.steps: list[Step] = [
            *(step("put", key=key, value=b"0") for key in (b"a", b"c", b"x")),
            *(step("role_add", name=role) for role in ("r", "q")),
            *user("alice", "r"),
            *user("bob", "r", "q"),
            *ENABLED,
            *(login(name, "pw") for name in USERS),
        ]

    def add_step(self) -> None:
        """Add one step, or those that belong together."""
        weights = [weight for weight, _ in _KINDS]
        (kind,) = self._chance.choices([make for _, make in _KINDS], weights)
        kind(self)

    # --- what a step is made of ---

    def _any(self, choices: Any) -> Any:
        return self._chance.choice(choices)

    def _add(self, name: str, among: tuple[str, ...], /, **fields: Any) -> None:
        """A step by one of these; while nobody is checked, all tokens are worth nothing."""
        self.steps.append(step(name, self._any(among) if self._is_on else "", **fields))

    def _interval(self) -> dict[str, bytes]:
        key, end = self._any(RANGES) if self._chance.random() < 0.4 else (self._any(KEYS), b"")
        return {"key": key, "range_end": end}

    def _operation(self) -> dict[str, Any]:
        match self._chance.randrange(3):
            case 0:
                return {"request_range": self._interval()}
            case 1:
                return {"request_put": {"key": self._any(KEYS), "value": b"t"}}
        return {"request_delete_range": {"key": self._any(KEYS)}}

    # --- kinds of steps ---

    def read(self) -> None:
        serializable = self._chance.random() < 0.3
        self._add("range", REQUESTERS, **self._interval(), serializable=serializable)

    def put(self) -> None:
        wants_before = self._chance.random() < 0.3
        self._add("put", REQUESTERS, key=self._any(KEYS), value=b"1", prev_kv=wants_before)

    def delete(self) -> None:
        wants_before = self._chance.random() < 0.3
        self._add("delete_range", REQUESTERS, **self._interval(), prev_kv=wants_before)

    def txn(self) -> None:
        compare = {"key": self._any(KEYS), "target": "VERSION", "result": "GREATER"}
        self._add(
            "txn",
            REQUESTERS,
            compare=[compare] if self._chance.random() < 0.5 else [],
            success=[self._operation()],
            failure=[self._operation() for _ in range(self._chance.randrange(2))],
        )

    def watch(self) -> None:
        key, end = self._any(RANGES)
        if end != b"\0":  # a right to the first key is enough for etcd 3.5.1
            self._add("watch_create", REQUESTERS, key=key, range_end=end)

    def lease(self) -> None:
        among = (*USERS, "root")
        match self._chance.randrange(4):
            case 0:
                self._add("lease_grant", among, ID=self._any(LEASES), TTL=900)
            case 1:
                self._add("lease_revoke", among, ID=self._any(LEASES))
            case _:
                self._add("put", among, key=self._any(KEYS), lease=self._any(LEASES))

    def permission(self) -> None:
        role, (key, end) = self._any(ROLES), self._any(INTERVALS)
        if self._chance.random() < 0.6:
            kind = self._any((READ, WRITE, READWRITE))
            who = self._any(OPERATORS) if self._is_on else ""
            self.steps.append(grant(role, kind, key, end, who=who))
        else:
            self._add("role_revoke_permission", OPERATORS, role=role, key=key, range_end=end)

    def role_of_user(self) -> None:
        name, role = self._any(USERS), self._any(ROLES)
        if self._chance.random() < 0.6:
            self._add("user_grant_role", OPERATORS, user=name, role=role)
        else:
            self._add("user_revoke_role", OPERATORS, name=name, role=role)

    def account(self) -> None:
        name, password = self._any(USERS), self._any(PASSWORDS)
        match self._chance.randrange(4):
            case 0 | 1:
                self._add("user_add", OPERATORS, name=name, password=password)
            case 2:
                self._add("user_delete", OPERATORS, name=name)
            case _:
                self._add("user_change_password", OPERATORS, name=name, password=password)

    def role(self) -> None:
        name = self._any(ROLES)
        if self._chance.random() < 0.7:
            self._add("role_add", OPERATORS, name=name)
        else:
            self._add("role_delete", OPERATORS, role=name)

    def log_in(self) -> None:
        self.steps.append(login(self._any(USERS), self._any(PASSWORDS)))

    def look(self) -> None:
        match self._chance.randrange(5):
            case 0:
                self._add("user_get", REQUESTERS, name=self._any(USERS))
            case 1:
                self._add("role_get", REQUESTERS, role=self._any(ROLES))
            case 2:
                self._add("user_list", OPERATORS)
            case 3:
                self._add("role_list", OPERATORS)
            case _:
                self._add("auth_status", OPERATORS)

    def switch(self) -> None:
        if self._is_on:
            self.steps.append(step("auth_disable", "root"))
        else:
            logins = (login("root", ROOT_PASSWORD), *(login(name, "pw") for name in USERS))
            # It may have lost its role meanwhile.
            root = step("user_grant_role", user="root", role="root")
            self.steps += [root, step("auth_enable"), *logins]
        self._is_on = not self._is_on


_KINDS: Final[tuple[tuple[int, Callable[[Maker], None]], ...]] = (
    (14, Maker.read),
    (10, Maker.put),
    (6, Maker.delete),
    (8, Maker.txn),
    (4, Maker.watch),
    (6, Maker.lease),
    (12, Maker.permission),
    (8, Maker.role_of_user),
    (4, Maker.account),
    (3, Maker.role),
    (5, Maker.log_in),
    (6, Maker.look),
    (2, Maker.switch),
)


def program_of(seed: int, steps: int = STEPS) -> Program:
    """The program of a number."""
    maker = Maker(seed)
    for _ in range(steps):
        maker.add_step()
    return tuple(maker.steps)
