"""The tables of reference.md, written from docstrings: `python -m tests.cluster.reference`.

Of each method the page has the signature and the first sentence. What is around the tables is
written by hand.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final

from cluster import aio, errors, faults
from cluster.client import auth_results, ops, results
from cluster.client.flows import key_client, lost, mirror
from cluster.client.flows.access import AccessApi
from cluster.client.flows.keys import KeyApi
from cluster.client.flows.primitives import Primitives
from cluster.client.flows.recipes import RecipeApi
from cluster.client.flows.upkeep import UpkeepApi
from tests.cluster.page import filled

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "cluster" / "docs" / "reference.md"
MODULE: Final = "tests.cluster.reference"

HELD: Final[tuple[type[Any], ...]] = (aio.Lease, aio.LeaseApi, lost.Lost)
READ: Final[tuple[type[Any], ...]] = (aio.ClientTxn, aio.Stm, aio.Watch, aio.Mirror, aio.Scan)
RECIPES: Final[tuple[type[Any], ...]] = (
    aio.Lock,
    aio.Semaphore,
    aio.Election,
    aio.Observation,
    aio.Barrier,
    aio.DoubleBarrier,
    aio.Counter,
    aio.Queue,
    aio.PriorityQueue,
    aio.LockingQueue,
    aio.Party,
    aio.Partitioner,
)

CODES: Final = {
    number: name for name, number in vars(faults).items() if name.isupper() and type(number) is int
}


def sentence(thing: Any) -> str:
    """The first sentence of a docstring, on one line."""
    text = " ".join((inspect.getdoc(thing) or "").split())
    first = re.match(r".*?[.](?= |$)", text)
    assert first is not None, f"{thing} says what it is"
    return first[0].replace("|", r"\|")


def call(name: str, function: Callable[..., Any]) -> str:
    """A call with the parameters and defaults of a function, without types."""
    own = [
        one.replace(annotation=inspect.Parameter.empty, default=_Shown.of(one.default))
        for one in inspect.signature(function).parameters.values()
        if one.name != "self"
    ]
    return f"{name}{inspect.Signature(own)}"


class _Shown:
    """A default as a program would write it."""

    def __init__(self, default: Any) -> None:
        self._default = default

    @classmethod
    def of(cls, default: Any) -> Any:
        """None of it where there is no default."""
        return default if default is inspect.Parameter.empty else cls(default)

    def __repr__(self) -> str:
        if isinstance(self._default, Enum):
            return f"{type(self._default).__name__}.{self._default.name}"
        return repr(self._default)


def row(*cells: str) -> str:
    """A line of a table."""
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def way(member: Any) -> str:
    """How the asyncio client waits for it."""
    function = member.fget if isinstance(member, property) else member
    said = str(function.__annotations__.get("return", ""))
    if said.startswith(("OpenableStream", "AsyncIterator")):
        return "`async for`"
    if said.startswith("Openable"):
        return "`async with`"
    waits = inspect.iscoroutinefunction(function) or said.startswith("Coroutine")
    return "`await`" if waits else ""


def result(member: Any, owner: type[Any]) -> str:
    """What it returns, by the names of `cluster`."""
    function = member.fget if isinstance(member, property) else member
    said = str(function.__annotations__.get("return", ""))
    if (opened := re.match(r"OpenableStream\[(\w+)|Openable\[(\w+)", said)) is not None:
        said = opened[1] or opened[2]
    said = re.sub(r"Coroutine\[Any, Any, (.*)\]|AsyncIterator\[(.*)\]$", r"\1\2", said)
    said = re.sub(r"\b(?:auth_)?results\.|\bops\.", "", said)
    said = re.sub(r"\[Data\]", "", said)
    said = re.sub(r"\bSelf\b", owner.__name__, said)
    if said in ("Iterator[None]", "AbstractContextManager[None]"):
        return "a `with` block"
    unsaid = said in ("", "None", "T")  # the sentence says what T is
    return "" if unsaid else f"`{said}`".replace("|", r"\|")


def rows(owner: type[Any], *bases: type[Any]) -> Iterator[str]:
    """A row for each public member of a class and of some bases, in the order of their source."""
    yield "| call | asyncio | result | what it does |"
    yield "|---|---|---|---|"
    seen = set[str]()
    for kind in (owner, *bases):
        for name, member in vars(kind).items():
            if name.startswith("_") or name in seen or isinstance(member, staticmethod):
                continue
            seen.add(name)
            if not (isinstance(member, property) or inspect.isfunction(member)):
                continue
            shown = name if isinstance(member, property) else call(name, member)
            cells = (f"`{shown}`", way(member), result(member, owner), sentence(member))
            yield row(*cells)


def of_client(kind: type[Any]) -> list[str]:
    """The members that one of the classes of which a client consists adds."""
    return list(rows(kind))


def of_classes(*kinds: type[Any]) -> list[str]:
    """A section for each class: its sentence, where its text is, and its members."""
    lines: list[str] = []
    for kind in kinds:
        source = Path(inspect.getfile(kind)).relative_to(ROOT / "cluster")
        ours = [one for one in kind.__mro__[1:] if one.__module__.startswith("cluster.client")]
        shown = [one.__name__ for one in ours if one in kinds]
        also = "".join(f" It has all of [{name}](#{name.lower()})." for name in shown)
        lines += [f"### {kind.__name__}", "", f"{sentence(kind)}{also} ([text](../{source}))", ""]
        lines += [*rows(kind, *([] if shown else ours)), ""]
    return lines[:-1]


def of_ops() -> Iterator[str]:
    """Subjects of compares, operations, and the transaction's methods."""
    yield "| call | what it is |"
    yield "|---|---|"
    for name, function in vars(ops).items():
        if inspect.isfunction(function) and function.__module__ == ops.__name__ and name[0] != "_":
            yield row(f"`{call(f'ops.{name}', function)}`", sentence(function))


def of_results() -> Iterator[str]:
    """The named tuples that calls return."""
    yield "| result | fields | what it is |"
    yield "|---|---|---|"
    for module in (results, auth_results, mirror):
        for kind in vars(module).values():
            fields = getattr(kind, "_fields", None) or getattr(kind, "__slots__", ())
            if getattr(kind, "__module__", "") == module.__name__ and fields:
                named = ", ".join(f"`{field}`" for field in fields)
                yield row(f"`{kind.__name__}`", named, sentence(kind))


def of_errors() -> Iterator[str]:
    """The tree of errors, each below its base."""
    yield "| error | is a | code | retryable | maybe_applied | when |"
    yield "|---|---|---|---|---|---|"
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, errors.LeaseholdError):
            base = "Exception" if kind is errors.LeaseholdError else kind.__bases__[0].__name__
            marks = ["yes" if mark else "no" for mark in (kind.retryable, kind.maybe_applied)]
            cells = (f"`{name}`", f"`{base}`", CODES[kind.code], *marks, sentence(kind))
            yield row(*cells)


TABLES: Final = {
    "connection": of_client(key_client.KeyClient),
    "keys": of_client(KeyApi),
    "primitives": of_client(Primitives),
    "recipes": of_client(RecipeApi),
    "members": of_client(UpkeepApi),
    "users": of_client(AccessApi),
    "ops": list(of_ops()),
    "held": of_classes(*HELD),
    "read": of_classes(*READ),
    "recipe objects": of_classes(*RECIPES),
    "results": list(of_results()),
    "errors": list(of_errors()),
}


def written(page: str) -> str:
    """The page with each of its tables as the docstrings have it."""
    return filled(page, TABLES, MODULE)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
