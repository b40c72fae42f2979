"""What a program is: operations as PROTOCOL.md spells them, and revisions from its own beginning.

`now(-2)` is two revisions before the present one and `base(3)` three after the program's beginning:
so the same program means the same on two servers that have lived differently, and still does after
some of its operations were taken away. Programs print as the Python that makes them. Knows no
server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

LONG_BYTES: Final = 40

Fields = dict[str, Any]
"""Of a request or a reply, by etcd's names."""


class Now(NamedTuple):
    """A revision told from the present one."""

    offset: int

    def __repr__(self) -> str:
        return f"now({self.offset:+d})" if self.offset else "now()"


class Base(NamedTuple):
    """A revision told from the one at which the program began; everything before is compacted."""

    offset: int

    def __repr__(self) -> str:
        return f"base({self.offset:+d})" if self.offset else "base()"


class Op(NamedTuple):
    """One operation; values in `fields`, at any depth, may be `Now` and `Base`."""

    name: str
    fields: Fields

    def __repr__(self) -> str:
        fields = (f"{name}={text_of(value)}" for name, value in self.fields.items())
        parts = [f'"{self.name}"', *fields]
        return f"op({', '.join(parts)})"


Program = Sequence[Op]


def op(name: str, **fields: Any) -> Op:
    """An operation, as in `op("put", key=b"a", value=b"1")`."""
    return Op(name, fields)


def now(offset: int = 0) -> Any:
    """The present revision, or one that much later."""
    return Now(offset)


def base(offset: int = 0) -> Any:
    """The revision at which the program began, or one that much later."""
    return Base(offset)


def resolved(value: Any, revision_of: Callable[[Now | Base], int]) -> Any:
    """The same value with numbers for revisions."""
    if isinstance(value, Now | Base):
        return revision_of(value)
    if isinstance(value, dict):
        return {name: resolved(item, revision_of) for name, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, revision_of) for item in value]
    return value


def listing(program: Program) -> str:
    """The program as Python, an operation a line."""
    return "\n".join(["[", *(f"    {operation!r}," for operation in program), "]"])


ALARMED_MEMBER: Final = 77
"""Programs raise alarms only of this member, which does not exist."""

ALARM_CLEARINGS: Final = tuple(
    op("alarm", action="DEACTIVATE", memberID=ALARMED_MEMBER, alarm=kind)
    for kind in ("NOSPACE", "CORRUPT")
)


def text_of(value: Any) -> str:
    """Like repr, but long values of one byte are told as what they are."""
    if isinstance(value, bytes) and len(value) > LONG_BYTES and len(set(value)) == 1:
        return f"{value[:1]!r} * {len(value)}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {text_of(v)}" for name, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(text_of(item) for item in value) + "]"
    return repr(value)


NAMES: dict[str, Any] = {"op": op, "now": now, "base": base}
"""What a listing may say."""
