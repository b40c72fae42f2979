"""Every planted bug can still be planted: what it replaces is where it looks for it, and is public.

That each of them is found is `python -m tests.simulation mutants`, which takes minutes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.simulation import mutants
from tests.simulation.mutants import MODULES
from tests.simulation.mutants.planting import PLANTED

pytestmark = pytest.mark.quick

OF_NAMED_TUPLES: Final = {"_asdict", "_fields", "_make", "_replace"}
"""Public, whatever they begin with."""


def private_names(source: str) -> list[str]:
    """The private names of others that a module uses, each after its line.

    A private name may change its meaning with any edit of its class. A bug that is planted there
    then becomes another one, or none, and nobody notices.
    """
    tree = ast.parse(source)
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    own = {id(node) for each in classes for node in ast.walk(each) if _is_of_itself(node)}
    others = [node for node in ast.walk(tree) if id(node) not in own]
    named = sorted(each for node in others for each in _named(node))
    return [f"{line}: {name}" for line, name in named if _is_private(name)]


def _is_of_itself(node: ast.AST) -> bool:
    """Whether this is an attribute of `self` or `cls`."""
    match node:
        case ast.Attribute(value=ast.Name(id="self" | "cls")):
            return True
        case _:
            return False


def _named(node: ast.AST) -> Iterator[tuple[int, str]]:
    """What a node names of something else, perhaps in a text, with its line."""
    match node:
        case ast.Attribute(attr=name):
            yield node.lineno, name
        case ast.ImportFrom(names=names):
            yield from ((node.lineno, alias.name) for alias in names)
        case ast.Call(args=arguments, keywords=keywords):
            # As in patch.object(Class, "name") and patch("module.name").
            for each in arguments:
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.lineno, each.value
            yield from ((each.value.lineno, each.arg) for each in keywords if each.arg)


def _is_private(name: str) -> bool:
    parts = set(name.split(".")) - OF_NAMED_TUPLES
    return any(part.startswith("_") and not part.startswith("__") for part in parts)


@pytest.mark.parametrize("name", PLANTED)
def test_a_bug_can_be_planted(name: str) -> None:
    with PLANTED[name]():
        pass


def test_every_function_that_plants_a_bug_is_listed() -> None:
    for module in MODULES:
        for name, value in vars(module).items():
            is_own = getattr(value, "__module__", "") == module.__name__
            if is_own and callable(value) and not isinstance(value, type):
                assert name.startswith("_") or PLANTED.get(name) is value, f"{name} lacks @mutant"


@pytest.mark.parametrize("path", sorted(Path(*mutants.__path__).glob("*.py")), ids=lambda p: p.stem)
def test_a_bug_is_planted_at_a_name_that_the_product_gives_to_others(path: Path) -> None:
    assert private_names(path.read_text()) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('patch.object(Log, "_save", careless)', ["1: _save"]),
        ('patch("actors.log._save", careless)', ["1: actors.log._save"]),
        ('patch.multiple(log, _SIZE=1, COUNT=b"")', ["1: _SIZE"]),
        ('setattr(log, "_size", 1)', ["1: _size"]),
        ("from actors.log import _size", ["1: _size"]),
        ("log._size.end", ["1: _size"]),
        ("def careless(self): return self._size", ["1: _size"]),
        ("class Mine:\n    def size(self, other): return self._size + other._size", ["2: _size"]),
        ('patch.object(Log, "save", careless)', []),
        ('patch.object(Log, "__init__", careless)', []),
        ("entry._replace(term=_term(1))", []),
    ],
)
def test_a_private_name_is_found(line: str, found: list[str]) -> None:
    assert private_names(line) == found
