"""What a program of users and rights is: requests, each with whose token it is sent.

`login("alice", "pw")` has the server make a token, which stands under the user's name from then on.
A step is sent with the token of `who`; "" sends none, and a name without a login sends a token that
no server made. Knows no server.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

Fields = dict[str, Any]

READ: Final = 0
WRITE: Final = 1
READWRITE: Final = 2

ROOT_PASSWORD: Final = "rootpw"

LOGIN: Final = "login"
"""The step that keeps a token."""


class Step(NamedTuple):
    """One request. `who` names the token, which `login` keeps under `kept_as`."""

    name: str
    who: str
    fields: Fields
    kept_as: str = ""

    def __repr__(self) -> str:
        fields = "".join(f", {name}={value!r}" for name, value in self.fields.items())
        if self.name == LOGIN:
            return f"login({self.fields['name']!r}, {self.fields['password']!r}, {self.kept_as!r})"
        return f"step({self.name!r}, {self.who!r}{fields})"


Program = tuple[Step, ...]


def step(name: str, who: str = "", /, **fields: Any) -> Step:
    """A request of one operation of the client protocol, or of a lock or an election."""
    return Step(name, who, fields)


def login(name: str, password: str, kept_as: str = "") -> Step:
    """Have a token made and keep it, under the user's name if under no other."""
    return Step(LOGIN, "", {"name": name, "password": password}, kept_as or name)


def permission(kind: int, key: bytes, range_end: bytes = b"") -> Fields:
    """A permission as a request has it."""
    return {"permType": kind, "key": key, "range_end": range_end}


def grant(role: str, kind: int, key: bytes, range_end: bytes = b"", who: str = "") -> Step:
    """Give a role a permission."""
    return step("role_grant_permission", who, name=role, perm=permission(kind, key, range_end))


def user(name: str, *roles: str, password: str = "pw") -> Program:
    """Steps that add a user with these roles, while nobody is checked."""
    added = step("user_add", name=name, password=password)
    return (added, *(step("user_grant_role", user=name, role=role) for role in roles))


ENABLED: Final[Program] = (
    *user("root", "root", password=ROOT_PASSWORD),
    step("auth_enable"),
    login("root", ROOT_PASSWORD),
)
"""Steps after which requests are checked, and `root` may do everything."""


def listing(program: Program) -> str:
    """The program as Python, a step a line."""
    return "\n".join(["[", *(f"    {each!r}," for each in program), "]"])
