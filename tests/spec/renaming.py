"""Members renamed in any value: their ids are numbers that stand for nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any


def renamed(value: Any, names: Mapping[int, int]) -> Any:
    """A value of the spec with other ids; pairs that begin with an id stay in its order."""
    kind = type(value)
    if kind is int:
        return names.get(value, value)
    if kind is frozenset:
        return frozenset([renamed(each, names) for each in value])
    if kind is tuple:
        items = [renamed(each, names) for each in value]
        is_numbers = all(type(each) is tuple and each[0] in names for each in value)
        return tuple(sorted(items) if is_numbers else items)
    if isinstance(value, tuple) and not isinstance(value, Enum):
        return kind(*[renamed(each, names) for each in value])
    return value
