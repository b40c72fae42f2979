"""One name for one thing: classes and limits whose name is taken already, for something else."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import pytest

from tests.test_tidy import modules_in

SAME_THING: Final = {
    "Compare",
    "Event",
    "KeyValue",
    "Lease",
    "Member",
    "Permission",
    "Txn",
    "Watch",
}
"""These are etcd's words: a node's own record, and the same thing as the client API shows it."""

NAMES_OF_OTHERS: Final = "cluster.compat."
"""Modules whose names are those of another package."""

PRODUCT: Final = {
    module: source
    for module, source in modules_in("actors", "cluster").items()
    if not module.startswith(NAMES_OF_OTHERS)
}
CLIENT_ROOM: Final = "cluster.client.flows."
CLIENT_SHELLS: Final = {
    "cluster.aio",
    "cluster.client.api",
    "cluster.client.threads.key_client",
    "cluster.client.threads.objects",
    "cluster.client.threads.recipes",
}
"""A class of the client's flows has its own name in the shell whose methods block."""

NODE: Final = modules_in("actors")


def shared_classes(sources: Mapping[str, str]) -> list[str]:
    """The classes whose name another module gives to a class of its own."""
    places = defaultdict(list)
    for module, source in sources.items():
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    return _told({name: _things(at) for name, at in places.items() if name not in SAME_THING})


def _things(places: list[str]) -> list[str]:
    """The places of a name, without the client's shells where one of its flows has the name."""
    is_flow = any(module.startswith(CLIENT_ROOM) for module in places)
    return [module for module in places if not (is_flow and module in CLIENT_SHELLS)]


def shared_limits(sources: Mapping[str, str]) -> list[str]:
    """The constants that are a number here and another number there."""
    places = defaultdict(list)
    values = defaultdict(set)
    for module, source in sources.items():
        for node in ast.parse(source).body:
            match node:
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    if name.isupper() and _is_arithmetic(value):
                        places[name].append(module)
                        values[name].add(ast.dump(value))
    return _told({name: at for name, at in places.items() if len(values[name]) > 1})


def _is_arithmetic(value: ast.expr) -> bool:
    signs = (ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
    parts = [part for part in ast.walk(value) if not isinstance(part, signs)]
    return all(isinstance(part, ast.Constant) and type(part.value) is not str for part in parts)


def _told(places: Mapping[str, list[str]]) -> list[str]:
    return [f"{name} in {', '.join(at)}" for name, at in places.items() if len(at) > 1]


def test_no_class_has_the_name_of_another_thing() -> None:
    assert shared_classes(PRODUCT) == []


def test_no_limit_of_a_node_has_the_name_of_another_limit() -> None:
    assert shared_limits(NODE) == []


def test_a_name_that_may_stand_twice_does() -> None:
    names = [
        node.name
        for source in PRODUCT.values()
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    ]
    assert {name for name in names if names.count(name) > 1} >= SAME_THING


def test_a_class_with_a_name_that_is_taken_is_found() -> None:
    twice = {"actors.a": "class Place:\n    pass", "cluster.b": "class Place:\n    pass"}
    assert shared_classes(twice) == ["Place in actors.a, cluster.b"]


def test_a_class_of_both_shells_of_the_client_is_one_thing() -> None:
    source = "class Place:\n    pass"
    shells = {"cluster.client.flows.place": source, "cluster.client.threads.objects": source}
    assert shared_classes(shells) == []
    assert shared_classes({**shells, "actors.a": source}) == [
        "Place in cluster.client.flows.place, actors.a"
    ]


@pytest.mark.parametrize(("other", "found"), [("2_048", 1), ("1_024", 0)])
def test_a_limit_with_a_name_that_is_taken_is_found(other: str, found: int) -> None:
    twice = {"actors.a": "BYTES_MAX: Final = 1024", "actors.b": f"BYTES_MAX: Final = {other}"}
    assert len(shared_limits(twice)) == found
