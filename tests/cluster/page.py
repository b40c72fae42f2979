"""The tables of PROTOCOL.md, written from the protocol's table: `python -m tests.cluster.page`.

Each stands between two comments of the page that name it. What is around them is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from cluster.protocol import COMPARE, MAPS, OPS
from cluster.schema import Choice, Effect, Field, ListOf, Map, Type
from cluster.users_table import LIMITS, PERMISSION, USER_OPTIONS

PAGE: Final = Path(__file__).resolve().parents[2] / "cluster" / "PROTOCOL.md"
OURS: Final = "not in etcd"


def written(page: str) -> str:
    """The page with each of its tables as the protocol's table has it."""
    return filled(page, TABLES, "tests.cluster.page")


def filled(page: str, tables: Mapping[str, list[str]], module: str) -> str:
    """The page with these lines in their places, which comments with the module's name mark."""
    for name, lines in tables.items():
        first, last = f"<!-- {name}: python -m {module} -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(first)
        _, found, after = rest.partition(last)
        if not found:
            raise ValueError(f"the page has no place for the table {name!r}")
        page = "\n".join([before + first, "", *lines, "", last + after])
    return page


def _operations() -> Iterator[str]:
    yield "| `op` | fields | reply, beside `header` | `session` |"
    yield "|---|---|---|---|"
    for op in OPS.values():
        name = f"`{op.name}` ({OURS})" if op.ours else f"`{op.name}`"
        reply = "see Watches" if op.effect is Effect.WATCH else _listed(op.reply)
        session = "yes" if op.effect in (Effect.WRITE, Effect.EITHER) else ""
        yield _row(name, _listed((*op.request, *op.alone)), reply, session)


def _maps() -> Iterator[str]:
    yield "| map | fields |"
    yield "|---|---|"
    for shape in MAPS:
        yield _row(shape.name, _listed(shape.fields))


def _types() -> Iterator[str]:
    """Which fields of requests are of which type."""
    yield "| type | fields of requests |"
    yield "|---|---|"
    asked: dict[Type | Choice | Map | ListOf, dict[str, list[str]]] = {}
    for owner, fields in _requests():
        for field in fields:
            asked.setdefault(field.type, {}).setdefault(field.name, []).append(owner)
    for kind, owners in asked.items():
        names = [_named(name, found, asked.values()) for name, found in owners.items()]
        yield _row(_type(kind), ", ".join(names))


def _requests() -> Iterator[tuple[str, tuple[Field, ...]]]:
    for op in OPS.values():
        yield op.name, (*op.request, *op.alone)
    for shape in (COMPARE, PERMISSION, USER_OPTIONS, LIMITS):
        yield shape.name, shape.fields


def _named(name: str, owners: list[str], others: Iterable[dict[str, list[str]]]) -> str:
    """A field's name, and whose it is where the same name has another type elsewhere."""
    if sum(name in other for other in others) == 1:
        return f"`{name}`"
    return f"`{name}` of {', '.join(f'`{owner}`' for owner in owners)}"


def _type(kind: Type | Choice | Map | ListOf) -> str:
    match kind:
        case Choice(words):
            listed = ", ".join(f"`{word}`" for word in words)
            return f"one of {listed}, or 0 to {len(words) - 1}"
        case Type(name):
            return name
        case Map(name):
            return f"map: {name}"
        case _:
            raise ValueError(f"no field of a request is {kind}")


def _row(*cells: str) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _listed(fields: Iterable[Field]) -> str:
    return ", ".join(map(_field, fields))


def _field(field: Field) -> str:
    default = "" if field.default is None else f"{field.default} if left out"
    said = [each for each in (_shape(field), field.note, default) if each]
    said += [OURS] if field.ours else []
    return f"`{field.name}`" + (f" ({'; '.join(said)})" if said else "")


def _shape(field: Field) -> str:
    match field.type:
        case ListOf(Map(name)):
            return f"list of {name}s"
        case Map(name) if name != field.name:
            return name
        case _:
            return ""


TABLES: Final = {
    "operations": list(_operations()),
    "types": list(_types()),
    "maps": list(_maps()),
}

if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
